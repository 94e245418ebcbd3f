//! A socket that is led by hand as a well-behaved client leads it: greeted, asked, answered.
//!
//! Takes an open dialogue and what is known of greetings; says how far it came. It judges nothing: the observation does.
//! The surprising rule: where nothing is known of greetings, whatever comes within half a second is taken for one, and only
//! then is anything asked.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::dialogue::{Dialogue, Heard};
use super::expectation::{Standing, is_answered, standing};
use super::learned::Learned;
use super::observation::{EndKind, Observation, Phase};
use super::prober::Prober;
use super::spec::SocketSpec;

/// How long a greeting may take of which nothing is known.
const UNKNOWN_GREETING: Duration = Duration::from_millis(500);

/// How far a socket came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// Everything came that is due.
    Far,
    /// It is open, and something due did not come in time, or an error frame came instead.
    Short,
    /// The server ended it.
    End(EndKind),
}

/// Opens a socket, lets it be served and closes it; whether everything due had come before.
pub(super) async fn serve_once(
    prober: &Prober,
    spec: &SocketSpec,
    learned: Option<&Learned>,
    cut: &CancellationToken,
) -> (Observation, bool) {
    prober.turn(std::slice::from_ref(spec), prober.messages_of_socket(), cut).await;
    match Dialogue::open(prober, spec, prober.timeouts.opening, cut).await {
        Err(unopened) => (*unopened, false),
        Ok(mut dialogue) => {
            let came = dialogue.be_served(learned).await;
            let served = came == Came::Far;
            (dialogue.leave(came, Phase::Answer).await, served)
        }
    }
}

impl Dialogue<'_> {
    /// Waits for what comes unasked, asks, and waits for the answer.
    pub(super) async fn be_served(&mut self, learned: Option<&Learned>) -> Came {
        match self.be_greeted(learned).await {
            Came::Far => {}
            other => return other,
        }
        match self.ask().await {
            Ok(()) => self.be_answered(learned).await,
            Err(kind) => Came::End(kind),
        }
    }

    /// Waits for what comes unasked.
    pub(super) async fn be_greeted(&mut self, learned: Option<&Learned>) -> Came {
        self.knows(learned);
        let asks = self.declared().send;
        let is_unknown = learned.is_none() && !self.declared().greeting;
        let patience = if is_unknown && asks { UNKNOWN_GREETING } else { self.answer_time() };
        let until = Instant::now() + patience;
        loop {
            let seen = self.seen();
            match standing(&seen.frames, None, self.declared(), learned) {
                Standing::Error => return Came::Short,
                Standing::MaySend if !is_unknown => return Came::Far,
                Standing::Satisfied => return Came::Far,
                _ => {}
            }
            match self.hear(until).await {
                Heard::End(kind) => return Came::End(kind),
                Heard::Nothing if is_unknown && asks && !self.is_cut() => return Came::Far,
                Heard::Nothing => return Came::Short,
                _ => {}
            }
        }
    }

    /// Waits for the answer to what was asked last; nothing is due where nothing is ever asked.
    pub(super) async fn be_answered(&mut self, learned: Option<&Learned>) -> Came {
        let until = Instant::now() + self.answer_time();
        loop {
            if !self.declared().send || self.is_answered(learned) {
                return Came::Far;
            }
            match self.hear(until).await {
                Heard::End(kind) => return Came::End(kind),
                Heard::Nothing => return Came::Short,
                _ => {}
            }
        }
    }

    /// True when what was asked last is answered.
    pub(super) fn is_answered(&self, learned: Option<&Learned>) -> bool {
        let seen = self.seen();
        seen.sent_after.is_some_and(|before| is_answered(&seen.frames, before, learned))
    }

    /// The observation, after the server has ended the socket, or else after we have closed it.
    pub(super) async fn leave(self, came: Came, phase: Phase) -> Observation {
        match came {
            Came::End(kind) => self.ended(kind, phase).await,
            Came::Far | Came::Short => self.close().await,
        }
    }
}
