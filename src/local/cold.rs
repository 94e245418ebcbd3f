//! Cold starts: a fresh process a trial, and a burst at the instant at which its port opens.
//!
//! Takes the command and whoever judges; gives a round a process. The surprising rule: the next process starts as soon
//! as the sockets of the last one are decided, while they are still held; but never earlier, since two processes that
//! start take each other's processor, and the burst would come late.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::server::Server;
use crate::probe::{
    Deadline, Learned, Prober, Round, RoundSpec, Stage, Steering, StopReason, Trials, run_trial,
};

/// All cold starts of a run.
pub(super) struct Cold<'a, S> {
    pub(super) words: Arc<[String]>,
    pub(super) prober: Prober,
    pub(super) trials: Trials<'a>,
    pub(super) learned: Option<Arc<Learned>>,
    pub(super) steering: &'a mut S,
}

impl<S: Steering> Cold<'_, S> {
    /// Runs them, until enough was seen, the budget is spent or a signal came; gives the rounds in the order of their starts.
    pub(super) async fn run(self, interrupted: &CancellationToken) -> (Vec<Round>, StopReason) {
        let mut over = BTreeMap::new();
        let stopped = interrupted.run_until_cancelled(self.run_into(&mut over)).await;
        (over.into_values().collect(), stopped.unwrap_or(StopReason::Interrupted))
    }

    /// Runs them; what is over is there at every instant.
    async fn run_into(self, over: &mut BTreeMap<u32, Round>) -> StopReason {
        let deadline = Deadline::new(Instant::now() + self.trials.plan.race.cold_budget);
        let mut under_way: JoinSet<(u32, Round)> = JoinSet::new();
        let (mut started, mut recorded) = (0, 0);
        loop {
            while let Some(joined) = under_way.try_join_next() {
                over.extend(whole(joined));
            }
            while let Some(round) = over.get(&recorded) {
                self.steering.record(round);
                recorded += 1;
            }
            if !self.trials.allows(started) || !self.steering.wants(Stage::Cold, started - recorded) {
                let Some(joined) = under_way.join_next().await else { break StopReason::Rounds };
                over.extend(whole(joined));
            } else if deadline.is_over() {
                let Some(joined) = under_way.join_next().await else { break StopReason::Time };
                over.extend(whole(joined));
            } else {
                let (tell, decided) = oneshot::channel();
                let spec = self.trials.specify(started);
                let trial = Trial { prober: self.prober.clone(), spec, learned: self.learned.clone() };
                let (number, words, cut) = (started, Arc::clone(&self.words), deadline.cut());
                under_way.spawn(async move { (number, trial.run(words, tell, cut).await) });
                started += 1;
                let _ = decided.await;
            }
        }
    }
}

fn whole<T>(joined: Result<T, JoinError>) -> Option<T> {
    match joined {
        Ok(value) => Some(value),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}

/// One process and its burst.
struct Trial {
    prober: Prober,
    spec: RoundSpec,
    learned: Option<Arc<Learned>>,
}

impl Trial {
    async fn run(self, words: Arc<[String]>, decided: oneshot::Sender<()>, cut: CancellationToken) -> Round {
        let Self { mut prober, mut spec, learned } = self;
        let server = Server::start(&words).await;
        let due = spec.sockets.len();
        if let Ok(server) = &server {
            let sockets = u32::try_from(due).unwrap_or(u32::MAX);
            let opened = server.open_within(prober.timeouts.first_contact, sockets).await;
            // Who was not there in time stays away: it would meet a server that has long been up.
            if !opened.is_empty() {
                spec.sockets.truncate(opened.len());
            }
            if let Ok(address) = server.address() {
                prober = prober.aimed(address.with_opened(opened));
            }
        }
        let late = u32::try_from(due - spec.sockets.len()).ok().filter(|late| *late > 0);
        // A process that could not be started leaves the address of the one before, which is gone: its sockets are
        // refused.
        let round = run_trial(prober, spec, learned, decided, cut).await;
        if let Ok(server) = server {
            server.end().await;
        }
        Round { late, ..round }
    }
}
