//! Two threads on a core each, which meet at a spin barrier and send from both ends of a row.
//!
//! Takes shots and gives their outcomes, in order. The threads live as long as the pair and sleep between rounds. The
//! surprising rule: a thread waits at the barrier for a bounded time only, and each takes what the other has not taken
//! yet; so where one is not given its core, the other sends everything, as one tight loop would.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::time::Instant;

use super::ring::Ring;
use super::shot::Shot;
use super::tail::Outcome;

/// How long a thread waits for the other: longer than a sleeper takes to wake up on a busy core, shorter than a turn of
/// the scheduler.
const MEET_WITHIN: Duration = Duration::from_millis(1);

/// How many shots a thread with a ring takes before it sends them. The more the better: nothing interrupts it inside a
/// call, but behind every call the server that it woke may take its core.
const AT_ONCE: usize = 512;

/// The two threads.
pub(super) struct Pair {
    /// Held for as long as a round takes, so that a second round can see that the pair is busy. `None` tells the first
    /// thread to end, and by it the second.
    jobs: Mutex<Option<Sender<Order>>>,
    threads: Vec<JoinHandle<()>>,
    /// True when both have a ring of their own.
    pub(super) rings: bool,
    /// True when both run at real-time priority.
    pub(super) priority: bool,
}

/// What a thread is told: a round's shots, and where their outcomes go.
type Order = (Arc<Job>, Sender<Vec<(usize, Outcome)>>);

/// One round's shots.
struct Job {
    shots: Vec<Shot>,
    /// How many a thread takes before it sends them, in one call when they are more than one.
    at_once: usize,
    /// Who sets it sends the shot.
    taken: Vec<AtomicBool>,
    /// How many threads are at the barrier.
    arrived: AtomicU32,
}

impl Pair {
    /// Starts the threads; `None` where there are no two cores, or threads may not be bound to them. They get priority
    /// and rings where these are asked for and permitted.
    pub(super) fn start(priority: bool, rings: bool) -> Option<Self> {
        let allowed = sched_getaffinity(None).ok()?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        // The first and the last: neighbours are often two halves of one core.
        let (first, last) = (cores.next()?, cores.next_back()?);
        let (tell, told) = channel();
        let (jobs, first_jobs) = channel();
        let (pass_on, second_jobs) = channel();
        let [first_ring, second_ring] = [(); 2].map(|()| rings.then(Ring::new).flatten());
        let rings = first_ring.is_some() && second_ring.is_some();
        let threads = vec![
            spawn(first, priority, tell.clone(), move || work(0, first_ring, &first_jobs, Some(&pass_on)))?,
            spawn(last, priority, tell, move || work(1, second_ring, &second_jobs, None))?,
        ];
        let granted: Vec<Granted> = told.into_iter().collect();
        let bound = granted.len() == threads.len() && granted.iter().all(|granted| granted.core);
        let priority = granted.iter().all(|granted| granted.priority);
        bound.then(|| Self { jobs: Mutex::new(Some(jobs)), threads, rings, priority })
    }

