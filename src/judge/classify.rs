//! Was this socket served, was it failed by the application, or did it never reach the application?
//!
//! Takes one observation and what is known of a healthy socket; gives one class, one kind, the phase and the words a
//! report uses. Every observation gets exactly one. The surprising rule: a failure is the application's unless there is
//! *proof* that the platform or this machine answered: "503 is only infrastructure" is how broken revisions are passed.

mod close;

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

pub(super) use close::{WITHOUT_CODE, close_words, closes_at_limit};
use close::{is_keepalive, names_limit};

use crate::config::FAILED;
use crate::probe::{
    Declared, End, EndKind, Frame, Learned, Observation, Opening, Phase, Standing, TcpFailure, has_greeting,
    standing,
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
    /// What came in the place of what is due is meant for another socket.
    Misdirected,
    /// A close frame before we closed.
    Close,
    /// TCP ended without a close frame (1006).
    NoCloseFrame,
    /// TCP was reset on the open socket.
    Reset,
    /// A message larger than those that are read: we ended it.
    TooLarge,
    /// The server broke the protocol.
    Violation,
    /// Served, but closed with an error while we closed.
    LateClose,
    /// The server's keepalive ran out while our own machine stood still: our pong was late.
    LatePong,
    /// A refusal of a token that had expired by then, by its own claim.
    ExpiredToken,
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
    /// By the reason of the close, and nothing else, the server's keepalive ran out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keepalive: bool,
}

/// What is known of a healthy socket.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// What the configuration declares.
    pub declared: Declared,
    /// What comes unasked, and what answers.
    pub learned: Option<&'a Learned>,
    /// Codes with which a healthy server may close a socket that it has served.
    pub closes: &'a [u16],
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
    Finding { class, kind, phase, status: None, code: None, words, keepalive: false }
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
        return complained(observation, frame);
    }
    if let Some(end) = early(observation) {
        return declared_close(end, rules).unwrap_or_else(|| ended(observation, end));
    }
    match state(observation, rules) {
        Standing::Satisfied => closing(observation),
        Standing::Answer if !observation.frames.is_empty() => app_fail(
            Kind::NoAnswer,
            Phase::Answer,
            format!("no answer to what was sent; {}", came(observation)),
        ),
        _ if is_ungreeted(observation, rules) => {
            let waits = rules.declared.send && observation.sent_after.is_none();
            let sent = if waits { ", so that nothing was sent" } else { "" };
            let words = format!("{UNGREETED}{sent}; {}", came(observation));
            app_fail(Kind::GreetingMissing, Phase::Greeting, words)
        }
        _ if observation.frames.is_empty() => {
            app_fail(Kind::Silent, Phase::Greeting, "open, and silent: nothing ever came".to_owned())
        }
        _ => app_fail(
            Kind::GreetingMissing,
            Phase::Greeting,
            format!("less came unasked than on other sockets; {}", came(observation)),
        ),
    }
}

/// What is said where the declared greeting did not come.
pub(super) const UNGREETED: &str = "the declared greeting never came";

/// True where a greeting is declared and did not come.
fn is_ungreeted(observation: &Observation, rules: &Rules<'_>) -> bool {
    let learned = known(observation, rules);
    rules.declared.greeting && !has_greeting(&observation.frames, observation.sent_after, learned)
}

/// A frame that reports an error, and the close behind it: whoever names a limit in one of them has reached it.
fn complained(observation: &Observation, frame: &Frame) -> Finding {
    let phase = if observation.sent_after.is_some() { Phase::Answer } else { Phase::Greeting };
    let words = format!("error frame \"{}\"", frame.text);
    let Some(End { kind: EndKind::CloseFrame { code, reason }, .. }) = early(observation) else {
        return finding(Class::AppFail, Kind::ErrorFrame, phase, words);
    };
    let words = format!("{words}, then {}", close_words(*code, reason.as_str()));
    // 1013 alone is "try again later": behind an error it may as well be a service that has not started.
    let named = names_limit(reason.as_str()) || names_limit(frame.text.as_str()) || *code == Some(4429);
    let limited = named && code.is_some_and(|code| closes_at_limit(code, reason.as_str()));
    let kind = if limited { Kind::LimitReached } else { Kind::ErrorFrame };
    let words = if limited { format!("limit reached: {words}") } else { words };
    Finding { code: *code, ..finding(Class::AppFail, kind, phase, words) }
}

fn came(observation: &Observation) -> String {
    match observation.frames.last() {
        None => "nothing came".to_owned(),
        Some(frame) => format!("{} frames came, the last \"{}\"", observation.frames_total, frame.text),
    }
}

/// Where the socket stood.
fn state(observation: &Observation, rules: &Rules<'_>) -> Standing {
    standing(&observation.frames, observation.sent_after, rules.declared, known(observation, rules))
}

/// What measures it: what was observed before anything was known is not measured by what became known later.
fn known<'a>(observation: &Observation, rules: &Rules<'a>) -> Option<&'a Learned> {
    rules.learned.filter(|_| observation.knew_greeting)
}

/// An end that came before we closed.
fn early(observation: &Observation) -> Option<&End> {
    observation.end.as_ref().filter(|end| end.phase != Phase::Closing && end.kind != EndKind::CutByUs)
}

/// A close that the configuration allows, of a socket to which nothing was due any more.
fn declared_close(end: &End, rules: &Rules<'_>) -> Option<Finding> {
    let EndKind::CloseFrame { code, reason } = &end.kind else { return None };
    let known = code.unwrap_or(WITHOUT_CODE);
    let allowed = end.phase == Phase::Hold && rules.closes.contains(&known) && !FAILED.contains(&known);
    let words = format!("served, then {}, as declared", close_words(*code, reason.as_str()));
    allowed.then(|| Finding { code: *code, ..finding(Class::Ok, Kind::Ok, Phase::Hold, words) })
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
        EndKind::TooLarge { limit } => {
            let words = format!("a message larger than the {} MiB that are read", limit >> 20);
            (Kind::TooLarge, None, words)
        }
        EndKind::Violation { what } => (Kind::Violation, None, format!("protocol violation \"{what}\"")),
        EndKind::CutByUs => (Kind::NoAnswer, None, "cut by us".to_owned()),
    };
    let words = format!("{what} {moment}");
    Finding { code, keepalive: is_keepalive(&end.kind), ..finding(Class::AppFail, kind, end.phase, words) }
}

/// A stall of our own this long may make a pong come too late, in microseconds.
const LATE_PONG: u64 = 500_000;

/// A close that our own machine caused: by its reason the server's keepalive ran out, and we know that we stood still.
fn late_pong(observation: &Observation, end: &End) -> Option<Finding> {
    let stalled = observation.timeline.stalled.filter(|time| *time >= LATE_PONG)?;
    let EndKind::CloseFrame { code, reason } = &end.kind else { return None };
    if !is_keepalive(&end.kind) {
        return None;
    }
    let what = close_words(*code, reason.as_str());
    let words =
        format!("{what}, and our own pong was late: this machine stood still for {} ms", stalled / 1000);
    let late = finding(Class::Infra, Kind::LatePong, end.phase, words);
    Some(Finding { code: *code, keepalive: true, ..late })
}

/// A served socket: only a close with an error code while we close still counts against it.
fn closing(observation: &Observation) -> Finding {
    match observation.end.as_ref().map(|end| &end.kind) {
        Some(kind @ EndKind::CloseFrame { code: Some(code), reason }) if FAILED.contains(code) => Finding {
            code: Some(*code),
            keepalive: is_keepalive(kind),
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

#[cfg(test)]
mod tests;
