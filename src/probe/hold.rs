//! Sockets that are kept for a long time, with pings and heartbeats.
//!
//! Takes the settings and gives, for each socket, how long it lasted, which pongs and which heartbeats came. It judges
//! nothing. The surprising rule: a hold is never longer than the revision lets a request be, since what its own time-out
//! ends is no failure and teaches nothing more.

use std::collections::VecDeque;
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
use super::observation::{EndKind, Observation, Phase, in_microseconds};
use super::pace::Pace;
use super::prober::Prober;
use super::series::Series;
use super::served::Came;
use super::socket::filled;
use super::spec::SocketSpec;
use crate::config::{HoldSettings, Template, Values};

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
    /// How often a heartbeat of ours is sent, in milliseconds; `None` where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_heartbeat_every_ms: Option<u64>,
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
    /// Heartbeats of ours that were sent.
    #[serde(default)]
    pub own_heartbeats: u32,
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
    prober.turn(&specs, prober.messages_of_socket(), cut).await;
    let kept = specs.iter().zip(0_u32..).map(|(spec, index)| async move {
        let _ = cut.run_until_cancelled(sleep(pause * index)).await;
        keep(prober, settings, spec, learned, time, cut).await
    });
    HoldSeen {
        declared: prober.declared(),
        closes: prober.conversation.closes.clone(),
        time_ms: milliseconds(time),
        ping_every_ms: milliseconds(settings.ping_every),
        patience_ms: milliseconds(prober.timeouts.answer),
        heartbeat_every_ms: settings.heartbeat.as_ref().map(|heartbeat| milliseconds(heartbeat.every)),
        own_heartbeat_every_ms: settings.own_heartbeat.as_ref().map(|own| milliseconds(own.every)),
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
    // Where an instance takes few sockets, others may have to start first.
    let mut dialogue = match Dialogue::open(prober, spec, prober.timeouts.first_contact, cut).await {
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
    let lost = matches!(came, Came::End(_)) && !watched.is_over;
    let age = begun.elapsed();
    watched.over(true, lost, age, dialogue.leave(came, Phase::Hold).await)
}

/// What comes and goes on one socket while it is kept.
struct Watched<'a> {
    settings: &'a HoldSettings,
    patience: Duration,
    matcher: Option<Matcher>,
    answer: Option<String>,
    own: Option<String>,
    /// What this user has said within the last minute.
    pace: Pace,
    /// What is to be said, and from when on it may be.
    to_say: VecDeque<(Instant, String)>,
    next_ping: Instant,
    /// When a heartbeat of ours is due next.
    next_own: Option<Instant>,
    /// Its time was over before it ended.
    is_over: bool,
    /// When the ping was sent whose pong has not come yet.
    pinged: Option<Instant>,
    last_heartbeat: Instant,
    pings: u32,
    pongs: u32,
    slowest_pong: Duration,
    heartbeats: u32,
    own_heartbeats: u32,
    longest_gap: Duration,
}

impl<'a> Watched<'a> {
    fn new(prober: &'a Prober, settings: &'a HoldSettings, spec: &'a SocketSpec) -> Self {
        let values = Values { user: prober.user_name(spec.user), nonce: &spec.nonce, round: 1 };
        let heartbeat = settings.heartbeat.as_ref();
        let fill = |template: &Template| filled(template, values);
        Self {
            settings,
            patience: prober.timeouts.answer,
            matcher: heartbeat.map(|heartbeat| Matcher::new(&heartbeat.expect, values)),
            answer: heartbeat.and_then(|heartbeat| heartbeat.answer.as_ref()).map(fill),
            own: settings.own_heartbeat.as_ref().map(|own| fill(&own.text)),
            pace: prober.accounts.of(spec.user.unwrap_or(0)),
            to_say: VecDeque::new(),
            next_ping: Instant::now() + settings.ping_every,
            next_own: None,
            is_over: false,
            pinged: None,
            last_heartbeat: Instant::now(),
            pings: 0,
            pongs: 0,
            slowest_pong: Duration::ZERO,
            heartbeats: 0,
            own_heartbeats: 0,
            longest_gap: Duration::ZERO,
        }
    }

    /// Listens, pings, beats and answers until then, and a little longer for the last pong.
    async fn hold(&mut self, dialogue: &mut Dialogue<'_>, until: Instant) -> Came {
        let now = Instant::now();
        self.next_ping = now + self.settings.ping_every;
        self.next_own = self.settings.own_heartbeat.as_ref().map(|own| now + own.every);
        loop {
            let now = Instant::now();
            // A pong that did not come in time will not be waited for any longer.
            self.pinged = self.pinged.filter(|at| at.elapsed() < self.patience);
            if now >= until && self.pinged.is_none() {
                return Came::Far;
            }
            if now < until
                && let Err(kind) = self.speak(dialogue, now, until).await
            {
                return Came::End(kind);
            }
            match dialogue.hear(self.wake(until)).await {
                Heard::End(kind) => {
                    self.is_over = Instant::now() >= until;
                    // What ends a socket is judged; a pong that it cut off is not, besides.
                    self.pings -= u32::from(self.pinged.take().is_some());
                    return Came::End(kind);
                }
                Heard::Pong(bytes) => self.pong(&bytes),
                Heard::Message(_, bytes) if self.matcher.as_ref().is_some_and(|m| m.matches(&bytes)) => {
                    self.heartbeats += 1;
                    self.heartbeat_ends(Instant::now());
                    self.say_in_turn(self.answer.clone());
                }
                Heard::Nothing if dialogue.is_cut() => return Came::Short,
                _ => {}
            }
        }
    }

    /// Says what is due. The last ping goes early enough for its pong; the first one goes in any case, since without a ping
    /// nothing is shown.
    async fn speak(
        &mut self,
        dialogue: &mut Dialogue<'_>,
        now: Instant,
        until: Instant,
    ) -> Result<(), EndKind> {
        if now >= self.next_ping && self.pinged.is_none() {
            self.next_ping = now + self.settings.ping_every;
            if self.pings == 0 || now + self.patience.min(self.settings.ping_every) <= until {
                self.pings += 1;
                self.pinged = Some(now);
                let ping = Message::Ping(Bytes::copy_from_slice(&self.pings.to_be_bytes()));
                dialogue.say(ping).await?;
            }
        }
        if let (Some(due), Some(own)) = (self.next_own, &self.settings.own_heartbeat)
            && now >= due
        {
            self.next_own = Some(now + own.every);
            self.own_heartbeats += 1;
            self.say_in_turn(self.own.clone());
        }
        while let Some((at, text)) = self.to_say.pop_front() {
            if at > now {
                self.to_say.push_front((at, text));
                break;
            }
            dialogue.say(Message::text(text)).await?;
        }
        Ok(())
    }

    /// Whatever is said in this user's name waits for its turn.
    fn say_in_turn(&mut self, text: Option<String>) {
        let Some(text) = text else { return };
        let at = self.pace.next(Instant::now());
        self.pace.sent(at);
        self.to_say.push_back((at, text));
    }

    fn wake(&self, until: Instant) -> Instant {
        let next = match self.pinged {
            Some(at) if Instant::now() >= until => return at + self.patience,
            Some(at) => at + self.patience,
            None => self.next_ping,
        };
        let said = self.to_say.front().map(|(at, _)| *at);
        [Some(next), self.next_own, said].into_iter().flatten().fold(until, Instant::min)
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
            own_heartbeats: self.own_heartbeats,
            longest_gap_ms: milliseconds(self.longest_gap),
            observation,
        }
    }
}
