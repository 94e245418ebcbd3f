//! Runs pairs of rounds, one at the candidate and one at the revision that serves, at the pace of the serving one.
//!
//! Takes a prober for each side and a plan; gives rounds. It judges nothing and never stops by itself: whoever asks for the
//! next pair has looked at the last. The surprising rule: a round begins only when all sockets of the one before it are
//! closed and its share of a second is over beyond that, so that no second ever sees more openings than were promised.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::baseline::{BaselinePlan, Pair, serving_is_first};
use super::learned::{Learned, learn};
use super::observation::{Company, Observation, Round, Stage};
use super::plan::Plan;
use super::prober::Prober;
use super::round::run_round;
use super::spec::RoundSpec;
use crate::config::Pattern;

/// Single sockets of the serving revision from which it is learned what comes unasked there, and what answers: the first
/// sends nothing.
pub(crate) const SINGLES: u32 = 3;

/// One side of a comparison.
#[derive(Debug)]
struct Side {
    prober: Arc<Prober>,
    learned: Option<Arc<Learned>>,
}

/// A comparison under way.
#[derive(Debug)]
pub struct Pairs<'a> {
    plan: &'a Plan,
    baseline: &'a BaselinePlan,
    stage: Stage,
    candidate: Side,
    serving: Side,
    run: String,
    sockets: u32,
    number: u32,
    singles: u32,
    next: Instant,
}

impl<'a> Pairs<'a> {
    /// Prepares a comparison in `pattern`; nothing is opened yet. `sockets` were opened before, and `learned` is what comes
    /// unasked at the candidate. `run` is a text that no other run has.
    pub fn new(
        (plan, baseline): (&'a Plan, &'a BaselinePlan),
        pattern: Pattern,
        (candidate, learned): (Prober, Option<Learned>),
        serving: Prober,
        sockets: u32,
        run: String,
    ) -> Self {
        Self {
            plan,
            baseline,
            stage: Stage::from(pattern),
            candidate: Side { prober: Arc::new(candidate), learned: learned.map(Arc::new) },
            serving: Side { prober: Arc::new(serving), learned: None },
            run,
            sockets,
            number: 0,
            singles: 0,
            // The candidate's own rounds have only just ended.
            next: Instant::now() + baseline.gap(baseline.largest_round),
        }
    }

    /// A single socket of the serving revision: one that sends nothing, then others.
    pub async fn single(&mut self) -> Round {
        self.singles += 1;
        let (stage, number) = match self.singles {
            1 => (Stage::Listening, 1),
            later => (Stage::Learning, later - 1),
        };
        let spec = self.specify(stage, number, 1);
        let round = self.alone(&Arc::clone(&self.serving.prober), spec, self.serving.learned.clone()).await;
        if stage == Stage::Listening {
            self.learn(std::slice::from_ref(&round));
        }
        round
    }

    /// Learns from single sockets what comes unasked at the serving revision, and what answers.
    pub fn learn(&mut self, singles: &[Round]) -> Option<Learned> {
        let of = |heard: bool| -> Vec<&Observation> {
            let rounds = singles.iter().filter(|round| (round.stage == Stage::Listening) == heard);
            rounds.flat_map(|round| &round.observations).collect()
        };
        let learned = learn(&of(true), &of(false));
        self.serving.learned = learned.clone().map(Arc::new);
        learned
    }

    /// True while the sockets of the run leave room for another pair, and for the single ones that come first.
    pub fn has_room(&self) -> bool {
        let more = SINGLES.saturating_sub(self.singles) + 2 * self.size();
        self.sockets.saturating_add(more) <= self.plan.limits.sockets_per_run
    }

    /// The next pair: the same users on both sides.
    pub async fn pair(&mut self) -> Pair {
        self.number += 1;
        let number = self.number;
        let serving_first = serving_is_first(self.plan.seed, number);
        let (candidate, serving) = if serving_first {
            let serving = self.side(true).await;
            (self.side(false).await, serving)
        } else {
            let candidate = self.side(false).await;
            (candidate, self.side(true).await)
        };
        Pair { number, serving_first, candidate, serving }
    }

    fn size(&self) -> u32 {
        self.plan.sockets_of(self.stage).min(self.baseline.largest_round)
    }

    async fn side(&mut self, serving: bool) -> Round {
        // `--round` repeats a single one.
        let first = self.plan.first_number(self.stage);
        let turn = if self.plan.race.round.is_some() { 0 } else { self.number - 1 };
        let spec = self.specify(self.stage, first + turn, self.size());
        let side = if serving { &self.serving } else { &self.candidate };
        let (prober, learned) = (Arc::clone(&side.prober), side.learned.clone());
        self.alone(&prober, spec, learned).await
    }

    fn specify(&mut self, stage: Stage, number: u32, count: u32) -> RoundSpec {
        let first = self.sockets;
        self.sockets += count;
        RoundSpec::new(self.plan, (stage, number, Company::Alone), count, first, &self.run)
    }

    /// One round with nothing else open, when its turn has come.
    async fn alone(&mut self, prober: &Arc<Prober>, spec: RoundSpec, learned: Option<Arc<Learned>>) -> Round {
        sleep_until(self.next).await;
        let cut = CancellationToken::new();
        prober.turn(&spec.sockets, prober.messages_of_socket(), &cut).await;
        let gap = self.baseline.gap(u32::try_from(spec.sockets.len()).unwrap_or(u32::MAX));
        let (go, gone) = oneshot::channel();
        let (tell, _decided) = oneshot::channel();
        let _ = go.send(());
        let round = run_round(Arc::clone(prober), spec, learned, gone, tell, cut).await;
        self.next = Instant::now() + gap;
        round
    }
}
