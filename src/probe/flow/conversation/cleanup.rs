//! What a conversation does when it is over, whatever happened.
//!
//! Takes a conversation whose socket is open and whose next steps are those of the cleanup; gives what went wrong, in words.
//! It decides nothing. The surprising rule: everything that comes is still looked at, and a forbidden frame ends the
//! cleanup, but the run keeps the ending that it had.

use std::time::Duration;

use tokio::time::Instant;

use super::super::super::observation::{Phase, in_microseconds};
use super::super::progress::{Due, Progress};
use super::super::seen::{Ending, FlowRun};
use super::{Held, Stopped, Talk, empty};
use crate::config::text_of;

/// How long a cleanup may take.
const CLEANUP: Duration = Duration::from_secs(10);
/// The same where the run is cut: whoever interrupted it waits.
const CLEANUP_OF_CUT: Duration = Duration::from_secs(3);

impl<'a: 'v, 'v> Talk<'a, 'v> {
    /// Cleans up and closes, whatever happened.
    pub(super) async fn finish(mut self, ending: Ending) -> Held {
        let captured = self.progress.captured.clone();
        let mut cleanup = None;
        if self.end.is_none() && !self.errand.flow.cleanup.is_empty() {
            let time = if self.dialogue.is_cut() { CLEANUP_OF_CUT } else { CLEANUP };
            self.dialogue.outlive_the_run();
            self.progress = Progress::of_cleanup(self.errand.flow, self.values, captured.clone());
            self.run_until = Some(Instant::now() + time);
            self.changed = Instant::now();
            cleanup = self.clean_up().await;
        }
        let observation = match self.end {
            Some((kind, phase)) => self.dialogue.ended(kind, phase).await,
            None => self.dialogue.close().await,
        };
        let near = self.near.filter(|near| ending.due() == Some(&near.due));
        let run = FlowRun {
            started: self.started,
            completed: self.completed,
            events: self.events,
            events_total: self.events_total,
            sent: self.sent,
            answered: self.answered,
            paced: in_microseconds(self.paced),
            ending,
            near,
            cleanup,
            ..empty(self.errand, self.values.user, observation)
        };
        let nonce = self.values.nonce.to_owned();
        let captured =
            captured.iter().map(|(name, value)| (name.clone(), text_of(value).into_owned())).collect();
        Held { run, nonce, captured, transcript: self.transcript }
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
                Due::Send(_) if self.has_no_turn() => break Some("its next message had no turn".to_owned()),
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

    /// True where the next message would have to wait for longer than a cleanup may take. The limit is the service's.
    fn has_no_turn(&self) -> bool {
        let now = Instant::now();
        let turn = self.pace.next(now);
        turn > now && self.run_until.is_some_and(|until| turn > until)
    }
}
