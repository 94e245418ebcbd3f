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

use jiff::Timestamp;
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
    state_file::Written,
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
    /// What it knows of those before it.
    pub(crate) past: Past,
    /// How much of the state is in its file; `None` where it has none.
    pub(crate) written: Option<watch::Sender<Written>>,
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

/// What an emulator knows of those before it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Past {
    /// How many there were.
    pub(crate) starts: u64,
    /// The latest time that any of them has given; `None` without any.
    pub(crate) latest: Option<Timestamp>,
}

impl Ports {
    /// Opens the port that stood for an entrance; 0 opens a free one.
    pub(crate) fn reopen(&mut self, world: &Arc<World>, entrance: Entrance, port: u16) -> io::Result<()> {
        let key = (entrance.service.clone(), entrance.tag.clone());
        self.0.insert(key, listen(world, entrance, port)?);
        Ok(())
    }

    /// All of them, each with the service and the tag that it stands for.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, Option<&str>, u16)> {
        self.0.iter().map(|((service, tag), port)| (service.as_str(), tag.as_deref(), *port))
    }

    /// The port that stands for an entrance, opened where there is none yet.
    pub(crate) fn of(&mut self, world: &Arc<World>, entrance: Entrance) -> io::Result<u16> {
        let key = (entrance.service.clone(), entrance.tag.clone());
        if let Some(port) = self.0.get(&key) {
            return Ok(*port);
        }
        let port = listen(world, entrance, 0)?;
        self.0.insert(key, port);
        Ok(port)
    }
}

impl World {
    /// An empty world, in which no time, id and draw of those before it comes again.
    pub(crate) fn new(mut options: EmulatorOptions, past: Past) -> Self {
        options.seed = options.seed.wrapping_add(past.starts);
        let clock = Arc::new(Clock::new(options.started_at, options.speed, past.latest));
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
            past,
            written: options.state.is_some().then(|| watch::Sender::new(Written::default())),
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

    /// Tells everybody who waits that the state has changed, and only then lets others see it: whoever sees a change finds
    /// it counted, or an answer that shows it could leave before it is on disk.
    pub(crate) fn changed(&self, state: MutexGuard<'_, State>) {
        self.changes.send_modify(|count| *count += 1);
        drop(state);
    }

    /// 32 hexadecimal digits for a page of the platform.
    pub(crate) fn trace(&self) -> String {
        self.lock().hex(32)
    }

    /// The project and the region, where services say that they are at names of run.app.
    pub(crate) fn told_names(&self) -> Option<(String, String)> {
        let EmulatorOptions { project, region, real_names, .. } = &self.options;
        real_names.then(|| (project.clone(), region.clone()))
    }

    /// `projects/P/locations/L`
    pub(crate) fn location(&self) -> String {
        format!("projects/{}/locations/{}", self.options.project, self.options.region)
    }
}

/// Runs something until it ends or the emulator does.
pub(crate) fn spawn<F>(world: &Arc<World>, run: impl FnOnce(Arc<World>) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let owned = Arc::clone(world);
    world.tasks.spawn(async move {
        let stop = owned.stop.clone();
        // In this order: what comes of a process that ends because everything does is no news.
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = run(owned) => {}
        }
    });
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

    /// Opens an operation; gives its id.
    pub(crate) fn open_operation(&mut self, operation: Operation) -> String {
        let id = self.uuid();
        self.operations.insert(id.clone(), operation);
        id
    }

    /// Ends an operation, with why it failed and with what is gone by it.
    pub(crate) fn end_operation(&mut self, id: &str, error: Option<Problem>, last: Option<Service>) {
        let Some(operation) = self.operations.get_mut(id) else { return };
        if operation.forgotten {
            self.operations.remove(id);
            return;
        }
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

    /// The operation of an id, as long as nobody has deleted it.
    pub(crate) fn operation(&self, id: &str) -> Option<&Operation> {
        self.operations.get(id).filter(|operation| !operation.forgotten)
    }

    /// Deletes an operation, which stops nothing: one that is on its way is kept until its end, or nobody would carry it on
    /// after a restart. False where there is none.
    pub(crate) fn forget_operation(&mut self, id: &str) -> bool {
        let Some(operation) = self.operations.get_mut(id).filter(|operation| !operation.forgotten) else {
            return false;
        };
        operation.forgotten = true;
        if operation.done {
            self.operations.remove(id);
            self.ended.retain(|ended| ended != id);
        }
        true
    }

    /// All operations with their ids: those that have ended in the order of their ends, then the others.
    pub(crate) fn operations_in_order(&self) -> impl Iterator<Item = (&String, &Operation)> {
        let ended = self.ended.iter().filter_map(|id| self.operations.get_key_value(id));
        ended.chain(self.operations.iter().filter(|(_, operation)| !operation.done))
    }

    /// Puts an operation of an earlier emulator where it was: after all that came before it.
    pub(crate) fn restore_operation(&mut self, id: String, operation: Operation) {
        if operation.done {
            self.ended.push_back(id.clone());
        }
        self.operations.insert(id, operation);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_sees_a_change_finds_it_counted() {
        const CHANGES: u32 = 20_000;
        let options = EmulatorOptions::new("2026-11-23T20:28:12Z".parse().unwrap());
        let world = World::new(options, Past::default());
        std::thread::scope(|threads| {
            threads.spawn(|| {
                for _ in 0..CHANGES {
                    let mut state = world.lock();
                    state.faults.lost_reply += 1;
                    world.changed(state);
                }
            });
            let mut seen = 0;
            while seen < CHANGES {
                seen = world.lock().faults.lost_reply;
                assert!(*world.changes.borrow() >= u64::from(seen));
            }
        });
    }
}
