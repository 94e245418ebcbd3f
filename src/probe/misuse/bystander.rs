//! Sockets of other users, which stand by while one user misbehaves.
//!
//! Takes sockets and gives, for each, whether it was lost meanwhile and still answers afterwards. It sends nothing bad. The
//! surprising rule: it is listened to all the time, so that the instant of its loss names what was sent at that instant.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_util::sync::CancellationToken;

use super::super::dialogue::{Dialogue, Heard};
use super::super::learned::Learned;
use super::super::observation::{EndKind, Observation, Phase};
use super::super::pace::Pace;
use super::super::prober::Prober;
use super::super::served::Came;
use super::super::spec::SocketSpec;
use crate::config::OwnHeartbeat;

/// What our own pings carry.
pub(super) const PING: &[u8] = b"revgate";

/// What was seen of a socket that stood by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bystander {
    /// It was served before anything bad was sent.
    pub served: bool,
    /// When the server ended it, in microseconds since the start of the run; `None` where it did not.
    pub lost: Option<u64>,
    /// When it was sent the first ping that it did not answer, in microseconds since the start of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deaf: Option<u64>,
    /// Its ping was answered afterwards; `None` where it was lost before that.
    pub pong: Option<bool>,
    /// Its message was answered afterwards; `None` where it was lost before, or no second message is ever answered.
    pub answered: Option<bool>,
    /// Its socket.
    pub observation: Observation,
}

/// A socket that stands by.
pub(super) enum Standing<'a> {
    Open(Box<Open<'a>>),
    Unopened(Box<Observation>),
}

/// One that was opened.
pub(super) struct Open<'a> {
    dialogue: Dialogue<'a>,
    came: Came,
    prober: &'a Prober,
    lost: Option<u64>,
    deaf: Option<u64>,
    pace: Pace,
    /// When its own heartbeat is due.
    next_own: Option<Instant>,
}

/// Opens one after `delay`, and lets it be served.
pub(super) async fn stand_by<'a>(
    prober: &'a Prober,
    spec: &SocketSpec,
    learned: Option<&Learned>,
    delay: Duration,
    cut: &CancellationToken,
) -> Standing<'a> {
    let _ = cut.run_until_cancelled(sleep(delay)).await;
    let pace = prober.accounts.of(spec.user.unwrap_or(0));
    // Where an instance takes few sockets, others may have to start first.
    match Dialogue::open(prober, spec, prober.timeouts.first_contact, cut).await {
        Err(unopened) => Standing::Unopened(unopened),
        Ok(mut dialogue) => {
            let came = dialogue.be_served(learned).await;
            let (lost, deaf, next_own) = (None, None, None);
            Standing::Open(Box::new(Open { dialogue, came, prober, lost, deaf, pace, next_own }))
        }
    }
}

impl Standing<'_> {
    /// Listens until the others are done with what they do, and says its heartbeat meanwhile, where it has one.
    pub(super) async fn stay(&mut self, over: &CancellationToken, own: Option<&OwnHeartbeat>) {
        if let Self::Open(open) = self
            && open.came == Came::Far
        {
            open.stay(over, own).await;
        }
    }

    /// Pings it, and remembers when, should it not answer.
    pub(super) async fn look(&mut self) {
        let Self::Open(open) = self else { return };
        if open.came != Came::Far || open.deaf.is_some() || open.dialogue.is_cut() {
            return;
        }
        let pinged = open.prober.now();
        match open.dialogue.ping().await {
            (Came::End(kind), _) => open.is_lost(kind),
            (_, false) if !open.dialogue.is_cut() => open.deaf = Some(pinged),
            _ => {}
        }
    }

    /// Whether it is still alive, and then goes.
    pub(super) async fn leave(self, learned: Option<&Learned>, again: bool) -> Bystander {
        let Open { mut dialogue, mut came, prober, mut lost, deaf, .. } = match self {
            Self::Unopened(observation) => {
                let (lost, deaf, pong, answered) = (None, None, None, None);
                return Bystander { served: false, lost, deaf, pong, answered, observation: *observation };
            }
            Self::Open(open) => *open,
        };
        let (mut pong, mut answered) = (deaf.map(|_| false), None);
        let served = lost.is_some() || came == Came::Far;
        if came == Came::Far && deaf.is_none() {
            let (came_back, heard) = dialogue.ping().await;
            pong = Some(came_back == Came::Far && heard);
            came = came_back;
        }
        if came == Came::Far && again && pong == Some(true) {
            came = match dialogue.ask().await {
                Ok(()) => dialogue.be_answered(learned).await,
                Err(kind) => Came::End(kind),
            };
            answered = Some(came == Came::Far);
        }
        if served && lost.is_none() && matches!(came, Came::End(_)) {
            lost = Some(prober.now());
        }
        let observation = dialogue.leave(came, Phase::Hold).await;
        Bystander { served, lost, deaf, pong, answered, observation }
    }
}

impl Open<'_> {
    async fn stay(&mut self, over: &CancellationToken, own: Option<&OwnHeartbeat>) {
        let every = own.map_or(Duration::from_hours(24), |own| own.every);
        let mut next = *self.next_own.get_or_insert_with(|| Instant::now() + every);
        while let Some(heard) = over.run_until_cancelled(self.dialogue.hear(next)).await {
            let heard = match (heard, own) {
                (Heard::Nothing, Some(own)) if Instant::now() >= next && !self.dialogue.is_cut() => {
                    let end = self.beat(own).await;
                    next = self.next_own.unwrap_or(next);
                    end.map(Heard::End)
                }
                (heard, _) => Some(heard),
            };
            match heard {
                Some(Heard::End(kind)) => return self.is_lost(kind),
                Some(Heard::Nothing) => return,
                _ => {}
            }
        }
    }

    /// Says its heartbeat, or puts it off until its user may say anything more; how the socket ended, if it did.
    async fn beat(&mut self, own: &OwnHeartbeat) -> Option<EndKind> {
        let now = Instant::now();
        let at = self.pace.next(now);
        if at > now {
            self.next_own = Some(at);
            return None;
        }
        self.pace.sent(now);
        self.next_own = Some(now + own.every);
        let text = self.dialogue.filled(&own.text);
        self.dialogue.say(Message::text(text)).await.err()
    }

    fn is_lost(&mut self, kind: EndKind) {
        self.lost = Some(self.prober.now());
        self.came = Came::End(kind);
    }
}

impl Dialogue<'_> {
    /// Pings, and waits for the pong: whether it came.
    pub(super) async fn ping(&mut self) -> (Came, bool) {
        if let Err(kind) = self.say(Message::Ping(Bytes::from_static(PING))).await {
            return (Came::End(kind), false);
        }
        let until = Instant::now() + self.answer_time();
        loop {
            match self.hear(until).await {
                Heard::Pong(bytes) if bytes == PING => return (Came::Far, true),
                Heard::End(kind) => return (Came::End(kind), false),
                Heard::Nothing => return (Came::Far, false),
                _ => {}
            }
        }
    }
}
