//! Isolation where it is asked for alone, and frames that may show others.

use crate::backend::{Backend, CONFIG, check_of};

/// No agent is asked for: the conversation is the one of every other socket.
fn alone(isolation: &str) -> String {
    let lines = CONFIG.lines().filter(|line| !line.starts_with("agent:") && !line.starts_with("isolation:"));
    lines.collect::<Vec<_>>().join("\n") + &format!("\nisolation: {isolation}\n")
}

#[test]
fn isolation_alone_has_conversations_of_its_own() {
    let backend = Backend::node("fixed", &[]);
    let (_, document) = backend.check(&alone("{}"), &["--only", "isolation"]);
    let (outcome, summary) = check_of(&document, "isolation");
    assert_eq!(outcome, "pass", "{document:#}");
    assert!(
        summary.contains("5 conversations of 5 users") && summary.contains("5 users at once"),
        "{summary}"
    );
    assert_eq!(check_of(&document, "agent").0, "not-asked");
    let (_, document) =
        backend.check(&alone("{ flow: reference-agent, at-once: 2 }"), &["--only", "isolation"]);
    assert_eq!(check_of(&document, "isolation").0, "pass", "{document:#}");
}

#[test]
fn a_list_of_who_is_there_is_a_leak_unless_it_is_shared() {
    let backend = Backend::node("presence", &[]);
    let (code, document) = backend.check(&alone("{}"), &["--only", "isolation"]);
    assert_eq!((code, check_of(&document, "isolation").0), (10, "fail"), "{document:#}");
    assert!(check_of(&document, "isolation").1.contains("got the user of gate-user-"), "{document:#}");
    let shared = alone("{ shared: { type: presence } }");
    let (_, document) = backend.check(&shared, &["--only", "isolation"]);
    assert_eq!(check_of(&document, "isolation").0, "pass", "{document:#}");
}
