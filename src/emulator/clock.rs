//! What time is it inside the emulator?
//!
//! Takes the wall clock once, as a value, and gives start + time elapsed on tokio's monotonic clock, times the speed. It
//! never reads the system's wall clock. `tick` never gives the same microsecond twice: versions and creation times are
//! compared, and two writes in one microsecond would look like one. The surprising rule: what is the platform's (paces,
//! lags, time-outs, idle instances, faults) goes by this clock; what runs in a container, and how long that may take to
//! start, keeps real time, since no process runs faster for it; so does the expiry of tokens, which others make by theirs.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::wait;

/// The emulator's clock.
#[derive(Debug)]
pub(crate) struct Clock {
    /// What the wall clock showed.
    wall: Timestamp,
    started_at: Timestamp,
    origin: Instant,
    /// Emulated seconds in a real one.
    speed: u32,
    last: AtomicI64,
}

impl Clock {
    /// A clock that shows `started_at` now, or `latest` where that is later, and runs `speed` times as fast as a real one (0
    /// is taken for 1); its ticks are all later than `latest`.
    pub(crate) fn new(started_at: Timestamp, speed: u32, latest: Option<Timestamp>) -> Self {
        let last = AtomicI64::new(latest.map_or(i64::MIN, Timestamp::as_microsecond));
        let wall = started_at;
        let started_at = latest.map_or(started_at, |latest| latest.max(started_at));
        Self { wall, started_at, origin: Instant::now(), speed: speed.max(1), last }
    }

    /// The last tick, or the start where there was none.
    pub(crate) fn latest(&self) -> Timestamp {
        Timestamp::from_microsecond(self.last.load(Ordering::SeqCst)).unwrap_or(self.started_at)
    }

    /// How long an emulated wait really takes; [`wait::NEVER`] stays what it is.
    pub(crate) fn real(&self, emulated: Duration) -> Duration {
        if emulated == wait::NEVER { wait::NEVER } else { emulated / self.speed }
    }

    /// How much time has passed on this clock since an instant of the real one.
    pub(crate) fn since(&self, instant: Instant) -> Duration {
        instant.elapsed().saturating_mul(self.speed)
    }

    /// Waits for as long as this clock takes; for [`wait::NEVER`] the future does not end.
    pub(crate) async fn pass(&self, emulated: Duration) {
        wait::pass(self.real(emulated)).await;
    }

    /// What everybody else's clock shows now.
    pub(crate) fn wall(&self) -> Timestamp {
        later(self.wall, self.origin.elapsed())
    }

    /// The time now, to the nanosecond.
    pub(crate) fn now(&self) -> Timestamp {
        later(self.started_at, self.since(self.origin))
    }

    /// The time now in whole microseconds, later than every earlier tick.
    pub(crate) fn tick(&self) -> Timestamp {
        let now = self.now().as_microsecond();
        let mut given = now;
        let _ = self.last.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| {
            given = now.max(last.saturating_add(1));
            Some(given)
        });
        Timestamp::from_microsecond(given).unwrap_or(self.started_at)
    }
}

/// A time so much later; the same one where there is none.
fn later(time: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| time.checked_add(by).ok()).unwrap_or(time)
}

/// A timestamp as Google's JSON writes it: RFC 3339 in UTC with six decimals.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    format!("{time:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_tick_is_given_twice() {
        let start = "2026-11-23T20:28:12Z".parse().unwrap();
        let clock = Clock::new(start, 1, None);
        let ticks: Vec<_> = (0..1000).map(|_| clock.tick()).collect();
        assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(clock.latest(), ticks[999]);
        let set_back = Clock::new(start, 1, Some(ticks[999]));
        assert!(set_back.tick() > ticks[999], "nor by a clock that was set back between two emulators");
    }

    #[test]
    fn six_decimals_also_when_they_are_zero() {
        assert_eq!(rfc3339("2026-11-23T20:28:12Z".parse().unwrap()), "2026-11-23T20:28:12.000000Z");
    }
}
