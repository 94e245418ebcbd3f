//! When the time of a run is over, and what is under way then.
//!
//! Takes an instant and gives a token that is cancelled a little later; rounds that are under way then are cut. It ends
//! nothing itself. The surprising rule: the time is a bound and no wish, so what was cut is recorded as undecided, which
//! counts against a pass and never for one.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// How much longer rounds may take that are under way when the time is over.
const GRACE: Duration = Duration::from_secs(3);

/// The end of a time; dropped, it cuts nothing any more.
#[derive(Debug)]
pub(crate) struct Deadline {
    until: watch::Sender<Instant>,
    cut: CancellationToken,
}

impl Deadline {
    /// The time is over at this instant.
    pub(crate) fn new(until: Instant) -> Self {
        Self::before(until, &CancellationToken::new())
    }

    /// The same, unless a signal is heard before, which cuts at once.
    pub(crate) fn before(until: Instant, interrupted: &CancellationToken) -> Self {
        Self::with_grace(until, GRACE, interrupted.child_token())
    }

    fn with_grace(until: Instant, grace: Duration, cut: CancellationToken) -> Self {
        let (until, mut heard) = watch::channel(until);
        let cutting = cut.clone();
        tokio::spawn(async move {
            loop {
                let end = *heard.borrow_and_update() + grace;
                tokio::select! {
                    () = sleep_until(end) => return cutting.cancel(),
                    changed = heard.changed() => if changed.is_err() { return },
                }
            }
        });
        Self { until, cut }
    }

    /// When the time is over.
    pub(crate) fn until(&self) -> Instant {
        *self.until.borrow()
    }

    /// True when nothing more may be started.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.until() || self.cut.is_cancelled()
    }

    /// The time is over at this instant already, unless it was to be earlier.
    pub(crate) fn shorten(&self, until: Instant) {
        if until < self.until() {
            self.until.send_replace(until);
        }
    }

    /// Cancelled when what is under way must end.
    pub(crate) fn cut(&self) -> CancellationToken {
        self.cut.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test]
    async fn what_is_under_way_is_cut_when_the_time_was_over_before() {
        let began = Instant::now();
        let deadline = Deadline::with_grace(began + LONG, SHORT, CancellationToken::new());
        let cut = deadline.cut();
        deadline.shorten(began + SHORT);
        deadline.shorten(began + LONG);
        assert!(!cut.is_cancelled());
        cut.cancelled().await;
        assert!(deadline.is_over());
    }

    #[tokio::test]
    async fn a_deadline_that_was_replaced_cuts_nothing() {
        let deadline = Deadline::with_grace(Instant::now(), SHORT, CancellationToken::new());
        let cut = deadline.cut();
        drop(deadline);
        tokio::time::sleep(SHORT * 5).await;
        assert!(!cut.is_cancelled());
    }

    #[tokio::test]
    async fn a_signal_ends_the_time_at_once() {
        let interrupted = CancellationToken::new();
        let deadline = Deadline::before(Instant::now() + LONG, &interrupted);
        assert!(!deadline.is_over());
        interrupted.cancel();
        assert!(deadline.is_over() && deadline.cut().is_cancelled());
    }
}