    /// Sends them all, with `rings` by as few system calls as can be; or gives them back when the pair is busy.
    pub(super) fn fire(&self, shots: Vec<Shot>, rings: bool) -> Result<Vec<Option<Outcome>>, Vec<Shot>> {
        let Ok(jobs) = self.jobs.try_lock() else { return Err(shots) };
        let count = shots.len();
        let job = Arc::new(Job {
            taken: shots.iter().map(|_| AtomicBool::new(false)).collect(),
            shots,
            at_once: if rings { AT_ONCE } else { 1 },
            arrived: AtomicU32::new(0),
        });
        let (reply, replies) = channel();
        if let Some(jobs) = &*jobs {
            let _ = jobs.send((Arc::clone(&job), reply));
        }
        // This thread must not return before every shot that was taken has been answered for, since the sockets are
        // only kept open until then. A thread that comes too late to take anything is not waited for. One that has died
        // in the middle has dropped its end of the channel and, before that, its row of shots taken: what it took was
        // sent or never will be, so that a socket which is closed after this is named by nobody.
        let mut outcomes: Vec<Option<Outcome>> = (0..count).map(|_| None).collect();
        let mut missing = count;
        while missing > 0
            && let Ok(answers) = replies.recv()
        {
            missing -= answers.len();
            for (index, outcome) in answers {
                outcomes[index] = Some(outcome);
            }
        }
        // Only where a thread has died.
        for (index, outcome) in outcomes.iter_mut().enumerate() {
            if outcome.is_none() && !job.take(0, index, 1).is_empty() {
                *outcome = Some(job.shots[index].fire());
            }
        }
        Ok(outcomes)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if let Ok(jobs) = self.jobs.get_mut() {
            *jobs = None;
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// What a thread was given.
struct Granted {
    core: bool,
    priority: bool,
}

/// Starts a thread on `core`, which tells what it was given and then works.
fn spawn(
    core: usize,
    priority: bool,
    tell: Sender<Granted>,
    work: impl FnOnce() + Send + 'static,
) -> Option<JoinHandle<()>> {
    let life = move || {
        let mut set = CpuSet::new();
        set.set(core);
        let core = sched_setaffinity(None, &set).is_ok();
        let _ = tell.send(Granted { core, priority: priority && take_priority() });
        drop(tell);
        work();
    };
    std::thread::Builder::new().name(format!("release-{core}")).spawn(life).ok()
}

/// The life of a thread: one job after the other, until nobody can send another one.
///
/// The first thread wakes the second. Were it the caller who woke both, the first to wake up, at a higher priority,
/// could take the caller's core from it before it has woken the other.
fn work(end: usize, mut ring: Option<Ring>, orders: &Receiver<Order>, pass_on: Option<&Sender<Order>>) {
    for (job, replies) in orders {
        if let Some(second) = pass_on {
            let _ = second.send((Arc::clone(&job), replies.clone()));
        }
        let _ = replies.send(job.run(end, ring.as_mut()));
    }
}

impl Job {
    /// Sends from one end of the row until the other's work begins.
    fn run(&self, end: usize, mut ring: Option<&mut Ring>) -> Vec<(usize, Outcome)> {
        let mut mine: Vec<(usize, Outcome)> = Vec::with_capacity(self.shots.len());
        // Whoever has shots left for the other must leave him some, or they would not go at the same time.
        let mut limit = self.at_once.min(self.shots.len().div_ceil(2));
        let mut meet = Some(|| self.meet());
        loop {
            let taken = self.take(end, mine.len(), limit);
            let Some(first) = self.shots.get(taken.start).filter(|_| !taken.is_empty()) else { return mine };
            if meet.is_some() {
                first.warm();
            }
            let mut ready = || {
                if let Some(meet) = meet.take() {
                    meet();
                }
            };
            let fired = match &mut ring {
                Some(ring) if taken.len() > 1 => ring.fire(&self.shots[taken.clone()], ready),
                _ => {
                    ready();
                    self.shots[taken.clone()].iter().map(Shot::fire).collect()
                }
            };
            mine.extend(taken.zip(fired));
            limit = self.at_once;
        }
    }

    /// Takes up to `limit` shots that are `step` or more away from this end. Where one is the other's already, so are
    /// all behind it.
    fn take(&self, end: usize, step: usize, limit: usize) -> Range<usize> {
        let count = self.shots.len();
        let index = |step| if end == 0 { step } else { count - 1 - step };
        // The flag guards nothing but the right to send: the shots themselves never change.
        let free = |step: &usize| !self.taken[index(*step)].swap(true, Ordering::Relaxed);
        let taken = (step..count.min(step + limit)).take_while(free).count();
        if end == 0 { step..step + taken } else { count - step - taken..count - step }
    }

    /// Waits for the other thread, spinning, for a bounded time.
    fn meet(&self) {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        let began = Instant::now();
        while self.arrived.load(Ordering::Acquire) < 2 {
            if began.elapsed() > MEET_WITHIN {
                return;
            }
            std::hint::spin_loop();
        }
    }
}

/// Puts the calling thread above everything that has no such priority; false where that is not permitted.
#[expect(unsafe_code, reason = "no safe crate at hand sets a scheduling policy")]
fn take_priority() -> bool {
    // SAFETY: the parameter is a plain value of integers, for which zero is valid, and the call only reads it. Process
    // 0 is the calling thread.
    unsafe {
        let mut parameter: libc::sched_param = std::mem::zeroed();
        parameter.sched_priority = libc::sched_get_priority_min(libc::SCHED_FIFO);
        libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameter) == 0
    }
}
