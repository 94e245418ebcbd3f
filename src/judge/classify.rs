//! Was this socket served, was it failed by the application, or did it never reach the application?
//!
//! Takes one observation and what is known of a healthy socket; gives one class, one kind, the phase and the words a
//! report uses. Every observation gets exactly one. The surprising rule: a failure is the application's unless there is
//! *proof* that the platform or this machine answered: "503 is only infrastructure" is how broken revisions are passed.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::probe::{
    Declared, End, EndKind, Learned, Observation, Opening, Phase, Standing, TcpFailure, standing,
};

/// Who is answerable for how a socket went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// It said what a healthy one says, answered, and was still open at the end of the hold.
    Ok,
    /// The application failed it.
    AppFail,
    /// The platform or our own machine answered in the application's place: proven.
    Infra,
}

/// What was seen, as a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Served.
    Ok,
    /// The name did not resolve.
    Dns,
    /// Nobody listens.
    TcpRefused,
    /// No TCP connection in time.
    TcpTimeout,
    /// No way there from this machine.
    NoRoute,
    /// TCP failed otherwise.
    TcpFailed,
    /// TLS failed.
    Tls,
    /// This machine was out of descriptors, ports or memory.
    LocalLimit,
    /// The opening did not end in time.
    OpeningTimeout,
    /// The connection ended in the middle of the opening.
    OpeningEnded,
    /// It was reset in the middle of the opening.
    OpeningReset,
    /// The answer is not HTTP.
    Malformed,
    /// An HTTP status other than 101.
    HttpStatus,
    /// A page of the platform's own.
    PlatformPage,
    /// A refusal that names a limit of the service's own.
    LimitReached,
    /// A 101 that does not answer our request.
    BadAccept,
    /// A 101 with an unacceptable subprotocol.
    Subprotocol,
    /// A frame that reports an error.
    ErrorFrame,
    /// Open, and nothing due ever came.
    Silent,
    /// Less came unasked than comes on other sockets.
    GreetingMissing,
    /// What was sent got no answer.
    NoAnswer,
    /// A close frame before we closed.
    Close,
    /// TCP ended without a close frame (1006).
    NoCloseFrame,
    /// TCP was reset on the open socket.
    Reset,
    /// The server broke the protocol.
    Violation,
    /// Served, but closed with an error while we closed.
    LateClose,
    /// The server's keepalive ran out while our own machine stood still: our pong was late.
    LatePong,
}

/// What one socket came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Who is answerable.
    pub class: Class,
    /// What was seen.
    pub kind: Kind,
    /// In which step.
    pub phase: Phase,
    /// The HTTP status, for refusals.
    pub status: Option<u16>,
    /// The close code, for closes.
    pub code: Option<u16>,
    /// One fragment for a report; what came from the server stands in quotes.
    pub words: String,
}

/// What is known of a healthy socket.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// What the configuration declares.
    pub declared: Declared,
    /// What comes unasked.
    pub learned: Option<&'a Learned>,
    /// True when a page of the platform's proves something: the address is known to lie behind Google's front end.
    pub platform_counts: bool,
}

/// Says what one socket came to.
pub(super) fn classify(observation: &Observation, rules: &Rules<'_>) -> Finding {
    match &observation.opening {
        Opening::Opened { .. } => opened(observation, rules),
        other => unopened(other, rules),
    }
}

fn finding(class: Class, kind: Kind, phase: Phase, words: String) -> Finding {
    Finding { class, kind, phase, status: None, code: None, words }
}

fn unopened(opening: &Opening, rules: &Rules<'_>) -> Finding {
    use Class::{AppFail, Infra};
    let of = finding;
    match opening {
        Opening::Dns { error } => of(Infra, Kind::Dns, Phase::Dns, format!("name not resolved: \"{error}\"")),
        Opening::Local { error } => of(
            Infra,
            Kind::LocalLimit,
            Phase::Tcp,
            format!("this machine could not open a socket: \"{error}\""),
        ),
        Opening::Tcp { failure, error } => {
            let (class, kind) = match failure {
                TcpFailure::Refused => (AppFail, Kind::TcpRefused),
                TcpFailure::TimedOut => (AppFail, Kind::TcpTimeout),
                TcpFailure::NoRoute => (Infra, Kind::NoRoute),
                TcpFailure::Other => (AppFail, Kind::TcpFailed),
            };
            of(class, kind, Phase::Tcp, format!("no TCP connection: \"{error}\""))
        }
        Opening::Tls { error } => of(AppFail, Kind::Tls, Phase::Tls, format!("TLS failed: \"{error}\"")),
        Opening::TimedOut { phase: Phase::Dns } => {
            of(Infra, Kind::Dns, Phase::Dns, "name not resolved in time".to_owned())
        }
        Opening::TimedOut { phase } => {
            let kind = if *phase == Phase::Tcp { Kind::TcpTimeout } else { Kind::OpeningTimeout };
            of(AppFail, kind, *phase, format!("opening time-out: {} did not end", step(*phase)))
        }
        Opening::Ended { reset, bytes } => {
            let kind = if *reset { Kind::OpeningReset } else { Kind::OpeningEnded };
            let how = if *reset { "reset" } else { "ended" };
            of(AppFail, kind, Phase::Opening, format!("connection {how} after {bytes} bytes of an answer"))
        }
        Opening::Malformed { what } => {
            of(AppFail, Kind::Malformed, Phase::Opening, format!("the answer is not HTTP: \"{what}\""))
        }
        Opening::BadAccept { what } => {
            of(AppFail, Kind::BadAccept, Phase::Opening, format!("bad 101: \"{what}\""))
        }
        Opening::Subprotocol { what } => {
            of(AppFail, Kind::Subprotocol, Phase::Opening, format!("subprotocol: \"{what}\""))
        }
        Opening::Refused { .. } | Opening::Opened { .. } => refused(opening, rules),
    }
}

