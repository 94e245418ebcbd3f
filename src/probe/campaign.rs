//! All rounds of one run: first contact, learning, quiet rounds, held singles, then rounds in lanes.
//!
//! Takes a plan, a prober and whoever steers; gives the rounds in the order of their starts. It knows nothing of
//! verdicts. The surprising rule: the first contact is a burst and nothing polite comes before it, since a polite
//! socket would heal a start-up race; a new host's 404 of the platform is waited out with bursts as well.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::expectation::{Learned, learn};
use super::observation::{Observation, Opening, Round, Stage};
use super::plan::{Plan, RoundSpec, SocketSpec};
use super::platform::PlatformPage;
use super::prober::Prober;
use super::round::run_round;
use super::steering::Steering;
use super::stop::{CampaignError, StopReason};

/// How long a new host may answer the platform's own 404.
const ROUTING_TIME: Duration = Duration::from_mins(3);
/// Single sockets from which the unasked frames are learned.
const LEARNING_SOCKETS: u32 = 2;
/// Attempts to get them.
const LEARNING_ATTEMPTS: u32 = 4;

/// All rounds of one run.
#[derive(Debug)]
pub struct Campaign<'a, S> {
    prober: Arc<Prober>,
    plan: &'a Plan,
    steering: &'a mut S,
    run: String,
    learned: Option<Arc<Learned>>,
    lanes: JoinSet<(usize, Round)>,
    started: Vec<(Stage, Option<Round>)>,
    numbers: BTreeMap<Stage, u32>,
    recorded: BTreeMap<Stage, usize>,
    sockets: u32,
    room: Arc<Semaphore>,
    rooms_of_users: Vec<Arc<Semaphore>>,
    next_opening: Instant,
    until: Instant,
}

impl<'a, S: Steering> Campaign<'a, S> {
    /// Prepares a campaign; nothing is opened yet. `run` is a text that no other run has.
    pub fn new(prober: Prober, plan: &'a Plan, steering: &'a mut S, run: String) -> Self {
        let per_user = plan.limits.sockets_per_user as usize;
        Self {
            prober: Arc::new(prober),
            plan,
            steering,
            run,
            learned: None,
            lanes: JoinSet::new(),
            started: Vec::new(),
            numbers: BTreeMap::new(),
            recorded: BTreeMap::new(),
            sockets: 0,
            room: Arc::new(Semaphore::new(plan.limits.sockets_at_once as usize)),
            rooms_of_users: (0..plan.users).map(|_| Arc::new(Semaphore::new(per_user))).collect(),
            next_opening: Instant::now(),
            until: Instant::now() + plan.race.time_budget,
        }
    }

    /// Runs the whole campaign: rounds in the order of their starts, what was learned, and why it ended.
    pub async fn run(
        mut self,
        routed_later: bool,
    ) -> Result<(Vec<Round>, Option<Learned>, StopReason), CampaignError> {
        self.await_routing(routed_later).await?;
        let served = self.learn().await;
        let reason = if served { self.provoke().await } else { StopReason::NotServed };
        self.drain().await;
        let rounds = self.started.into_iter().filter_map(|(_, round)| round).collect();
        Ok((rounds, self.learned.map(|learned| learned.as_ref().clone()), reason))
    }

