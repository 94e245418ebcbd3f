//! Does the tag still lead to the candidate? Looked at beside the probing, from its first socket to its last.
//!
//! Takes the control plane and the tag; ends what is under way when the tag leads elsewhere, and leaves how in the
//! evidence. It puts no tag back: what was seen meanwhile would be nobody's. The surprising rule: a read that is older than
//! what was known, or that fails, tells nothing: neither that the tag is there nor that it is lost.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::tag_sight::{Seen, Sight};
use super::{Control, EngineError, Run};
use crate::cloudrun::{ApiError, Client};
use crate::config::ServiceName;
use crate::judge::TagLoss;
use crate::revision::{Lead, lead};

/// From one look to the next: 12 of the thousands of reads a minute that a project has.
const EVERY: Duration = Duration::from_secs(5);
/// The same while it seems to be lost.
const AGAIN: Duration = Duration::from_secs(1);
/// So many reads are waited for one that tells where the tag leads.
const READS: u32 = 10;

/// Somebody who looks. Dropped, it ends.
pub(super) struct TagWatch {
    sight: watch::Receiver<Sight>,
    _task: JoinSet<()>,
}

impl Run<'_> {
    /// What a read of the service says of the tag. A stale one, older than `known`, is not taken for an answer, nor is one in
    /// which the tag is not in effect yet; where only such ones come for a while, nobody knows.
    pub(super) async fn look_at(
        &self,
        control: &Control,
        tag: &str,
        known: i64,
    ) -> Result<Seen, EngineError> {
        let look = Look::new(control, tag, self.around.epoch);
        let mut arriving = None;
        for _ in 0..READS {
            let seen = self.unless_interrupted(look.look()).await?.map_err(EngineError::Api)?;
            match seen.lead {
                _ if seen.generation < known => {}
                Some(Lead::Arriving { .. }) => arriving = Some(seen),
                _ => return Ok(seen),
            }
            self.unless_interrupted(sleep(AGAIN)).await?;
        }
        Ok(arriving.unwrap_or(Seen { lead: None, generation: known }))
    }

    /// Begins to look, right behind a look that found this.
    pub(super) fn watch_tag(&mut self, control: &Control, tag: &str, before: &Seen) {
        let mut begun = Sight::new(tag, before.generation);
        let at = self.around.epoch.elapsed();
        begun.saw(before, at, at);
        let (sender, sight) = watch::channel(begun);
        let look = Look::new(control, tag, self.around.epoch);
        let (cut, around) = (self.cut.clone(), self.around.clone());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let loss = look.until_lost(&sender).await;
            around.note(format!("{}: what is under way is ended", loss.words()));
            cut.cancel();
        });
        self.tag_watch = Some(TagWatch { sight, _task: task });
    }

    /// The newest state of the service in which the tag was looked for.
    pub(super) fn newest_seen(&self) -> i64 {
        self.tag_watch.as_ref().map_or(0, |watch| watch.sight.borrow().generation())
    }

    /// Looks no more. Gives how the tag was lost, where it was; `now` is what was seen behind the last socket, `None` where
    /// that was not.
    pub(super) fn end_tag_watch(&mut self, now: Option<&Seen>) -> Option<TagLoss> {
        let mut sight = self.tag_watch.take()?.sight.borrow().clone();
        if let Some(seen) = now {
            let at = self.around.epoch.elapsed();
            sight.saw(seen, at, at);
        }
        sight.loss()
    }
}

/// What is looked at.
struct Look {
    client: Client,
    service: ServiceName,
    tag: String,
    revision: String,
    epoch: Instant,
}

impl Look {
    fn new(control: &Control, tag: &str, epoch: Instant) -> Self {
        let (client, service) = (control.client.clone(), control.name.clone());
        Self { client, service, tag: tag.to_owned(), revision: control.located.revision.clone(), epoch }
    }

    /// Looks until the tag is lost.
    async fn until_lost(&self, sender: &watch::Sender<Sight>) -> TagLoss {
        loop {
            let pause = if sender.borrow().is_there() { EVERY } else { AGAIN };
            sleep(pause).await;
            let began = self.epoch.elapsed();
            let Ok(seen) = self.look().await else { continue };
            let now = self.epoch.elapsed();
            sender.send_modify(|sight| sight.saw(&seen, began, now));
            let lost = sender.borrow().loss();
            if let Some(lost) = lost {
                return lost;
            }
        }
    }

    /// Where it leads.
    async fn look(&self) -> Result<Seen, ApiError> {
        let service = self.client.get_service(&self.service).await?;
        let lead = Some(lead(&service, &self.tag, &self.revision));
        Ok(Seen { lead, generation: service.generation })
    }
}
