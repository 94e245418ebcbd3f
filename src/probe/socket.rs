//! One socket's life: armed, released, opened, and then spoken with.
//!
//! Takes a socket's specification and gives its observation, whatever happens. It never judges. The surprising rule: a
//! socket that fails on the way has an observation like any other, with the step that it did not get beyond.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_util::sync::CancellationToken;

use super::handshake::UpgradeRequest;
use super::learned::Learned;
use super::line::Line;
use super::matcher::Matchers;
use super::observation::{Observation, Opening, Phase, Timeline};
use super::platform::PlatformPage;
use super::prober::Prober;
use super::response::{NoResponse, read_body, read_response};
use super::spec::SocketSpec;
use super::talk::{Reins, Talk};
use super::token::expired_by;
use super::transport::Wire;
use crate::config::{Echo, Escaping, Template, Values};
use crate::trust::Excerpt;

/// Bytes that are read at once, enough for most messages; a longer one takes more reads. All of them are in memory for every
/// held socket, read or not.
pub(super) const READ_AT_ONCE: usize = 512;
/// Largest message that is read.
pub(super) const LARGEST_MESSAGE: usize = 16 * 1024 * 1024;

/// A socket whose whole upgrade request but its last byte was written.
pub(super) struct Armed {
    pub(super) wire: Wire,
    pub(super) last: u8,
    pub(super) pending: Box<Pending>,
}

/// The rest of an armed socket, without its stream.
pub(super) struct Pending {
    request: UpgradeRequest,
    pub(super) life: Life,
    matchers: Matchers,
    text: Option<String>,
}

/// What is known so far.
pub(super) struct Life {
    /// Boxed: it is large, and every future and task that hands it over would have room for it from the start.
    pub(super) observation: Box<Observation>,
    pub(super) user: String,
    pub(super) nonce: String,
    /// When the token that it carries expires, in microseconds since the start of the run.
    expires: Option<u64>,
}

impl Life {
    fn new(spec: &SocketSpec, prober: &Prober) -> Self {
        let user = prober.user_name(spec.user);
        let observation = Box::new(Observation {
            socket: spec.number,
            user: spec.user.map(|_| user.to_owned()),
            opening: Opening::TimedOut { phase: Phase::Dns },
            // A greeting and an answer; a vector that grows makes room for four at once.
            frames: Vec::with_capacity(2),
            frames_total: 0,
            sent_after: None,
            knew_greeting: false,
            end: None,
            echo: None,
            instance: None,
            timeline: Timeline { began: prober.now(), ..Timeline::default() },
        });
        Self { observation, user: user.to_owned(), nonce: spec.nonce.clone(), expires: None }
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self, prober: &Prober) {
        let times = &mut self.observation.timeline;
        times.ended = prober.now();
        times.expired = expired_by(self.expires, times.ended);
    }

    /// The observation of a socket that did not open.
    fn unopened(mut self, opening: Opening, prober: &Prober) -> Box<Observation> {
        self.observation.opening = opening;
        self.end(prober);
        self.observation
    }

    /// The observation of a socket that was opening when the time of the run was over.
    fn cut(mut self, phase: Phase, prober: &Prober) -> Box<Observation> {
        self.observation.timeline.cut = Some(prober.now());
        self.unopened(Opening::TimedOut { phase }, prober)
    }
}

