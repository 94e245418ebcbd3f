//! The conversation on an open socket: listen, send, wait for what is due, hold, close, read to the very end.
//!
//! Takes an open WebSocket and what is known of it; gives its observation. It never judges. The surprising rule: the
//! socket is read all the time, also while it is only held: otherwise our own pongs would come late, and a healthy
//! server would close with 1011.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use super::expectation::{Standing, standing};
use super::frame::{self, Frame, FrameKind, Said};
use super::learned::{Learned, recurring_of};
use super::matcher::Matchers;
use super::observation::{End, EndKind, Observation, Phase, in_microseconds};
use super::plan::SendAt;
use super::prober::Prober;
use super::shape::Own;
use super::socket::{LARGEST_MESSAGE, Life};
use super::transport::Wire;
use crate::config::Echo;
use crate::trust::Excerpt;

/// How long a server may take to answer our close frame.
pub(super) const CLOSE_TIME: Duration = Duration::from_secs(2);
/// How long a socket that sends nothing is listened to at the most, where no longer time is asked for.
const LONGEST_LISTENING: Duration = Duration::from_secs(12);
/// Beyond the time at which what came once would come again.
const PASSING: Duration = Duration::from_millis(500);

/// Tells the round, once, that a socket has shown all that is due or cannot any more: at the latest when it is gone.
pub(super) struct Decided(Option<mpsc::UnboundedSender<()>>);

impl Decided {
    pub(super) fn new(round: mpsc::UnboundedSender<()>) -> Self {
        Self(Some(round))
    }

    fn tell(&mut self) {
        if let Some(round) = self.0.take() {
            let _ = round.send(());
        }
    }

    fn is_told(&self) -> bool {
        self.0.is_none()
    }
}

impl Drop for Decided {
    fn drop(&mut self) {
        self.tell();
    }
}

/// How a socket is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// It is held.
    NotYet,
    /// With a close frame, read to the very end.
    Cleanly,
    /// Without a word, as a client that vanishes.
    Abruptly,
    /// Not with its round: nothing more is looked for, and the socket is only kept open.
    Kept,
}

/// How a round steers its sockets.
pub(super) struct Reins {
    /// When the text is sent.
    pub(super) send_at: SendAt,
    /// Tells the round when nothing more is due.
    pub(super) decided: Decided,
    /// How and when the socket is to end.
    pub(super) close: watch::Receiver<Closing>,
    /// Cancelled when the time of the run is over.
    pub(super) cut: CancellationToken,
    /// How long the answer to the upgrade may take.
    pub(super) opening_time: Duration,
}

/// The conversation on an open socket.
pub(super) struct Talk<'a> {
    pub(super) prober: &'a Prober,
    pub(super) life: Life,
    pub(super) stream: WebSocketStream<Wire>,
    pub(super) matchers: Matchers,
    pub(super) text: Option<String>,
    pub(super) learned: Option<&'a Learned>,
    pub(super) reins: Reins,
}