fn refused(opening: &Opening, rules: &Rules<'_>) -> Finding {
    let Opening::Refused { status, body, location, platform } = opening else {
        return finding(Class::Ok, Kind::Ok, Phase::Opening, "opened".to_owned());
    };
    let (class, kind, mut words) = match platform {
        Some(page) if rules.platform_counts => (Class::Infra, Kind::PlatformPage, page.words().to_owned()),
        _ if *status == 429 || names_limit(body.as_str()) => {
            (Class::AppFail, Kind::LimitReached, format!("limit reached: HTTP {status} instead of 101"))
        }
        _ => (Class::AppFail, Kind::HttpStatus, format!("HTTP {status} instead of 101")),
    };
    if let Some(location) = location {
        let _ = write!(words, ", to \"{location}\" (not followed)");
    }
    if !body.is_empty() && kind != Kind::PlatformPage {
        let _ = write!(words, ": \"{body}\"");
    }
    Finding { status: Some(*status), ..finding(class, kind, Phase::Opening, words) }
}

fn step(phase: Phase) -> &'static str {
    match phase {
        Phase::Dns => "the name's resolution",
        Phase::Tcp => "the TCP connection",
        Phase::Tls => "TLS",
        _ => "the upgrade",
    }
}

/// An open socket: an error frame comes first, since a close behind it only repeats it; then how it ended; then what
/// it never showed.
fn opened(observation: &Observation, rules: &Rules<'_>) -> Finding {
    let app_fail = |kind, phase, words| finding(Class::AppFail, kind, phase, words);
    if let Some(frame) = observation.frames.iter().find(|frame| frame.error) {
        let phase = if observation.sent_after.is_some() { Phase::Answer } else { Phase::Greeting };
        let mut finding = app_fail(Kind::ErrorFrame, phase, format!("error frame \"{}\"", frame.text));
        if let Some(End { kind: EndKind::CloseFrame { code, reason }, .. }) = early(observation) {
            finding.code = *code;
            let _ = write!(finding.words, ", then {}", close_words(*code, reason.as_str()));
        }
        return finding;
    }
    if let Some(end) = early(observation) {
        return ended(observation, end);
    }
    match state(observation, rules) {
        Standing::Satisfied => closing(observation),
        _ if observation.frames.is_empty() => {
            app_fail(Kind::Silent, Phase::Greeting, "open, and silent: nothing ever came".to_owned())
        }
        Standing::Answer => app_fail(
            Kind::NoAnswer,
            Phase::Answer,
            format!("no answer to what was sent; {}", came(observation)),
        ),
        _ => app_fail(
            Kind::GreetingMissing,
            Phase::Greeting,
            format!("less came unasked than on other sockets; {}", came(observation)),
        ),
    }
}

fn came(observation: &Observation) -> String {
    match observation.frames.last() {
        None => "nothing came".to_owned(),
        Some(frame) => format!("{} frames came, the last \"{}\"", observation.frames_total, frame.text),
    }
}

/// Where the socket stood. What was observed before anything was known is not measured by what became known later.
fn state(observation: &Observation, rules: &Rules<'_>) -> Standing {
    let learned = rules.learned.filter(|_| observation.knew_greeting);
    standing(&observation.frames, observation.sent_after, rules.declared, learned)
}

/// An end that came before we closed.
fn early(observation: &Observation) -> Option<&End> {
    observation.end.as_ref().filter(|end| end.phase != Phase::Closing && end.kind != EndKind::CutByUs)
}

