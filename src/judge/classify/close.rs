//! What a close says: a limit of the service's own, a keepalive that ran out, or a failure.
//!
//! Takes codes and reasons and gives a yes or no, and words. Pure. The surprising rule: only the whole reason tells of a
//! keepalive, while a limit may be named anywhere in it.

use crate::probe::EndKind;

/// What a close frame without a code is called (RFC 6455, section 7.4.1).
pub(in crate::judge) const WITHOUT_CODE: u16 = 1005;

/// True for a close that client or network can cause: its whole reason says that the server's keepalive ran out. A reason
/// that only mentions one ("redis ping timeout") is an error of the application's own.
pub(super) fn is_keepalive(end: &EndKind) -> bool {
    const SAID: [&str; 7] = [
        "keepalive ping timeout",
        "keep-alive ping timeout",
        "keepalive timeout",
        "keep-alive timeout",
        "ping timeout",
        "ping timed out",
        "pong timeout",
    ];
    let EndKind::CloseFrame { reason, .. } = end else { return false };
    let reason = reason.as_str().trim().trim_end_matches(['.', '!']).to_ascii_lowercase();
    SAID.contains(&reason.as_str())
}

/// True for a text that names a limit of the service's own.
pub(super) fn names_limit(text: &str) -> bool {
    const SAID: [&str; 7] = [
        "too many connections",
        "too many sockets",
        "too many sessions",
        "too many requests",
        "connection limit",
        "limit reached",
        "limit exceeded",
    ];
    let text = text.to_ascii_lowercase();
    SAID.iter().any(|said| text.contains(said))
}

/// 1013 is "try again later" (IANA), 4429 what applications make of HTTP's 429. A 1011 is an error whatever it says.
pub(in crate::judge) fn closes_at_limit(code: u16, reason: &str) -> bool {
    matches!(code, 1013 | 4429) || (code != 1011 && names_limit(reason))
}

/// A close as a report names it.
pub(in crate::judge) fn close_words(code: Option<u16>, reason: &str) -> String {
    let code = code.map_or_else(|| "close without a code".to_owned(), |code| format!("close {code}"));
    if reason.is_empty() { code } else { format!("{code} \"{reason}\"") }
}
