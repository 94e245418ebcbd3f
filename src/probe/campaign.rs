//! All rounds of one run: first contact, learning, then rounds of all patterns until enough was seen.
//!
//! Takes a plan, a prober and whoever steers; gives the rounds in the order of their starts. It knows nothing of
//! verdicts. Its time is a bound: what is under way when it is over is cut soon after. The surprising rule: the first contact is a burst and nothing polite comes before it, since a polite
//! socket would heal a start-up race; a new host's 404 of the platform is waited out with bursts as well.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::deadline::Deadline;
use super::lanes::Lanes;
use super::learned::{Learned, learn};
use super::observation::{Company, Observation, Opening, Round, Stage};
use super::plan::Plan;
use super::platform::PlatformPage;
use super::prober::Prober;
use super::schedule::{self, Candidate, Mood};
use super::steering::Steering;
use super::stop::{CampaignError, StopReason};

/// How long a new host may answer the platform's own 404.
const ROUTING_TIME: Duration = Duration::from_mins(3);
/// Single sockets from which the unasked frames are learned.
const LEARNING_SOCKETS: u32 = 2;
/// Attempts to get them.
const LEARNING_ATTEMPTS: u32 = 4;
/// Attempts to get a socket that sends nothing.
const LISTENING_ATTEMPTS: u32 = 2;
/// A path with a shorter round-trip time than this gains nothing from lanes: they only take each other's processor.
const NEAR: Duration = Duration::from_millis(1);

/// One of so many parts of the time may pass with quiet rounds.
const QUIET_SHARE: u32 = 3;
/// How long a run goes on after a failure, to say what kind of failure it is.
const LABEL_TIME: Duration = Duration::from_mins(1);
/// How long a label waits for a round that hangs before it lets the next one go.
const LABEL_PATIENCE: Duration = Duration::from_secs(1);

/// All rounds of one run.
#[derive(Debug)]
pub struct Campaign<'a, S> {
    address: String,
    pub(super) plan: &'a Plan,
    pub(super) steering: &'a mut S,
    pub(super) lanes: Lanes<'a>,
    pub(super) learned: Option<Arc<Learned>>,
    round_trip: Option<Duration>,
    /// Tells when the last round that was let go quietly is decided.
    opening: Option<oneshot::Receiver<()>>,
    pub(super) deadline: Deadline,
    pub(super) quiet_until: Instant,
    label_until: Option<Instant>,
    /// Cancelled when nothing more may be opened.
    pub(super) halt: CancellationToken,
    /// Cancelled when all is to end at once.
    interrupted: CancellationToken,
}

/// What a campaign leaves behind.
#[derive(Debug)]
pub struct Campaigned {
    /// The rounds in the order of their starts.
    pub rounds: Vec<Round>,
    /// What comes unasked; `None` when no single socket was served.
    pub learned: Option<Learned>,
    /// The shortest time in which TCP was connected; `None` when no single socket was served.
    pub round_trip: Option<Duration>,
    /// Why it ended.
    pub stopped: StopReason,
    /// Why no further instance was made to start; `None` where none was.
    pub cold: Option<StopReason>,
}

impl<'a, S: Steering> Campaign<'a, S> {
    /// Prepares a campaign; nothing is opened yet. `run` is a text that no other run has.
    pub fn new(prober: Prober, plan: &'a Plan, steering: &'a mut S, run: String) -> Self {
        let deadline = Deadline::new(Instant::now() + plan.race.time_budget);
        let address = prober.address.display();
        let mut lanes = Lanes::new(Arc::new(prober), plan, run);
        lanes.cut_by(deadline.cut());
        Self {
            address,
            plan,
            steering,
            lanes,
            learned: None,
            round_trip: None,
            opening: None,
            deadline,
            quiet_until: Instant::now() + plan.race.time_budget / QUIET_SHARE,
            label_until: None,
            halt: CancellationToken::new(),
            interrupted: CancellationToken::new(),
        }
    }

