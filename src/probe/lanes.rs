//! Rounds under way: room for their sockets, the pace of openings, and their order.
//!
//! Takes the specification of a round and starts it as soon as the limits leave room; keeps what comes of it at its
//! place in the order of the starts. It decides nothing about what is started. The surprising rule: a round is armed
//! before it is let go, so that the next quiet round can stand ready while this one is being answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::ballast::Ballast;
use super::learned::Learned;
use super::observation::{Company, Round, Stage};
use super::plan::Plan;
use super::prober::Prober;
use super::round::run_round;
use super::spec::RoundSpec;

/// How long a single socket waits for others of its user to be gone.
const PARTING_TIME: Duration = Duration::from_secs(1);
/// How long after they have gone it is opened: servers tidy up behind whoever leaves, and that is another race.
const TIDYING_TIME: Duration = Duration::from_millis(100);

/// A round that was started.
#[derive(Debug)]
pub(super) struct Lane {
    /// Its place in the order of the starts.
    pub(super) index: usize,
    go: oneshot::Sender<()>,
    decided: oneshot::Receiver<()>,
}

impl Lane {
    /// Lets its sockets go as soon as they are armed; gives what tells when the last of them is decided.
    pub(super) fn let_go(self) -> oneshot::Receiver<()> {
        let _ = self.go.send(());
        self.decided
    }
}

/// All rounds of a run, over and under way.
#[derive(Debug)]
pub(super) struct Lanes<'a> {
    prober: Arc<Prober>,
    plan: &'a Plan,
    run: String,
    under_way: JoinSet<(usize, Round)>,
    started: Vec<(Stage, Option<Round>)>,
    numbers: BTreeMap<Stage, u32>,
    recorded: BTreeMap<Stage, usize>,
    sockets: u32,
    ballast: Option<Arc<Ballast>>,
    room: Arc<Semaphore>,
    rooms_of_users: Vec<Arc<Semaphore>>,
    /// Single sockets have no company of their own user's.
    singles_apart: bool,
    next_opening: Instant,
    cut: CancellationToken,
}

impl<'a> Lanes<'a> {
    /// Nothing is started yet. `run` is a text that no other run has.
    pub(super) fn new(prober: Arc<Prober>, plan: &'a Plan, run: String) -> Self {
        let per_user = plan.limits.sockets_per_user as usize;
        Self {
            prober,
            plan,
            run,
            under_way: JoinSet::new(),
            started: Vec::new(),
            numbers: BTreeMap::new(),
            recorded: BTreeMap::new(),
            sockets: 0,
            ballast: None,
            room: Arc::new(Semaphore::new(plan.limits.sockets_at_once as usize)),
            rooms_of_users: (0..plan.users).map(|_| Arc::new(Semaphore::new(per_user))).collect(),
            singles_apart: false,
            next_opening: Instant::now(),
            cut: CancellationToken::new(),
        }
    }

    /// Starts a round: it is armed at once, and waits to be let go.
    pub(super) async fn arm(
        &mut self,
        stage: Stage,
        company: Company,
        learned: Option<Arc<Learned>>,
    ) -> Lane {
        let spec = self.specify(stage, company);
        let permits = self.acquire(&spec).await;
        let cut = self.cut.clone();
        self.prober.turn(&spec.sockets, self.prober.messages_of_socket(), &cut).await;
        let _ = cut.run_until_cancelled(self.pace(spec.sockets.len())).await;
        let index = self.started.len();
        self.started.push((stage, None));
        let (tell, decided) = oneshot::channel();
        let (go, gone) = oneshot::channel();
        let prober = match &self.ballast {
            Some(ballast) => Arc::new(self.prober.keeping(Arc::clone(ballast))),
            None => Arc::clone(&self.prober),
        };
        self.under_way.spawn(async move {
            let round = run_round(prober, spec, learned, gone, tell, cut).await;
            drop(permits);
            (index, round)
        });
        Lane { index, go, decided }
    }

