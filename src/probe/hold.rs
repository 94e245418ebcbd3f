//! Sockets that are kept for a long time, with pings and heartbeats.
//!
//! Takes the settings and gives, for each socket, how long it lasted, which pongs and which heartbeats came. It judges
//! nothing. The surprising rule: a hold is never longer than the revision lets a request be, since what its own time-out
//! ends is no failure and teaches nothing more.

use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_util::sync::CancellationToken;

use super::dialogue::{Dialogue, Heard};
use super::expectation::Declared;
use super::learned::Learned;
use super::matcher::Matcher;
use super::observation::{Observation, Phase, in_microseconds};
use super::prober::Prober;
use super::series::Series;
use super::served::Came;
use super::spec::SocketSpec;
use crate::config::{Escaping, HoldSettings, Template, Values};

/// How much longer than the request time-out a socket is kept, to see that it is that which ends it.
const BEYOND: Duration = Duration::from_secs(5);

/// What was seen of sockets that were kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HoldSeen {
    /// What the configuration declares.
    pub declared: Declared,
    /// Codes with which a healthy server may close a socket that it has served.
    pub closes: Vec<u16>,
    /// For how long they were to be kept, in milliseconds.
    pub time_ms: u64,
    /// Time between two pings, in milliseconds.
    pub ping_every_ms: u64,
    /// How long a pong was waited for, in milliseconds.
    pub patience_ms: u64,
    /// How often a heartbeat is due, in milliseconds; `None` where none is declared.
    pub heartbeat_every_ms: Option<u64>,
    /// The age at which the revision ends every request, in milliseconds; `None` where it is not known.
    pub request_timeout_ms: Option<u64>,
    /// The sockets.
    pub sockets: Vec<HeldSocket>,
}

/// What was seen of one socket that was kept. Times are milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldSocket {
    /// It was greeted and answered before it was kept.
    pub served: bool,
    /// From the upgrade request to the end, whoever's it was.
    pub age_ms: u64,
    /// The server ended it before its time.
    pub lost: bool,
    /// Pings that were sent.
    pub pings: u32,
    /// Pongs that came in time.
    pub pongs: u32,
    /// The longest that a pong took.
    pub slowest_pong_ms: u64,
    /// Heartbeats that came.
    pub heartbeats: u32,
    /// The longest time without one, from being served, or from the one before, to the next, or to the end.
    pub longest_gap_ms: u64,
    /// Its socket.
    pub observation: Observation,
}

/// Keeps sockets for as long as is asked; `request_timeout` is the age at which the revision ends every request.
pub async fn hold_sockets(
    prober: &Prober,
    settings: &HoldSettings,
    learned: Option<&Learned>,
    request_timeout: Option<Duration>,
    series: &mut Series,
    cut: &CancellationToken,
) -> HoldSeen {
    let milliseconds = |time: Duration| in_microseconds(time) / 1000;
    let time = request_timeout.map_or(settings.time, |limit| settings.time.min(limit + BEYOND));
    let pause = Duration::from_secs(1) / settings.pace.max(1);
    let specs: Vec<SocketSpec> =
        (0..settings.sockets).map(|index| series.socket(Some(index as usize))).collect();
    let kept = specs.iter().zip(0_u32..).map(|(spec, index)| async move {
        sleep(pause * index).await;
        keep(prober, settings, spec, learned, time, cut).await
    });
    HoldSeen {
        declared: prober.declared(),
        closes: prober.conversation.closes.clone(),
        time_ms: milliseconds(time),
        ping_every_ms: milliseconds(settings.ping_every),
        patience_ms: milliseconds(prober.timeouts.answer),
        heartbeat_every_ms: settings.heartbeat.as_ref().map(|heartbeat| milliseconds(heartbeat.every)),
        request_timeout_ms: request_timeout.map(milliseconds),
        sockets: join_all(kept).await,
    }
}

async fn keep(
    prober: &Prober,
    settings: &HoldSettings,
    spec: &SocketSpec,
    learned: Option<&Learned>,
    time: Duration,
    cut: &CancellationToken,
) -> HeldSocket {
    let begun = Instant::now();
    let mut watched = Watched::new(prober, settings, spec);
    let mut dialogue = match Dialogue::open(prober, spec, prober.timeouts.opening, cut).await {
        Err(unopened) => return watched.over(false, false, Duration::ZERO, *unopened),
        Ok(dialogue) => dialogue,
    };
    let came = dialogue.be_served(learned).await;
    if came != Came::Far {
        let lost = matches!(came, Came::End(_));
        return watched.over(false, lost, begun.elapsed(), dialogue.leave(came, Phase::Answer).await);
    }
    watched.last_heartbeat = Instant::now();
    let came = watched.hold(&mut dialogue, begun + time).await;
    watched.heartbeat_ends(Instant::now());
    let lost = matches!(came, Came::End(_));
    let age = begun.elapsed();
    watched.over(true, lost, age, dialogue.leave(came, Phase::Hold).await)
}