    /// The same, stopped for the sake of the revision that serves as soon as `halt` is cancelled.
    #[must_use]
    pub fn halted_by(self, halt: CancellationToken) -> Self {
        Self { halt, ..self }
    }

    /// The same, which hands over what was seen by then as soon as `interrupted` is cancelled.
    #[must_use]
    pub fn interrupted_by(mut self, interrupted: CancellationToken) -> Self {
        self.interrupted = interrupted;
        self.has_until(self.deadline.until());
        self
    }

    /// Runs the whole campaign.
    pub async fn run(mut self, routed_later: bool) -> Result<Campaigned, CampaignError> {
        self.await_routing(routed_later).await?;
        let unknown = self.learn().await;
        let starts = unknown.is_none() && self.plan.starts_instances() && !self.steering.has_failed();
        let cold = if starts { Some(self.start_instances().await) } else { None };
        let cold = cold.map(|stopped| self.unless_interrupted(stopped));
        let stopped = match unknown {
            None => self.provoke().await,
            Some(_) if self.deadline.is_over() => StopReason::Time,
            Some(reason) => reason,
        };
        self.lanes.drain().await;
        let stopped = self.unless_interrupted(stopped);
        Ok(Campaigned {
            rounds: self.lanes.into_rounds(),
            learned: self.learned.map(|learned| learned.as_ref().clone()),
            round_trip: self.round_trip,
            stopped,
            cold,
        })
    }