/// Connects, secures and writes the request but for its last byte.
pub(super) async fn arm(
    prober: &Prober,
    spec: &SocketSpec,
    round: u32,
    opening_time: Duration,
    cut: &CancellationToken,
) -> Result<Armed, Box<Observation>> {
    let life = Life::new(spec, prober);
    let values = Values { user: &life.user, nonce: &life.nonce, round };
    let request = prober.request(values);
    let matchers = prober.matchers(values);
    let text = prober.text(values);
    let mut timeline = life.observation.timeline;
    let mut phase = Phase::Dns;
    let connecting = connect(prober, &request, &mut timeline, &mut phase);
    let connecting = timeout_at(Instant::now() + opening_time, connecting);
    let result = cut.run_until_cancelled(connecting).await;
    let mut life = life;
    life.expires = request.expires;
    life.observation.timeline = timeline;
    match result {
        None => Err(life.cut(phase, prober)),
        Some(Ok(Ok(wire))) => {
            let last = request.bytes.last().copied().unwrap_or(b'\n');
            Ok(Armed { wire, last, pending: Box::new(Pending { request, life, matchers, text }) })
        }
        Some(Ok(Err(opening))) => Err(life.unopened(opening, prober)),
        Some(Err(_)) => Err(life.unopened(Opening::TimedOut { phase }, prober)),
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

/// The life of a released socket, to its end.
pub(super) async fn live(
    prober: Arc<Prober>,
    wire: Wire,
    mut pending: Box<Pending>,
    released: Option<Instant>,
    learned: Option<Arc<Learned>>,
    reins: Box<Reins>,
) -> Box<Observation> {
    let text = pending.text.take();
    // Boxed, so that a socket that is only held does not keep the room that its opening took.
    let opening = Box::pin(answered(&prober, wire, pending, released, reins.opening_time, &reins.cut));
    match opening.await {
        Err(unopened) => unopened,
        Ok(mut line) => {
            line.life.observation.knew_greeting = learned.is_some();
            Talk { line, text, learned: learned.as_deref(), reins }.run().await
        }
    }
}

/// The open socket, once the server has answered the upgrade.
pub(super) async fn answered<'a>(
    prober: &'a Prober,
    mut wire: Wire,
    pending: Box<Pending>,
    released: Option<Instant>,
    opening_time: Duration,
    cut: &CancellationToken,
) -> Result<Box<Line<'a>>, Box<Observation>> {
    let Pending { request, mut life, matchers, text: _ } = *pending;
    let Some(released) = released else {
        return Err(life.unopened(Opening::Ended { reset: true, bytes: 0 }, prober));
    };
    life.observation.timeline.released = Some(prober.at(released));
    let opening = open(prober, &mut wire, &request, &mut life);
    let opening = timeout_at(released + opening_time, opening);
    let rest = match cut.run_until_cancelled(opening).await {
        None => return Err(life.cut(Phase::Opening, prober)),
        Some(Err(_)) => {
            return Err(life.unopened(Opening::TimedOut { phase: Phase::Opening }, prober));
        }
        Some(Ok(Err(opening))) => return Err(life.unopened(opening, prober)),
        Some(Ok(Ok(rest))) => rest,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_AT_ONCE)
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE));
    let stream = WebSocketStream::from_partially_read(wire, rest, Role::Client, Some(config)).await;
    let mut line = Box::new(Line { prober, life, stream, matchers, opened: Instant::now() });
    // Before anything else is said or heard: until then the server does not know who this is. One that does not read, or
    // has closed meanwhile, is observed by whoever listens next.
    let until = line.opened + prober.timeouts.answer;
    for text in &request.first {
        let sending = line.send(Message::text(text.expose()), until);
        if !matches!(cut.run_until_cancelled(sending).await, Some(Ok(()))) {
            break;
        }
    }
    Ok(line)
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
    if let Some(Echo::Header(name)) = &prober.instance_echo {
        life.observation.instance = response.values(name).next().map(redact);
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

impl Prober {
    /// The text that a socket sends, with its values.
    pub(super) fn text(&self, values: Values<'_>) -> Option<String> {
        self.conversation.send.as_ref().map(|template| filled(template, values))
    }
}

/// A text with its values, escaped for JSON where it looks like JSON.
pub(super) fn filled(template: &Template, values: Values<'_>) -> String {
    let json = template.source().trim_start().starts_with(['{', '[']);
    template.fill(values, if json { Escaping::Json } else { Escaping::None })
}
