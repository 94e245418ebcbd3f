//! Many sends in one system call, by `io_uring`.
//!
//! Takes shots and gives their outcomes, in order. The kernel runs the sends one after the other inside the one call,
//! where next to nothing interrupts them; it does not tell when each ran. So the stamps are spaced evenly between the
//! instant before and the instant after the call. The first is measured; the distance to the last is at most what it
//! says, since the server that the sends woke often runs before this thread goes on. The time that this thread ran is no
//! better measure: where it was interrupted, it was seen to be a twentieth of what the kernel's stamps at the server
//! show.

use std::io;

use io_uring::{IoUring, opcode, types};
use tokio::time::Instant;

use super::shot::Shot;
use super::tail::Outcome;

/// Sends in one call; more take more calls.
const ENTRIES: u16 = 1024;

/// A ring that sends.
pub(super) struct Ring {
    /// `None` after a call that the kernel refused: what is queued in it must never be submitted again.
    ring: Option<IoUring>,
    entries: u16,
}

impl Ring {
    /// Sets up a ring; `None` where the kernel does not have it or forbids it.
    pub(super) fn new() -> Option<Self> {
        Self::of(ENTRIES)
    }

    /// A ring of `entries`, a power of two.
    pub(super) fn of(entries: u16) -> Option<Self> {
        let ring = IoUring::new(entries.into()).ok()?;
        let mut probe = io_uring::Probe::new();
        ring.submitter().register_probe(&mut probe).ok()?;
        probe.is_supported(opcode::Send::CODE).then_some(Self { ring: Some(ring), entries })
    }

    /// Sends them all. Calls `ready` when the first batch is queued, so that one system call is all that is left.
    pub(super) fn fire(&mut self, shots: &[Shot], ready: impl FnOnce()) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(shots.len());
        let mut ready = Some(ready);
        for batch in shots.chunks(self.entries.into()) {
            let queued = self.ring.as_mut().map_or(0, |ring| queue(ring, batch));
            if let Some(ready) = ready.take() {
                ready();
            }
            let (fired, sound) = match &mut self.ring {
                Some(ring) => submit(ring, batch, queued),
                None => (batch.iter().map(Shot::fire).collect(), true),
            };
            if !sound {
                self.ring = None;
            }
            outcomes.extend(fired);
        }
        outcomes
    }
}

/// Queues a batch, as much of it as has room.
fn queue(ring: &mut IoUring, batch: &[Shot]) -> usize {
    batch.iter().zip(0..).take_while(|(shot, index)| push(ring, shot, *index)).count()
}

/// Sends a queued batch in one call; false when the ring cannot be used again.
fn submit(ring: &mut IoUring, batch: &[Shot], queued: usize) -> (Vec<Outcome>, bool) {
    let mut sent: Vec<Option<io::Result<usize>>> = batch.iter().map(|_| None).collect();
    let mut due = queued;
    let mut done = 0;
    let before = Instant::now();
    while done < due {
        let entered = ring.submit_and_wait(due - done);
        for completion in ring.completion() {
            let place = usize::try_from(completion.user_data()).ok().and_then(|index| sent.get_mut(index));
            if let Some(place) = place {
                *place = Some(result(completion.result()));
                done += 1;
            }
        }
        // A refused call took nothing out of the queue: what is still in it was not sent, and never will be. What an
        // earlier call took completes without us, since no send waits for room.
        if entered.is_err_and(|error| error.kind() != io::ErrorKind::Interrupted) {
            due = queued - ring.submission().len();
        }
    }
    let whole = due == batch.len();
    let step = before.elapsed() / u32::try_from(due.max(1)).unwrap_or(u32::MAX);
    let outcomes = batch.iter().zip(sent).zip(0..).map(|((shot, sent), index)| match sent {
        Some(sent) => Outcome::new(before + step * index, sent),
        None => shot.fire(),
    });
    (outcomes.collect(), whole)
}

/// Queues one send; false when the queue is full.
#[expect(unsafe_code, reason = "the kernel reads descriptor and bytes after this function has returned")]
fn push(ring: &mut IoUring, shot: &Shot, index: u64) -> bool {
    let Ok(length) = u32::try_from(shot.bytes().len()) else { return false };
    let send = opcode::Send::new(types::Fd(shot.socket()), shot.bytes().as_ptr(), length)
        .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
        .build()
        .user_data(index);
    // SAFETY: the kernel uses the descriptor and the bytes from the call that takes this entry out of the queue until
    // its completion. `Ring::fire`, which borrows both, does not return between the two; an entry that no call took is
    // never submitted, since the ring is then dropped.
    unsafe { ring.submission().push(&send) }.is_ok()
}

/// A completion's number as a result.
fn result(number: i32) -> io::Result<usize> {
    usize::try_from(number).map_err(|_| io::Error::from_raw_os_error(number.saturating_neg()))
}
