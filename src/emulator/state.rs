//! All that the emulator knows, behind one lock.
//!
//! The lock is never held across an await; who waits for a change subscribes to `changes`. Answers, routing and
//! reconciling all read this one truth, so that they cannot contradict each other by accident, only by fault.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    clock::Clock,
    faults::Faults,
    front::{Entrance, listen},
    logging::Journal,
    model::{Operation, Problem, Service},
    options::{ApiRequest, EmulatorOptions, LogLine},
};

/// The number of the project, whatever its id.
pub(crate) const PROJECT_NUMBER: &str = "123456789012";
/// Requests kept for [`Emulator::requests`](super::Emulator::requests); the oldest go first.
const REQUESTS_KEPT: usize = 10_000;
/// Operations kept after their end; the oldest go first.
const OPERATIONS_KEPT: usize = 1000;
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
    clock: Arc<Clock>,
    /// By short name: each service as it was before its last write, and since when it is another.
    earlier: BTreeMap<String, (Instant, Service)>,
    /// By id.
    pub(crate) operations: BTreeMap<String, Operation>,
    /// The ids of those that have ended, in that order.
    ended: VecDeque<String>,
    /// The ports that stand for names of run.app, also of services that are gone and may come again.
    pub(crate) ports: Ports,
    /// In force now.
    pub(crate) faults: Faults,
    /// What reached the API.
    pub(crate) requests: VecDeque<ApiRequest>,
    /// Names, ids and draws.
    pub(crate) rng: StdRng,
}

/// The ports of all services and tags that there ever were.
#[derive(Debug, Default)]
pub(crate) struct Ports(BTreeMap<(String, Option<String>), u16>);

impl Ports {
    /// The port that stands for an entrance, opened where there is none yet.
    pub(crate) fn of(&mut self, world: &Arc<World>, entrance: Entrance) -> io::Result<u16> {
        let key = (entrance.service.clone(), entrance.tag.clone());
        if let Some(port) = self.0.get(&key) {
            return Ok(*port);
        }
        let port = listen(world, entrance)?;
        self.0.insert(key, port);
        Ok(port)
    }
}

impl World {
    /// An empty world.
    pub(crate) fn new(options: EmulatorOptions) -> Self {
        let clock = Arc::new(Clock::new(options.started_at, options.speed));
        let state = State {
            clock: Arc::clone(&clock),
            services: BTreeMap::new(),
            earlier: BTreeMap::new(),
            operations: BTreeMap::new(),
            ended: VecDeque::new(),
            ports: Ports::default(),
            faults: options.faults.clone(),
            requests: VecDeque::new(),
            rng: StdRng::seed_from_u64(options.seed),
        };
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
        if self.requests.len() == REQUESTS_KEPT {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
    }

    /// Keeps a service as it is right before a write, where reads are to be stale.
    pub(crate) fn keep(&mut self, service: &Service) {
        if !self.faults.stale_reads_for.is_zero() && service.generation > 0 {
            self.earlier.insert(service.name.clone(), (Instant::now(), service.clone()));
        }
    }

    /// A service as a read shows it: as it is, or, by the fault, as it was before its last write.
    pub(crate) fn shown(&self, name: &str) -> Option<&Service> {
        let is_stale = |since| self.clock.since(since) < self.faults.stale_reads_for;
        let stale = self.earlier.get(name).filter(|(since, _)| is_stale(*since));
        stale.map(|(_, service)| service).or_else(|| self.services.get(name))
    }

    /// All services as a list shows them.
    pub(crate) fn all_shown(&self) -> impl Iterator<Item = &Service> {
        self.services.keys().filter_map(|name| self.shown(name))
    }

    /// Opens an operation on a service, or on one of its revisions; gives its id.
    pub(crate) fn open_operation(&mut self, service: &str, revision: Option<&str>) -> String {
        let id = self.uuid();
        let (service, revision) = (service.to_owned(), revision.map(str::to_owned));
        let operation = Operation { service, revision, done: false, error: None, last: None };
        self.operations.insert(id.clone(), operation);
        id
    }

    /// Ends an operation, with why it failed and with what is gone by it.
    pub(crate) fn end_operation(&mut self, id: &str, error: Option<Problem>, last: Option<Service>) {
        let Some(operation) = self.operations.get_mut(id) else { return };
        operation.done = true;
        operation.error = error;
        operation.last = last.map(Box::new);
        self.ended.push_back(id.to_owned());
        if self.ended.len() > OPERATIONS_KEPT
            && let Some(oldest) = self.ended.pop_front()
        {
            self.operations.remove(&oldest);
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