    /// Numbers, users and nonces of the next round of a stage.
    fn specify(&mut self, stage: Stage, company: Company) -> RoundSpec {
        let number = self.numbers.entry(stage).or_insert_with(|| self.plan.first_number(stage) - 1);
        *number += 1;
        let number = *number;
        let count = self.plan.sockets_of(stage);
        let first = self.sockets;
        self.sockets += count;
        RoundSpec::new(self.plan, (stage, number, company), count, first, &self.run)
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
            let alone = if spec.stage == Stage::Control { self.whole_room(room).await } else { None };
            match alone {
                Some(alone) => permits.push(alone),
                None => permits.extend(Arc::clone(room).acquire_many_owned(count).await.ok()),
            }
        }
        permits
    }

    /// All the room of one user, where single sockets are apart; none where one that hangs takes its share for long.
    async fn whole_room(&self, room: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        if !self.singles_apart {
            return None;
        }
        let all = self.plan.limits.sockets_per_user;
        if let Ok(whole) = Arc::clone(room).try_acquire_many_owned(all) {
            return Some(whole);
        }
        let whole = timeout(PARTING_TIME, Arc::clone(room).acquire_many_owned(all)).await.ok()?.ok();
        let _ = self.cut.run_until_cancelled(sleep(TIDYING_TIME)).await;
        whole
    }

    /// From now on a single socket is opened when no other of its user is open: a second one may be what ends the first,
    /// and then single sockets would seem to fail whoever comes.
    pub(super) fn part_singles(&mut self) {
        self.singles_apart = true;
    }

    /// Keeps to the openings a second.
    async fn pace(&mut self, sockets: usize) {
        sleep_until(self.next_opening).await;
        let share = f64::from(u32::try_from(sockets).unwrap_or(u32::MAX));
        let gap = Duration::from_secs_f64(share / f64::from(self.plan.limits.openings_per_second.max(1)));
        self.next_opening = self.next_opening.max(Instant::now()) + gap;
    }

    /// From now on sockets stay open beyond their round, in this; they take no room: whoever asks for it counts them.
    pub(super) fn keep_in(&mut self, ballast: Option<Arc<Ballast>>) {
        self.ballast = ballast;
    }

    /// Rounds that are started from now on are cut when this is cancelled.
    pub(super) fn cut_by(&mut self, cut: CancellationToken) {
        self.cut = cut;
    }

    /// True when answers are to name their instance.
    pub(super) fn hears_instances(&self) -> bool {
        self.prober.instance_echo.is_some()
    }

    /// Sockets that were specified so far.
    pub(super) fn sockets(&self) -> u32 {
        self.sockets
    }

    /// Rounds of a stage that were started so far.
    pub(super) fn number(&self, stage: Stage) -> u32 {
        let before = self.plan.first_number(stage) - 1;
        self.numbers.get(&stage).map_or(0, |number| number - before)
    }

    /// Rounds of a stage that were started and are not handed over yet.
    pub(super) fn in_flight(&self, stage: Stage) -> u32 {
        let recorded = self.recorded.get(&stage).copied().unwrap_or(0);
        self.number(stage).saturating_sub(u32::try_from(recorded).unwrap_or(u32::MAX))
    }

    /// Rounds under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// The round that was started as the `index`th, when it is over.
    pub(super) fn round(&self, index: usize) -> Option<&Round> {
        self.started.get(index).and_then(|(_, round)| round.as_ref())
    }

    /// Waits for everything under way.
    pub(super) async fn drain(&mut self) {
        while self.join_one().await {}
    }

    /// Waits for one round; false when none is under way.
    pub(super) async fn join_one(&mut self) -> bool {
        match self.under_way.join_next().await {
            Some(joined) => {
                self.keep(joined);
                true
            }
            None => false,
        }
    }

    /// Keeps what is over already, without waiting.
    pub(super) fn collect(&mut self) {
        while let Some(joined) = self.under_way.try_join_next() {
            self.keep(joined);
        }
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

    /// Rounds of a stage that were not handed over before, in the order of their starts, as far as all earlier ones
    /// are over.
    pub(super) fn decided(&mut self, stage: Stage) -> impl Iterator<Item = &Round> {
        let recorded = self.recorded.entry(stage).or_insert(0);
        self.started
            .iter()
            .filter(move |(of, _)| *of == stage)
            .skip(*recorded)
            .map_while(|(_, round)| round.as_ref())
            .inspect(|_| *recorded += 1)
    }

    /// Takes the last round out again: it did not reach the application, and nothing else is under way.
    pub(super) fn forget(&mut self, index: usize) {
        if let Some((stage, Some(round))) =
            self.started.get_mut(index).map(|(stage, round)| (*stage, round.take()))
        {
            self.sockets -= u32::try_from(round.observations.len()).unwrap_or(0);
            self.numbers.insert(stage, round.number - 1);
        }
        self.started.truncate(index);
    }

    /// All rounds, in the order of their starts.
    pub(super) fn into_rounds(self) -> Vec<Round> {
        self.started.into_iter().filter_map(|(_, round)| round).collect()
    }
}
