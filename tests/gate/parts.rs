//! A signal in the middle of each part that the configuration asks for: the run ends with the signal's code, leaves no tag
//! and no child behind, and tells what was seen until then.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Ended, World, binary, wait_until};

/// A candidate whose agent never completes and whose log shows nothing: every part lasts until it is interrupted, or nearly.
const SCENARIO: &str = "revisions:\n  - {created_minutes_ago: 60}\n  \
                        - {behaviour: agent-incomplete, echo_revision: true, jwt_secret: a-key-that-signs-tokens-of-users}\n\
                        faults: {log_lag: never}\n";

/// One opening a second, and as much to wait for as there can be.
const CONFIG: &str = r#"
path: /ws?user={{user}}
send: '{"type":"ping","nonce":"{{nonce}}"}'
expect: '{"type":"pong"}'
identity: { header: x-revision }
users: [user-001, user-002, user-003, user-004, user-005, user-006]
token: { secret-env: PARTS_SECRET }
limits: { openings-per-second: 1 }
agent: { flow: reference-agent, runs: 5, at-once: 3, within: 10m }
isolation: {}
hold: { for: 10m, sockets: 3 }
api: { endpoints: [{ path: /health, times: 600 }] }
auth: {}
frames: {}
logs: { patience: 10m }
"#;

/// The parts, and what the progress says once each is under way.
const PARTS: [(&str, &str); 7] = [
    ("agent", "note: agent: begins"),
    ("isolation", "note: agent: begins"),
    ("hold", "note: hold: begins"),
    ("api", "note: api: begins"),
    ("auth", "note: auth: begins"),
    ("frames", "note: frames: begins"),
    ("logs", "note: logs: waiting until the log shows our own request"),
];

/// The words by which a report begins: the signal, and the part where it came.
fn told(part: &str, signal: Signal) -> String {
    let part = if part == "isolation" { "agent" } else { part };
    let signal = if signal == Signal::INT { "SIGINT" } else { "SIGTERM" };
    format!("by {signal} during `{part}`: 1 of 2 parts ran, ")
}

fn assert_ends(part: &str, says: &str, signal: Signal, code: i32) {
    let world = World::new(SCENARIO);
    world.configure(CONFIG);
    let mut check = world.revgate("check");
    check.args(["--tag", "gate", "--only", part, "--record", "run.json", "--progress", "plain"]);
    check.env("PARTS_SECRET", "a-key-that-signs-tokens-of-users");
    check.env("GITHUB_STEP_SUMMARY", world.file("summary.md"));
    let mut run = world.start_command(&mut check);
    run.says(says);
    assert_eq!(world.tags().len(), 1, "{part}");
    run.signal(signal);
    wait_until(&format!("{part} ends"), || run.has_ended());
    let ended = run.wait();
    assert_eq!(ended.code, code, "{part}\n{ended:?}");
    assert_eq!(world.tags(), Vec::<String>::new(), "{part} leaves its tag behind\n{ended:?}");
    assert!(ended.err.contains("error: interrupted") && ended.err.contains("help:"), "{part}\n{ended:?}");
    assert!(ended.err.contains(&format!("exit code {code}")), "{part}\n{ended:?}");
    // No verdict of half a run.
    for word in ["APPROVED", "BLOCKED", "pass agent", "pass hold"] {
        assert!(!ended.err.contains(word), "{part}\n{ended:?}");
    }
    assert_told(&world, &ended, &told(part, signal), code);
    // Of the log nothing is known before it was read; of the others what was seen is handed over.
    let record: Value = serde_json::from_slice(&std::fs::read(world.file("run.json")).unwrap()).unwrap();
    let seen = &record["configured"][if part == "isolation" { "agent" } else { part }];
    assert_eq!(seen.is_null(), part == "logs", "{part}\n{record}");
}

/// Report, summary and record say first that the run was interrupted, and where; the record is judged alike, and approves
/// nothing.
fn assert_told(world: &World, ended: &Ended, words: &str, code: i32) {
    assert!(ended.out.starts_with(&format!("INTERRUPTED  {words}")), "{words}\n{ended:?}");
    assert!(ended.out.contains(&format!("exit code {code}\n")), "{words}\n{ended:?}");
    assert!(ended.out.contains("INCONCLUSIVE  ") && !ended.out.contains("  pass "), "{words}\n{ended:?}");
    let summary = std::fs::read_to_string(world.file("summary.md")).unwrap();
    assert!(
        summary.starts_with("## revgate: INTERRUPTED, INCONCLUSIVE\n\n> **interrupted**: by SIG"),
        "{summary}"
    );
    let record = world.file("run.json");
    let again = Ended::of(binary("judge").arg(&record).args(["--color", "never"]));
    assert_eq!(again.code, 11, "{words}\n{again:?}");
    let alike = ended.out.replace(&format!("exit code {code}\n"), "exit code 11\n");
    assert_eq!(again.out, alike, "judge gives another report than check");
    let again = Ended::of(binary("judge").arg(&record).args(["--format", "json"]));
    let report: Value = serde_json::from_str(&again.out).unwrap();
    let interrupted = &report["interrupted"];
    assert_eq!(interrupted["ran"], json!(["ready"]), "{interrupted}");
    assert!(words.contains(interrupted["signal"].as_str().unwrap()), "{interrupted}");
}

#[test]
fn a_signal_ends_every_part_with_its_own_code() {
    std::thread::scope(|scope| {
        for parts in PARTS.chunks(2) {
            scope.spawn(move || {
                for (part, says) in parts {
                    assert_ends(part, says, Signal::INT, 130);
                    assert_ends(part, says, Signal::TERM, 143);
                }
            });
        }
    });
}
