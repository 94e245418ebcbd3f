//! One round: arm all, release together, hold the winners to the last verdict, close, read to the end.
//!
//! Takes a round's specification and gives the round. It opens no more sockets than it was told. The surprising rule:
//! nobody is closed until everybody is decided and a hold beyond that is over.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, select_all};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::learned::Learned;
use super::observation::{Company, Freeze, Observation, Round, Stage, in_microseconds};
use super::plan::SendAt;
use super::prober::Prober;
use super::release::{Means, Released, socket_of};
use super::socket::{Armed, Pending, arm, live};
use super::spec::{RoundSpec, SocketSpec, Start};
use super::talk::{Closing, Decided, Reins};
use super::transport::Wire;

/// What was learned goes on for so long after the answer.
const LEARNING_HOLD: Duration = Duration::from_millis(600);
/// How long a socket that sends nothing is listened to, at the least.
const LISTENING_TIME: Duration = Duration::from_secs(4);
/// How long a socket that learns what answers waits for a first frame, and for another, before it sends: as long as
/// handlers take to be attached, with room, and beyond the last thing that came of itself elsewhere.
const FIRST_FRAME: Duration = Duration::from_secs(1);
const NEXT_FRAME: Duration = Duration::from_millis(500);

/// The heads of a round's requests are not waited for any longer (an acknowledgement may be delayed by 40 ms).
const UNDER_WAY: Duration = Duration::from_millis(5);
/// On a path shorter than this they are there at once.
const SHORT_PATH: Duration = Duration::from_millis(1);

/// Most frozen rounds with nothing else open go by in quick succession.
const FROZEN_HOLD: Duration = Duration::from_millis(20);
/// One of them in so many is held for the full time, beginning with the first: who is closed some time after the answer is
/// seen only there.
const HELD_EVERY: u32 = 3;
/// In one frozen round of so many, the server's threads go on on different cores; in the others all on one.
const DEALT_EVERY: u32 = 2;
/// One frozen round in so many proves that the server is silent while it is stopped, beginning with the first.
const PROVED_EVERY: u32 = 16;
/// How long such a server must be silent: more than any answer takes.
const SILENT_FOR: Duration = Duration::from_millis(50);

/// How a round is run.
pub(super) struct Manner {
    /// When texts are sent.
    pub(super) send_at: SendAt,
    /// How long an opening may take.
    pub(super) opening_time: Duration,
    /// How long the sockets are held beyond the last answer.
    pub(super) hold: Duration,
    /// The server is stopped while they are let go.
    pub(super) freeze: bool,
}

impl Manner {
    /// The manner of a round.
    pub(super) fn of(spec: &RoundSpec, prober: &Prober, learned: Option<&Learned>) -> Self {
        let stage = spec.stage;
        let times = &prober.timeouts;
        let listened = |first, quiet| SendAt::Listened { first, quiet };
        let (send_at, opening_time, hold) = match stage {
            // Nothing is known yet: a short look at what comes unasked, and a long hold.
            Stage::FirstContact => (
                listened(Duration::from_millis(500), Duration::from_millis(50)),
                times.first_contact,
                times.hold.max(Duration::from_secs(1)),
            ),
            Stage::Learning => {
                let settled = Duration::from_micros(learned.map_or(0, |learned| learned.settled));
                let send_at = listened(FIRST_FRAME + settled, NEXT_FRAME + settled);
                (send_at, times.opening, times.hold.max(LEARNING_HOLD))
            }
            Stage::Listening => {
                let talked = Duration::from_micros(learned.map_or(0, |learned| learned.talked));
                (SendAt::Never { least: LISTENING_TIME.max(2 * talked) }, times.opening, Duration::ZERO)
            }
            Stage::Held => (SendAt::Greeted, times.opening, times.serves_hold),
            Stage::FirstMessage => (SendAt::Once, times.opening, times.hold),
            Stage::Cold => {
                let unknown = listened(Duration::from_millis(500), Duration::from_millis(50));
                let send_at = if learned.is_some() { SendAt::Greeted } else { unknown };
                (send_at, times.first_contact, times.hold)
            }
            Stage::FrozenUsers | Stage::FrozenSameUser if is_brief(spec) => {
                (SendAt::Greeted, times.opening, times.hold.min(FROZEN_HOLD))
            }
            _ => (SendAt::Greeted, times.opening, times.hold),
        };
        let freeze =
            prober.freezer.is_some() && !matches!(stage, Stage::Learning | Stage::Listening | Stage::Held);
        Self { send_at, opening_time, hold, freeze }
    }
}

