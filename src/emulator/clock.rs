//! What time is it inside the emulator?
//!
//! Takes the wall clock once, as a value, and gives start + time elapsed on tokio's monotonic clock. It never reads
//! the system's wall clock. `tick` never gives the same microsecond twice: versions and creation times are compared,
//! and two writes in one microsecond would look like one.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The emulator's clock.
#[derive(Debug)]
pub(crate) struct Clock {
    started_at: Timestamp,
    origin: Instant,
    last: AtomicI64,
}

impl Clock {
    /// A clock that shows `started_at` now, and whose ticks are all later than `latest`.
    pub(crate) fn new(started_at: Timestamp, latest: Option<Timestamp>) -> Self {
        let last = latest.map_or(i64::MIN, Timestamp::as_microsecond);
        Self { started_at, origin: Instant::now(), last: AtomicI64::new(last) }
    }

    /// The last tick, or the start where there was none.
    pub(crate) fn latest(&self) -> Timestamp {
        Timestamp::from_microsecond(self.last.load(Ordering::SeqCst)).unwrap_or(self.started_at)
    }

    /// The time now, to the nanosecond.
    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.origin.elapsed()).unwrap_or(SignedDuration::ZERO);
        self.started_at.checked_add(elapsed).unwrap_or(self.started_at)
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
        let clock = Clock::new(start, None);
        let ticks: Vec<_> = (0..1000).map(|_| clock.tick()).collect();
        assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(clock.latest(), ticks[999]);
        let set_back = Clock::new(start, Some(ticks[999]));
        assert!(set_back.tick() > ticks[999], "nor by a clock that was set back between two emulators");
    }

    #[test]
    fn six_decimals_also_when_they_are_zero() {
        assert_eq!(rfc3339("2026-11-23T20:28:12Z".parse().unwrap()), "2026-11-23T20:28:12.000000Z");
    }
}
