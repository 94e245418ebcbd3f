//! The race itself: look whether it is there, take a while, put it there.
//!
//! Two sockets of one key that look before either has put both go on to put; the second finds it there and fails, as
//! a factory with a uniqueness check does. The key is free again when its last holder has left, so that every round of
//! a prober meets the same race.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::sleep;

/// Holders by key.
#[derive(Debug, Default)]
pub(crate) struct CheckThenAct {
    holders: Mutex<HashMap<String, usize>>,
}

/// Holds a key until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold<'a> {
    race: &'a CheckThenAct,
    key: String,
}

impl CheckThenAct {
    /// Enters as `key`; `None` is the loser of the race.
    pub(crate) async fn enter(&self, key: &str, window: Duration) -> Option<Hold<'_>> {
        if let Some(count) = self.lock().get_mut(key) {
            *count += 1;
            return Some(Hold { race: self, key: key.to_owned() });
        }
        sleep(window).await;
        let mut holders = self.lock();
        if holders.contains_key(key) {
            return None;
        }
        holders.insert(key.to_owned(), 1);
        Some(Hold { race: self, key: key.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let mut holders = self.race.lock();
        if let Some(count) = holders.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                holders.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_of_two_loses_and_the_race_arms_again() {
        let race = CheckThenAct::default();
        let window = Duration::from_millis(1);
        for _ in 0..3 {
            let (one, two) = tokio::join!(race.enter("ann", window), race.enter("ann", window));
            assert_eq!([&one, &two].into_iter().flatten().count(), 1);
            assert!(race.enter("ann", window).await.is_some(), "late ones share what is there");
        }
    }

    #[tokio::test]
    async fn other_keys_do_not_race() {
        let race = CheckThenAct::default();
        let window = Duration::from_millis(1);
        let (one, two) = tokio::join!(race.enter("ann", window), race.enter("bob", window));
        assert!(one.is_some() && two.is_some());
    }
}
