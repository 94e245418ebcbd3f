//! The last bytes of a request: made ready beforehand, and finished where they did not go at once.

use std::io::{self, Write as _};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_util::either::Either;

use crate::probe::transport::Wire;

/// A peer that has not made room for a few bytes within this time does not read at all.
const FINISHED_WITHIN: Duration = Duration::from_secs(10);

/// What became of one tail at the release.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Just before its send.
    pub(super) at: Instant,
    /// How many bytes the socket took; an error that it cannot recover from.
    pub(super) sent: io::Result<usize>,
}

impl Outcome {
    /// A socket that has no room, or whose call was interrupted, has taken nothing, which is no error.
    pub(super) fn new(at: Instant, sent: io::Result<usize>) -> Self {
        let passing = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
        };
        Self { at, sent: if sent.as_ref().is_err_and(passing) { Ok(0) } else { sent } }
    }
}

/// The bytes that go out on the TCP socket when `last` is written. Under TLS they are the record that is encrypted
/// here, and the session counts it as sent: these bytes must go out, once, before anything else.
pub(super) fn seal(wire: &mut Wire, last: u8) -> io::Result<Vec<u8>> {
    let Either::Right(stream) = wire else { return Ok(vec![last]) };
    let session = stream.get_mut().1;
    session.writer().write_all(&[last])?;
    let mut bytes = Vec::with_capacity(32);
    while session.wants_write() {
        session.write_tls(&mut bytes)?;
    }
    Ok(bytes)
}

/// The TCP socket below a stream.
pub(in crate::probe) fn socket(wire: &Wire) -> &TcpStream {
    match wire {
        Either::Left(stream) => stream,
        Either::Right(stream) => stream.get_ref().0,
    }
}

/// Sends what `outcome` left over, and tells when the last byte went. `None` when the socket is broken.
pub(super) async fn finish(wire: &mut Wire, bytes: &[u8], outcome: Outcome) -> Option<Instant> {
    let rest = bytes.get(outcome.sent.ok()?..)?;
    if rest.is_empty() {
        return Some(outcome.at);
    }
    let socket = match wire {
        Either::Left(stream) => stream,
        Either::Right(stream) => stream.get_mut().0,
    };
    timeout(FINISHED_WITHIN, socket.write_all(rest)).await.ok()?.ok()?;
    Some(Instant::now())
}
