//! Does the tag still lead to the candidate? Looked at beside the probing, from its first socket to its last.
//!
//! Takes the control plane and the tag; ends what is under way when the tag leads elsewhere, and leaves how in the
//! evidence. It puts no tag back: what was seen meanwhile would be nobody's. The surprising rule: one look proves no loss,
//! since a read may be stale; so many must agree, and one that fails tells nothing.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Control, EngineError, Run};
use crate::cloudrun::{Client, tag_address};
use crate::config::ServiceName;
use crate::judge::TagLoss;
use crate::revision::{Lead, lead};

/// From one look to the next: 12 of the thousands of reads a minute that a project has.
const EVERY: Duration = Duration::from_secs(5);
/// The same while it seems to be lost.
const AGAIN: Duration = Duration::from_secs(1);
/// So many looks one behind the other must find it elsewhere.
const AGREE: u32 = 3;
/// After so many stale reads one is taken as it is.
const STALE_READS: u32 = 10;

/// Somebody who looks. Dropped, it ends.
pub(super) struct TagWatch {
    sight: watch::Receiver<Sight>,
    _task: JoinSet<()>,
}

/// What one read of the service says of the tag.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Its status names the candidate.
    pub(super) named: bool,
    /// Where it leads.
    pub(super) lead: Lead,
    /// The state of the service that was read.
    pub(super) generation: i64,
}

/// What was seen of the tag.
#[derive(Debug, Clone, Default)]
struct Sight {
    /// When it was last seen to lead to the candidate, since the start of the run.
    last: Duration,
    lost: Option<TagLoss>,
}

impl Run<'_> {
    /// What a read of the service says of the tag. A stale one, older than `known`, is not taken for an answer for a while.
    pub(super) async fn look_at(
        &self,
        control: &Control,
        tag: &str,
        known: i64,
    ) -> Result<Seen, EngineError> {
        let revision = &control.located.revision;
        let mut tries = 0;
        loop {
            let reading = control.client.get_service(&control.name);
            let service = self.unless_interrupted(reading).await?.map_err(EngineError::Api)?;
            tries += 1;
            if service.generation >= known || tries >= STALE_READS {
                let named = tag_address(&service, tag, revision).is_some();
                let lead = lead(&service, tag, revision);
                return Ok(Seen { named, lead, generation: service.generation });
            }
            self.unless_interrupted(sleep(AGAIN)).await?;
        }
    }

    /// Begins to look, right behind a look that found this.
    pub(super) fn watch_tag(&mut self, control: &Control, tag: &str, before: &Seen) {
        let there = before.lead == Lead::There;
        let last = if there { self.around.epoch.elapsed() } else { Duration::ZERO };
        let (sender, sight) = watch::channel(Sight { last, lost: None });
        let look = Look {
            client: control.client.clone(),
            service: control.name.clone(),
            tag: tag.to_owned(),
            revision: control.located.revision.clone(),
            epoch: self.around.epoch,
            generation: before.generation,
        };
        let (cut, around) = (self.cut.clone(), self.around.clone());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let loss = look.until_lost(&sender, there).await;
            around.note(format!("{}: what is under way is ended", loss.words()));
            sender.send_modify(|sight| sight.lost = Some(loss));
            cut.cancel();
        });
        self.tag_watch = Some(TagWatch { sight, _task: task });
    }

    /// Looks no more. Gives how the tag was lost, where it was; `now` is where it leads by a look behind the last socket,
    /// `None` where there was none.
    pub(super) fn end_tag_watch(&mut self, tag: &str, now: Option<&Seen>) -> Option<TagLoss> {
        let watch = self.tag_watch.take()?;
        let Sight { last, lost } = watch.sight.borrow().clone();
        let found_late = |holder: Option<String>| TagLoss {
            tag: tag.to_owned(),
            holder,
            last_seen: microseconds(last),
            noticed: microseconds(self.around.epoch.elapsed()),
        };
        lost.or_else(|| match &now?.lead {
            Lead::There | Lead::Between => None,
            Lead::Elsewhere { holder } => Some(found_late(holder.clone())),
        })
    }
}

/// What is looked at.
struct Look {
    client: Client,
    service: ServiceName,
    tag: String,
    revision: String,
    epoch: Instant,
    /// The newest state that was read: an older one is a stale read.
    generation: i64,
}

impl Look {
    /// Looks until so many looks agree that the tag leads elsewhere.
    async fn until_lost(mut self, sender: &watch::Sender<Sight>, mut there: bool) -> TagLoss {
        let mut elsewhere = 0;
        loop {
            sleep(if there { EVERY } else { AGAIN }).await;
            let began = self.epoch.elapsed();
            match self.look().await {
                Some(Lead::There) => {
                    (there, elsewhere) = (true, 0);
                    sender.send_modify(|sight| sight.last = began);
                }
                Some(Lead::Between) => (there, elsewhere) = (false, 0),
                Some(Lead::Elsewhere { holder }) => {
                    (there, elsewhere) = (false, elsewhere + 1);
                    if elsewhere >= AGREE {
                        let last_seen = microseconds(sender.borrow().last);
                        let noticed = microseconds(self.epoch.elapsed());
                        return TagLoss { tag: self.tag, holder, last_seen, noticed };
                    }
                }
                None => {}
            }
        }
    }

    /// Where it leads; `None` where that could not be read, or what was read is older than what is known.
    async fn look(&mut self) -> Option<Lead> {
        let service = self.client.get_service(&self.service).await.ok()?;
        if service.generation < self.generation {
            return None;
        }
        self.generation = service.generation;
        Some(lead(&service, &self.tag, &self.revision))
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
