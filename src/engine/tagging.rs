//! The tag part of a run: where the candidate is reached, and what of it must not stay.
//!
//! Takes the control plane and a tag, probes the tag's address, and takes a tag that this run added away again. The
//! surprising rule: that happens on every way out, also when adding it failed, since a write that failed may have
//! happened, and a tag on a revision that is not ready stops every later deployment.

use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::{Control, EngineError, Run};
use crate::cloudrun::{self, AddedTag, TagError, TagToAdd, tag_address};
use crate::judge::AddressKind;
use crate::trust::Secret;

/// How long adding a tag may take.
const TAG_TIME: Duration = Duration::from_mins(3);

/// How long a run that was interrupted tries to take its tag away: whoever runs pipelines kills soon after.
const AFTER_SIGNAL: Duration = Duration::from_secs(20);

impl Run<'_> {
    /// Adds a tag, probes its address and takes it away again, on every way out.
    pub(super) async fn probe_added_tag(
        &mut self,
        control: &Control,
        wanted: &TagToAdd,
        id_token: Option<Secret>,
    ) -> Result<AddedTag, EngineError> {
        let (client, service, now) = (&control.client, &control.name, self.around.now());
        let adding = cloudrun::add_tag(client, service, wanted, now, Instant::now() + TAG_TIME);
        // A signal is heard at once: what was sent already is taken away below.
        let added = match self.unless_interrupted(adding).await {
            Ok(added) => added.map_err(EngineError::from),
            Err(interrupted) => Err(interrupted),
        };
        let done = match added {
            // It is another's, and not ours to take away.
            Err(EngineError::Tag(taken @ TagError::Taken { .. })) => return Err(taken.into()),
            // It may have been written all the same.
            Err(error) => Err(error),
            Ok(added) => {
                self.around.note(format!("added tag {} at 0 %", added.name));
                let dropped = added.dropped.iter().map(|tag| format!("removed tag {tag} of an earlier run"));
                for words in dropped.chain(added.notes.iter().cloned()).collect::<Vec<_>>() {
                    self.note_of_target(words);
                }
                self.evidence.identity.address = AddressKind::FreshTag { tag: added.name.clone() };
                let probed = self.probe_tag(control, &added.name, &added.uri, id_token).await;
                probed.map(|()| added)
            }
        };
        let removed = self.remove(control, &wanted.name).await;
        match (done, removed) {
            (done, Ok(())) => {
                self.around.note(format!("removed tag {}", wanted.name));
                done
            }
            // Its own failure must not hide the evidence.
            (Ok(added), Err(left)) if self.heed().is_ok() => {
                self.note_of_target(format!("tag {} was not removed: {left}; {}", added.name, left.help()));
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
    async fn remove(&self, control: &Control, tag: &str) -> Result<(), TagError> {
        let removing = cloudrun::remove_tag(&control.client, &control.name, tag);
        let kept_waiting = async {
            self.around.interrupt.token().cancelled().await;
            tokio::time::sleep(AFTER_SIGNAL).await;
        };
        tokio::select! {
            removed = removing => removed,
            () = kept_waiting => Err(TagError::given_up(&control.client, &control.name, tag, AFTER_SIGNAL)),
        }
    }

    /// Probes a tag's address, and looks before and after whether the tag names the candidate.
    pub(super) async fn probe_tag(
        &mut self,
        control: &Control,
        tag: &str,
        uri: &str,
        id_token: Option<Secret>,
    ) -> Result<(), EngineError> {
        self.evidence.identity.before = Some(self.names_candidate(control, tag).await?);
        let url = Url::parse(uri).map_err(|_| control.without_address(tag))?;
        self.probe_watched(control, &url, id_token).await?;
        // What was seen counts, also where this look fails: it only leaves identity without proof.
        self.evidence.identity.after = match self.names_candidate(control, tag).await {
            Ok(names) => Some(names),
            Err(EngineError::Interrupted) => return Err(EngineError::Interrupted),
            Err(error) => {
                self.note_of_target(format!("the tag could not be read after the probing: {error}"));
                None
            }
        };
        Ok(())
    }

    async fn names_candidate(&self, control: &Control, tag: &str) -> Result<bool, EngineError> {
        let reading = control.client.get_service(&control.name);
        let service = self.unless_interrupted(reading).await?.map_err(EngineError::Api)?;
        Ok(tag_address(&service, tag, &control.located.revision).is_some())
    }
}
