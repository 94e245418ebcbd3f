//! What a conversation makes of what comes, and how it waits for it.
//!
//! Takes what is heard on its socket; gives why listening must end before its time, where it must. It judges nothing: what a
//! frame means, the progress says. The surprising rule: whoever waits goes through here, whatever for, so that nothing that
//! comes is passed over unseen.

use std::time::Duration;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_util::sync::CancellationToken;

use super::super::super::dialogue::Heard;
use super::super::incoming::Incoming;
use super::super::progress::Meaning;
use super::super::seen::{Came, Ending, Near};
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
            self.took(heard).await?;
        }
        Ok(())
    }

    /// The same, unless something else happens before.
    pub(super) async fn listen_unless(
        &mut self,
        happened: &CancellationToken,
        until: Instant,
    ) -> Result<(), Stopped> {
        while !happened.is_cancelled() && Instant::now() < until && !self.dialogue.is_cut() {
            let heard = tokio::select! {
                heard = self.dialogue.hear(until) => heard,
                () = happened.cancelled() => break,
            };
            self.took(heard).await?;
        }
        Ok(())
    }

    /// Listens for what is due, as long as it may take.
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
        self.took(heard).await?;
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

    /// Takes in what was heard, and says at once what it asks for: no heartbeat waits for a turn.
    pub(super) async fn took(&mut self, heard: Heard) -> Result<(), Stopped> {
        match heard {
            Heard::Message(_, payload) => {
                for answer in self.message(&payload)? {
                    let said = self.dialogue.say(Message::text(answer)).await;
                    self.pace.sent(Instant::now());
                    self.answered = self.answered.saturating_add(1);
                    said.map_err(Stopped::End)?;
                }
                Ok(())
            }
            Heard::End(kind) => Err(Stopped::End(kind)),
            Heard::Pong(_) | Heard::Nothing => Ok(()),
        }
    }

    /// The answers that a frame asks for. What carries several events is looked at event by event, and as a whole only
    /// where none of them was due.
    fn message(&mut self, payload: &Bytes) -> Result<Vec<String>, Stopped> {
        let at = self.errand.prober.now();
        let incoming = Incoming::new(payload);
        self.overhear(at, payload, &incoming);
        let is_error = self.dialogue.reports_error(payload, incoming.envelope());
        let mut answers = Vec::new();
        if let Some(forbidden) = self.progress.forbidden(&incoming) {
            self.weigh(forbidden, &incoming, at, &mut answers)?;
        }
        let events = incoming.events();
        let (mut was_due, mut unexpected) = (false, None);
        for event in &events {
            let is_error = is_error && self.dialogue.reports_error(event.text.as_bytes(), event.envelope());
            match self.progress.take(event, is_error) {
                Meaning::Unexpected => unexpected = unexpected.or(Some(event)),
                meaning => was_due |= self.weigh(meaning, event, at, &mut answers)?,
            }
        }
        if !was_due {
            match self.progress.take(&incoming, is_error) {
                Meaning::Unexpected if events.is_empty() => unexpected = Some(&incoming),
                Meaning::Unexpected => {}
                meaning => {
                    self.weigh(meaning, &incoming, at, &mut answers)?;
                    unexpected = None;
                }
            }
        } else if self.progress.ignores(&incoming) {
            unexpected = None;
        }
        if let Some(event) = unexpected {
            self.weigh(Meaning::Unexpected, event, at, &mut answers)?;
        }
        Ok(answers)
    }

    /// Takes the consequence of what an event means; true where it was due or is answered.
    fn weigh(
        &mut self,
        meaning: Meaning,
        event: &Incoming<'_>,
        at: u64,
        answers: &mut Vec<String>,
    ) -> Result<bool, Stopped> {
        let redactor = &self.errand.prober.redactor;
        let text = || Excerpt::new(&redactor.redact_cut(&event.text));
        let is_answered = matches!(meaning, Meaning::Answered(_));
        let ending = match meaning {
            Meaning::Due(name) => {
                self.changed = Instant::now();
                self.events_total += 1;
                if self.events.len() < EVENTS {
                    self.events.push(Came { name, at });
                }
                return Ok(true);
            }
            Meaning::PassedOver | Meaning::Answered(_) => {
                if let Some((due, words)) = self.progress.missed(event, redactor) {
                    let words = Excerpt::new(&redactor.redact_cut(&words));
                    self.near = Some(Near { due, words, text: text(), at });
                }
                if let Meaning::Answered(answer) = meaning {
                    answers.push(answer);
                }
                return Ok(is_answered);
            }
            Meaning::Forbidden(rule, because) => Ending::Forbidden { rule, because, text: text(), at },
            Meaning::OutOfOrder { came, due } => Ending::OutOfOrder { came, due, text: text(), at },
            Meaning::Error => Ending::ErrorFrame { text: text(), due: self.due_name(), at },
            Meaning::Unexpected => Ending::Unexpected { text: text(), due: self.due_name(), at },
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