    /// The first contact; where the host is new, again as long as only the platform answers.
    async fn await_routing(&mut self, routed_later: bool) -> Result<(), CampaignError> {
        let began = Instant::now();
        let bursts = self.plan.strata.iter().any(|s| Stage::from(s.pattern) == Stage::FirstContact);
        if !bursts && !routed_later {
            return Ok(());
        }
        let stage = if bursts { Stage::FirstContact } else { Stage::Learning };
        let mut pause = Duration::from_millis(500);
        loop {
            let index = self.start(stage, true).await;
            self.drain().await;
            if !routed_later || !self.is_unrouted(index) {
                self.record(Stage::FirstContact);
                return Ok(());
            }
            self.forget(index);
            self.give_up_after(began)?;
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    fn give_up_after(&self, began: Instant) -> Result<(), CampaignError> {
        let waited = began.elapsed();
        if waited < ROUTING_TIME {
            return Ok(());
        }
        Err(CampaignError::NeverRouted { address: self.prober.address.display(), waited })
    }

    fn is_unrouted(&self, index: usize) -> bool {
        let round = self.started.get(index).and_then(|(_, round)| round.as_ref());
        round
            .is_some_and(|round| !round.observations.is_empty() && round.observations.iter().all(is_unrouted))
    }

    /// Takes a round out again that did not reach the application.
    fn forget(&mut self, index: usize) {
        self.until = Instant::now() + self.plan.race.time_budget;
        if let Some((stage, Some(round))) =
            self.started.get_mut(index).map(|(stage, round)| (*stage, round.take()))
        {
            self.sockets -= u32::try_from(round.observations.len()).unwrap_or(0);
            self.numbers.insert(stage, round.number - 1);
        }
        self.started.truncate(index);
    }

    /// Quiet single sockets, from which the unasked frames are learned. False when none of them was served.
    async fn learn(&mut self) -> bool {
        let mut sources = Vec::new();
        for _ in 0..LEARNING_ATTEMPTS {
            let index = self.start(Stage::Learning, true).await;
            self.drain().await;
            let Some((_, Some(round))) = self.started.get(index) else { continue };
            sources.extend(round.observations.iter().filter(|o| was_served(o)).cloned());
            let tried = self.numbers.get(&Stage::Learning).copied().unwrap_or(0);
            let served = u32::try_from(sources.len()).unwrap_or(0);
            if served >= LEARNING_SOCKETS || (served == 0 && tried >= LEARNING_SOCKETS) {
                break;
            }
        }
        self.learned = learn(&sources.iter().collect::<Vec<_>>()).map(Arc::new);
        self.steering.learned(self.learned.as_deref());
        self.record(Stage::Learning);
        self.learned.is_some()
    }

    /// Quiet rounds, held singles, lanes. Quiet ones first: failures that overlap count as one, and tell little.
    async fn provoke(&mut self) -> StopReason {
        if let Some(reason) = self.pass_through_strata(true).await {
            return reason;
        }
        self.hold_singles().await;
        self.pass_through_strata(false).await.unwrap_or(StopReason::Rounds)
    }

    /// Single sockets opened one after the other, and all held together.
    async fn hold_singles(&mut self) {
        for _ in 0..self.plan.held {
            if self.stop(Stage::Held).is_some() {
                break;
            }
            let lane = self.start_lane(Stage::Held, false).await;
            self.await_decided(lane).await;
        }
        self.drain().await;
        self.record(Stage::Held);
    }

    /// Rounds of all strata in turn, until the quiet ones are done or nothing more is wanted.
    async fn pass_through_strata(&mut self, quiet: bool) -> Option<StopReason> {
        let stages: Vec<Stage> = self
            .plan
            .strata
            .iter()
            .map(|s| Stage::from(s.pattern))
            .filter(|s| *s != Stage::FirstContact)
            .collect();
        loop {
            let mut started = false;
            for &stage in &stages {
                self.collect();
                if self.steering.is_over() {
                    return Some(StopReason::Decided);
                }
                let enough = quiet && self.number(stage) >= self.plan.quiet_rounds;
                if enough || !self.allows(stage) || !self.steering.wants(stage, self.in_flight(stage)) {
                    continue;
                }
                if let Some(reason) = self.stop(stage) {
                    self.drain().await;
                    self.record_all();
                    return Some(if self.steering.is_over() { StopReason::Decided } else { reason });
                }
                if quiet || self.steering.prefers_quiet() {
                    self.drain().await;
                    self.start(stage, true).await;
                    self.drain().await;
                } else {
                    self.start_lane(stage, false).await;
                }
                started = true;
            }
            if !started {
                // Nothing is wanted for now: what is in flight decides whether anything will be.
                if self.lanes.is_empty() {
                    return self.steering.is_over().then_some(StopReason::Decided);
                }
                self.join_one().await;
            }
            self.record_all();
        }
    }

    fn number(&self, stage: Stage) -> u32 {
        self.numbers.get(&stage).copied().unwrap_or(0)
    }

    /// True while `--rounds` allows another round.
    fn allows(&self, stage: Stage) -> bool {
        self.plan.race.rounds.is_none_or(|most| self.number(stage) < most)
    }

    /// Why no further round of this stage may start.
    fn stop(&self, stage: Stage) -> Option<StopReason> {
        if Instant::now() >= self.until {
            return Some(StopReason::Time);
        }
        let more = self.sockets.saturating_add(self.plan.sockets_of(stage));
        (more > self.plan.limits.sockets_per_run).then_some(StopReason::Sockets)
    }

    fn in_flight(&self, stage: Stage) -> u32 {
        let recorded = self.recorded.get(&stage).copied().unwrap_or(0);
        self.number(stage).saturating_sub(u32::try_from(recorded).unwrap_or(u32::MAX))
    }

    async fn start(&mut self, stage: Stage, quiet: bool) -> usize {
        self.start_lane(stage, quiet).await.0
    }

    /// Starts a round as soon as the limits leave room for it.
    async fn start_lane(&mut self, stage: Stage, quiet: bool) -> (usize, oneshot::Receiver<()>) {
        let spec = self.specify(stage, quiet);
        let permits = self.acquire(&spec).await;
        self.pace(spec.sockets.len()).await;
        let index = self.started.len();
        self.started.push((stage, None));
        let (tell, decided) = oneshot::channel();
        let (prober, learned) = (Arc::clone(&self.prober), self.learned.clone());
        self.lanes.spawn(async move {
            let round = run_round(prober, spec, learned, tell).await;
            drop(permits);
            (index, round)
        });
        (index, decided)
    }

    /// Numbers, users and nonces of the next round of a stage.
    fn specify(&mut self, stage: Stage, quiet: bool) -> RoundSpec {
        let number = self.numbers.entry(stage).or_insert(0);
        *number += 1;
        let number = *number;
        let count = self.plan.sockets_of(stage);
        // Seeded, so that `--seed` repeats which users meet.
        let start = usize::try_from(mix(self.plan.seed, stage, number)).unwrap_or(0);
        let users = self.plan.users_of_round(stage, count, start % (self.plan.users.max(1) as usize));
        let first = self.sockets;
        self.sockets += count;
        let sockets = (first + 1..)
            .zip(users)
            .map(|(number, user)| SocketSpec { number, user, nonce: format!("{}-{number}", self.run) })
            .collect();
        RoundSpec { stage, number, quiet, sockets }
    }

    /// Room for all sockets of a round, and for each of its users.
    async fn acquire(&mut self, spec: &RoundSpec) -> Vec<OwnedSemaphorePermit> {
        let mut needed: BTreeMap<Option<usize>, u32> = BTreeMap::new();
        for socket in &spec.sockets {
            *needed.entry(socket.user).or_insert(0) += 1;
        }
        let total = u32::try_from(spec.sockets.len()).unwrap_or(u32::MAX);
        let mut permits = Vec::new();
        permits.extend(Arc::clone(&self.room).acquire_many_owned(total).await.ok());
        for (user, count) in needed {
            let Some(room) = user.and_then(|user| self.rooms_of_users.get(user)) else { continue };
            permits.extend(Arc::clone(room).acquire_many_owned(count).await.ok());
        }
        permits
    }

    /// Keeps to the openings a second.
    async fn pace(&mut self, sockets: usize) {
        sleep_until(self.next_opening).await;
        let share = f64::from(u32::try_from(sockets).unwrap_or(u32::MAX));
        let gap = Duration::from_secs_f64(share / f64::from(self.plan.limits.openings_per_second.max(1)));
        self.next_opening = self.next_opening.max(Instant::now()) + gap;
    }

    async fn await_decided(&mut self, lane: (usize, oneshot::Receiver<()>)) {
        let _ = lane.1.await;
    }

    /// Waits for everything in flight.
    async fn drain(&mut self) {
        while !self.lanes.is_empty() {
            self.join_one().await;
        }
    }

    async fn join_one(&mut self) {
        if let Some(joined) = self.lanes.join_next().await {
            self.keep(joined);
        }
    }

    /// Keeps what is over already, without waiting.
    fn collect(&mut self) {
        while let Some(joined) = self.lanes.try_join_next() {
            self.keep(joined);
        }
        self.record_all();
    }

    fn keep(&mut self, joined: Result<(usize, Round), tokio::task::JoinError>) {
        match joined {
            Ok((index, round)) => {
                if let Some((_, place)) = self.started.get_mut(index) {
                    *place = Some(round);
                }
            }
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        }
    }

    fn record_all(&mut self) {
        for stratum in &self.plan.strata {
            let stage = Stage::from(stratum.pattern);
            if stage != Stage::FirstContact {
                self.record(stage);
            }
        }
    }

    /// Hands over the rounds of a stage, in the order of their starts, as far as all earlier ones are over.
    fn record(&mut self, stage: Stage) {
        let recorded = self.recorded.entry(stage).or_insert(0);
        let rounds = self.started.iter().filter(|(of, _)| *of == stage).skip(*recorded);
        for round in rounds.map_while(|(_, round)| round.as_ref()) {
            self.steering.record(round);
            *recorded += 1;
        }
    }
}

fn is_unrouted(observation: &Observation) -> bool {
    matches!(observation.opening, Opening::Refused { platform: Some(PlatformPage::NotRouted), .. })
}

/// True when a single socket showed all that can be asked of it before anything is known.
fn was_served(observation: &Observation) -> bool {
    observation.timeline.satisfied.is_some()
}

/// A number that depends on seed, stage and round alone (splitmix64).
fn mix(seed: u64, stage: Stage, number: u32) -> u64 {
    let mut z = seed ^ (u64::from(number) << 8) ^ stage as u64;
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) >> 1
}