/// True for a frozen round that is held for a moment only: by its company and number, so that it can be repeated.
fn is_brief(spec: &RoundSpec) -> bool {
    spec.company == Company::Alone && spec.number % HELD_EVERY != 1
}

/// Runs one round: armed at once, released when `go` says so (or its sender is gone). `decided` is told when the last
/// socket has shown what is due, or cannot any more. When `cut` is cancelled, whatever is not over by then ends.
pub(super) async fn run_round(
    prober: Arc<Prober>,
    spec: RoundSpec,
    learned: Option<Arc<Learned>>,
    go: oneshot::Receiver<()>,
    decided: oneshot::Sender<()>,
    cut: CancellationToken,
) -> Round {
    let manner = Manner::of(&spec, &prober, learned.as_deref());
    let start = spec.start();
    let started = prober.now();
    let mut hold = Hold::new(prober, learned, manner, spec.number, cut);
    let armed = hold.arm(&spec.sockets).await;
    let settled = Instant::now() + under_way(&armed);
    let _ = go.await;
    let _ = hold.cut.run_until_cancelled(sleep_until(settled)).await;
    // Boxed, so that a round that is only held does not keep the room that its release took.
    let stamps = match start {
        Start::Together => Box::pin(hold.together(armed, None)).await,
        Start::Apart(delay) => Box::pin(hold.together(armed, Some(delay))).await,
        Start::Reconnect => Box::pin(hold.reconnect(armed)).await,
    };
    hold.end(decided).await;
    let Hold { means, frozen, over: mut observations, .. } = hold;
    observations.sort_by_key(|observation| observation.socket);
    Round {
        stage: spec.stage,
        number: spec.number,
        company: spec.company,
        delay: match start {
            Start::Apart(delay) => u64::try_from(delay.as_micros()).ok(),
            Start::Together | Start::Reconnect => None,
        },
        started,
        frozen,
        ended: observations.iter().map(|observation| observation.timeline.ended).max().unwrap_or(started),
        means: means.filter(|_| start == Start::Together && stamps.len() > 1),
        release_spread: if start == Start::Together { spread(&stamps) } else { None },
        late: None,
        observations,
    }
}

/// How long the heads of the requests are still under way when the last one was written: as long as it took to connect.
/// A last byte that overtakes nothing finds a server that waits for it, and not one that reads heads.
fn under_way(armed: &[Armed]) -> Duration {
    let connecting = armed.iter().filter_map(|armed| {
        let times = &armed.pending.life.observation.timeline;
        Some(Duration::from_micros(times.connected?.saturating_sub(times.began)))
    });
    let longest = connecting.max().unwrap_or_default();
    // Shorter than a timer can wait, they are there already.
    if longest < SHORT_PATH { Duration::ZERO } else { longest.min(UNDER_WAY) }
}

type Stamps = Vec<Option<Instant>>;

/// The sockets of a round from their release to their end.
struct Hold {
    prober: Arc<Prober>,
    learned: Option<Arc<Learned>>,
    manner: Manner,
    number: u32,
    means: Option<Means>,
    frozen: Option<Freeze>,
    close: watch::Sender<Closing>,
    cut: CancellationToken,
    lives: JoinSet<Box<Observation>>,
    over: Vec<Observation>,
}

impl Hold {
    fn new(
        prober: Arc<Prober>,
        learned: Option<Arc<Learned>>,
        manner: Manner,
        number: u32,
        cut: CancellationToken,
    ) -> Self {
        let close = watch::Sender::new(Closing::NotYet);
        let (means, frozen, lives, over) = (None, None, JoinSet::new(), Vec::new());
        Self { prober, learned, manner, number, means, frozen, close, cut, lives, over }
    }

