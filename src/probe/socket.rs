//! One socket's life: armed, released, opened, spoken with, held, closed, read to the very end.
//!
//! Takes a socket's specification and gives its observation, whatever happens. It never judges. The surprising rule:
//! an open socket is read all the time, also while it is only held: otherwise our own pongs would come late, and a
//! healthy server would close with 1011.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, error::ProtocolError};

use super::campaign::Prober;
use super::expectation::{Learned, Standing, standing};
use super::frame::{self, Frame, FrameKind, Own};
use super::handshake::UpgradeRequest;
use super::matcher::Matcher;
use super::observation::{End, EndKind, Observation, Opening, Phase, Timeline};
use super::plan::{SendAt, SocketSpec};
use super::platform::PlatformPage;
use super::response::{NoResponse, read_body, read_response};
use super::transport::Wire;
use crate::config::{Echo, Escaping, Values};
use crate::trust::Excerpt;

/// How long a server may take to answer our close frame.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// Largest message that is read.
const LARGEST_MESSAGE: usize = 16 * 1024 * 1024;

/// A socket whose whole upgrade request but its last byte was written.
pub(super) struct Armed {
    pub(super) wire: Wire,
    pub(super) last: u8,
    pub(super) pending: Pending,
}

/// The rest of an armed socket, without its stream.
pub(super) struct Pending {
    request: UpgradeRequest,
    pub(super) life: Life,
    matcher: Option<Matcher>,
    text: Option<String>,
}

/// What is known so far.
pub(super) struct Life {
    observation: Observation,
    user: String,
    nonce: String,
}

impl Life {
    fn new(spec: &SocketSpec, prober: &Prober) -> Self {
        let user = prober.user_name(spec.user);
        let observation = Observation {
            socket: spec.number,
            user: spec.user.map(|_| user.to_owned()),
            opening: Opening::TimedOut { phase: Phase::Dns },
            frames: Vec::new(),
            frames_total: 0,
            sent_after: None,
            knew_greeting: false,
            end: None,
            echo: None,
            timeline: Timeline { began: prober.now(), ..Timeline::default() },
        };
        Self { observation, user: user.to_owned(), nonce: spec.nonce.clone() }
    }

    /// The observation of a socket that did not open.
    fn unopened(mut self, opening: Opening, prober: &Prober) -> Observation {
        self.observation.opening = opening;
        self.observation.timeline.ended = prober.now();
        self.observation
    }
}

/// Connects, secures and writes the request but for its last byte.
pub(super) async fn arm(
    prober: &Prober,
    spec: &SocketSpec,
    round: u32,
    opening_time: Duration,
) -> Result<Armed, Box<Observation>> {
    let life = Life::new(spec, prober);
    let values = Values { user: &life.user, nonce: &life.nonce, round };
    let request = prober.request(values);
    let matcher = prober.matcher(values);
    let text = prober.text(values);
    let mut timeline = life.observation.timeline;
    let mut phase = Phase::Dns;
    let connecting = connect(prober, &request, &mut timeline, &mut phase);
    let result = timeout_at(Instant::now() + opening_time, connecting).await;
    let mut life = life;
    life.observation.timeline = timeline;
    match result {
        Ok(Ok(wire)) => {
            let last = request.bytes.last().copied().unwrap_or(b'\n');
            Ok(Armed { wire, last, pending: Pending { request, life, matcher, text } })
        }
        Ok(Err(opening)) => Err(Box::new(life.unopened(opening, prober))),
        Err(_) => Err(Box::new(life.unopened(Opening::TimedOut { phase }, prober))),
    }
}

async fn connect(
    prober: &Prober,
    request: &UpgradeRequest,
    timeline: &mut Timeline,
    phase: &mut Phase,
) -> Result<Wire, Opening> {
    let addresses = prober.address.resolve().await?;
    *phase = Phase::Tcp;
    let stream = prober.address.connect(&addresses).await?;
    timeline.connected = Some(prober.now());
    *phase = Phase::Tls;
    let mut wire = prober.address.secure(stream).await?;
    timeline.secured = Some(prober.now());
    *phase = Phase::Opening;
    let head = &request.bytes[..request.bytes.len() - 1];
    let written = async {
        wire.write_all(head).await?;
        wire.flush().await
    };
    match written.await {
        Ok(()) => Ok(wire),
        Err(error) => Err(Opening::Ended { reset: error.kind() != std::io::ErrorKind::BrokenPipe, bytes: 0 }),
    }
}

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

/// How a round steers its sockets.
pub(super) struct Reins {
    /// When the text is sent.
    pub(super) send_at: SendAt,
    /// Tells the round when nothing more is due.
    pub(super) decided: Decided,
    /// Becomes true when the sockets are to be closed.
    pub(super) close: watch::Receiver<bool>,
    /// How long the answer to the upgrade may take.
    pub(super) opening_time: Duration,
}

/// The life of a released socket, to its end.
pub(super) async fn live(
    prober: &Prober,
    mut wire: Wire,
    pending: Pending,
    released: Option<Instant>,
    learned: Option<&Learned>,
    reins: Reins,
) -> Observation {
    let Pending { request, mut life, matcher, text } = pending;
    let Some(released) = released else {
        return life.unopened(Opening::Ended { reset: true, bytes: 0 }, prober);
    };
    life.observation.timeline.released = Some(prober.at(released));
    let opened =
        timeout_at(released + reins.opening_time, open(prober, &mut wire, &request, &mut life)).await;
    let rest = match opened {
        Err(_) => return life.unopened(Opening::TimedOut { phase: Phase::Opening }, prober),
        Ok(Err(opening)) => return life.unopened(opening, prober),
        Ok(Ok(rest)) => rest,
    };
    life.observation.knew_greeting = learned.is_some();
    let config = WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE));
    let stream = WebSocketStream::from_partially_read(wire, rest, Role::Client, Some(config)).await;
    let talk = Talk { prober, life, stream, matcher, text, learned, reins };
    talk.run().await
}

