//! Every check at once, on a correct agent backend: it must be approved.
//!
//! The server refuses bad tokens as real ones do, with an error in its log, so that `logs` has to tell when they came.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/backends.rs"]
pub mod backends;

use std::path::Path;
use std::process::Command;

/// All that revgate.yaml can ask for.
const CONFIG: &str = r#"
path: /ws
send: { type: ping, payload: { nonce: "{{nonce}}" } }
expect: { type: pong, payload: { nonce: "{{nonce}}" } }
users: [gate-user-01, gate-user-02, gate-user-03, gate-user-04, gate-user-05, gate-user-06, gate-user-07, gate-user-08]
token: { secret-env: WHOLE_SECRET }
timeouts: { opening: 5s, answer: 5s }
limits: { openings-per-second: 1000, sockets-per-user: 8 }
agent: { flow: reference-agent, runs: 2, at-once: 4, within: 20s }
isolation: {}
auth: {}
hold: { for: 5s, sockets: 3, ping-every: 1s, heartbeat: { expect: '{"type":"heartbeat"}', every: 1s } }
api: { endpoints: [ { path: /health, json: { /status: healthy }, times: 3, at-once: 5 } ] }
frames: {}
logs: {}
"#;

/// Long enough for HS256.
const SECRET: &str = "a-signing-key-that-is-long-enough-for-hs256";

/// Exit code and all output of a rehearsal, with more to ask for or less.
fn rehearse(config: &str, arguments: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("revgate.yaml"), config).unwrap();
    let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends/whole");
    let words = [
        backends::python().to_str().unwrap(),
        "-m",
        "uvicorn",
        "--app-dir",
        app.to_str().unwrap(),
        "app:app",
        "--host",
        "127.0.0.1",
    ]
    .map(str::to_owned);
    let exec = shlex::try_join(words.iter().map(String::as_str)).unwrap() + " --port $PORT";
    let output = Command::new(env!("CARGO_BIN_EXE_revgate"))
        .args(["rehearse", "--exec", &exec, "--progress", "none", "--color", "never"])
        .args(["--pattern", "first-contact,control,users,same-user,first-message"])
        .args(arguments)
        .envs([("WHOLE_SECRET", SECRET), ("BACKEND_JWT_SECRET", SECRET)])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

#[test]
fn a_correct_backend_passes_every_check() {
    let (code, text) = rehearse(CONFIG, &[]);
    assert_eq!(code, 0, "{text}");
    let checks = [
        "ready",
        "identity",
        "serves",
        "race",
        "agent",
        "isolation",
        "auth",
        "hold",
        "api",
        "frames",
        "logs",
    ];
    for check in checks {
        assert!(text.contains(&format!("\n  pass  {check} ")), "{check}: {text}");
    }
    assert!(!text.contains(SECRET));
}

/// A race that is not provoked leaves `agent` to show that the server works.
#[test]
fn without_race_an_agent_is_enough() {
    let (code, text) = rehearse(CONFIG, &["--skip", "race"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("WEAKENED  skipped on request: race"), "{text}");
}

/// `cargo test --test whole -- --ignored --nocapture`
#[test]
#[ignore = "a series of half an hour"]
fn twenty_of_twenty_are_approved() {
    let approved = (0..20).filter(|_| {
        let (code, text) = rehearse(CONFIG, &[]);
        if code != 0 {
            println!("{text}");
        }
        code == 0
    });
    assert_eq!(approved.count(), 20);
}
