//! Two threads on a core each, which meet at a spin barrier and send from both ends of a row.
//!
//! Takes shots and gives their outcomes, in order. The threads live as long as the pair and sleep between rounds. The
//! surprising rule: a thread waits at the barrier for a bounded time only, and each takes what the other has not taken
//! yet; so where one is not given its core, the other sends everything, as one tight loop would.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::time::Instant;

use super::shot::Shot;
use super::tail::Outcome;

/// How long a thread waits for the other: longer than a sleeper takes to wake up on a busy core, shorter than a turn of
/// the scheduler.
const MEET_WITHIN: Duration = Duration::from_millis(1);

/// The two threads.
pub(super) struct Pair {
    /// Held for as long as a round takes, so that a second round can see that the pair is busy.
    threads: Mutex<[Thread; 2]>,
    /// True when both run at real-time priority.
    pub(super) priority: bool,
}

/// One of them.
struct Thread {
    /// `None` tells the thread to end.
    jobs: Option<Sender<(Arc<Job>, Replies)>>,
    handle: Option<JoinHandle<()>>,
}

type Replies = Sender<Vec<(usize, Outcome)>>;

/// One round's shots.
struct Job {
    shots: Vec<Shot>,
    /// Who sets it sends the shot.
    taken: Vec<AtomicBool>,
    /// How many threads are at the barrier.
    arrived: AtomicU32,
}

impl Pair {
    /// Starts the threads; `None` where there are no two cores, or threads may not be bound to them.
    pub(super) fn start(priority: bool) -> Option<Self> {
        let allowed = sched_getaffinity(None).ok()?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        // The first and the last: neighbours are often two halves of one core.
        let (first, last) = (cores.next()?, cores.next_back()?);
        let (tell, told) = channel();
        let threads = [Thread::start(0, first, priority, &tell)?, Thread::start(1, last, priority, &tell)?];
        drop(tell);
        let granted: Vec<Granted> = told.into_iter().collect();
        let bound = granted.len() == threads.len() && granted.iter().all(|granted| granted.core);
        let priority = granted.iter().all(|granted| granted.priority);
        bound.then(|| Self { threads: Mutex::new(threads), priority })
    }

    /// Sends them all, or gives them back when the pair is busy.
    pub(super) fn fire(&self, shots: Vec<Shot>) -> Result<Vec<Option<Outcome>>, Vec<Shot>> {
        let Ok(threads) = self.threads.try_lock() else { return Err(shots) };
        let count = shots.len();
        let job = Arc::new(Job {
            taken: shots.iter().map(|_| AtomicBool::new(false)).collect(),
            shots,
            arrived: AtomicU32::new(0),
        });
        let (reply, replies) = channel();
        for thread in &*threads {
            if let Some(jobs) = &thread.jobs {
                let _ = jobs.send((Arc::clone(&job), reply.clone()));
            }
        }
        drop(reply);
        // This thread must not return before every shot that was taken has been answered for, since the sockets are
        // only kept open until then. A thread that comes too late to take anything is not waited for.
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
            if outcome.is_none() && job.take(0, index).is_some() {
                *outcome = Some(job.shots[index].fire());
            }
        }
        Ok(outcomes)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let Ok(threads) = self.threads.get_mut() else { return };
        for thread in threads.iter_mut() {
            thread.jobs = None;
        }
        for thread in threads.iter_mut() {
            let _ = thread.handle.take().map(JoinHandle::join);
        }
    }
}

/// What a thread was given.
struct Granted {
    core: bool,
    priority: bool,
}

impl Thread {
    fn start(end: usize, core: usize, priority: bool, tell: &Sender<Granted>) -> Option<Self> {
        let (jobs, received) = channel();
        let tell = tell.clone();
        let work = move || {
            let mut set = CpuSet::new();
            set.set(core);
            let core = sched_setaffinity(None, &set).is_ok();
            let _ = tell.send(Granted { core, priority: priority && take_priority() });
            drop(tell);
            work(end, &received);
        };
        let handle = std::thread::Builder::new().name(format!("release-{end}")).spawn(work).ok()?;
        Some(Self { jobs: Some(jobs), handle: Some(handle) })
    }
}

/// The life of a thread: one job after the other, until the pair is dropped.
fn work(end: usize, jobs: &Receiver<(Arc<Job>, Replies)>) {
    for (job, replies) in jobs {
        let outcomes = job.run(end);
        let _ = replies.send(outcomes);
    }
}

impl Job {
    /// Sends from one end of the row until the other's work begins.
    fn run(&self, end: usize) -> Vec<(usize, Outcome)> {
        let mut mine: Vec<(usize, Outcome)> = Vec::with_capacity(self.shots.len());
        let mut next = self.take(end, 0);
        if let Some(first) = next {
            self.shots[first].warm();
            self.meet();
        }
        while let Some(index) = next {
            mine.push((index, self.shots[index].fire()));
            next = self.take(end, mine.len());
        }
        mine
    }

    /// Takes the shot that is `step` away from this end; `None` when it is the other's, as are then all behind it.
    fn take(&self, end: usize, step: usize) -> Option<usize> {
        let index = if end == 0 { step } else { self.shots.len().checked_sub(step + 1)? };
        // The flag guards nothing but the right to send: the shots themselves never change.
        let already = self.taken.get(index)?.swap(true, Ordering::Relaxed);
        (!already).then_some(index)
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
