//! Did our own machine stand still?
//!
//! A task that wakes many times a second keeps when it woke late, and for how long. Gives, for a span of time, the
//! longest such stall. It knows no socket. The surprising rule: a beat that is overdue at this very moment counts as
//! well, since after a stall the sockets may be woken before the pulse.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

/// Time between two beats.
const BEAT: Duration = Duration::from_millis(50);
/// A beat that is later than this is kept.
const LATE: Duration = Duration::from_millis(100);

/// Beats for as long as it is held.
#[derive(Debug)]
pub(super) struct Pulse {
    beats: Arc<Mutex<Beats>>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Beats {
    due: Instant,
    /// From when to when a beat was late.
    stalls: Vec<(Instant, Instant)>,
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Pulse {
    /// Begins to beat, as a task of the runtime that the caller is in.
    pub(super) fn start() -> Self {
        let beats = Arc::new(Mutex::new(Beats { due: Instant::now() + BEAT, stalls: Vec::new() }));
        let task = tokio::spawn(beat(Arc::clone(&beats))).abort_handle();
        Self { beats, task }
    }

    /// The longest time for which nothing of ours ran between two instants; `None` where it was not worth a mention.
    pub(super) fn longest(&self, from: Instant, until: Instant) -> Option<Duration> {
        lock(&self.beats).longest(from, until)
    }
}

impl Beats {
    fn woke(&mut self, now: Instant) {
        if now > self.due + LATE {
            self.stalls.push((self.due, now));
        }
        self.due = now + BEAT;
    }

    fn longest(&self, from: Instant, until: Instant) -> Option<Duration> {
        let overdue = std::iter::once((self.due, until)).filter(|(due, now)| *now > *due + LATE);
        let stalls = self.stalls.iter().copied().chain(overdue);
        let met = stalls.filter(|(began, ended)| *ended > from && *began < until);
        met.map(|(began, ended)| ended - began).max()
    }
}

fn lock(beats: &Mutex<Beats>) -> MutexGuard<'_, Beats> {
    beats.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn beat(beats: Arc<Mutex<Beats>>) {
    loop {
        let due = lock(&beats).due;
        sleep_until(due).await;
        lock(&beats).woke(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_known_to_those_who_met_it() {
        let began = Instant::now();
        let at = |milliseconds| began + Duration::from_millis(milliseconds);
        let mut beats = Beats { due: at(50), stalls: Vec::new() };
        beats.woke(at(55));
        assert_eq!(beats.longest(began, at(60)), None);
        // It was due at 105 and is not awake yet.
        assert_eq!(beats.longest(began, at(3105)), Some(Duration::from_secs(3)));
        beats.woke(at(3105));
        beats.woke(at(3160));
        assert_eq!(beats.longest(at(3106), at(3200)), None, "it was over before");
        assert_eq!(beats.longest(began, at(104)), None, "it came later");
        assert_eq!(beats.longest(at(2000), at(3200)), Some(Duration::from_secs(3)));
    }
}
