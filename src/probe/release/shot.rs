//! One tail on its way out, free of the stream it belongs to: a descriptor and bytes.
//!
//! Threads that outlive every round send on sockets that they do not own. What makes that sound is one promise, kept
//! by [`super::releaser`]: a shot's descriptor stays open until its outcome has come back.

use std::os::fd::{BorrowedFd, RawFd};

use rustix::net::{SendFlags, send};
use tokio::time::Instant;

use super::tail::Outcome;

/// Bytes to be sent on a socket that somebody else keeps open.
#[derive(Debug)]
pub(super) struct Shot {
    socket: RawFd,
    bytes: Vec<u8>,
}

impl Shot {
    /// Bytes for `socket`.
    ///
    /// # Safety
    /// Until the outcome of this shot has come back, or the shot is dropped, `socket` must stay open.
    #[expect(unsafe_code, reason = "the caller keeps the descriptor open, which no type here can say")]
    pub(super) unsafe fn new(socket: RawFd, bytes: Vec<u8>) -> Self {
        Self { socket, bytes }
    }

    /// The descriptor, for the ring.
    pub(super) fn socket(&self) -> RawFd {
        self.socket
    }

    /// What is sent.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Sends, without waiting for room.
    pub(super) fn fire(&self) -> Outcome {
        self.send(&self.bytes)
    }

    /// Sends nothing at all. The way through the kernel and the socket are then in this core's caches.
    pub(super) fn warm(&self) {
        let _ = self.send(&[]);
    }

    #[expect(unsafe_code, reason = "the descriptor is borrowed from a stream on another thread")]
    fn send(&self, bytes: &[u8]) -> Outcome {
        // SAFETY: `new` was promised that the descriptor stays open for as long as this shot is used.
        let socket = unsafe { BorrowedFd::borrow_raw(self.socket) };
        let at = Instant::now();
        let sent = send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        Outcome::new(at, sent.map_err(Into::into))
    }
}
