//! The conversation on an open socket: listen, send, wait for what is due, hold, close, read to the very end.
//!
//! Takes an open WebSocket and what is known of it; gives its observation. It never judges. The surprising rule: the
//! socket is read all the time, also while it is only held: otherwise our own pongs would come late, and a healthy
//! server would close with 1011.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::expectation::{Standing, standing};
use super::learned::{Learned, recurring_of};
use super::line::{Given, Line};
use super::observation::{End, EndKind, Observation, Phase};
use super::plan::SendAt;

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
    pub(super) line: Box<Line<'a>>,
    pub(super) text: Option<String>,
    pub(super) learned: Option<&'a Learned>,
    pub(super) reins: Box<Reins>,
}

impl Talk<'_> {
    /// Talks to the end.
    pub(super) async fn run(mut self) -> Box<Observation> {
        let opened = self.line.opened;
        let mut due_until = opened + self.line.prober.timeouts.answer;
        let mut listen_until = self.listen_until(opened, opened);
        let end = loop {
            let standing = self.standing();
            let listening = listen_until.is_some_and(|until| Instant::now() < until);
            if self.may_send(standing, listening) {
                if let Err(end) = self.send().await {
                    break end;
                }
                due_until = Instant::now() + self.line.prober.timeouts.answer;
                continue;
            }
            self.note(standing, listening);
            let wake = if listening { listen_until.unwrap_or(due_until) } else { due_until };
            tokio::select! {
                message = self.line.stream.next() => {
                    if let Some(end) = self.take(message) { break end; }
                    listen_until = listen_until.and(self.listen_until(opened, Instant::now()));
                }
                _ = self.reins.close.changed() => {
                    let how = *self.reins.close.borrow();
                    match how {
                        Closing::Abruptly => return self.vanish(),
                        Closing::Kept => return self.stay(),
                        Closing::NotYet | Closing::Cleanly => break Box::pin(self.line.close()).await,
                    }
                }
                () = self.reins.cut.cancelled() => break Box::pin(self.cut_short()).await,
                () = sleep_until(wake), if !self.reins.decided.is_told() => {
                    if !listening { self.reins.decided.tell(); }
                }
            }
        };
        self.reins.decided.tell();
        Box::pin(self.line.ended(end)).await
    }

    /// The end without a word: the stream is dropped as it is.
    fn vanish(mut self) -> Box<Observation> {
        let now = self.line.prober.now();
        self.line.life.observation.timeline.closing = Some(now);
        self.line.life.observation.timeline.ended = now;
        self.line.life.observation.end = Some(End { kind: EndKind::CutByUs, phase: Phase::Closing });
        self.line.life.observation
    }

    /// The end of the conversation alone: the socket stays open, and nothing that comes of it counts.
    fn stay(mut self) -> Box<Observation> {
        self.line.life.observation.timeline.ended = self.line.prober.now();
        if let Some(ballast) = &self.line.prober.ballast {
            ballast.keep(self.line.stream);
        }
        self.line.life.observation
    }

    fn standing(&self) -> Standing {
        let observation = &self.line.life.observation;
        standing(&observation.frames, observation.sent_after, self.line.prober.declared(), self.learned)
    }

    /// While listening, until when nothing more must come. A server that never falls silent is listened to as long as
    /// one that says nothing.
    fn listen_until(&self, opened: Instant, now: Instant) -> Option<Instant> {
        match self.reins.send_at {
            SendAt::Listened { first, .. } if self.line.life.observation.frames.is_empty() => {
                Some(opened + first)
            }
            SendAt::Listened { first, quiet } if self.line.life.observation.sent_after.is_none() => {
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
        let frames = &self.line.life.observation.frames;
        let recurring = recurring_of(frames);
        let mut seen = BTreeSet::new();
        let new =
            frames.iter().filter(|f| !recurring.contains(f.shape.as_str()) && seen.insert(f.shape.as_str()));
        let last = new.map(|frame| frame.at).max().unwrap_or(0);
        Duration::from_micros(last.saturating_sub(self.line.prober.at(opened)))
    }

    fn may_send(&self, standing: Standing, listening: bool) -> bool {
        let unsent = self.text.is_some() && self.line.life.observation.sent_after.is_none();
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
                let now = self.line.prober.now();
                self.line.life.observation.timeline.satisfied.get_or_insert(now);
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
        let before = u32::try_from(self.line.life.observation.frames.len()).unwrap_or(u32::MAX);
        self.line.life.observation.sent_after = Some(before);
        self.line.life.observation.timeline.sent = Some(self.line.prober.now());
        let until = Instant::now() + self.line.prober.timeouts.answer;
        let sent = self.line.send(Message::text(text), until).await;
        sent.map_err(|kind| End { kind, phase: self.phase() })
    }

    /// Takes in what the stream gave; the end, if it is one.
    fn take(&mut self, given: Given) -> Option<End> {
        let kind = self.line.take(given)?;
        Some(End { kind, phase: self.phase() })
    }

    /// The step in which an end falls that comes now.
    fn phase(&self) -> Phase {
        if self.line.life.observation.timeline.closing.is_some() {
            return Phase::Closing;
        }
        match self.standing() {
            Standing::Greeting | Standing::MaySend => Phase::Greeting,
            Standing::Answer => Phase::Answer,
            Standing::Satisfied | Standing::Error => Phase::Hold,
        }
    }

    /// The end of a socket that is still talked with, or held, when the time of the run is over.
    async fn cut_short(&mut self) -> End {
        self.reins.decided.tell();
        if *self.reins.close.borrow() == Closing::NotYet {
            self.line.life.observation.timeline.cut = Some(self.line.prober.now());
        }
        self.line.close().await
    }
}
