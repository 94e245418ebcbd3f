//! One server for each failure that this gate was born from, on FastAPI and on Node, with every check on.
//!
//! The check that should see it is named first; any other that fails tells of the same event.

use super::{CONFIG, Server};

/// A failure: the mode of the servers, the check that should see it, the words of its summary, and words of which each
/// other failing check must have one.
struct Failure {
    mode: &'static str,
    check: &'static str,
    words: &'static [&'static str],
    event: &'static [&'static str],
}

const FAILURES: [Failure; 12] = [
    Failure {
        mode: "dies",
        check: "agent",
        words: &["close 1011 \"orchestrator is None\" 7.", " s after its start"],
        event: &["orchestrator is None"],
    },
    Failure { mode: "fallback", check: "agent", words: &["forbidden frame", "fallback_active"], event: &[] },
    Failure {
        mode: "degraded-welcome",
        check: "agent",
        words: &["forbidden frame", "degraded_mode", "before its first step"],
        event: &[],
    },
    Failure {
        mode: "wrong-order",
        check: "agent",
        words: &["out of order: tool_completed came", "before tool_executing"],
        event: &[],
    },
    Failure {
        mode: "missing-completion",
        check: "agent",
        words: &["not complete within 3.0 s, where agent_completed was due"],
        event: &[],
    },
    Failure {
        mode: "leak",
        check: "isolation",
        words: &["got ", " of gate-user-"],
        event: &["agent_completed"],
    },
    Failure {
        mode: "bad-1011",
        check: "auth",
        words: &["close 1011 \"authentication failed\" instead of a refusal"],
        event: &[],
    },
    Failure {
        mode: "bad-1006",
        check: "auth",
        words: &["TCP ended without a close frame (1006)"],
        event: &[],
    },
    Failure {
        mode: "bad-accepted",
        check: "auth",
        words: &["accepted, and served like a good one"],
        event: &[],
    },
    Failure { mode: "heartbeat-never", check: "hold", words: &["heartbeat never sent in "], event: &[] },
    Failure {
        mode: "sockets-die",
        check: "serves",
        words: &["close 1011 \"Factory init failed\""],
        event: &["Factory init failed"],
    },
    Failure {
        mode: "errors-in-log",
        check: "logs",
        words: &["Redis manager lost its connection"],
        event: &[],
    },
];

/// Names and summaries of the failing checks, in the order of the report.
fn failed(text: &str) -> Vec<(&str, &str)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("  FAIL  "));
    lines.map(|line| line.split_once(' ').unwrap_or((line, ""))).collect()
}

fn assert_blocked(server: Server, failure: &Failure) {
    let Failure { mode, check, words, event } = failure;
    let config = CONFIG
        .replace("within: 20s", if *mode == "missing-completion" { "within: 3s" } else { "within: 20s" });
    let (code, text) = server.rehearse(mode, &config, &["--skip", "race"]);
    assert_eq!(code, 10, "{server:?} {mode}\n{text}");
    let failed = failed(&text);
    let (first, summary) = failed[0];
    assert_eq!(first, *check, "{server:?} {mode}\n{text}");
    for due in *words {
        assert!(summary.contains(due), "{server:?} {mode}: {due:?} is not in {summary:?}\n{text}");
    }
    for (other, summary) in &failed[1..] {
        let same = event.iter().any(|words| summary.contains(words));
        assert!(same, "{server:?} {mode}: {other} tells of something else: {summary:?}\n{text}");
    }
    // Health is well, whatever becomes of the sockets.
    assert!(text.contains("\n  pass  api "), "{server:?} {mode}\n{text}");
}

fn assert_each_is_blocked(server: Server) {
    std::thread::scope(|scope| {
        for part in FAILURES.chunks(FAILURES.len().div_ceil(3)) {
            scope.spawn(move || part.iter().for_each(|failure| assert_blocked(server, failure)));
        }
    });
}

#[test]
fn each_failure_of_a_fastapi_backend_is_blocked_by_the_check_that_should_see_it() {
    assert_each_is_blocked(Server::FastApi);
}

#[test]
fn each_failure_of_a_node_backend_is_blocked_by_the_check_that_should_see_it() {
    assert_each_is_blocked(Server::Node);
}
