//! Bad frames, one a socket and each kind several times, beside sockets of other users that must not suffer from them.
//!
//! Takes the settings and gives what was seen of each socket, with the times. It judges nothing. The surprising rule: one
//! socket first shows whether a second message on it is answered at all, since a server that answers once may rightly be
//! silent when a bystander asks again.

use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::super::dialogue::{Dialogue, Heard};
use super::super::expectation::Declared;
use super::super::learned::Learned;
use super::super::observation::{Observation, Phase, in_microseconds};
use super::super::prober::Prober;
use super::super::series::Series;
use super::super::served::Came;
use super::super::spec::SocketSpec;
use super::bystander::{Bystander, Standing, stand_by};
use crate::config::{BadFrame, FramesSettings};

/// How long a server may take to react before the next proper message is sent.
const REACTION_TIME: Duration = Duration::from_secs(1);
/// Between two tries, so that a bystander's end can be told to be of the one before.
const PAUSE: Duration = Duration::from_millis(200);

/// What was seen of sockets with bad frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FramesSeen {
    /// What the configuration declares.
    pub declared: Declared,
    /// Codes with which a healthy server may close a socket that it has served.
    pub closes: Vec<u16>,
    /// How long an answer, or an end, was waited for, in milliseconds.
    pub patience_ms: u64,
    /// The largest message that the service states to take, in bytes.
    pub largest: Option<u64>,
    /// A socket with nothing bad on it, before all others.
    pub good: Observation,
    /// Whether its second message was answered, too.
    pub answers_again: bool,
    /// How often each kind was to be sent.
    #[serde(default = "once")]
    pub tries: u32,
    /// One for each try, kind after kind.
    pub bad: Vec<BadFrameSeen>,
    /// The sockets of other users, in their order: new ones for each kind.
    pub bystanders: Vec<Bystander>,
    /// Kinds that could not be sent: there is no usual message that could be cut into fragments.
    pub left_out: Vec<BadFrame>,
    /// The age at which the revision ends every request, in milliseconds; `None` where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_timeout_ms: Option<u64>,
    /// The run was over before all were sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// Records of before there was more than one try.
fn once() -> u32 {
    1
}

/// What was seen of one socket with a bad frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BadFrameSeen {
    /// What was sent.
    pub kind: BadFrame,
    /// False where the socket did not get so far that it could be sent.
    pub sent: bool,
    /// A frame or the end came within a second.
    pub reacted: bool,
    /// The next proper message was answered; where there is none, a ping was.
    pub answered: bool,
    /// Pongs that came.
    pub pongs: u32,
    /// Microseconds since the start of the run.
    pub began: u64,
    /// When the bad frame went out, in microseconds since the start of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad_at: Option<u64>,
    /// Microseconds since the start of the run.
    pub ended: u64,
    /// Its socket.
    pub observation: Observation,
}

/// Sends each of the bad frames; `request_timeout` is the age at which the revision ends every request.
pub async fn send_bad_frames(
    prober: &Prober,
    settings: &FramesSettings,
    learned: Option<&Learned>,
    request_timeout: Option<Duration>,
    series: &mut Series,
    cut: &CancellationToken,
) -> FramesSeen {
    let (good, again) = reference(prober, &series.socket(Some(0)), learned, cut).await;
    // What bad frames do shows nothing where a good one is not served: the server is left in peace.
    let kinds = again.map_or(&[][..], |_| &settings.kinds[..]);
    let answers_again = again == Some(true);
    let trying = Trying { prober, settings, learned, answers_again, cut };
    let (mut bad, mut bystanders) = (Vec::new(), Vec::new());
    for kind in kinds.iter().copied().filter(|kind| is_possible(*kind, prober)) {
        let mut left = settings.tries;
        while left > 0 && !cut.is_cancelled() {
            let tries = settings.together(kind).min(left);
            // Boxed, so that what is not under way takes no room.
            let (seen, others) = Box::pin(trying.together(kind, tries, series)).await;
            left = if seen.last().is_some_and(BadFrameSeen::has_shown_all) { 0 } else { left - tries };
            bad.extend(seen);
            bystanders.extend(others);
        }
    }
    let milliseconds = |time: Duration| in_microseconds(time) / 1000;
    FramesSeen {
        declared: prober.declared(),
        closes: prober.conversation.closes.clone(),
        patience_ms: milliseconds(prober.timeouts.answer),
        largest: settings.largest.and_then(|largest| u64::try_from(largest).ok()),
        tries: settings.tries,
        good,
        answers_again,
        bad,
        bystanders,
        left_out: settings.kinds.iter().copied().filter(|kind| !is_possible(*kind, prober)).collect(),
        request_timeout_ms: request_timeout.map(milliseconds),
        cut: cut.is_cancelled(),
    }
}

