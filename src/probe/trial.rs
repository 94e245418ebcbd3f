//! One cold start: a burst at a process that has only just opened its port.
//!
//! Takes a prober that is aimed at that process and gives the round. It starts no process. The surprising rule: a process
//! that never listens is met by the same burst, so that its sockets are refused and counted like any others.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::learned::Learned;
use super::observation::{Company, Round, Stage};
use super::plan::Plan;
use super::prober::Prober;
use super::round::run_round;
use super::spec::RoundSpec;

/// What the cold starts of a run share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trials<'a> {
    /// The plan.
    pub(crate) plan: &'a Plan,
    /// Sockets of the run that were opened before.
    pub(crate) sockets_before: u32,
    /// A text that no other run has.
    pub(crate) run: &'a str,
}

impl Trials<'_> {
    /// The sockets of the trial of this number, from 1.
    pub(crate) fn specify(&self, started: u32) -> RoundSpec {
        let (stage, count) = (Stage::Cold, self.plan.sockets_of(Stage::Cold));
        let number = self.plan.first_number(stage) + started;
        let first = self.sockets_before + started * count;
        RoundSpec::new(self.plan, (stage, number, Company::Alone), count, first, self.run)
    }

    /// True while another may start after so many.
    pub(crate) fn allows(&self, started: u32) -> bool {
        self.plan.allows(Stage::Cold, started)
    }
}

/// Runs one; `decided` hears when the last of its sockets has shown what is due. It is cut where the time is over.
pub(crate) async fn run_trial(
    prober: Prober,
    spec: RoundSpec,
    learned: Option<Arc<Learned>>,
    decided: oneshot::Sender<()>,
    cut: CancellationToken,
) -> Round {
    let (go, gone) = oneshot::channel();
    let _ = go.send(());
    run_round(Arc::new(prober), spec, learned, gone, decided, cut).await
}
