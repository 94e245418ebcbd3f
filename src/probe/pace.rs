//! When may the next message of a user be sent?
//!
//! Takes the limit that the service states; gives the instant. It sends nothing. The surprising rule: any minute counts, and
//! not the minutes of a clock, since the service's own window is not known.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

const MINUTE: Duration = Duration::from_mins(1);

/// The messages of one user within the last minute.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    limit: Option<usize>,
    sent: VecDeque<Instant>,
}

impl Pace {
    /// At most so many a minute; `None` for any number.
    pub(super) fn new(limit: Option<u32>) -> Self {
        Self { limit: limit.map(|limit| limit.max(1) as usize), sent: VecDeque::new() }
    }

    /// When the next message may be sent: now, or later.
    pub(super) fn next(&self, now: Instant) -> Instant {
        let Some(limit) = self.limit else { return now };
        let first = self.sent.len().checked_sub(limit).and_then(|index| self.sent.get(index));
        first.map_or(now, |first| now.max(*first + MINUTE))
    }

    /// A message was sent.
    pub(super) fn sent(&mut self, now: Instant) {
        let Some(limit) = self.limit else { return };
        self.sent.push_back(now);
        if self.sent.len() > limit {
            self.sent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_holds_more_than_the_limit() {
        let start = Instant::now();
        let mut pace = Pace::new(Some(2));
        assert_eq!(pace.next(start), start);
        pace.sent(start);
        pace.sent(start + Duration::from_secs(10));
        let now = start + Duration::from_secs(20);
        assert_eq!(pace.next(now), start + MINUTE);
        pace.sent(start + MINUTE);
        assert_eq!(pace.next(start + MINUTE), start + Duration::from_secs(70));
        let free = Pace::new(None);
        assert_eq!(free.next(now), now);
    }
}
