//! One round: arm all, release together, hold the winners to the last verdict, close, read to the end.
//!
//! Takes a round's specification and gives the round. It opens no more sockets than it was told. The surprising rule:
//! nobody is closed until everybody is decided and a hold beyond that is over.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::expectation::Learned;
use super::observation::{Observation, Round, Stage};
use super::plan::{RoundSpec, SendAt};
use super::prober::Prober;
use super::socket::{Armed, Pending, arm, live};
use super::talk::{Decided, Reins};

/// What was learned goes on for so long after the answer.
const LEARNING_HOLD: Duration = Duration::from_millis(600);

/// How a round is run.
pub(super) struct Manner {
    /// When texts are sent.
    pub(super) send_at: SendAt,
    /// How long an opening may take.
    pub(super) opening_time: Duration,
    /// How long the sockets are held beyond the last answer.
    pub(super) hold: Duration,
}

impl Manner {
    /// The manner of a stage.
    pub(super) fn of(stage: Stage, prober: &Prober) -> Self {
        let times = &prober.timeouts;
        let listened = |first, quiet| SendAt::Listened { first, quiet };
        let (send_at, opening_time, hold) = match stage {
            // Nothing is known yet: a short look at what comes unasked, and a long hold.
            Stage::FirstContact => (
                listened(Duration::from_millis(500), Duration::from_millis(50)),
                times.first_contact,
                times.hold.max(Duration::from_secs(1)),
            ),
            Stage::Learning => (
                listened(Duration::from_secs(3), Duration::from_secs(1)),
                times.opening,
                times.hold.max(LEARNING_HOLD),
            ),
            Stage::Held => (SendAt::Greeted, times.opening, times.serves_hold),
            Stage::FirstMessage => (SendAt::Once, times.opening, times.hold),
            Stage::Control | Stage::Users | Stage::SameUser => (SendAt::Greeted, times.opening, times.hold),
        };
        Self { send_at, opening_time, hold }
    }
}

/// Runs one round. `decided` is told when the last socket has shown what is due, or cannot any more.
pub(super) async fn run_round(
    prober: Arc<Prober>,
    spec: RoundSpec,
    learned: Option<Arc<Learned>>,
    decided: oneshot::Sender<()>,
) -> Round {
    let manner = Manner::of(spec.stage, &prober);
    let started = prober.now();
    let arming = spec.sockets.iter().map(|socket| arm(&prober, socket, spec.number, manner.opening_time));
    let mut observations = Vec::new();
    let mut wires = Vec::new();
    let mut pending = Vec::new();
    for armed in join_all(arming).await {
        match armed {
            Ok(Armed { wire, last, pending: rest }) => {
                wires.push((wire, last));
                pending.push(rest);
            }
            Err(observation) => observations.push(*observation),
        }
    }
    let stamps = prober.releaser.release(&mut wires).await.stamps;
    let armed = wires.into_iter().map(|(wire, _)| wire).zip(pending).zip(stamps.iter().copied());
    observations.extend(hold_all(&prober, armed.collect(), learned, &manner, decided).await);
    observations.sort_by_key(|observation| observation.socket);
    Round {
        stage: spec.stage,
        number: spec.number,
        quiet: spec.quiet,
        started,
        ended: prober.now(),
        release_spread: spread(&stamps),
        observations,
    }
}

type Released = ((super::transport::Wire, Pending), Option<Instant>);

/// Lets every released socket live until all are decided and the hold is over.
async fn hold_all(
    prober: &Arc<Prober>,
    sockets: Vec<Released>,
    learned: Option<Arc<Learned>>,
    manner: &Manner,
    decided: oneshot::Sender<()>,
) -> Vec<Observation> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (close, closing) = watch::channel(false);
    let mut lives = JoinSet::new();
    for ((wire, rest), released) in sockets {
        let reins = Reins {
            send_at: manner.send_at,
            decided: Decided::new(tell.clone()),
            close: closing.clone(),
            opening_time: manner.opening_time,
        };
        let (prober, learned) = (Arc::clone(prober), learned.clone());
        lives.spawn(async move { live(&prober, wire, rest, released, learned.as_deref(), reins).await });
    }
    drop(tell);
    let mut undecided = lives.len();
    while undecided > 0 && told.recv().await.is_some() {
        undecided -= 1;
    }
    let _ = decided.send(());
    sleep(manner.hold).await;
    let _ = close.send(true);
    let mut observations = Vec::new();
    while let Some(life) = lives.join_next().await {
        match life {
            Ok(observation) => observations.push(observation),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        }
    }
    observations
}

/// Nanoseconds from the first to the last release.
fn spread(stamps: &[Option<Instant>]) -> Option<u64> {
    let mut released = stamps.iter().flatten();
    let first = released.next()?;
    let last = released.next_back()?;
    u64::try_from(last.duration_since(*first).as_nanos()).ok()
}
