//! How long to wait before the next try.
//!
//! Takes bounds and gives durations, each twice as long as the one before and shortened by chance, so that many who
//! failed together do not come back together. It never decides whether another try is right.

use std::time::Duration;

use rand::RngExt as _;
use tokio::time::Instant;

/// Pauses that grow from `first` to `cap`.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    cap: Duration,
}

impl Backoff {
    /// Begins with `first` and never exceeds `cap`.
    pub(crate) fn new(first: Duration, cap: Duration) -> Self {
        Self { next: first, cap }
    }

    /// Between half of the present bound and the whole of it.
    pub(crate) fn pause(&mut self) -> Duration {
        let bound = self.next;
        self.next = (bound * 2).min(self.cap);
        bound.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// Sleeps for a pause, or for what the server asked for where that is longer. False, at once, when that would
    /// pass `deadline`.
    pub(crate) async fn sleep(&mut self, asked: Option<Duration>, deadline: Instant) -> bool {
        let pause = self.pause().max(asked.unwrap_or_default());
        let end = Instant::now() + pause;
        if end >= deadline {
            return false;
        }
        tokio::time::sleep_until(end).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_cap() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        for bound in [1, 2, 4, 5, 5] {
            let pause = backoff.pause().as_secs_f64();
            assert!(pause >= f64::from(bound) / 2.0 && pause <= f64::from(bound), "{pause} of {bound}");
        }
    }

    #[tokio::test]
    async fn honours_what_the_server_asked_for_within_the_deadline() {
        let mut backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(5));
        let begun = Instant::now();
        let deadline = begun + Duration::from_mins(1);
        assert!(backoff.sleep(Some(Duration::from_millis(40)), deadline).await);
        assert!(begun.elapsed() >= Duration::from_millis(40));
        assert!(!backoff.sleep(Some(Duration::from_mins(2)), deadline).await);
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}
