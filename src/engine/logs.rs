//! What every reading of the project's log shares: which stretch of time, how often, and whose an entry is.
//!
//! Takes times and entries; gives parts of filters and the numbers of this run's sockets. It asks nobody. The surprising
//! rule: an entry tells of a socket by the text in its user agent, which begins with the run's own and is followed by the
//! socket's number, so that a log needs no trace to be told apart.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cloudrun::logs::LogEntry;

/// How long between two looks: a project may look 60 times a minute.
pub(super) const PAUSE: Duration = Duration::from_secs(3);
/// How far our clock and the platform's may be apart.
const CLOCKS: SignedDuration = SignedDuration::from_secs(5);

/// The part of a filter that means the time from one instant on, by a clock that may be another.
pub(super) fn since(from: Timestamp) -> String {
    format!("timestamp>=\"{}\"", from.checked_sub(CLOCKS).unwrap_or(from))
}

/// The part of a filter that means the time up to an instant, by a clock that may be another.
pub(super) fn until(to: Timestamp) -> String {
    format!("timestamp<=\"{}\"", to.checked_add(CLOCKS).unwrap_or(to))
}

/// The socket or request of this run that an entry is about.
pub(super) fn socket_of(entry: &LogEntry, run: &str) -> Option<u32> {
    let agent = &entry.http_request.as_ref()?.user_agent;
    let (_, socket) = agent.split_once(&format!("{run}-"))?;
    let digits = socket.find(|c: char| !c.is_ascii_digit()).unwrap_or(socket.len());
    socket[..digits].parse().ok()
}
