//! Stopping a group where it stands, and making sure that it goes on.
//!
//! What arrives while a server is stopped is all there when it goes on: one batch for an event loop, one wake-up for
//! threads (the idea is Jepsen's nemesis). The surprising rule: a freeze is a value, and the group goes on when that is
//! dropped, whichever way the round ends; and it first waits until the server has nothing left to do, since a server that
//! is stopped in the middle of arming would meet its sockets one by one.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use tokio::time::Instant;

use super::group::Group;
#[cfg(target_os = "linux")]
use super::placement::Placement;
use super::threads::{self, Thread};

/// How long the server may take to have nothing left to do.
const IDLE_WITHIN: Duration = Duration::from_millis(20);
/// How long it may take until the last thread has stopped.
const STOP_WITHIN: Duration = Duration::from_millis(100);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_micros(300);
/// Looks in a row at which everything must sleep.
const IDLE_LOOKS: u32 = 3;
/// Who belongs to the group is looked up anew every so many times: it means reading all of `/proc`.
const LOOK_UP_EVERY: u32 = 16;
/// Where threads cannot be looked at, stopping is given this long.
const BLIND: Duration = Duration::from_millis(3);

/// On which cores threads go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cores {
    /// All on one, so that whoever waits lets the next one run.
    One,
    /// In turn on each, so that they run at the same time.
    All,
}

/// Stops one group again and again.
#[derive(Debug)]
pub(crate) struct Freezer {
    group: Arc<Group>,
    members: Mutex<Vec<i32>>,
    times: AtomicU32,
    #[cfg(target_os = "linux")]
    placement: Mutex<Placement>,
}

/// A stopped group; dropped, it goes on.
#[derive(Debug)]
pub(crate) struct Frozen {
    group: Arc<Group>,
    /// When it was asked to stop.
    pub(crate) since: Instant,
    /// Every thread was seen to stand still.
    pub(crate) stopped: bool,
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.group.resume();
    }
}

impl Freezer {
    /// For this group.
    pub(crate) fn new(group: Arc<Group>) -> Self {
        Self {
            group,
            members: Mutex::default(),
            times: AtomicU32::new(0),
            #[cfg(target_os = "linux")]
            placement: Mutex::default(),
        }
    }

    /// Stops the group as soon as it is idle. With `dealt`, its threads go on on different cores, else all on one.
    pub(crate) async fn freeze(self: &Arc<Self>, dealt: bool) -> Frozen {
        let freezer = Arc::clone(self);
        // When this future is dropped meanwhile, the result is dropped with the task, and the group goes on.
        let frozen = tokio::task::spawn_blocking(move || freezer.freeze_now(dealt)).await;
        frozen.unwrap_or_else(|_| Frozen {
            group: Arc::clone(&self.group),
            since: Instant::now(),
            stopped: false,
        })
    }

    fn freeze_now(&self, dealt: bool) -> Frozen {
        let processes = self.processes();
        // A round that was dropped may have left them bound.
        self.place(&processes, None);
        await_idle(&processes);
        let mut frozen = Frozen { group: Arc::clone(&self.group), since: Instant::now(), stopped: false };
        self.group.stop();
        frozen.stopped = await_stopped(&processes);
        self.place(&processes, Some(if dealt { Cores::All } else { Cores::One }));
        frozen
    }

    /// Binds the threads to cores, or lets them run wherever they might before.
    #[cfg(target_os = "linux")]
    fn place(&self, processes: &[i32], cores: Option<Cores>) {
        let mut placement = self.placement.lock().unwrap_or_else(PoisonError::into_inner);
        let threads = threads::threads(processes);
        match cores {
            Some(cores) => placement.bind(&threads, cores),
            None => placement.restore(&threads),
        }
    }

    /// Threads stay where they are: nobody can be told otherwise here.
    #[cfg(not(target_os = "linux"))]
    fn place(&self, _processes: &[i32], _cores: Option<Cores>) {}

    /// Lets its threads run wherever they might before they were bound.
    pub(crate) fn unbind(&self) {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.place(&members, None);
    }

    fn processes(&self) -> Vec<i32> {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if self.times.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK_UP_EVERY) {
            *members = self.group.id().map(threads::members).unwrap_or_default();
        }
        members.clone()
    }
}

/// Waits until every thread sleeps, or the time is over: some servers never rest.
fn await_idle(processes: &[i32]) {
    let until = Instant::now() + IDLE_WITHIN;
    let mut idle = 0;
    while idle < IDLE_LOOKS && Instant::now() < until {
        sleep(LOOK_EVERY);
        let sleeps = |thread: Thread| thread.state().is_none_or(|state| state == b'S');
        idle = if threads::threads(processes).into_iter().all(sleeps) { idle + 1 } else { 0 };
    }
}

/// Waits until every thread stands still; false when one does not.
fn await_stopped(processes: &[i32]) -> bool {
    if processes.is_empty() {
        sleep(BLIND);
        return cfg!(not(target_os = "linux"));
    }
    let stands =
        |thread: Thread| thread.state().is_none_or(|state| matches!(state, b'T' | b't' | b'Z' | b'X'));
    let until = Instant::now() + STOP_WITHIN;
    loop {
        if threads::threads(processes).into_iter().all(stands) {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        sleep(LOOK_EVERY / 3);
    }
}