fn ended(observation: &Observation, end: &End) -> Finding {
    let moment = match end.phase {
        Phase::Greeting if observation.frames.is_empty() => "right after accept",
        Phase::Greeting => "before everything due had come",
        Phase::Answer => "before the answer",
        _ => "after it was served, while held",
    };
    if let Some(late) = late_pong(observation, end) {
        return late;
    }
    let (kind, code, what) = match &end.kind {
        EndKind::CloseFrame { code: Some(code), reason } if closes_at_limit(*code, reason.as_str()) => {
            let words = close_words(Some(*code), reason.as_str());
            (Kind::LimitReached, Some(*code), format!("limit reached: {words}"))
        }
        EndKind::CloseFrame { code, reason } => (Kind::Close, *code, close_words(*code, reason.as_str())),
        EndKind::NoCloseFrame => {
            (Kind::NoCloseFrame, None, "TCP ended without a close frame (1006)".to_owned())
        }
        EndKind::Reset => (Kind::Reset, None, "TCP reset (1006)".to_owned()),
        EndKind::Violation { what } => (Kind::Violation, None, format!("protocol violation \"{what}\"")),
        EndKind::CutByUs => (Kind::NoAnswer, None, "cut by us".to_owned()),
    };
    Finding { code, ..finding(Class::AppFail, kind, end.phase, format!("{what} {moment}")) }
}

/// A stall of our own this long may make a pong come too late, in microseconds.
const LATE_PONG: u64 = 500_000;

/// A close that our own machine caused: by its reason the server's keepalive ran out, and we know that we stood still.
fn late_pong(observation: &Observation, end: &End) -> Option<Finding> {
    let stalled = observation.timeline.stalled.filter(|time| *time >= LATE_PONG)?;
    let EndKind::CloseFrame { code, reason } = &end.kind else { return None };
    let what = close_words(*code, reason.as_str());
    let words =
        format!("{what}, and our own pong was late: this machine stood still for {} ms", stalled / 1000);
    let late = Finding { code: *code, ..finding(Class::Infra, Kind::LatePong, end.phase, words) };
    late.is_keepalive().then_some(late)
}

/// A served socket: only a close with an error code while we close still counts against it.
fn closing(observation: &Observation) -> Finding {
    match observation.end.as_ref().map(|end| &end.kind) {
        Some(EndKind::CloseFrame { code: Some(code), reason }) if is_error_code(*code) => Finding {
            code: Some(*code),
            ..finding(
                Class::AppFail,
                Kind::LateClose,
                Phase::Closing,
                format!("{} in answer to our close", close_words(Some(*code), reason.as_str())),
            )
        },
        _ => finding(Class::Ok, Kind::Ok, Phase::Closing, "served".to_owned()),
    }
}

/// Codes that say "I failed" (RFC 6455, section 7.4.1: 1002, 1003, 1007, 1009, 1011; IANA: 1014), whoever closed.
fn is_error_code(code: u16) -> bool {
    matches!(code, 1002 | 1003 | 1007 | 1009 | 1011 | 1014)
}

/// True for a text that names a limit of the service's own.
fn names_limit(text: &str) -> bool {
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
fn closes_at_limit(code: u16, reason: &str) -> bool {
    matches!(code, 1013 | 4429) || (code != 1011 && names_limit(reason))
}

fn close_words(code: Option<u16>, reason: &str) -> String {
    let code = code.map_or_else(|| "close without a code".to_owned(), |code| format!("close {code}"));
    if reason.is_empty() { code } else { format!("{code} \"{reason}\"") }
}

impl Finding {
    /// True for a close that client or network can cause: by its own words the server's keepalive ran out.
    pub fn is_keepalive(&self) -> bool {
        let words = self.words.to_ascii_lowercase();
        self.code.is_some()
            && ["keepalive", "keep-alive", "ping timeout"].iter().any(|said| words.contains(said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Timeline;
    use crate::trust::Excerpt;

    fn closed(reason: &str, stalled: Option<u64>) -> Observation {
        Observation {
            socket: 1,
            user: None,
            opening: Opening::Opened { subprotocol: None },
            frames: Vec::new(),
            frames_total: 0,
            sent_after: None,
            knew_greeting: false,
            end: Some(End {
                kind: EndKind::CloseFrame { code: Some(1011), reason: Excerpt::new(reason) },
                phase: Phase::Hold,
            }),
            echo: None,
            instance: None,
            timeline: Timeline { stalled, ..Timeline::default() },
        }
    }

    #[test]
    fn a_keepalive_that_ran_out_is_ours_only_where_our_pong_was_late() {
        let rules = Rules {
            declared: Declared { send: false, expect: false },
            learned: None,
            platform_counts: false,
        };
        let seen = |reason, stalled| classify(&closed(reason, stalled), &rules);
        let reason = "keepalive ping timeout";
        assert_eq!(seen(reason, Some(600_000)).class, Class::Infra);
        assert_eq!(seen(reason, Some(120_000)).class, Class::AppFail);
        assert!(seen(reason, None).is_keepalive());
        assert_eq!(seen("Factory init failed", Some(600_000)).class, Class::AppFail, "no stall excuses that");
    }

    #[test]
    fn a_limit_is_named_and_a_1011_never_excused() {
        assert!(closes_at_limit(4429, ""));
        assert!(closes_at_limit(1008, "Too many connections for this user"));
        assert!(!closes_at_limit(1008, "policy violation"));
        assert!(!closes_at_limit(1011, "connection limit"));
    }
}
