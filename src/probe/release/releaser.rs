//! The releaser: what this machine offers, and one call that lets sockets go.

use futures_util::future::join_all;
use tokio::time::Instant;

use super::means::{Means, Offer};
use super::tail::{Outcome, finish, seal, socket};
#[cfg(target_os = "linux")]
use super::{pair::Pair, ring::Ring, shot::Shot};
use crate::probe::transport::Wire;

/// Lets armed sockets go together, by the best means of this machine. Made once a run and shared by all rounds.
pub struct Releaser {
    offer: Offer,
    #[cfg(target_os = "linux")]
    pair: Option<Pair>,
    #[cfg(target_os = "linux")]
    ring: Option<std::sync::Mutex<Ring>>,
}

/// How a release went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// The instant just before each socket's last byte was sent, in the order of the sockets; `None` where the socket
    /// was broken. Where `io_uring` sends, only the first of a call is measured and the others are evenly spaced to
    /// the end of the call, so that their distance is at most what they say. A socket that was finished afterwards has
    /// the instant after it.
    pub stamps: Vec<Option<Instant>>,
    /// By which means it was done. May be less than [`Releaser::means`] promises when several rounds are released at
    /// the same time.
    pub means: Means,
}

impl std::fmt::Debug for Releaser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Releaser").field(&self.offer).finish()
    }
}

impl Releaser {
    /// Finds out what this machine offers, by trying it.
    pub fn detect() -> Self {
        Self::within(Offer::ALL)
    }

    /// As [`Releaser::detect`], but uses nothing beyond `limits`.
    #[cfg(target_os = "linux")]
    pub fn within(limits: Offer) -> Self {
        let pair = limits.pair.then(|| Pair::start(limits.priority, limits.io_uring)).flatten();
        let ring = limits.io_uring.then(Ring::new).flatten();
        let offer = Offer {
            pair: pair.is_some(),
            priority: pair.as_ref().is_some_and(|pair| pair.priority),
            io_uring: ring.is_some() && pair.as_ref().is_none_or(|pair| pair.rings),
        };
        Self { offer, pair, ring: ring.map(std::sync::Mutex::new) }
    }

    /// As [`Releaser::detect`]: this system offers nothing but the tight loop.
    #[cfg(not(target_os = "linux"))]
    pub fn within(_limits: Offer) -> Self {
        Self { offer: Offer::NONE }
    }

    /// What was found.
    pub fn offer(&self) -> Offer {
        self.offer
    }

    /// The means by which `n` sockets are let go when nobody else lets go at the same time.
    pub fn means(&self, n: usize) -> Means {
        self.offer.means(n)
    }

    /// Writes its last byte on each stream, as closely together as can be. Blocks the calling thread for that moment.
    ///
    /// Each stream must have been flushed. Afterwards it goes on as if the byte had been written on it. When this
    /// future is dropped before its end, or a stamp is `None`, bytes may be missing and the streams are unusable.
    pub async fn release(&self, wires: &mut [(Wire, u8)]) -> Released {
        let mut tails = Vec::with_capacity(wires.len());
        for (wire, last) in &mut *wires {
            tails.push(seal(wire, *last).unwrap_or_default());
        }
        let (outcomes, means) = self.fire(wires, &tails);
        let finishing =
            wires.iter_mut().zip(&tails).zip(outcomes).map(|(((wire, _), tail), outcome)| async {
                // An empty tail is one that could not be sealed.
                if tail.is_empty() { None } else { finish(wire, tail, outcome?).await }
            });
        Released { stamps: join_all(finishing).await, means }
    }

    /// Sends the tails. Not `async`: from the first send to the last nothing else may run on this thread, and the
    /// sockets stay open for as long as others send on them, since the streams are borrowed here.
    #[cfg(target_os = "linux")]
    #[expect(unsafe_code, reason = "shots are sent on descriptors that this function's borrow keeps open")]
    fn fire(&self, wires: &[(Wire, u8)], tails: &[Vec<u8>]) -> (Vec<Option<Outcome>>, Means) {
        use std::os::fd::AsRawFd as _;

        let mut means = self.means(wires.len());
        if means == Means::TightLoop {
            return (fire_in_turn(wires, tails), means);
        }
        let shots = wires.iter().zip(tails).map(|((wire, _), tail)| {
            // SAFETY: `wires` is borrowed until this function returns, and pair and ring return only when every shot
            // has its outcome or was given back.
            unsafe { Shot::new(socket(wire).as_raw_fd(), tail.clone()) }
        });
        let mut shots: Vec<Shot> = shots.collect();
        if let Some(pair) = &self.pair {
            match pair.fire(shots, matches!(means, Means::PinnedRings | Means::FifoRings)) {
                Ok(outcomes) => return (outcomes, means),
                Err(refused) => shots = refused,
            }
        }
        means = Means::IoUring;
        if let Some(Ok(mut ring)) = self.ring.as_ref().map(std::sync::Mutex::try_lock) {
            return (ring.fire(&shots, || {}).into_iter().map(Some).collect(), means);
        }
        (fire_in_turn(wires, tails), Means::TightLoop)
    }

    #[cfg(not(target_os = "linux"))]
    fn fire(&self, wires: &[(Wire, u8)], tails: &[Vec<u8>]) -> (Vec<Option<Outcome>>, Means) {
        (fire_in_turn(wires, tails), Means::TightLoop)
    }
}

/// One after the other.
fn fire_in_turn(wires: &[(Wire, u8)], tails: &[Vec<u8>]) -> Vec<Option<Outcome>> {
    let fire = |((wire, _), tail): (&(Wire, u8), &Vec<u8>)| {
        let at = Instant::now();
        Some(Outcome::new(at, socket(wire).try_write(tail)))
    };
    wires.iter().zip(tails).map(fire).collect()
}