/// What all tries have in common.
#[derive(Clone, Copy)]
struct Trying<'a> {
    prober: &'a Prober,
    settings: &'a FramesSettings,
    learned: Option<&'a Learned>,
    answers_again: bool,
    cut: &'a CancellationToken,
}

impl<'a> Trying<'a> {
    /// So many tries of a kind, beside the same sockets of other users.
    async fn together(
        self,
        kind: BadFrame,
        tries: u32,
        series: &mut Series,
    ) -> (Vec<BadFrameSeen>, Vec<Bystander>) {
        let Self { prober, settings, learned, cut, .. } = self;
        let others = settings.bystanders as usize;
        let others: Vec<SocketSpec> = (0..others).map(|index| series.socket(Some(index + 1))).collect();
        let tries: Vec<SocketSpec> = (0..tries).map(|_| series.socket(Some(0))).collect();
        let messages = prober.messages_of_socket() + settings.messages_of(kind) as usize;
        // A minute is waited for before there is anybody who would have to wait as well, and grow too old.
        prober.room(&tries, messages, cut).await;
        let mut standing = self.stand_by(&others).await;
        let mut bad = Vec::new();
        for spec in &tries {
            if cut.is_cancelled() {
                break;
            }
            let seen = Box::pin(self.beside(&mut standing, self.once(kind, spec, messages))).await;
            let shown = seen.has_shown_all();
            bad.push(seen);
            if shown {
                break;
            }
        }
        let leaving = standing.into_iter().map(|standing| standing.leave(learned, self.answers_again));
        (bad, join_all(leaving).await)
    }

    /// Opens sockets of other users, one after the other.
    async fn stand_by(self, others: &[SocketSpec]) -> Vec<Standing<'a>> {
        let Self { prober, learned, cut, .. } = self;
        // The second message of each, in the end, has its place already.
        prober.turn(others, prober.messages_of_socket() + 1, cut).await;
        let apart = self.apart();
        let standing =
            others.iter().zip(1..).map(|(spec, turn)| stand_by(prober, spec, learned, apart * turn, cut));
        let standing = join_all(standing).await;
        self.pause(apart).await;
        standing
    }

    /// Does something while others are listened to, and then looks whether they are alive.
    async fn beside<T>(self, standing: &mut [Standing<'_>], work: impl Future<Output = T>) -> T {
        let over = CancellationToken::new();
        let work = async {
            let done = work.await;
            over.cancel();
            done
        };
        let own = self.settings.own_heartbeat.as_ref();
        let staying = join_all(standing.iter_mut().map(|standing| standing.stay(&over, own)));
        let (done, _) = tokio::join!(work, staying);
        if self.settings.pings_bystanders() {
            join_all(standing.iter_mut().map(Standing::look)).await;
        }
        done
    }

    /// One socket with a bad frame, on which so much is said; and the pause behind it.
    async fn once(self, kind: BadFrame, spec: &SocketSpec, messages: usize) -> BadFrameSeen {
        self.prober.turn(std::slice::from_ref(spec), messages, self.cut).await;
        let began = self.prober.now();
        let seen = self.misbehave(kind, spec).await;
        self.pause(PAUSE.max(self.apart())).await;
        BadFrameSeen { began, ..seen }
    }

    /// Waits, unless the run is over.
    async fn pause(self, time: Duration) {
        let _ = self.cut.run_until_cancelled(sleep(time)).await;
    }

    /// Between two openings.
    fn apart(self) -> Duration {
        Duration::from_secs(1) / self.settings.pace.max(1)
    }

    /// One socket: greeted, then a bad frame, then a proper message.
    async fn misbehave(self, kind: BadFrame, spec: &SocketSpec) -> BadFrameSeen {
        let Self { prober, settings, learned, cut, .. } = self;
        let seen = |sent, observation| BadFrameSeen {
            kind,
            sent,
            reacted: false,
            answered: false,
            pongs: 0,
            began: 0,
            bad_at: None,
            ended: prober.now(),
            observation,
        };
        let mut dialogue = match Dialogue::open(prober, spec, prober.timeouts.opening, cut).await {
            Err(unopened) => return seen(false, *unopened),
            Ok(dialogue) => dialogue,
        };
        let ready = match kind {
            BadFrame::HalfClose => dialogue.be_served(learned).await,
            _ => dialogue.be_greeted(learned).await,
        };
        if ready != Came::Far {
            return seen(false, dialogue.leave(ready, Phase::Greeting).await);
        }
        let (mut reacted, mut pongs, bad_at) = (false, 0, Some(prober.now()));
        let came = match dialogue.commit(kind, settings).await {
            Err(end) => Came::End(end),
            Ok(()) => react(&mut dialogue, kind, learned, &mut reacted, &mut pongs).await,
        };
        let answered = came == Came::Far;
        // What is due after a half-close is the end, and no answer.
        let phase = if answered { Phase::Hold } else { Phase::Answer };
        let ended = prober.now();
        let observation = dialogue.leave(came, phase).await;
        BadFrameSeen { reacted, answered, pongs, bad_at, ended, ..seen(true, observation) }
    }
}

