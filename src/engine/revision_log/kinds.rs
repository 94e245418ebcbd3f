//! What kind of trouble does an entry tell of? By the platform's own sentences.
//!
//! Takes texts; gives kinds and parts of filters. It judges nothing. The surprising rule: a Python traceback counts also
//! without a severity, since what an application writes to its standard error has none, and a handler that dies would
//! otherwise leave a clean log.
//!
//! Source of the sentences: Cloud Run's troubleshooting pages and its documentation of logging.

use crate::config::LogsSettings;
use crate::judge::LoggedKind;

/// How a Python traceback begins.
pub(super) const TRACEBACK: &str = "Traceback (most recent call last)";
/// How the start of an instance is told.
const START: &str = "Starting new instance. Reason: ";

/// Exceptions by which Python's servers tell a handler that its client has left, by the ends of their names.
const DEPARTURES: [&str; 4] =
    ["WebSocketDisconnect", "ConnectionClosedOK", "ClientDisconnect", "ClientDisconnected"];

/// The part of a filter that means what the application wrote and may count: all logs but those of the platform.
pub(super) fn written(settings: &LogsSettings, requests: &str, system: &str) -> String {
    let severity = &settings.severity;
    // Whoever lets only higher severities count has chosen to pass over errors, and a traceback is one.
    let also_tracebacks = !["CRITICAL", "ALERT", "EMERGENCY"].contains(&severity.as_str());
    let counts = if also_tracebacks {
        format!("(severity>={severity} OR textPayload:\"{TRACEBACK}\")")
    } else {
        format!("severity>={severity}")
    };
    format!("NOT {requests} AND NOT {system} AND NOT logName:\"cloudaudit.googleapis.com\" AND {counts}")
}

/// What an entry tells that the application wrote. A handler that does not catch its client's leaving dies of it, and works
/// as it should: that is the text of many a tutorial.
pub(super) fn kind_of_written(text: &str, has_severity: bool) -> LoggedKind {
    if exception_of(text).is_some_and(is_departure) {
        LoggedKind::Departure
    } else if has_severity {
        LoggedKind::Error
    } else {
        LoggedKind::Traceback
    }
}

/// The line of a traceback that names its exception: the last that is not indented.
fn exception_of(text: &str) -> Option<&str> {
    let (_, traceback) = text.split_once(TRACEBACK)?;
    let lines = traceback.lines().map(|line| line.trim_start_matches(':').trim_end());
    let named = |line: &&str| line.trim_start().starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    lines.filter(|line| !line.starts_with("  ")).rfind(named).map(str::trim)
}

/// True for an exception that says no more than that the client has left.
fn is_departure(exception: &str) -> bool {
    let name = exception.split([':', '(']).next().unwrap_or_default().trim();
    DEPARTURES.iter().any(|known| name.rsplit('.').next() == Some(known)) && !exception.contains("1011")
}

/// What a request's entry with 5xx tells.
pub(super) fn kind_of_request(text: &str) -> LoggedKind {
    if is_memory(text) {
        LoggedKind::Memory
    } else if text.contains("the HTTP response was malformed or connection to the instance had an error") {
        LoggedKind::BrokenRequest
    } else if text.contains("reached the maximum request timeout") {
        LoggedKind::TimedOut
    } else if text.contains("there was no available instance") {
        LoggedKind::NoInstance
    } else {
        LoggedKind::ServerError
    }
}

/// What an entry of the platform's own log tells, where it may count.
pub(super) fn kind_of_system(text: &str) -> Option<LoggedKind> {
    if is_memory(text) {
        return Some(LoggedKind::Memory);
    }
    let exit = text.split_once("Container called exit(").map(|(_, code)| code);
    let failed = exit.is_some_and(|code| code.starts_with(|c: char| ('1'..='9').contains(&c)));
    if failed || text.contains("Container terminated on signal") || text.contains("Uncaught signal") {
        return Some(LoggedKind::Crash);
    }
    let probes = ["STARTUP", "LIVENESS", "READINESS"];
    let ways = ["TCP", "HTTP", "GRPC"];
    let is_probe =
        |probe: &&str| ways.iter().any(|way| text.contains(&format!("{probe} {way} probe failed")));
    probes.iter().any(is_probe).then_some(LoggedKind::Probe)
}

