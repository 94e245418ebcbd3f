//! What a conversation does when it is over, whatever happened.
//!
//! Takes a conversation whose socket is open and whose next steps are those of the cleanup; gives what went wrong, in words.
//! It decides nothing. The surprising rule: everything that comes is still looked at, and a forbidden frame ends the
//! cleanup, but the run keeps the ending that it had.

use super::super::super::observation::Phase;
use super::super::progress::Due;
use super::super::seen::Ending;
use super::{Stopped, Talk};

impl<'a: 'v, 'v> Talk<'a, 'v> {
    /// What went wrong in the cleanup, in words.
    pub(super) async fn clean_up(&mut self) -> Option<String> {
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
