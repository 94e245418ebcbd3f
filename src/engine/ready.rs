//! The part of a run that waits until the candidate is ready.
//!
//! Takes the control plane; fills in the evidence of `ready`. A revision that is not ready is no error here.

use std::time::Duration;

use tokio::time::Instant;

use super::{Control, EngineError, Run, milliseconds};
use crate::cloudrun::{self, ReadyOutcome};
use crate::config::CheckName;
use crate::event::Event;
use crate::judge::ReadyEvidence;
use crate::revision::Readiness;
use crate::trust::Excerpt;

impl Run<'_> {
    /// Waits, and says what became of it.
    pub(super) async fn await_ready(&mut self, control: &Control) -> Result<(), EngineError> {
        let begun = Instant::now();
        let around = self.around;
        let patience = if self.settings.dry_run { Duration::ZERO } else { self.settings.deadline };
        let waiting = cloudrun::await_ready(
            &control.client,
            &control.name,
            &control.located.revision,
            control.located.serving_percent,
            patience,
            |readiness| around.say(Event::Waiting { words: readiness.summary() }),
        );
        let outcome = self.unless_interrupted(waiting).await?.map_err(EngineError::Api)?;
        self.evidence.ready = match outcome {
            ReadyOutcome::Ready { notes, .. } => ReadyEvidence::Ready { notes },
            ReadyOutcome::Failed { last, .. } => failed(last),
            ReadyOutcome::NeverReady { after, last } => {
                ReadyEvidence::Late { waited_s: after.as_secs(), last: last.summary() }
            }
        };
        self.evidence.times.push((CheckName::Ready, milliseconds(begun.elapsed())));
        self.tell(|name| name == CheckName::Ready);
        Ok(())
    }
}

fn failed(readiness: Readiness) -> ReadyEvidence {
    match readiness {
        Readiness::Failed { condition, reason, message, log_uri } => ReadyEvidence::Failed {
            condition,
            reason: reason.unwrap_or_else(|| "no reason given".to_owned()),
            message,
            log: log_uri,
        },
        other => ReadyEvidence::Failed {
            condition: "Ready".to_owned(),
            reason: "no reason given".to_owned(),
            message: Excerpt::new(&other.summary()),
            log: None,
        },
    }
}