/// Reads the answer to the upgrade; gives what came behind a 101, or why the socket is not open.
async fn open(
    prober: &Prober,
    wire: &mut Wire,
    request: &UpgradeRequest,
    life: &mut Life,
) -> Result<Vec<u8>, Opening> {
    let redact = |text: &str| Excerpt::new(&prober.redactor.redact_cut(text));
    let mut response = read_response(wire).await.map_err(|failure| match failure {
        NoResponse::Ended { reset, bytes } => Opening::Ended { reset, bytes },
        NoResponse::Malformed(what) => Opening::Malformed { what: redact(&what) },
    })?;
    life.observation.timeline.answered = Some(prober.now());
    if let Some(Echo::Header(name)) = &prober.echo {
        life.observation.echo = response.values(name).next().map(redact);
    }
    if response.status != 101 {
        let body = read_body(wire, &mut response).await;
        return Err(Opening::Refused {
            status: response.status,
            platform: PlatformPage::recognise(response.status, response.values("server").next(), &body),
            location: response.values("location").next().map(redact),
            body: redact(&body),
        });
    }
    match request.judge(&response, &prober.conversation, &prober.redactor) {
        opening @ Opening::Opened { .. } => {
            life.observation.opening = opening;
            Ok(response.rest)
        }
        failure => Err(failure),
    }
}

/// The conversation on an open socket.
struct Talk<'a> {
    prober: &'a Prober,
    life: Life,
    stream: WebSocketStream<Wire>,
    matcher: Option<Matcher>,
    text: Option<String>,
    learned: Option<&'a Learned>,
    reins: Reins,
}

impl Talk<'_> {
    async fn run(mut self) -> Observation {
        let opened = Instant::now();
        let mut due_until = opened + self.prober.timeouts.answer;
        let mut listen_until = self.listen_until(opened);
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
                    listen_until = listen_until.and(self.listen_until(Instant::now()));
                }
                _ = self.reins.close.changed() => break self.close().await,
                () = sleep_until(wake), if !self.reins.decided.is_told() => {
                    if !listening { self.reins.decided.tell(); }
                }
            }
        };
        self.reins.decided.tell();
        self.life.observation.end = Some(end);
        self.read_to_the_end().await;
        self.life.observation.timeline.ended = self.prober.now();
        self.life.observation
    }

    fn standing(&self) -> Standing {
        let observation = &self.life.observation;
        standing(&observation.frames, observation.sent_after, self.prober.declared(), self.learned)
    }

    /// While listening, until when nothing more must come.
    fn listen_until(&self, now: Instant) -> Option<Instant> {
        match self.reins.send_at {
            SendAt::Listened { first, quiet } if self.life.observation.sent_after.is_none() => {
                Some(now + if self.life.observation.frames.is_empty() { first } else { quiet })
            }
            _ => None,
        }
    }

    fn may_send(&self, standing: Standing, listening: bool) -> bool {
        let unsent = self.text.is_some() && self.life.observation.sent_after.is_none();
        let may = match self.reins.send_at {
            SendAt::Once => standing != Standing::Error,
            SendAt::Greeted => standing == Standing::MaySend,
            SendAt::Listened { .. } => standing == Standing::MaySend && !listening,
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
            _ => {}
        }
    }

    async fn send(&mut self) -> Result<(), End> {
        let Some(text) = self.text.clone() else { return Ok(()) };
        self.life.observation.sent_after = Some(self.life.observation.frames_total);
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
        let expected = self.matcher.as_ref().map(|matcher| matcher.matches(payload));
        let frame: Frame = frame::remember(now, kind, payload, own, expected, &self.prober.redactor);
        if let (Some(Echo::Pointer(pointer)), None) = (&self.prober.echo, &observation.echo) {
            observation.echo = frame::pointed(payload, pointer)
                .map(|text| Excerpt::new(&self.prober.redactor.redact(&text)));
        }
        if observation.frames.len() < frame::KEPT || frame.error {
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
            other => {
                EndKind::Violation { what: Excerpt::new(&self.prober.redactor.redact(&other.to_string())) }
            }
        };
        End { kind, phase: self.phase() }
    }

    /// Closes with 1000 and waits for the server's own close frame.
    async fn close(&mut self) -> End {
        let until = Instant::now() + CLOSE_TIME;
        self.life.observation.timeline.closing = Some(self.prober.now());
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let _ = timeout_at(until, self.stream.close(Some(frame))).await;
        loop {
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
        let _ = timeout_at(until, async { while let Some(Ok(_)) = self.stream.next().await {} }).await;
    }
}

impl Prober {
    /// The text that a socket sends, with its values.
    fn text(&self, values: Values<'_>) -> Option<String> {
        self.conversation.send.as_ref().map(|template| {
            let json = template.source().trim_start().starts_with(['{', '[']);
            template.fill(values, if json { Escaping::Json } else { Escaping::None })
        })
    }
}