    /// Arms all; those that did not come so far are over.
    async fn arm(&mut self, sockets: &[SocketSpec]) -> Vec<Armed> {
        let opening_time = self.manner.opening_time;
        let arming =
            sockets.iter().map(|socket| arm(&self.prober, socket, self.number, opening_time, &self.cut));
        let mut armed = Vec::new();
        for result in join_all(arming).await {
            match result {
                Ok(socket) => armed.push(socket),
                Err(observation) => self.over.push(*observation),
            }
        }
        armed
    }

    /// Releases all, the second `delay` after the first where there is one, and waits until all are decided.
    async fn together(&mut self, armed: Vec<Armed>, delay: Option<Duration>) -> Stamps {
        let (mut wires, rest): (Vec<_>, Vec<_>) =
            armed.into_iter().map(|armed| ((armed.wire, armed.last), armed.pending)).unzip();
        let (tell, told) = mpsc::unbounded_channel();
        let mut stamps = Vec::new();
        if let (Some(delay), [first, others @ ..]) = (delay, wires.as_mut_slice()) {
            // The first one lives only once the second is gone too: reading its answer would shift the delay.
            stamps.extend(self.release(std::slice::from_mut(first)).await);
            wait_precisely(delay).await;
            stamps.extend(self.release(others).await);
        } else {
            stamps = self.release(&mut wires).await;
        }
        for (((wire, _), rest), released) in wires.into_iter().zip(rest).zip(stamps.iter().copied()) {
            self.live(wire, rest, released, &tell, self.close.subscribe());
        }
        drop(tell);
        await_all(told).await;
        stamps
    }

    /// The first alone until it is served; then it is dropped without a word, and the others go at that instant.
    async fn reconnect(&mut self, armed: Vec<Armed>) -> Stamps {
        let mut armed = armed.into_iter();
        let mut stamps = Vec::new();
        let leave = watch::Sender::new(Closing::NotYet);
        if let Some(Armed { wire, last, pending }) = armed.next() {
            let (tell, told) = mpsc::unbounded_channel();
            let mut wires = [(wire, last)];
            let released = self.release(&mut wires).await.into_iter().next().flatten();
            let [(wire, _)] = wires;
            stamps.push(released);
            self.live(wire, pending, released, &tell, leave.subscribe());
            drop(tell);
            await_all(told).await;
        }
        let (mut wires, rest): (Vec<_>, Vec<_>) =
            armed.map(|armed| ((armed.wire, armed.last), armed.pending)).unzip();
        let (tell, told) = mpsc::unbounded_channel();
        let _ = leave.send(Closing::Abruptly);
        // Its socket is gone when its task is over. Whom this thread has just woken it runs next, so that this takes
        // microseconds; where another thread has taken it, a wake-up more.
        self.join_one().await;
        let released = self.release(&mut wires).await;
        for (((wire, _), rest), released) in wires.into_iter().zip(rest).zip(released.iter().copied()) {
            self.live(wire, rest, released, &tell, self.close.subscribe());
        }
        stamps.extend(released);
        drop(tell);
        await_all(told).await;
        stamps
    }

    /// Lets armed sockets go; keeps by which means.
    async fn release(&mut self, wires: &mut [(Wire, u8)]) -> Stamps {
        let dealt = self.number.is_multiple_of(DEALT_EVERY);
        let freezer = self.prober.freezer.as_ref().filter(|_| self.manner.freeze);
        let frozen = match freezer {
            Some(freezer) => Some(freezer.freeze(dealt).await),
            None => None,
        };
        let Released { stamps, means } = self.prober.releaser.release(wires).await;
        self.means = Some(means);
        if let Some(frozen) = frozen {
            let proves = self.number % PROVED_EVERY == 1;
            let spoke = proves && speaks_within(wires, SILENT_FOR).await;
            let lasted = in_microseconds(frozen.since.elapsed());
            self.frozen = Some(Freeze { stopped: frozen.stopped, spoke, dealt, lasted });
        }
        stamps
    }