impl BadFrameSeen {
    /// True for a try that need not be repeated: its socket never got so far, or neither answered nor ended within all the
    /// patience, which takes long and is judged by itself.
    fn has_shown_all(&self) -> bool {
        let ended = self.observation.end.as_ref().is_some_and(|end| end.phase != Phase::Closing);
        !self.sent || !(self.answered || ended)
    }
}

fn is_possible(kind: BadFrame, prober: &Prober) -> bool {
    kind != BadFrame::Fragments || prober.declared().send
}

/// A socket with nothing bad on it, and whether its second message is answered; `None` where not even its first is.
async fn reference(
    prober: &Prober,
    spec: &SocketSpec,
    learned: Option<&Learned>,
    cut: &CancellationToken,
) -> (Observation, Option<bool>) {
    prober.turn(std::slice::from_ref(spec), prober.messages_of_socket() + 1, cut).await;
    let mut dialogue = match Dialogue::open(prober, spec, prober.timeouts.opening, cut).await {
        Err(unopened) => return (*unopened, None),
        Ok(dialogue) => dialogue,
    };
    let came = dialogue.be_served(learned).await;
    if came != Came::Far || !prober.declared().send {
        let again = (came == Came::Far).then_some(false);
        return (dialogue.leave(came, Phase::Answer).await, again);
    }
    // What becomes of the second message is no part of what was seen: it is no healthy client's to send it.
    let served = dialogue.seen().clone();
    let again = match dialogue.ask().await {
        Ok(()) => dialogue.be_answered(learned).await,
        Err(kind) => Came::End(kind),
    };
    let answered = again == Came::Far;
    let left = dialogue.leave(again, Phase::Closing).await;
    (if answered { left } else { served }, Some(answered))
}

/// What the server does about it, and then with a proper message.
async fn react(
    dialogue: &mut Dialogue<'_>,
    kind: BadFrame,
    learned: Option<&Learned>,
    reacted: &mut bool,
    pongs: &mut u32,
) -> Came {
    if kind == BadFrame::Fragments {
        return dialogue.be_answered(learned).await;
    }
    let until =
        Instant::now() + if kind == BadFrame::HalfClose { dialogue.answer_time() } else { REACTION_TIME };
    loop {
        match dialogue.hear(until).await {
            Heard::End(end) => {
                *reacted = true;
                return Came::End(end);
            }
            Heard::Pong(_) => *pongs += 1,
            Heard::Nothing => break,
            // What comes during a flood may be anything; behind a half-close only the end is of interest.
            Heard::Message(..) if matches!(kind, BadFrame::PingFlood | BadFrame::HalfClose) => {}
            Heard::Message(..) => {
                *reacted = true;
                break;
            }
        }
    }
    if kind == BadFrame::HalfClose || dialogue.is_cut() {
        return Came::Short;
    }
    if !dialogue.declared().send {
        let (came, heard) = dialogue.ping().await;
        return if came == Came::Far && !heard { Came::Short } else { came };
    }
    match dialogue.ask().await {
        Ok(()) => dialogue.be_answered(learned).await,
        Err(end) => Came::End(end),
    }
}
