//! What a conversation makes of what comes, and how it waits for it.
//!
//! Takes what is heard on its socket; gives why listening must end before its time, where it must. It judges nothing: what a
//! frame means, the progress says. The surprising rule: whoever waits goes through here, whatever for, so that nothing that
//! comes is passed over unseen.

use std::time::Duration;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Bytes;

use super::super::super::dialogue::Heard;
use super::super::condition::Incoming;
use super::super::progress::Meaning;
use super::super::seen::{Came, Ending};
use super::super::transcript::Own;
use super::{Stopped, Talk, milliseconds};
use crate::trust::Excerpt;

/// How many of the frames that were due are kept.
const EVENTS: usize = 64;

impl<'a: 'v, 'v> Talk<'a, 'v> {
    /// Listens until then, to whatever comes.
    pub(super) async fn listen(&mut self, until: Instant) -> Result<(), Stopped> {
        while Instant::now() < until && !self.dialogue.is_cut() {
            let heard = self.dialogue.hear(until).await;
            self.took(heard)?;
        }
        Ok(())
    }

    pub(super) async fn await_frame(
        &mut self,
        name: String,
        within: Option<Duration>,
        optional: bool,
    ) -> Result<(), Stopped> {
        let within = within.unwrap_or(self.errand.prober.timeouts.answer);
        let in_time = self.changed + within;
        let until = self.run_until.map_or(in_time, |end| end.min(in_time));
        let heard = self.dialogue.hear(until).await;
        let nothing = heard == Heard::Nothing;
        self.took(heard)?;
        if !nothing {
            return Ok(());
        }
        if self.dialogue.is_cut() {
            return Err(Stopped::By(Ending::Cut));
        }
        if in_time > until {
            let within_ms = milliseconds(self.errand.within);
            return Err(Stopped::By(Ending::TooLong { due: name, within_ms }));
        }
        if optional {
            self.pass();
            return Ok(());
        }
        Err(Stopped::By(Ending::Missing { due: name, waited_ms: milliseconds(within) }))
    }

    pub(super) fn took(&mut self, heard: Heard) -> Result<(), Stopped> {
        match heard {
            Heard::Message(_, payload) => self.message(&payload),
            Heard::End(kind) => Err(Stopped::End(kind)),
            Heard::Pong(_) | Heard::Nothing => Ok(()),
        }
    }

    fn message(&mut self, payload: &Bytes) -> Result<(), Stopped> {
        let prober = self.errand.prober;
        let at = prober.now();
        let incoming = Incoming::new(payload);
        self.overhear(at, payload, &incoming);
        let excerpt = || Excerpt::new(&prober.redactor.redact_cut(&incoming.text));
        let is_error = self.dialogue.reports_error(payload, incoming.envelope());
        let ending = match self.progress.take(&incoming, is_error) {
            Meaning::PassedOver => return Ok(()),
            Meaning::Due(name) => {
                self.changed = Instant::now();
                self.events_total += 1;
                if self.events.len() < EVENTS {
                    self.events.push(Came { name, at });
                }
                return Ok(());
            }
            Meaning::Forbidden(rule, because) => Ending::Forbidden { rule, because, text: excerpt(), at },
            Meaning::OutOfOrder { came, due } => Ending::OutOfOrder { came, due, text: excerpt(), at },
            Meaning::Error => Ending::ErrorFrame { text: excerpt(), due: self.due_name(), at },
            Meaning::Unexpected => Ending::Unexpected { text: excerpt(), due: self.due_name(), at },
        };
        Err(Stopped::By(ending))
    }

    /// Keeps a frame for the search for marks of others.
    fn overhear(&mut self, at: u64, payload: &Bytes, incoming: &Incoming<'_>) {
        let Some(lookout) = self.errand.lookout else { return };
        if self.errand.shared.iter().any(|condition| condition.matches(incoming)) {
            self.transcript.shared += 1;
        } else {
            let own = Own { user: self.values.user, redactor: &self.errand.prober.redactor };
            self.transcript.add(at, payload, incoming, lookout, own);
        }
    }
}
