//! What a conversation does when it is over, whatever happened.
//!
//! Takes a conversation whose socket is open and whose next steps are those of the cleanup; gives what went wrong, in words.
//! It decides nothing. The surprising rule: everything that comes is still looked at, and a forbidden frame ends the
//! cleanup, but the run keeps the ending that it had.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::super::observation::{Phase, in_microseconds};
use super::super::progress::{Due, Progress};
use super::super::seen::{Ending, FlowRun};
use super::{Held, Stopped, Talk, empty};

/// How long a cleanup may take.
const CLEANUP: Duration = Duration::from_secs(10);

impl<'a: 'v, 'v> Talk<'a, 'v> {
    /// Cleans up and closes, whatever happened.
    pub(super) async fn finish(mut self, ending: Ending, cut: &CancellationToken) -> Held {
        let captured = self.progress.captured.clone();
        let mut cleanup = None;
        if self.end.is_none() && !cut.is_cancelled() && !self.errand.flow.cleanup.is_empty() {
            self.progress = Progress::of_cleanup(self.errand.flow, self.values, captured.clone());
            self.run_until = Some(Instant::now() + CLEANUP);
            self.changed = Instant::now();
            cleanup = self.clean_up().await;
        }
        let observation = match self.end {
            Some((kind, phase)) => self.dialogue.ended(kind, phase).await,
            None => self.dialogue.close().await,
        };
        let run = FlowRun {
            started: self.started,
            completed: self.completed,
            events: self.events,
            events_total: self.events_total,
            sent: self.sent,
            paced: in_microseconds(self.paced),
            ending,
            cleanup,
            ..empty(self.errand, self.values.user, observation)
        };
        let nonce = self.values.nonce.to_owned();
        Held { run, nonce, captured, transcript: self.transcript, pace: self.pace }
    }

    /// What went wrong in the cleanup, in words.
    async fn clean_up(&mut self) -> Option<String> {
        let completed = self.completed.take();
        let stopped = loop {
            let done = match self.progress.due() {
                Due::Nothing => break None,
                Due::Begin => {
                    self.pass();
                    Ok(())
                }
                Due::Send(text) => self.send(text).await,
                Due::Unfilled(name) => break Some(format!("{name} was never captured")),
                Due::Wait(time) => self.wait(time).await,
                Due::Frame { name, within, optional } => self.await_frame(name, within, optional).await,
            };
            match done {
                Ok(()) => {}
                Err(Stopped::End(kind)) => {
                    self.end = Some((kind, Phase::Closing));
                    break Some("the socket ended".to_owned());
                }
                Err(Stopped::By(Ending::Missing { due, .. } | Ending::TooLong { due, .. })) => {
                    break Some(format!("{due} did not come"));
                }
                Err(Stopped::By(_)) => break Some("a frame came that no conversation may show".to_owned()),
            }
        };
        self.completed = completed;
        stopped
    }
}
