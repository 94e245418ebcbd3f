//! The tag part of a run: where the candidate is reached, and what of it must not stay.
//!
//! Takes the control plane and a tag, probes the tag's address, and takes a tag that this run added away again. The
//! surprising rule: that happens on every way out, also when adding it failed, since a write that failed may have
//! happened, and a tag on a revision that is not ready stops every later deployment.

use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::cleanup::OwnTag;
use super::tag_sight::Seen;
use super::{Control, EngineError, Run};
use crate::cloudrun::{self, AddedTag, Adding, Removal, TagError, TagToAdd};
use crate::judge::AddressKind;
use crate::revision::{Lead, command};
use crate::trust::Secret;

/// How long adding a tag may take.
const TAG_TIME: Duration = Duration::from_mins(3);

/// How long a run that was interrupted tries to take its tag away: whoever runs pipelines kills soon after.
pub(super) const AFTER_SIGNAL: Duration = Duration::from_secs(20);

impl Run<'_> {
    /// Adds a tag, probes its address and takes it away again, on every way out.
    pub(super) async fn probe_added_tag(
        &mut self,
        control: &Control,
        wanted: &TagToAdd,
        id_token: Option<Secret>,
    ) -> Result<AddedTag, EngineError> {
        let (client, service, now) = (&control.client, &control.name, self.around.now());
        self.own.send_replace(Some(OwnTag { service: service.clone(), tag: wanted.name.clone() }));
        let adding = cloudrun::add_tag(client, service, wanted, now, Instant::now() + TAG_TIME);
        // A signal is heard at once: what was sent already is taken away below.
        let added = match self.unless_interrupted(adding).await {
            Ok(added) => added.map_err(EngineError::from),
            Err(interrupted) => Err(interrupted),
        };
        let adding = match &added {
            Ok(added) => Adding::Seen { generation: added.generation },
            Err(EngineError::Tag(error)) => error.adding(),
            Err(_) => Adding::Unknown,
        };
        let done = match added {
            // It is another's, and not ours to take away.
            Err(EngineError::Tag(taken @ TagError::Taken { .. })) => {
                self.own.send_replace(None);
                return Err(taken.into());
            }
            // It may have been written all the same.
            Err(error) => Err(error),
            Ok(added) => {
                self.around.note(format!("added tag {} at 0 %", added.name));
                let dropped = added.dropped.iter().map(|tag| format!("removed tag {tag} of an earlier run"));
                for words in dropped.chain(added.notes.iter().cloned()).collect::<Vec<_>>() {
                    self.note_of_target(words);
                }
                self.evidence.identity.address = AddressKind::FreshTag { tag: added.name.clone() };
                let probed =
                    self.probe_tag(control, &added.name, (&added.uri, added.generation), id_token).await;
                probed.map(|()| added)
            }
        };
        match (done, self.remove(control, wanted, adding).await) {
            (done, Ok(removal)) => {
                self.own.send_replace(None);
                self.tell_removal(control, &wanted.name, removal);
                done
            }
            // Its own failure must not hide the evidence.
            (Ok(added), Err(left)) if self.around.interrupt.signal().is_none() => {
                self.note_of_target(format!("{left}; {}", left.help()));
                Ok(added)
            }
            // Whoever ended the run reads what is left undone before anything else.
            (done, Err(left)) => {
                let cause = Box::new(done.err().unwrap_or(EngineError::Interrupted));
                Err(EngineError::TagLeft { cause, left })
            }
        }
    }

    /// Takes a tag away; whoever interrupted the run is not kept waiting for an API that hangs.
    async fn remove(&self, control: &Control, added: &TagToAdd, adding: Adding) -> Result<Removal, TagError> {
        let (client, service) = (&control.client, &control.name);
        let removing = cloudrun::remove_tag(client, service, added, adding);
        let kept_waiting = async {
            self.around.interrupt.token().cancelled().await;
            tokio::time::sleep(AFTER_SIGNAL).await;
        };
        tokio::select! {
            removed = removing => removed,
            () = kept_waiting => Err(TagError::given_up(client, service, &added.name, AFTER_SIGNAL)),
        }
    }

    /// Says what became of a tag that was to be taken away.
    fn tell_removal(&mut self, control: &Control, tag: &str, removal: Removal) {
        match removal {
            Removal::Gone => self.around.note(format!("removed tag {tag}")),
            Removal::Absent => self.around.note(format!("tag {tag} is not on the service: nothing to remove")),
            Removal::Left { holder } => self.note_of_target(format!(
                "tag {tag} was left where it is: somebody moved it to {holder}; where nobody needs it there: {}",
                command::remove_tag(&control.name, tag)
            )),
        }
    }

    /// Probes a tag's address, and looks before and after whether the tag leads to the candidate. It did in the state `known`
    /// of the service: whatever shows an older one is a stale read.
    pub(super) async fn probe_tag(
        &mut self,
        control: &Control,
        tag: &str,
        (uri, known): (&str, i64),
        id_token: Option<Secret>,
    ) -> Result<(), EngineError> {
        let before = self.look_at(control, tag, known).await?;
        self.evidence.identity.before = self.named(tag, &before);
        let url = Url::parse(uri).map_err(|_| control.without_address(tag))?;
        self.watch_tag(control, tag, &before);
        let probed = self.probe_watched(control, &url, id_token).await;
        let is_over = probed.is_ok();
        let now = match probed {
            Ok(()) => self.look_at(control, tag, self.newest_seen()).await,
            Err(error) => Err(error),
        };
        self.evidence.tag_loss = self.end_tag_watch(now.as_ref().ok());
        let is_lost = self.evidence.tag_loss.is_some();
        let is_cut = is_lost && self.cut.is_cancelled() && self.around.interrupt.signal().is_none();
        // What was seen counts, also where the look fails: it only leaves identity without proof.
        self.evidence.identity.after = match now {
            Ok(now) => self.named(tag, &now).map(|named| named && !is_lost),
            Err(error) if is_cut => {
                for words in error.left() {
                    self.note_of_target(words);
                }
                Some(false)
            }
            Err(error) if is_over && !matches!(error, EngineError::Interrupted) => {
                self.note_of_target(format!("the tag could not be read after the probing: {error}"));
                is_lost.then_some(false)
            }
            Err(error) => return Err(error),
        };
        Ok(())
    }

    /// Whether the tag leads to the candidate, by what was asked for and by what is in effect; `None` where nobody knows.
    fn named(&mut self, tag: &str, seen: &Seen) -> Option<bool> {
        let why = match &seen.lead {
            Some(Lead::Arriving { .. }) => "the service does not say yet that it is in effect",
            Some(lead) => return Some(*lead == Lead::There),
            None => "only older states of the service came than one seen before",
        };
        self.note_of_target(format!("where tag {tag} leads could not be read: {why}"));
        None
    }
}
