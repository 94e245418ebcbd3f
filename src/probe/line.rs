//! An open socket and what is remembered of it.
//!
//! Takes what the stream gives, one message after the other, and keeps the socket's observation. It decides nothing:
//! whoever talks does. The surprising rule: what comes after the end is still read, so that both sides see an orderly
//! one and a server's own close code is recorded.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::frame::{self, Frame, FrameKind, Said};
use super::matcher::Matchers;
use super::observation::{End, EndKind, Observation, Phase, in_microseconds};
use super::prober::Prober;
use super::shape::Own;
use super::socket::{LARGEST_MESSAGE, Life};
use super::transport::Wire;
use crate::config::Echo;
use crate::trust::Excerpt;

/// How long a server may take to answer our close frame.
pub(super) const CLOSE_TIME: Duration = Duration::from_secs(2);

/// What the stream gives.
pub(super) type Given = Option<Result<Message, Error>>;

/// An open socket.
pub(super) struct Line<'a> {
    pub(super) prober: &'a Prober,
    pub(super) life: Life,
    pub(super) stream: WebSocketStream<Wire>,
    pub(super) matchers: Matchers,
    /// When it was opened.
    pub(super) opened: Instant,
}

impl Line<'_> {
    /// Takes in what the stream gave; how the socket ended, if it did.
    pub(super) fn take(&mut self, given: Given) -> Option<EndKind> {
        match given {
            None => Some(EndKind::NoCloseFrame),
            Some(Err(error)) => Some(self.end_of(&error)),
            Some(Ok(Message::Close(frame))) => Some(self.close_frame(frame.as_ref())),
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
            greeting: self.matchers.greeting.as_ref().map(|matcher| matcher.matches(payload)),
            harmless: self.matchers.harmless.as_ref().is_some_and(|matcher| matcher.matches(payload)),
        };
        let frame: Frame =
            frame::remember(now, kind, payload, own, &self.prober.users, said, &self.prober.redactor);
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

    pub(super) fn end_of(&self, error: &Error) -> EndKind {
        match error {
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
        }
    }

    /// Writes one message. An error counts only where the message could not be sent whatever the server does: one that
    /// closed meanwhile has said why, and what it sent is read before a failure to write counts.
    pub(super) async fn send(&mut self, message: Message, until: Instant) -> Result<(), EndKind> {
        match timeout_at(until, self.stream.send(message)).await {
            Ok(Err(error @ (Error::Capacity(_) | Error::Utf8(_) | Error::WriteBufferFull(_)))) => {
                Err(self.end_of(&error))
            }
            _ => Ok(()),
        }
    }

    /// Closes with 1000 and waits for the server's own close frame.
    pub(super) async fn close(&mut self) -> End {
        let ended = |kind| End { kind, phase: Phase::Closing };
        let until = Instant::now() + CLOSE_TIME;
        self.life.observation.timeline.closing = Some(self.prober.now());
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let _ = timeout_at(until, self.stream.close(Some(frame))).await;
        loop {
            // A server that never falls silent always has something ready, and then the timer is not even looked at.
            if Instant::now() >= until {
                return ended(EndKind::CutByUs);
            }
            let Ok(given) = timeout_at(until, self.stream.next()).await else {
                return ended(EndKind::CutByUs);
            };
            if let Some(kind) = self.take(given) {
                return ended(kind);
            }
        }
    }

    /// The observation of a socket that ended so, once nothing more comes.
    pub(super) async fn ended(mut self, end: End) -> Box<Observation> {
        let stalled = self.prober.pulse.longest(self.opened, Instant::now());
        self.life.observation.timeline.stalled = stalled.map(in_microseconds);
        let answers = end.kind != EndKind::CutByUs;
        self.life.observation.end = Some(end);
        if answers {
            self.read_to_the_end().await;
        }
        self.life.end(self.prober);
        self.life.observation
    }

    async fn read_to_the_end(&mut self) {
        let until = Instant::now() + CLOSE_TIME;
        let reading =
            async { while Instant::now() < until && matches!(self.stream.next().await, Some(Ok(_))) {} };
        let _ = timeout_at(until, reading).await;
    }
}
