//! One socket that is led by hand: opened alone, spoken with message by message, closed.
//!
//! Takes a socket's specification and gives what comes on it, one thing after the other, and its observation in the end.
//! It neither knows what is due nor judges what comes. The surprising rule: pings of the server's are answered while
//! something is awaited, so that whoever holds a dialogue has to listen all the time.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_util::sync::CancellationToken;

use super::envelope::Envelope;
use super::expectation::Declared;
use super::frame::FrameKind;
use super::learned::Learned;
use super::line::{CLOSE_TIME, Line};
use super::observation::{End, EndKind, Observation, Phase};
use super::prober::Prober;
use super::shape::is_error;
use super::socket::{Armed, Life, answered, arm, filled};
use super::spec::SocketSpec;
use crate::config::{Template, Values};

/// After so many messages others have their turn.
const TURNS: u32 = 32;

/// How long a server may take to answer our close frame where the run is over.
const CUT_TIME: Duration = Duration::from_millis(500);

/// What came on a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// A message, of this kind.
    Message(FrameKind, Bytes),
    /// The server's pong to a ping of ours.
    Pong(Bytes),
    /// The end.
    End(EndKind),
    /// Nothing in time.
    Nothing,
}

/// An open socket that is led by hand.
pub(super) struct Dialogue<'a> {
    line: Box<Line<'a>>,
    cut: CancellationToken,
    turns: u32,
}

impl<'a> Dialogue<'a> {
    /// Opens a socket, or gives what was seen of one that did not open. `cut` ends it whenever the run is over.
    pub(super) async fn open(
        prober: &'a Prober,
        spec: &SocketSpec,
        opening_time: Duration,
        cut: &CancellationToken,
    ) -> Result<Self, Box<Observation>> {
        let Armed { mut wire, last, pending } = arm(prober, spec, 1, opening_time, cut).await?;
        let written = async {
            wire.write_all(&[last]).await?;
            wire.flush().await
        };
        let released = written.await.is_ok().then(Instant::now);
        let line = answered(prober, wire, pending, released, opening_time, cut).await?;
        Ok(Self { line, cut: cut.clone(), turns: 0 })
    }

    /// What was seen of it so far.
    pub(super) fn seen(&self) -> &Observation {
        &self.line.life.observation
    }

    /// The next thing that comes until then. Pings are answered and passed over.
    pub(super) async fn hear(&mut self, until: Instant) -> Heard {
        loop {
            // Others that are listened to by the same task have their turn, however much this one says.
            self.turns = self.turns.wrapping_add(1);
            if self.turns.is_multiple_of(TURNS) {
                yield_now().await;
            }
            // A server that never falls silent always has something ready, and then the timer is not even looked at.
            if Instant::now() >= until {
                return Heard::Nothing;
            }
            let next = timeout_at(until, self.line.stream.next());
            let Some(Ok(given)) = self.cut.run_until_cancelled(next).await else { return Heard::Nothing };
            let heard = match &given {
                Some(Ok(Message::Text(text))) => {
                    Some(Heard::Message(FrameKind::Text, Bytes::copy_from_slice(text.as_bytes())))
                }
                Some(Ok(Message::Binary(bytes))) => Some(Heard::Message(FrameKind::Binary, bytes.clone())),
                Some(Ok(Message::Pong(bytes))) => Some(Heard::Pong(bytes.clone())),
                _ => None,
            };
            if let Some(kind) = self.line.take(given) {
                return Heard::End(kind);
            }
            if let Some(heard) = heard {
                return heard;
            }
        }
    }

    /// Sends one message, unless the run is over; how the socket ended, where it cannot be sent whatever the server does.
    pub(super) async fn say(&mut self, message: Message) -> Result<(), EndKind> {
        let until = Instant::now() + self.line.prober.timeouts.answer;
        let now = self.line.prober.now();
        self.line.life.observation.timeline.sent.get_or_insert(now);
        self.cut.run_until_cancelled(self.line.send(message, until)).await.unwrap_or(Ok(()))
    }

    /// Says the usual text; from now on an answer to it is due. Nothing, where there is none to say.
    pub(super) async fn ask(&mut self) -> Result<(), EndKind> {
        let Some(text) = self.text() else { return Ok(()) };
        self.asked();
        self.say(Message::text(text)).await
    }

    /// The usual text, with this socket's values.
    pub(super) fn text(&self) -> Option<String> {
        let Life { user, nonce, .. } = &self.line.life;
        self.line.prober.text(Values { user, nonce, round: 1 })
    }

    /// A text of this socket, with its values.
    pub(super) fn filled(&self, template: &Template) -> String {
        let Life { user, nonce, .. } = &self.line.life;
        filled(template, Values { user, nonce, round: 1 })
    }

    /// Whatever is said now asks for an answer.
    pub(super) fn asked(&mut self) {
        let observation = &mut self.line.life.observation;
        observation.sent_after = Some(u32::try_from(observation.frames.len()).unwrap_or(u32::MAX));
    }

    /// What is known of greetings at the time.
    pub(super) fn knows(&mut self, learned: Option<&Learned>) {
        self.line.life.observation.knew_greeting = learned.is_some();
    }

    /// Says that nothing more comes from us (TLS: `close_notify`; TCP: FIN), and goes on listening.
    pub(super) async fn half_close(&mut self) {
        let until = Instant::now() + self.line.prober.timeouts.answer;
        let _ = timeout_at(until, self.line.stream.get_mut().shutdown()).await;
    }

    /// What the configuration declares.
    pub(super) fn declared(&self) -> Declared {
        self.line.prober.declared()
    }

    /// How long each thing that is due may take.
    pub(super) fn answer_time(&self) -> Duration {
        self.line.prober.timeouts.answer
    }

    /// Whether a message reports an error, unless it is declared to report none.
    pub(super) fn reports_error(&self, payload: &[u8], envelope: Option<&Envelope>) -> bool {
        let text = String::from_utf8_lossy(&payload[..payload.len().min(64 * 1024)]);
        let matchers = &self.line.matchers;
        let said = [&matchers.expect, &matchers.harmless];
        let excused = said.into_iter().flatten().any(|matcher| matcher.matches(payload));
        !excused && is_error(&text, envelope)
    }

    /// True when the run is over.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.is_cancelled()
    }

    /// From now on the end of the run ends nothing here: what is still to be done has a time of its own.
    pub(super) fn outlive_the_run(&mut self) {
        if self.is_cut() {
            self.line.life.observation.timeline.cut = Some(self.line.prober.now());
        }
        self.cut = CancellationToken::new();
    }

    /// Closes it cleanly and reads to the very end. A server that does not answer is not waited for as long where the run is
    /// over: others are still to be closed behind it.
    pub(super) async fn close(mut self) -> Observation {
        let mut patience = CLOSE_TIME;
        if self.is_cut() {
            self.line.life.observation.timeline.cut = Some(self.line.prober.now());
            patience = CUT_TIME;
        }
        let unanswered = End { kind: EndKind::CutByUs, phase: Phase::Closing };
        let end = timeout(patience, self.line.close()).await.unwrap_or(unanswered);
        *self.line.ended(end).await
    }

    /// The observation of a socket that the server ended so.
    pub(super) async fn ended(self, kind: EndKind, phase: Phase) -> Observation {
        *self.line.ended(End { kind, phase }).await
    }
}
