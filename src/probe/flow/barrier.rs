//! The instant at which conversations of one round take their first step together, or have all come to their end.
//!
//! Takes their number; lets all go once each has arrived or given up. It reads no socket: whoever waits does that meanwhile.
//! The surprising rule: one that is dropped before it arrived counts as arrived, so that nobody waits for the dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_util::sync::CancellationToken;

/// What a round shares.
#[derive(Debug)]
struct Shared {
    missing: AtomicUsize,
    open: CancellationToken,
}

/// One conversation's place at the barrier.
#[derive(Debug)]
pub(super) struct Place {
    shared: Arc<Shared>,
    arrived: bool,
}

/// So many places at one barrier.
pub(super) fn places(number: usize) -> Vec<Place> {
    let open = CancellationToken::new();
    let shared = Arc::new(Shared { missing: AtomicUsize::new(number), open });
    (0..number).map(|_| Place { shared: Arc::clone(&shared), arrived: false }).collect()
}

impl Place {
    /// Arrives; gives what is cancelled once all have.
    pub(super) fn arrive(&mut self) -> CancellationToken {
        if !std::mem::replace(&mut self.arrived, true)
            && self.shared.missing.fetch_sub(1, Ordering::AcqRel) == 1
        {
            self.shared.open.cancel();
        }
        self.shared.open.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.arrive();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_go_when_the_last_has_arrived_or_gone() {
        let mut places = places(3);
        let open = places[0].arrive();
        places[0].arrive();
        places[1].arrive();
        assert!(!open.is_cancelled());
        drop(places.pop());
        assert!(open.is_cancelled());
    }
}
