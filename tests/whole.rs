//! Every check at once, on agent backends of two kinds: the correct ones are approved, and each defect is blocked by the
//! check that should see it.
//!
//! The servers refuse bad tokens as real ones do, with an error in the log, so that `logs` has to tell when they came.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/backends.rs"]
pub mod backends;
#[path = "whole/failures.rs"]
mod failures;
#[path = "whole/interrupts.rs"]
mod interrupts;

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
frames: { tries: 2 }
logs: {}
"#;

/// All of those checks.
const CHECKS: [&str; 11] =
    ["ready", "identity", "serves", "race", "agent", "isolation", "auth", "hold", "api", "frames", "logs"];

/// Long enough for HS256.
const SECRET: &str = "a-signing-key-that-is-long-enough-for-hs256";

/// Who wrote the server.
#[derive(Debug, Clone, Copy)]
enum Server {
    FastApi,
    Node,
}

impl Server {
    /// The command line that starts it in `mode`.
    fn command(self, mode: &str) -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends/whole");
        let mode = format!("BACKEND_MODE={mode}");
        let join =
            |words: &[&Path]| shlex::try_join(words.iter().map(|word| word.to_str().unwrap())).unwrap();
        match self {
            Self::FastApi => {
                let python = backends::python();
                let words = ["env", &mode].map(Path::new).into_iter().chain([python.as_path()]);
                let app = ["-m", "uvicorn", "--app-dir"].map(Path::new).into_iter().chain([folder.as_path()]);
                let words: Vec<&Path> = words.chain(app).collect();
                join(&words) + " app:app --host 127.0.0.1 --port $PORT"
            }
            Self::Node => {
                let (node, modules) = backends::node();
                let modules = format!("BACKEND_MODULES={}", modules.display());
                join(&[
                    Path::new("env"),
                    Path::new(&mode),
                    Path::new(&modules),
                    &node,
                    &folder.join("server.js"),
                ])
            }
        }
    }

    /// Exit code and all output of a rehearsal of this server, with more to ask for or less.
    fn rehearse(self, mode: &str, config: &str, arguments: &[&str]) -> (i32, String) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("revgate.yaml"), config).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_revgate"))
            .args(["rehearse", "--exec", &self.command(mode), "--progress", "none", "--color", "never"])
            .args(["--pattern", "first-contact,control,users,same-user,first-message"])
            .args(arguments)
            .envs([("WHOLE_SECRET", SECRET), ("BACKEND_JWT_SECRET", SECRET)])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains(SECRET), "the key is shown");
        (output.status.code().unwrap_or(-1), text)
    }
}

/// A correct server is approved, and no check is left out.
fn assert_approved(server: Server) {
    let (code, text) = server.rehearse("fixed", CONFIG, &[]);
    assert_eq!(code, 0, "{text}");
    for check in CHECKS {
        assert!(text.contains(&format!("\n  pass  {check} ")), "{check}: {text}");
    }
}

#[test]
fn a_correct_fastapi_backend_passes_every_check() {
    assert_approved(Server::FastApi);
}

#[test]
fn a_correct_node_backend_passes_every_check() {
    assert_approved(Server::Node);
}

/// A race that is not provoked leaves `agent` to show that the server works.
#[test]
fn without_race_an_agent_is_enough() {
    let (code, text) = Server::FastApi.rehearse("fixed", CONFIG, &["--skip", "race"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("WEAKENED  skipped on request: race"), "{text}");
}

/// All of twenty rehearsals approve; those that do not are shown.
fn assert_twenty_of_twenty(server: Server) {
    let ended = (0..20).map(|_| server.rehearse("fixed", CONFIG, &[]));
    let refused: Vec<String> = ended.filter(|(code, _)| *code != 0).map(|(_, text)| text).collect();
    assert!(refused.is_empty(), "{} of 20 are not approved\n{}", refused.len(), refused.join("\n\n"));
}

/// `cargo test --test whole -- --ignored twenty_of_twenty`
#[test]
#[ignore = "a series of half an hour"]
fn fastapi_is_approved_in_twenty_of_twenty() {
    assert_twenty_of_twenty(Server::FastApi);
}

#[test]
#[ignore = "a series of half an hour"]
fn node_is_approved_in_twenty_of_twenty() {
    assert_twenty_of_twenty(Server::Node);
}