    /// Why it ended: a signal looks like the end of a time, and sockets that it cut like ones that were not served.
    fn unless_interrupted(&self, stopped: StopReason) -> StopReason {
        let cut = self.interrupted.is_cancelled() && stopped != StopReason::Decided;
        if cut { StopReason::Interrupted } else { stopped }
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
            let index = self.run_alone(stage).await;
            if !routed_later || !self.is_unrouted(index) {
                self.record(Stage::FirstContact);
                return Ok(());
            }
            self.lanes.forget(index);
            self.has_until(Instant::now() + self.plan.race.time_budget);
            self.quiet_until = Instant::now() + self.plan.race.time_budget / QUIET_SHARE;
            self.give_up_after(began)?;
            let _ = self.interrupted.run_until_cancelled(sleep(pause)).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    /// From now on there is time until then; nothing may be under way.
    pub(super) fn has_until(&mut self, until: Instant) {
        self.deadline = Deadline::before(until, &self.interrupted);
        self.lanes.cut_by(self.deadline.cut());
    }

    fn give_up_after(&self, began: Instant) -> Result<(), CampaignError> {
        let waited = began.elapsed();
        if waited < ROUTING_TIME {
            return Ok(());
        }
        Err(CampaignError::NeverRouted { address: self.address.clone(), waited })
    }

    fn is_unrouted(&self, index: usize) -> bool {
        self.lanes
            .round(index)
            .is_some_and(|round| !round.observations.is_empty() && round.observations.iter().all(is_unrouted))
    }

    /// Single sockets, alone: first one that sends nothing, from which it is learned what comes unasked, then those from
    /// which it is learned what answers. Says why nothing can be provoked, where that is so.
    async fn learn(&mut self) -> Option<StopReason> {
        let mut heard = self.listen().await;
        self.learned = learn_from(&heard, &[]);
        let (mut talked, mut seen, mut hidden) = (Vec::new(), 0, 0);
        let attempts = if self.deadline.is_over() { 0 } else { LEARNING_ATTEMPTS };
        for tried in 1..=attempts {
            let index = self.run_alone(Stage::Learning).await;
            let Some(round) = self.lanes.round(index) else { continue };
            talked.extend(round.observations.iter().filter(|o| was_served(o)).cloned());
            let hides = |o| self.learned.as_ref().is_some_and(|learned| learned.hides_answer(o));
            seen += round.observations.len();
            hidden += round.observations.iter().filter(|o| hides(o)).count();
            let served = u32::try_from(talked.len()).unwrap_or(0);
            let enough = served >= LEARNING_SOCKETS || (served == 0 && tried >= LEARNING_SOCKETS);
            if enough || self.deadline.is_over() {
                break;
            }
        }
        self.round_trip = talked.iter().filter_map(connecting_time).min();
        self.learned = learn_from(&heard, &talked);
        let guessed = self.plan.declared.send && !self.plan.declared.expect;
        if guessed && !talked.is_empty() && self.learned.as_ref().is_some_and(|l| l.heard_too_little()) {
            // An answer took longer than was listened: a heartbeat could have come in its place.
            heard.extend(self.listen().await);
            self.learned = learn_from(&heard, &talked);
        }
        self.steering.learned(self.learned.as_deref());
        self.record(Stage::Listening);
        self.record(Stage::Learning);
        if talked.is_empty() {
            let untold = seen > 0 && hidden == seen;
            return Some(if untold { StopReason::AnswerUntold } else { StopReason::NotServed });
        }
        if heard.is_empty() {
            return Some(StopReason::Unheard);
        }
        let told = self.learned.as_ref().is_some_and(|learned| learned.answered.is_some());
        (!told).then_some(StopReason::AnswerUntold)
    }

    /// A socket that sends nothing; none when none opens.
    async fn listen(&mut self) -> Vec<Observation> {
        let attempts = if self.deadline.is_over() { 0 } else { LISTENING_ATTEMPTS };
        for _ in 0..attempts {
            let index = self.run_alone(Stage::Listening).await;
            let opened = |o: &&Observation| matches!(o.opening, Opening::Opened { .. });
            let round = self.lanes.round(index);
            let heard: Vec<_> =
                round.iter().flat_map(|round| &round.observations).filter(opened).cloned().collect();
            if !heard.is_empty() {
                return heard;
            }
        }
        Vec::new()
    }

    /// Rounds of all patterns and held singles, until enough was seen or the budget is spent.
    async fn provoke(&mut self) -> StopReason {
        loop {
            self.lanes.collect();
            self.record_all();
            if self.steering.has_passed() {
                return StopReason::Decided;
            }
            if self.steering.has_failed() {
                let end = *self.label_until.get_or_insert_with(|| Instant::now() + LABEL_TIME);
                self.lanes.part_singles();
                self.deadline.shorten(end);
            }
            let mood = Mood {
                wary: self.steering.prefers_quiet(),
                near: self.has_one_lane(),
                late: Instant::now() >= self.quiet_until,
            };
            let Some((stage, company)) = schedule::next(self.plan, &self.wanted(), mood) else {
                // Nothing is wanted for now: what is under way decides whether anything will be.
                if self.lanes.join_one().await {
                    continue;
                }
                return if self.steering.has_failed() { StopReason::Decided } else { StopReason::Rounds };
            };
            if let Some(reason) = self.spent(stage) {
                self.lanes.drain().await;
                self.record_all();
                let decided = self.steering.has_passed() || self.steering.has_failed();
                return if decided { StopReason::Decided } else { reason };
            }
            match company {
                Company::Alone => {
                    self.run_alone(stage).await;
                }
                Company::Quiet => self.run_quietly(stage, mood.wary).await,
                Company::Lanes => {
                    self.await_decided().await;
                    self.await_lane().await;
                    drop(self.lanes.arm(stage, company, self.learned.clone()).await.let_go());
                }
            }
        }
    }

    /// True where rounds in lanes would only disturb each other.
    fn has_one_lane(&self) -> bool {
        match self.plan.race.lanes {
            Some(lanes) => lanes == 1,
            None => self.round_trip.is_some_and(|time| time < NEAR),
        }
    }

    /// Waits until fewer rounds are under way than there are lanes.
    async fn await_lane(&mut self) {
        let lanes = self.plan.race.lanes.map_or(usize::MAX, |lanes| lanes as usize);
        while self.lanes.under_way() >= lanes && self.lanes.join_one().await {}
    }

    /// The stages of which another round is wanted and allowed.
    fn wanted(&self) -> Vec<Candidate> {
        let patterns = self.plan.strata.iter().map(|stratum| Stage::from(stratum.pattern));
        let elsewhere = [Stage::FirstContact, Stage::Cold];
        let stages = patterns.filter(|stage| !elsewhere.contains(stage)).chain([Stage::Held]);
        stages
            .map(|stage| {
                let started = self.lanes.number(stage);
                Candidate { stage, started, number: self.plan.first_number(stage) + started }
            })
            .filter(|candidate| self.plan.allows(candidate.stage, candidate.started))
            .filter(|c| self.steering.wants(c.stage, self.lanes.in_flight(c.stage)))
            .collect()
    }

    /// Why no further round of this stage may start.
    fn spent(&self, stage: Stage) -> Option<StopReason> {
        if self.halt.is_cancelled() {
            return Some(StopReason::ServingErrors);
        }
        if self.deadline.is_over() {
            return Some(StopReason::Time);
        }
        let more = self.lanes.sockets().saturating_add(self.plan.sockets_of(stage));
        (more > self.plan.limits.sockets_per_run).then_some(StopReason::Sockets)
    }

    /// One round with nothing else open.
    pub(super) async fn run_alone(&mut self, stage: Stage) -> usize {
        self.opening = None;
        self.lanes.drain().await;
        let lane = self.lanes.arm(stage, Company::Alone, self.learned.clone()).await;
        let index = lane.index;
        drop(lane.let_go());
        self.lanes.drain().await;
        index
    }

    /// One round with nothing else opening: it is armed while the one before it is being answered, and let go when
    /// that one is decided. A wary run arms it only then.
    async fn run_quietly(&mut self, stage: Stage, wary: bool) {
        if wary {
            self.await_decided().await;
        }
        let lane = self.lanes.arm(stage, Company::Quiet, self.learned.clone()).await;
        self.await_decided().await;
        self.opening = Some(lane.let_go());
    }

    async fn await_decided(&mut self) {
        let Some(decided) = self.opening.take() else { return };
        if self.label_until.is_some() {
            // No test hears of it any more: who hangs must not use up the time of all.
            let _ = timeout(LABEL_PATIENCE, decided).await;
        } else {
            let _ = decided.await;
        }
    }

    fn record_all(&mut self) {
        for stratum in &self.plan.strata {
            let stage = Stage::from(stratum.pattern);
            if stage != Stage::FirstContact {
                self.record(stage);
            }
        }
        self.record(Stage::Held);
    }

    /// Hands over the rounds of a stage, in the order of their starts, as far as all earlier ones are over.
    pub(super) fn record(&mut self, stage: Stage) {
        for round in self.lanes.decided(stage) {
            self.steering.record(round);
        }
    }
}

fn learn_from(heard: &[Observation], talked: &[Observation]) -> Option<Arc<Learned>> {
    let heard: Vec<&Observation> = heard.iter().collect();
    learn(&heard, &talked.iter().collect::<Vec<_>>()).map(Arc::new)
}

fn is_unrouted(observation: &Observation) -> bool {
    matches!(observation.opening, Opening::Refused { platform: Some(PlatformPage::NotRouted), .. })
}

/// True when a single socket showed all that can be asked of it before anything is known.
fn was_served(observation: &Observation) -> bool {
    observation.timeline.satisfied.is_some()
}

/// From the first step to the TCP connection: one round trip, and a name's resolution where there is one.
fn connecting_time(observation: &Observation) -> Option<Duration> {
    let times = &observation.timeline;
    Some(Duration::from_micros(times.connected?.saturating_sub(times.began)))
}