impl Talk<'_> {
    /// Talks to the end.
    pub(super) async fn run(mut self) -> Observation {
        let opened = Instant::now();
        let mut due_until = opened + self.prober.timeouts.answer;
        let mut listen_until = self.listen_until(opened, opened);
        let end = loop {
            let standing = self.standing();
            let listening = listen_until.is_some_and(|until| Instant::now() < until);
            if self.may_send(standing, listening) {
                if let Err(end) = self.send().await {
                    break end;
                }
                due_until = Instant::now() + self.prober.timeouts.answer;
                continue;
            }
            self.note(standing, listening);
            let wake = if listening { listen_until.unwrap_or(due_until) } else { due_until };
            tokio::select! {
                message = self.stream.next() => {
                    if let Some(end) = self.take(message) { break end; }
                    listen_until = listen_until.and(self.listen_until(opened, Instant::now()));
                }
                _ = self.reins.close.changed() => {
                    let how = *self.reins.close.borrow();
                    match how {
                        Closing::Abruptly => return self.vanish(),
                        Closing::Kept => return self.stay(),
                        Closing::NotYet | Closing::Cleanly => break self.close().await,
                    }
                }
                () = self.reins.cut.cancelled() => break self.cut_short().await,
                () = sleep_until(wake), if !self.reins.decided.is_told() => {
                    if !listening { self.reins.decided.tell(); }
                }
            }
        };
        self.reins.decided.tell();
        let stalled = self.prober.pulse.longest(opened, Instant::now());
        self.life.observation.timeline.stalled = stalled.map(in_microseconds);
        let answers = end.kind != EndKind::CutByUs;
        self.life.observation.end = Some(end);
        if answers {
            self.read_to_the_end().await;
        }
        self.life.observation.timeline.ended = self.prober.now();
        self.life.observation
    }

    /// The end without a word: the stream is dropped as it is.
    fn vanish(mut self) -> Observation {
        let now = self.prober.now();
        self.life.observation.timeline.closing = Some(now);
        self.life.observation.timeline.ended = now;
        self.life.observation.end = Some(End { kind: EndKind::CutByUs, phase: Phase::Closing });
        self.life.observation
    }

    /// The end of the conversation alone: the socket stays open, and nothing that comes of it counts.
    fn stay(mut self) -> Observation {
        self.life.observation.timeline.ended = self.prober.now();
        if let Some(ballast) = &self.prober.ballast {
            ballast.keep(self.stream);
        }
        self.life.observation
    }

    fn standing(&self) -> Standing {
        let observation = &self.life.observation;
        standing(&observation.frames, observation.sent_after, self.prober.declared(), self.learned)
    }

    /// While listening, until when nothing more must come. A server that never falls silent is listened to as long as
    /// one that says nothing.
    fn listen_until(&self, opened: Instant, now: Instant) -> Option<Instant> {
        match self.reins.send_at {
            SendAt::Listened { first, .. } if self.life.observation.frames.is_empty() => Some(opened + first),
            SendAt::Listened { first, quiet } if self.life.observation.sent_after.is_none() => {
                Some((now + quiet).min(opened + first.max(quiet)))
            }
            SendAt::Never { least } => Some(
                opened + least.max(self.last_new(opened) * 2 + PASSING).min(LONGEST_LISTENING.max(least)),
            ),
            _ => None,
        }
    }

    /// When the last thing came that did not come before, and has not come again and again since.
    fn last_new(&self, opened: Instant) -> Duration {
        let frames = &self.life.observation.frames;
        let recurring = recurring_of(frames);
        let mut seen = BTreeSet::new();
        let new =
            frames.iter().filter(|f| !recurring.contains(f.shape.as_str()) && seen.insert(f.shape.as_str()));
        let last = new.map(|frame| frame.at).max().unwrap_or(0);
        Duration::from_micros(last.saturating_sub(self.prober.at(opened)))
    }

    fn may_send(&self, standing: Standing, listening: bool) -> bool {
        let unsent = self.text.is_some() && self.life.observation.sent_after.is_none();
        let may = match self.reins.send_at {
            SendAt::Once => standing != Standing::Error,
            SendAt::Greeted => standing == Standing::MaySend,
            SendAt::Listened { .. } => standing == Standing::MaySend && !listening,
            SendAt::Never { .. } => false,
        };
        unsent && may
    }

    /// Notes that nothing more is due, once.
    fn note(&mut self, standing: Standing, listening: bool) {
        match standing {
            Standing::Satisfied if !listening => {
                let now = self.prober.now();
                self.life.observation.timeline.satisfied.get_or_insert(now);
                self.reins.decided.tell();
            }
            Standing::Error => self.reins.decided.tell(),
            _ if !listening && matches!(self.reins.send_at, SendAt::Never { .. }) => {
                self.reins.decided.tell();
            }
            _ => {}
        }
    }

    async fn send(&mut self) -> Result<(), End> {
        let Some(text) = self.text.clone() else { return Ok(()) };
        let before = u32::try_from(self.life.observation.frames.len()).unwrap_or(u32::MAX);
        self.life.observation.sent_after = Some(before);
        self.life.observation.timeline.sent = Some(self.prober.now());
        let sending = futures_util::SinkExt::send(&mut self.stream, Message::text(text));
        match timeout_at(Instant::now() + self.prober.timeouts.answer, sending).await {
            // A server that closed meanwhile has said why: what it sent is read before a failure to write counts.
            Ok(Err(error @ (Error::Capacity(_) | Error::Utf8(_) | Error::WriteBufferFull(_)))) => {
                Err(self.end_of(&error))
            }
            _ => Ok(()),
        }
    }

    /// Takes in what the stream gave; the end, if it is one.
    fn take(&mut self, message: Option<Result<Message, Error>>) -> Option<End> {
        match message {
            None => Some(End { kind: EndKind::NoCloseFrame, phase: self.phase() }),
            Some(Err(error)) => Some(self.end_of(&error)),
            Some(Ok(Message::Close(frame))) => {
                Some(End { kind: self.close_frame(frame.as_ref()), phase: self.phase() })
            }
            Some(Ok(Message::Text(text))) => {
                self.remember(FrameKind::Text, text.as_bytes());
                None
            }
            Some(Ok(Message::Binary(bytes))) => {
                self.remember(FrameKind::Binary, &bytes);
                None
            }
            Some(Ok(Message::Ping(_))) => {
                let now = self.prober.now();
                self.life.observation.timeline.pinged.get_or_insert(now);
                None
            }
            Some(Ok(_)) => None,
        }
    }

    fn close_frame(&self, frame: Option<&CloseFrame>) -> EndKind {
        EndKind::CloseFrame {
            code: frame.map(|frame| u16::from(frame.code)),
            reason: frame.map_or_else(Excerpt::default, |frame| {
                Excerpt::new(&self.prober.redactor.redact_cut(frame.reason.as_str()))
            }),
        }
    }

    fn remember(&mut self, kind: FrameKind, payload: &[u8]) {
        let observation = &mut self.life.observation;
        let now = self.prober.now();
        observation.frames_total += 1;
        observation.timeline.greeted.get_or_insert(now);
        let own = Own { user: &self.life.user, nonce: &self.life.nonce };
        let said = Said {
            expected: self.matchers.expect.as_ref().map(|matcher| matcher.matches(payload)),
            harmless: self.matchers.harmless.as_ref().is_some_and(|matcher| matcher.matches(payload)),
        };
        let frame: Frame = frame::remember(now, kind, payload, own, said, &self.prober.redactor);
        let pointed = |pointer| {
            let text = frame::pointed(payload, pointer)?;
            Some(Excerpt::new(&self.prober.redactor.redact(&text)))
        };
        if let (Some(Echo::Pointer(pointer)), None) = (&self.prober.echo, &observation.echo) {
            observation.echo = pointed(pointer);
        }
        if let (Some(Echo::Pointer(pointer)), None) = (&self.prober.instance_echo, &observation.instance) {
            observation.instance = pointed(pointer);
        }
        let sent_after = observation.sent_after.map(|before| before as usize);
        if frame::is_kept(&observation.frames, sent_after, &frame) {
            observation.frames.push(frame);
        }
    }

    /// The step in which an end falls that comes now.
    fn phase(&self) -> Phase {
        if self.life.observation.timeline.closing.is_some() {
            return Phase::Closing;
        }
        match self.standing() {
            Standing::Greeting | Standing::MaySend => Phase::Greeting,
            Standing::Answer => Phase::Answer,
            Standing::Satisfied | Standing::Error => Phase::Hold,
        }
    }

    fn end_of(&self, error: &Error) -> End {
        let kind = match error {
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => EndKind::NoCloseFrame,
            Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => EndKind::NoCloseFrame,
            Error::Io(_) => EndKind::Reset,
            Error::Capacity(CapacityError::MessageTooLong { .. }) => {
                EndKind::TooLarge { limit: LARGEST_MESSAGE }
            }
            other => {
                EndKind::Violation { what: Excerpt::new(&self.prober.redactor.redact(&other.to_string())) }
            }
        };
        End { kind, phase: self.phase() }
    }

    /// The end of a socket that is still talked with, or held, when the time of the run is over.
    async fn cut_short(&mut self) -> End {
        self.reins.decided.tell();
        if *self.reins.close.borrow() == Closing::NotYet {
            self.life.observation.timeline.cut = Some(self.prober.now());
        }
        self.close().await
    }

    /// Closes with 1000 and waits for the server's own close frame.
    async fn close(&mut self) -> End {
        let until = Instant::now() + CLOSE_TIME;
        self.life.observation.timeline.closing = Some(self.prober.now());
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let _ = timeout_at(until, self.stream.close(Some(frame))).await;
        loop {
            // A server that never falls silent always has something ready, and then the timer is not even looked at.
            if Instant::now() >= until {
                return End { kind: EndKind::CutByUs, phase: Phase::Closing };
            }
            match timeout_at(until, self.stream.next()).await {
                Err(_) => return End { kind: EndKind::CutByUs, phase: Phase::Closing },
                Ok(message) => {
                    if let Some(end) = self.take(message) {
                        return end;
                    }
                }
            }
        }
    }

    /// After the end of the conversation: the stream is drained, so that both sides see an orderly end.
    async fn read_to_the_end(&mut self) {
        let until = Instant::now() + CLOSE_TIME;
        let reading =
            async { while Instant::now() < until && matches!(self.stream.next().await, Some(Ok(_))) {} };
        let _ = timeout_at(until, reading).await;
    }
}
