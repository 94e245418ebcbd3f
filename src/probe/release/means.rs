//! The means of letting sockets go together, and what a machine offers of them.

use serde::{Deserialize, Serialize};

/// By which means sockets are let go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    /// Two threads, each on a core of its own, that meet at a spin barrier.
    PinnedPair,
    /// The same two threads at a real-time priority, so that nobody interrupts them.
    FifoThreads,
    /// Two pinned threads, each with many sends in one system call.
    PinnedRings,
    /// The same at a real-time priority.
    FifoRings,
    /// All in one system call.
    IoUring,
    /// One after the other, without a pause.
    TightLoop,
}

impl std::fmt::Display for Means {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::PinnedPair => "two pinned threads",
            Self::FifoThreads => "two pinned threads at real-time priority",
            Self::PinnedRings => "two pinned threads with an io_uring each",
            Self::FifoRings => "two pinned threads at real-time priority with an io_uring each",
            Self::IoUring => "one io_uring submission",
            Self::TightLoop => "one tight loop",
        })
    }
}

/// What of it may be used, or is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Two threads on a core each: there are two cores, and threads may be bound to them.
    pub pair: bool,
    /// Real-time priority for these threads.
    pub priority: bool,
    /// `io_uring`, which many containers forbid.
    pub io_uring: bool,
}

impl Offer {
    /// All there is.
    pub const ALL: Self = Self { pair: true, priority: true, io_uring: true };
    /// Nothing but the tight loop.
    pub const NONE: Self = Self { pair: false, priority: false, io_uring: false };

    /// The best means for `n` sockets.
    ///
    /// Two threads are the closest for a pair, and twice as fast for more; with many sends in one call they are also
    /// left alone while they send.
    pub fn means(self, n: usize) -> Means {
        match self {
            _ if n < 2 => Means::TightLoop,
            Self { pair: true, io_uring: true, priority } if n > 2 => {
                if priority {
                    Means::FifoRings
                } else {
                    Means::PinnedRings
                }
            }
            Self { pair: true, priority: true, .. } => Means::FifoThreads,
            Self { pair: true, .. } => Means::PinnedPair,
            Self { io_uring: true, .. } => Means::IoUring,
            _ => Means::TightLoop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_means_follow_from_the_offer() {
        let plain = Offer { priority: false, ..Offer::ALL };
        let ring = Offer { io_uring: true, ..Offer::NONE };
        for (offer, one, two, many) in [
            (Offer::ALL, Means::TightLoop, Means::FifoThreads, Means::FifoRings),
            (
                Offer { io_uring: false, ..Offer::ALL },
                Means::TightLoop,
                Means::FifoThreads,
                Means::FifoThreads,
            ),
            (plain, Means::TightLoop, Means::PinnedPair, Means::PinnedRings),
            (Offer { io_uring: false, ..plain }, Means::TightLoop, Means::PinnedPair, Means::PinnedPair),
            (ring, Means::TightLoop, Means::IoUring, Means::IoUring),
            (Offer::NONE, Means::TightLoop, Means::TightLoop, Means::TightLoop),
        ] {
            assert_eq!([1, 2, 3].map(|n| offer.means(n)), [one, two, many], "{offer:?}");
        }
    }

    #[test]
    fn reports_name_the_means_in_words() {
        assert_eq!(serde_json::to_string(&Means::IoUring).unwrap(), r#""io-uring""#);
        assert_eq!(Means::PinnedPair.to_string(), "two pinned threads");
    }
}
