//! When may the next message of a user be sent?
//!
//! Takes the limit that the service states; gives the instant. It sends nothing. A user has one account in a run, whatever
//! is done in his name: rounds, conversations, sockets that are held, bad tokens, bad frames, and what is compared with
//! the revision that serves. The surprising rule: any minute counts, and not the minutes of a clock, since the service's
//! own window is not known.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A minute, and what an opening may take besides: messages are counted from their socket's opening, and sent on it later.
const MINUTE: Duration = Duration::from_secs(62);

/// The messages of one user within the last minute. Clones are the same account.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    limit: Option<usize>,
    sent: Arc<Mutex<VecDeque<Instant>>>,
}

impl Pace {
    /// At most so many a minute; `None` for any number.
    fn new(limit: Option<u32>) -> Self {
        Self { limit: limit.map(|limit| limit.max(1) as usize), sent: Arc::default() }
    }

    /// When the next message may be sent: now, or later.
    pub(super) fn next(&self, now: Instant) -> Instant {
        self.limit.map_or(now, |limit| earliest(&locked(&self.sent), limit, 1, now))
    }

    /// A message was sent.
    pub(super) fn sent(&mut self, now: Instant) {
        let Some(limit) = self.limit else { return };
        add(&mut locked(&self.sent), limit, 1, now);
    }
}

fn locked(sent: &Mutex<VecDeque<Instant>>) -> MutexGuard<'_, VecDeque<Instant>> {
    sent.lock().unwrap_or_else(PoisonError::into_inner)
}

fn earliest(sent: &VecDeque<Instant>, limit: usize, messages: usize, now: Instant) -> Instant {
    let in_the_way = (sent.len() + messages).checked_sub(limit + 1).and_then(|index| sent.get(index));
    in_the_way.map_or(now, |first| now.max(*first + MINUTE))
}

fn add(sent: &mut VecDeque<Instant>, limit: usize, messages: usize, at: Instant) {
    sent.extend(std::iter::repeat_n(at, messages));
    let over = sent.len().saturating_sub(limit);
    sent.drain(..over);
}

/// The accounts of all users of a run.
#[derive(Debug)]
pub(super) struct Accounts {
    limit: Option<u32>,
    users: Mutex<BTreeMap<usize, Pace>>,
}

impl Accounts {
    /// Nobody has sent anything yet; each may send so many a minute, `None` for any number.
    pub(super) fn new(limit: Option<u32>) -> Self {
        Self { limit, users: Mutex::default() }
    }

    /// When all of these users may send so many messages each, or as many as a minute holds; they count as sent then.
    pub(super) fn book(&self, messages: &BTreeMap<usize, usize>, now: Instant) -> Instant {
        let at = self.room(messages, now);
        let Some(limit) = self.limit.map(|limit| limit.max(1) as usize) else { return at };
        for (user, count) in messages {
            add(&mut locked(&self.of(*user).sent), limit, (*count).min(limit), at);
        }
        at
    }

    /// The same, and nothing counts as sent.
    pub(super) fn room(&self, messages: &BTreeMap<usize, usize>, now: Instant) -> Instant {
        let Some(limit) = self.limit.map(|limit| limit.max(1) as usize) else { return now };
        let earliest = |(user, count): (&usize, &usize)| {
            earliest(&locked(&self.of(*user).sent), limit, (*count).min(limit), now)
        };
        messages.iter().map(earliest).max().unwrap_or(now)
    }

    /// The account of the user of this index.
    pub(super) fn of(&self, user: usize) -> Pace {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.entry(user).or_insert_with(|| Pace::new(self.limit)).clone()
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
        assert_eq!(pace.next(start + MINUTE), start + Duration::from_secs(10) + MINUTE);
        assert_eq!(Pace::new(None).next(now), now);
    }

    #[test]
    fn what_is_booked_together_has_room_together() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let accounts = Accounts::new(Some(5));
        let book = |user, count, now| accounts.book(&BTreeMap::from([(user, count)]), now);
        assert_eq!((book(1, 2, start), book(1, 2, after(10))), (start, after(10)));
        assert_eq!(book(1, 2, after(20)), start + MINUTE, "the first two are in the way");
        assert_eq!(book(1, 1, after(20)), start + MINUTE, "and one more is not");
        assert_eq!(book(1, 9, after(90)), start + 2 * MINUTE, "more than a minute holds is a whole one");
        let both = BTreeMap::from([(1, 1), (2, 1)]);
        assert_eq!(accounts.book(&both, after(130)), start + 3 * MINUTE, "the one waits for the other");
        assert_eq!(book(2, 5, after(140)), start + 4 * MINUTE, "and counts when both have sent");
        assert_eq!(Accounts::new(None).book(&both, start), start);
    }

    #[test]
    fn a_user_has_one_account_whoever_asks_for_it() {
        let now = Instant::now();
        let accounts = Accounts::new(Some(1));
        accounts.of(3).sent(now);
        assert_eq!(accounts.of(3).next(now), now + MINUTE);
        assert_eq!(accounts.of(4).next(now), now);
    }
}