/// What comes and goes on one socket while it is kept.
struct Watched<'a> {
    settings: &'a HoldSettings,
    patience: Duration,
    matcher: Option<Matcher>,
    answer: Option<String>,
    next_ping: Instant,
    /// When the ping was sent whose pong has not come yet.
    pinged: Option<Instant>,
    last_heartbeat: Instant,
    pings: u32,
    pongs: u32,
    slowest_pong: Duration,
    heartbeats: u32,
    longest_gap: Duration,
}

impl<'a> Watched<'a> {
    fn new(prober: &'a Prober, settings: &'a HoldSettings, spec: &'a SocketSpec) -> Self {
        let values = Values { user: prober.user_name(spec.user), nonce: &spec.nonce, round: 1 };
        let heartbeat = settings.heartbeat.as_ref();
        let fill = |template: &Template| {
            let json = template.source().trim_start().starts_with(['{', '[']);
            template.fill(values, if json { Escaping::Json } else { Escaping::None })
        };
        Self {
            settings,
            patience: prober.timeouts.answer,
            matcher: heartbeat.map(|heartbeat| Matcher::new(&heartbeat.expect, values)),
            answer: heartbeat.and_then(|heartbeat| heartbeat.answer.as_ref()).map(fill),
            next_ping: Instant::now() + settings.ping_every,
            pinged: None,
            last_heartbeat: Instant::now(),
            pings: 0,
            pongs: 0,
            slowest_pong: Duration::ZERO,
            heartbeats: 0,
            longest_gap: Duration::ZERO,
        }
    }

    /// Listens, pings and answers until then. The last ping goes early enough for its pong.
    async fn hold(&mut self, dialogue: &mut Dialogue<'_>, until: Instant) -> Came {
        self.next_ping = Instant::now() + self.settings.ping_every;
        loop {
            let now = Instant::now();
            if now >= until {
                return Came::Far;
            }
            if now >= self.next_ping && self.pinged.is_none() {
                self.next_ping = now + self.settings.ping_every;
                if now + self.patience.min(self.settings.ping_every) <= until {
                    self.pings += 1;
                    self.pinged = Some(now);
                    let ping = Message::Ping(Bytes::copy_from_slice(&self.pings.to_be_bytes()));
                    if let Err(kind) = dialogue.say(ping).await {
                        return Came::End(kind);
                    }
                }
            }
            // A pong that did not come in time will not be waited for any longer.
            self.pinged = self.pinged.filter(|at| at.elapsed() < self.patience);
            match dialogue.hear(self.wake(until)).await {
                Heard::End(kind) => return Came::End(kind),
                Heard::Pong(bytes) => self.pong(&bytes),
                Heard::Message(_, bytes) if self.matcher.as_ref().is_some_and(|m| m.matches(&bytes)) => {
                    self.heartbeats += 1;
                    self.heartbeat_ends(Instant::now());
                    if let Some(answer) = self.answer.clone()
                        && let Err(kind) = dialogue.say(Message::text(answer)).await
                    {
                        return Came::End(kind);
                    }
                }
                Heard::Nothing if dialogue.is_cut() => return Came::Short,
                _ => {}
            }
        }
    }

    fn wake(&self, until: Instant) -> Instant {
        match self.pinged {
            Some(at) => until.min(at + self.patience),
            None => until.min(self.next_ping),
        }
    }

    fn pong(&mut self, bytes: &[u8]) {
        if bytes == self.pings.to_be_bytes()
            && let Some(at) = self.pinged.take()
        {
            self.pongs += 1;
            self.slowest_pong = self.slowest_pong.max(at.elapsed());
        }
    }

    fn heartbeat_ends(&mut self, now: Instant) {
        self.longest_gap = self.longest_gap.max(now.saturating_duration_since(self.last_heartbeat));
        self.last_heartbeat = now;
    }

    fn over(self, served: bool, lost: bool, age: Duration, observation: Observation) -> HeldSocket {
        let milliseconds = |time: Duration| in_microseconds(time) / 1000;
        HeldSocket {
            served,
            age_ms: milliseconds(age),
            lost,
            pings: self.pings,
            pongs: self.pongs,
            slowest_pong_ms: milliseconds(self.slowest_pong),
            heartbeats: self.heartbeats,
            longest_gap_ms: milliseconds(self.longest_gap),
            observation,
        }
    }
}
