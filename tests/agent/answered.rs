//! Heartbeats that a flow must answer: a server that closes sockets which do not.

use crate::backend::{Backend, check_of};
use crate::examples::without_service;

/// The example without its answers.
fn without_answers(config: &str) -> String {
    let (head, rest) = config.split_once("    answers:\n").expect("answers");
    let (_, rest) = rest.split_once('\n').expect("one answer");
    format!("{head}{rest}")
}

/// The same server is checked with and without the answers of the example; `due` is what they are needed for.
fn assert_needed(name: &str, mode: &str, every: &str, due: &str, arguments: &[&str]) {
    let backend = Backend::node(mode, &[("BACKEND_HEARTBEAT_MS", every), ("BACKEND_STEP_MS", due)]);
    let config = without_service(name).replace("runs: 3, at-once: 5", "runs: 1, at-once: 3");
    let config = format!("timeouts: {{ opening: 3s, first-contact: 3s, answer: 1s }}\n{config}");
    let (code, document) = backend.check(&config, arguments);
    let approved = if arguments.contains(&"--only") { 11 } else { 0 };
    assert_eq!((code, check_of(&document, "agent").0), (approved, "pass"), "{document:#}");
    for run in backend.recorded()["runs"].as_array().unwrap() {
        assert!(run["answered"].as_u64().unwrap() >= 2, "{run:#}");
        assert_eq!(run["cleanup"], serde_json::Value::Null, "{run:#}");
    }
    let (code, document) = backend.check(&without_answers(&config), arguments);
    let (outcome, summary) = check_of(&document, "agent");
    assert_eq!((code, outcome), (10, "fail"), "{document:#}");
    assert!(summary.contains("close ") && summary.contains(" was due"), "{summary}");
}

#[test]
fn a_socket_io_server_that_closes_mute_sockets_is_approved_where_its_pings_are_answered() {
    assert_needed("socket-io", "socket-io", "4000", "9000", &["--skip", "ready,identity,race"]);
}

#[test]
fn a_graphql_server_that_closes_mute_sockets_passes_where_its_pings_are_answered() {
    assert_needed("graphql-transport-ws", "graphql", "1000", "2500", &["--only", "agent"]);
}