    fn live(
        &mut self,
        wire: Wire,
        rest: Box<Pending>,
        released: Option<Instant>,
        tell: &mpsc::UnboundedSender<()>,
        close: watch::Receiver<Closing>,
    ) {
        let reins = Box::new(Reins {
            send_at: self.manner.send_at,
            decided: Decided::new(tell.clone()),
            close,
            cut: self.cut.clone(),
            opening_time: self.manner.opening_time,
        });
        let (prober, learned) = (Arc::clone(&self.prober), self.learned.clone());
        self.lives.spawn(live(prober, wire, rest, released, learned, reins));
    }

    /// Holds what is open, closes it cleanly and reads it to the end.
    async fn end(&mut self, decided: oneshot::Sender<()>) {
        if let Some(freezer) = self.prober.freezer.as_ref().filter(|_| self.frozen.is_some()) {
            freezer.unbind();
        }
        let _ = decided.send(());
        let _ = self.cut.run_until_cancelled(sleep(self.manner.hold)).await;
        let kept = self.prober.ballast.is_some();
        let _ = self.close.send(if kept { Closing::Kept } else { Closing::Cleanly });
        while self.join_one().await {}
    }

    /// Waits until one of its sockets is over; false when none is left.
    async fn join_one(&mut self) -> bool {
        match self.lives.join_next().await {
            None => return false,
            Some(Ok(observation)) => self.over.push(*observation),
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Some(Err(_)) => {}
        }
        true
    }
}

/// True when a byte comes on one of these sockets, or it ends, within a time.
async fn speaks_within(wires: &[(Wire, u8)], time: Duration) -> bool {
    let sockets = wires.iter().map(|(wire, _)| {
        Box::pin(async move {
            let _ = socket_of(wire).peek(&mut [0]).await;
        })
    });
    let sockets: Vec<_> = sockets.collect();
    !sockets.is_empty() && timeout(time, select_all(sockets)).await.is_ok()
}

/// Waits until every socket has told that it is decided: each tells once and then lets go of its sender.
async fn await_all(mut told: mpsc::UnboundedReceiver<()>) {
    while told.recv().await.is_some() {}
}

/// Sleeps for what the timer can measure, and spins for the rest.
async fn wait_precisely(delay: Duration) {
    /// The timer's grain, with room.
    const GRAIN: Duration = Duration::from_millis(3);
    let until = Instant::now() + delay;
    sleep(delay.saturating_sub(GRAIN)).await;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// Nanoseconds from the first to the last release.
fn spread(stamps: &[Option<Instant>]) -> Option<u64> {
    let released: Vec<Instant> = stamps.iter().flatten().copied().collect();
    let (first, last) = (released.iter().min()?, released.iter().max()?);
    if released.len() < 2 {
        return None;
    }
    u64::try_from(last.duration_since(*first).as_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::super::line::Line;
    use super::super::socket::READ_AT_ONCE;
    use super::*;

    /// What a function gives that takes six arguments, as a size in bytes.
    fn size_of_result<A, B, C, D, E, F, R>(_: fn(A, B, C, D, E, F) -> R) -> usize {
        size_of::<R>()
    }

    #[test]
    fn a_single_socket_that_is_held_takes_little_memory() {
        let tasks = size_of_result(run_round) + size_of_result(live);
        let values = size_of::<Line<'_>>() + size_of::<Observation>() + READ_AT_ONCE;
        assert!(tasks < 1536, "the tasks of a round and of its socket: {tasks} bytes");
        assert!(values < 1792, "what is kept besides: {values} bytes");
    }

    #[test]
    fn a_third_of_the_frozen_rounds_is_held_for_the_full_time_beginning_with_the_first() {
        let brief = |company, number| {
            is_brief(&RoundSpec { stage: Stage::FrozenUsers, number, company, sockets: Vec::new() })
        };
        assert!(!brief(Company::Alone, 1));
        for first in 1..300 {
            assert!((first..first + 3).any(|number| !brief(Company::Alone, number)), "from round {first}");
        }
        assert!((1..300).all(|number| !brief(Company::Quiet, number)));
    }
}