fn is_memory(text: &str) -> bool {
    text.contains("Memory limit of")
        || text.contains("was found to be using too much memory and was terminated")
}

/// Why an instance started, where the entry tells of a start.
pub(super) fn reason_of_start(text: &str) -> Option<&str> {
    text.split_once(START).map(|(_, reason)| reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platforms_sentences_have_their_kinds() {
        for (text, due) in [
            ("Container called exit(1).", Some(LoggedKind::Crash)),
            ("Container called exit(0).", None),
            ("Container terminated on signal 9.", Some(LoggedKind::Crash)),
            ("Uncaught signal: 11, pid=1, tid=1, fault_addr=0.", Some(LoggedKind::Crash)),
            ("Memory limit of 512 MiB exceeded with 530 MiB used. Consider", Some(LoggedKind::Memory)),
            ("Default STARTUP TCP probe failed 1 time consecutively", Some(LoggedKind::Probe)),
            ("LIVENESS HTTP probe failed 3 times consecutively", Some(LoggedKind::Probe)),
            ("Default STARTUP TCP probe succeeded after 1 attempt", None),
            ("Starting new instance. Reason: AUTOSCALING", None),
        ] {
            assert_eq!(kind_of_system(text), due, "{text}");
        }
        assert_eq!(
            reason_of_start("Starting new instance. Reason: AUTOSCALING - x"),
            Some("AUTOSCALING - x")
        );
        let broken = "The request failed because either the HTTP response was malformed or connection to the instance had an \
                      error.";
        assert_eq!(kind_of_request(broken), LoggedKind::BrokenRequest);
        let memory = "While handling this request, the container instance was found to be using too much memory and was \
                      terminated.";
        assert_eq!(kind_of_request(memory), LoggedKind::Memory);
        assert_eq!(kind_of_request(""), LoggedKind::ServerError);
    }

    #[test]
    fn a_client_that_left_is_no_error_and_what_came_of_it_is() {
        for (text, due) in [
            ("starlette.websockets.WebSocketDisconnect: (1000, '')", LoggedKind::Departure),
            ("starlette.websockets.WebSocketDisconnect: 1006", LoggedKind::Departure),
            ("websockets.exceptions.ConnectionClosedOK: received 1000 (OK)", LoggedKind::Departure),
            ("starlette.websockets.WebSocketDisconnect: (1011, '')", LoggedKind::Traceback),
            ("ValueError: WebSocketDisconnect", LoggedKind::Traceback),
            ("WebSocketDisconnectHandlerError", LoggedKind::Traceback),
        ] {
            assert_eq!(kind_of_written(&format!("{TRACEBACK}: {text}"), false), due, "{text}");
            let whole = format!(
                "Exception in ASGI application\n{TRACEBACK}:\n  File \"a.py\", line 3\n    run()\n{text}\n"
            );
            let due = if due == LoggedKind::Departure { due } else { LoggedKind::Error };
            assert_eq!(kind_of_written(&whole, true), due, "{text}");
        }
        assert_eq!(kind_of_written("WebSocketDisconnect", true), LoggedKind::Error, "no traceback");
    }

    #[test]
    fn tracebacks_count_with_errors_and_not_above_them() {
        let settings = |severity: &str| LogsSettings {
            severity: severity.to_owned(),
            allow: Vec::new(),
            patience: std::time::Duration::from_secs(1),
        };
        assert!(written(&settings("ERROR"), "r", "s").contains("OR textPayload:\"Traceback"));
        assert!(!written(&settings("CRITICAL"), "r", "s").contains("Traceback"));
    }
}
