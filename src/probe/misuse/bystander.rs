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
use super::super::observation::{Observation, Phase};
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
    /// Its ping was answered afterwards; `None` where it was lost before.
    pub pong: Option<bool>,
    /// Its message was answered afterwards; `None` where it was lost before, or no second message is ever answered.
    pub answered: Option<bool>,
    /// Its socket.
    pub observation: Observation,
}

/// A socket that stands by.
pub(super) enum Standing<'a> {
    Open { dialogue: Box<Dialogue<'a>>, came: Came, prober: &'a Prober, lost: Option<u64>, pace: Pace },
    Unopened(Box<Observation>),
}

/// Opens one after `delay`, and lets it be served.
pub(super) async fn stand_by<'a>(
    prober: &'a Prober,
    spec: &SocketSpec,
    learned: Option<&Learned>,
    delay: Duration,
    cut: &CancellationToken,
) -> Standing<'a> {
    sleep(delay).await;
    let pace = prober.accounts.of(spec.user.unwrap_or(0));
    // Where an instance takes few sockets, others may have to start first.
    match Dialogue::open(prober, spec, prober.timeouts.first_contact, cut).await {
        Err(unopened) => Standing::Unopened(unopened),
        Ok(mut dialogue) => {
            let came = dialogue.be_served(learned).await;
            Standing::Open { dialogue: Box::new(dialogue), came, prober, lost: None, pace }
        }
    }
}

impl Standing<'_> {
    /// Listens until the others are done with what they do, and says its heartbeat meanwhile, where it has one.
    pub(super) async fn stay(&mut self, over: &CancellationToken, own: Option<&OwnHeartbeat>) {
        let Self::Open { dialogue, came: came @ Came::Far, prober, lost, pace } = self else { return };
        let every = own.map_or(Duration::from_hours(24), |own| own.every);
        let mut next = Instant::now() + every;
        while let Some(heard) = over.run_until_cancelled(dialogue.hear(next)).await {
            let heard = match (heard, own) {
                (Heard::Nothing, Some(own)) if Instant::now() >= next && !dialogue.is_cut() => {
                    next = pace.next(Instant::now() + every);
                    pace.sent(Instant::now());
                    let text = dialogue.filled(&own.text);
                    dialogue.say(Message::text(text)).await.err().map(Heard::End)
                }
                (heard, _) => Some(heard),
            };
            match heard {
                Some(Heard::End(kind)) => {
                    *lost = Some(prober.now());
                    *came = Came::End(kind);
                    return;
                }
                Some(Heard::Nothing) => return,
                _ => {}
            }
        }
    }

    /// Whether it is still alive, and then goes.
    pub(super) async fn leave(self, learned: Option<&Learned>, again: bool) -> Bystander {
        let (mut dialogue, mut came, lost) = match self {
            Self::Unopened(observation) => {
                let observation = *observation;
                return Bystander { served: false, lost: None, pong: None, answered: None, observation };
            }
            Self::Open { dialogue, came, lost, .. } => (dialogue, came, lost),
        };
        let (mut pong, mut answered) = (None, None);
        let served = lost.is_some() || came == Came::Far;
        if came == Came::Far {
            let (came_back, heard) = dialogue.ping().await;
            pong = Some(came_back == Came::Far && heard);
            came = came_back;
        }
        if came == Came::Far && again {
            came = match dialogue.ask().await {
                Ok(()) => dialogue.be_answered(learned).await,
                Err(kind) => Came::End(kind),
            };
            answered = Some(came == Came::Far);
        }
        let observation = dialogue.leave(came, Phase::Hold).await;
        Bystander { served, lost, pong, answered, observation }
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
