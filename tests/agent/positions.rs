//! The twelve behaviours that a gate was once fooled by, each at every place of a conversation: none is ever approved.
//!
//! One server for all; behaviour and position are in the address of each run.

use serde_json::Value;

use crate::backend::{Backend, CONFIG, check_of, revgate};

/// The behaviours of upgrades, and the words by which the verdict names each.
const UPGRADES: [(&str, &str); 4] = [
    ("always-503", "HTTP 503 instead of 101"),
    ("never-answers", "opening time-out: the upgrade did not end"),
    ("404", "HTTP 404 instead of 101"),
    ("200", "HTTP 200 instead of 101"),
];

/// The behaviours of sockets, alike.
const SOCKETS: [(&str, &str); 8] = [
    ("silent", " within "),
    ("abort", " (1006) "),
    ("1000", "close 1000 \"at the position\""),
    ("1008", "close 1008 \"at the position\""),
    ("1011", "close 1011 \"at the position\""),
    ("error-1011", "then close 1011 \"internal error\""),
    ("frame-1011", "close 1011 \"internal error\""),
    ("pong-1011", "close 1011 \"internal error\""),
];

/// Where it happens, and what is due there: before anything is said, behind the first frame, behind the welcome, behind the
/// answer to a ping, and behind the second event of a run.
const POSITIONS: [(&str, &str); 5] = [
    ("opening", "connection_established"),
    ("first-frame", "connection_established"),
    ("welcome", "pong was due"),
    ("pong", "agent_started was due"),
    ("mid-run", "agent_completed was due"),
];

/// A conversation that passes every position.
const FLOW: &str = r#"
flows:
  positions:
    welcome: { type: connection_established }
    steps:
      - send: { type: ping, payload: { nonce: "{{nonce}}" } }
      - expect: { type: pong }
      - send: { type: start_agent, payload: { user_request: "{{nonce}}" } }
      - expect: { type: agent_started }
      - expect: { type: agent_thinking }
      - expect: { type: agent_completed }
"#;

/// A behaviour at a position, and the words by which `agent` names both.
struct Cell {
    behaviour: &'static str,
    position: &'static str,
    words: [&'static str; 2],
}

fn cells() -> Vec<Cell> {
    let cells = POSITIONS.iter().flat_map(|&(position, due)| {
        // The upgrade that comes behind the position: the first run was well, unless nobody ever is.
        let earlier = if position == "opening" { "0 of 4 runs" } else { "1 of 4 runs" };
        let upgrades = UPGRADES.iter().map(move |(behaviour, words)| (*behaviour, [*words, earlier]));
        let sockets = SOCKETS.iter().map(move |(behaviour, words)| match (position, *behaviour) {
            // The server's own pong is the one that was due.
            ("welcome", "pong-1011") => (*behaviour, [*words, "agent_started was due"]),
            _ => (*behaviour, [*words, due]),
        });
        upgrades.chain(sockets).map(move |(behaviour, words)| Cell { behaviour, position, words })
    });
    cells.collect()
}

#[test]
fn none_of_the_twelve_passes_at_any_position() {
    let backend = Backend::node("fixed", &[]);
    let config = CONFIG.replace("within: 20s", "within: 2s").replace("reference-agent", "positions") + FLOW;
    let (cells, backend, config) = (cells(), &backend, &config);
    // It is the behaviour that fails, and nothing else.
    let (_, document) = check(backend, &at(config, "none", "pong"));
    for name in ["agent", "isolation"] {
        assert_eq!(check_of(&document, name).0, "pass", "{document:#}");
    }
    assert_eq!(cells.len(), 60);
    std::thread::scope(|scope| {
        for part in cells.chunks(8) {
            scope.spawn(move || part.iter().for_each(|cell| assert_fails(backend, config, cell)));
        }
    });
}

/// The configuration that asks for a behaviour at a position.
fn at(config: &str, behaviour: &str, position: &str) -> String {
    let path = format!("path: /ws?user={{{{user}}}}&behaviour={behaviour}&position={position}");
    config.replace("path: /ws?user={{user}}", &path)
}

/// A check in a folder of its own, beside others at once: exit code and document.
fn check(backend: &Backend, config: &str) -> (i32, Value) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("revgate.yaml"), config).unwrap();
    let mut check = revgate();
    check.current_dir(folder.path()).args(["check", "--url", &backend.url(), "--only", "agent,isolation"]);
    let output = check.args(["--format", "json", "--progress", "none"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{told}"));
    (output.status.code().unwrap_or(-1), document)
}

/// `agent` itself fails, and names what it saw.
fn assert_fails(backend: &Backend, config: &str, Cell { behaviour, position, words }: &Cell) {
    let (code, document) = check(backend, &at(config, behaviour, position));
    let (outcome, summary) = check_of(&document, "agent");
    assert_eq!((code, outcome), (10, "fail"), "{behaviour} at {position}\n{document:#}");
    assert_ne!(check_of(&document, "isolation").0, "pass", "{behaviour} at {position}\n{document:#}");
    for due in words {
        assert!(summary.contains(due), "{behaviour} at {position}: {due:?} is not in {summary:?}");
    }
}
