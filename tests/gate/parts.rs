//! A signal in the middle of each part that the configuration asks for: the run ends with the signal's code, and leaves no
//! tag and no child behind.

use rustix::process::Signal;

use crate::support::{World, wait_until};

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

fn assert_ends(part: &str, says: &str, signal: Signal, code: i32) {
    let world = World::new(SCENARIO);
    world.configure(CONFIG);
    let mut check = world.revgate("check");
    check.args(["--tag", "gate", "--only", part, "--record", "run.json", "--progress", "plain"]);
    check.env("PARTS_SECRET", "a-key-that-signs-tokens-of-users");
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
    // No verdict of half a run, and no record that looks like one of a whole run.
    assert!(ended.out.is_empty() && !world.file("run.json").exists(), "{part}\n{ended:?}");
    for word in ["APPROVED", "BLOCKED", "pass agent", "pass hold"] {
        assert!(!ended.err.contains(word), "{part}\n{ended:?}");
    }
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
