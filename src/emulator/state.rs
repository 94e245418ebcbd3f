//! All that the emulator knows, behind one lock.
//!
//! The lock is never held across an await; who waits for a change subscribes to `changes`. Answers, routing and
//! reconciling all read this one truth, so that they cannot contradict each other by accident, only by fault.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::sync::{broadcast, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    clock::Clock,
    faults::Faults,
    logging::Journal,
    model::{Operation, Service},
    options::{ApiRequest, EmulatorOptions, LogLine},
};

/// Requests kept for [`Emulator::requests`](super::Emulator::requests).
const REQUESTS_KEPT: usize = 100_000;
/// Log lines that a slow listener may lag behind.
const LOG_LAG: usize = 4096;

/// The emulator's insides, shared by all its tasks.
#[derive(Debug)]
pub(crate) struct World {
    /// What it was told at the start.
    pub(crate) options: EmulatorOptions,
    /// Its clock.
    pub(crate) clock: Arc<Clock>,
    /// Cancelled when everything is to end.
    pub(crate) stop: CancellationToken,
    /// All tasks, so that the end can be awaited.
    pub(crate) tasks: TaskTracker,
    /// Ticks with each change of the state.
    pub(crate) changes: watch::Sender<u64>,
    /// The log entries.
    pub(crate) journal: Arc<Journal>,
    /// Every log line.
    pub(crate) log_lines: broadcast::Sender<LogLine>,
    state: Mutex<State>,
}

/// What changes.
#[derive(Debug)]
pub(crate) struct State {
    /// By short name.
    pub(crate) services: BTreeMap<String, Service>,
    /// By id.
    pub(crate) operations: BTreeMap<String, Operation>,
    /// In force now.
    pub(crate) faults: Faults,
    /// What reached the API.
    pub(crate) requests: Vec<ApiRequest>,
    /// Names, ids and draws.
    pub(crate) rng: StdRng,
}

impl World {
    /// An empty world.
    pub(crate) fn new(options: EmulatorOptions) -> Self {
        let state = State {
            services: BTreeMap::new(),
            operations: BTreeMap::new(),
            faults: options.faults.clone(),
            requests: Vec::new(),
            rng: StdRng::seed_from_u64(options.seed),
        };
        let clock = Arc::new(Clock::new(options.started_at));
        Self {
            journal: Arc::new(Journal::new(Arc::clone(&clock), &options.project, &options.region)),
            clock,
            options,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            changes: watch::Sender::new(0),
            log_lines: broadcast::Sender::new(LOG_LAG),
            state: Mutex::new(state),
        }
    }

    /// The state, locked.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody who waits that something has changed.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// 32 hexadecimal digits for a page of the platform.
    pub(crate) fn trace(&self) -> String {
        self.lock().hex(32)
    }

    /// `projects/P/locations/L`
    pub(crate) fn location(&self) -> String {
        format!("projects/{}/locations/{}", self.options.project, self.options.region)
    }
}

/// Draws true with this probability; what is no number is never, and all of it is always.
pub(crate) fn draw(rng: &mut StdRng, rate: f64) -> bool {
    rate >= 1.0 || (rate > 0.0 && rng.random_bool(rate))
}

impl State {
    /// Keeps a request for later inspection.
    pub(crate) fn remember(&mut self, request: ApiRequest) {
        if self.requests.len() < REQUESTS_KEPT {
            self.requests.push(request);
        }
    }

    /// `digits` random hexadecimal digits.
    pub(crate) fn hex(&mut self, digits: usize) -> String {
        (0..digits).fold(String::new(), |mut text, _| {
            let _ = write!(text, "{:x}", self.rng.random_range(0..16_u8));
            text
        })
    }

    /// A random UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let hex = self.hex(31);
        let (variant, node) = (&hex[16..19], &hex[19..]);
        format!("{}-{}-4{}-a{variant}-{node}", &hex[..8], &hex[8..12], &hex[12..15])
    }

    /// Three letters, as at the end of a revision's name.
    pub(crate) fn suffix(&mut self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz";
        (0..3).map(|_| char::from(LETTERS[self.rng.random_range(0..LETTERS.len())])).collect()
    }
}
