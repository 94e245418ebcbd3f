//! The emulator's sample backend in the same roles, and what a plan says of them.

use std::process::Command;

use revgate::emulator::{Emulator, Scenario};
use serde_json::Value;

use crate::support::{SECRET, revgate, side_by_side};

/// What is asked of the sample backend.
const ASKED: &str = r#"
path: /ws
send: '{"type":"ping","nonce":"{{nonce}}"}'
expect: '{"type":"pong"}'
users: [u01, u02, u03, u04, u05, u06]
token: { secret-env: APP_SECRET }
timeouts: { opening: 4s, answer: 3s, serves-hold: 300ms }
race: { tolerated: 25%, noise: 1% }
"#;

/// A sample backend of these settings as the candidate, and the binary aimed at it.
fn check(candidate: &str, asked: &str, arguments: &[&str]) -> (i32, String, String) {
    let candidate = format!("{{echo_revision: true, jwt_secret: {SECRET}, heartbeat: 500ms{candidate}}}");
    let asked = format!("identity: {{ header: x-revision }}\n{asked}");
    checked(&candidate, &asked, arguments)
}

/// A candidate, and the binary aimed at it.
fn checked(candidate: &str, asked: &str, arguments: &[&str]) -> (i32, String, String) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let scenario = format!("revisions: [{{created_minutes_ago: 60}}, {candidate}]");
    let scenario = Scenario::parse(&scenario).expect("a scenario");
    #[expect(clippy::disallowed_methods, reason = "the emulator is told the wall clock")]
    let now = jiff::Timestamp::try_from(std::time::SystemTime::now()).unwrap();
    let emulator = runtime.block_on(Emulator::start_scenario(&scenario, None, now)).expect("an emulator");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("revgate.yaml"), format!("{ASKED}{asked}\n")).unwrap();
    let mut check: Command = revgate(folder.path(), "check");
    check.args([
        "--project",
        "demo-project",
        "--region",
        "us-central1",
        "--service",
        "demo",
        "--tag",
        "gate",
    ]);
    let output = check.arg("--api-endpoint").arg(emulator.api_endpoint()).args(arguments).output().unwrap();
    runtime.block_on(emulator.shutdown());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_samples_misdeeds_are_blocked_each_by_its_own_check() {
    let auth = "auth: {}";
    let frames = "frames: {}";
    let hold = "hold: { for: 4s, sockets: 2, heartbeat: { expect: { type: heartbeat }, every: 1s } }";
    let cases = [
        (", jwt_refusal: close-1011", auth, "auth", "missing: close 1011"),
        (", jwt_refusal: abort", auth, "auth", "missing: TCP ended without a close frame (1006)"),
        (", jwt_refusal: silence", auth, "auth", "missing: accepted, and silent"),
        (", jwt_refusal: accept", auth, "auth", "missing: accepted, and served like a good one"),
        (
            ", behaviour: binary-crash",
            frames,
            "frames",
            "binary (try 1 of 5): TCP ended without a close frame (1006)",
        ),
        (", behaviour: heartbeat-never", hold, "hold", "heartbeat never sent"),
    ];
    side_by_side(&cases, |(candidate, asked, name, words)| {
        let (code, out, err) = check(candidate, asked, &["--skip", "race", "--format", "json"]);
        assert_eq!(code, 10, "{candidate}\n{out}{err}");
        let report: Value = serde_json::from_str(&out).unwrap();
        let failed: Vec<&Value> =
            report["checks"].as_array().unwrap().iter().filter(|check| check["outcome"] == "fail").collect();
        assert_eq!((failed.len(), failed[0]["name"].as_str()), (1, Some(*name)), "{candidate}\n{err}");
        assert!(
            failed[0]["summary"].as_str().unwrap().contains(words),
            "{candidate}: {}",
            failed[0]["summary"]
        );
    });
}

#[test]
fn the_healthy_sample_is_approved_behind_its_front_end() {
    let asked = "auth: {}\nframes: {}\n\
                 hold: { for: 4s, sockets: 2, heartbeat: { expect: { type: heartbeat }, every: 1s } }";
    side_by_side(&["", ", jwt_refusal: close-1008"], |candidate| {
        let (code, out, err) = check(candidate, asked, &[]);
        assert_eq!(code, 0, "{out}{err}");
    });
}

#[test]
fn a_plan_says_what_these_checks_cost_and_what_cannot_be() {
    let asked = "auth: {}\nframes: { largest: 64KiB }\nhold: { for: 10m }";
    let (code, _, err) = check("", asked, &["--dry-run", "--progress", "plain"]);
    assert_eq!(code, 11, "{err}");
    for words in [
        "hold: 5 sockets for 600 s, a ping every 20 s, held for at most 300 s, which is the revision's request time-out",
        "auth: 8 sockets with bad tokens, one after the other, and two with a good one",
        "limits: the configured checks open at most 84 of the 5000 sockets of the run, its rounds the others",
        "frames: 45 sockets with a bad frame each (9 kinds, each 5 times), the largest of 512 KiB, one after the other, beside 2 of other \
         users (18 in all)",
    ] {
        assert!(err.contains(words), "{words}\n{err}");
    }
}

#[test]
fn no_more_than_half_of_what_the_revision_holds_is_taken_and_the_report_says_so() {
    let asked = "hold: { for: 3s, sockets: 5, ping-every: 1s }\nframes: { kinds: [binary], bystanders: 2 }";
    let held = ", concurrency: 2, max_instances: 2";
    let (code, out, err) = check(held, asked, &["--only", "hold,frames"]);
    assert_eq!(code, 11, "alone they approve nothing\n{out}{err}");
    for words in [
        "hold with 2 at once instead of the 5 that were asked for: half of what the revision holds is 2",
        "frames with 1 at once instead of the 2 that were asked for: half of what the revision holds is 2",
        "2 of 2 sockets held 3 s; ",
        "1 of 1 sockets of other users alive",
    ] {
        assert!(out.contains(words), "{words}\n{out}{err}");
    }
    let (code, out, err) = check(", concurrency: 1, max_instances: 2", asked, &["--skip", "race"]);
    assert_eq!(code, 11, "{out}{err}");
    assert!(
        out.contains("not run: 0 at once instead of the 2") && out.contains("--max-instances"),
        "{out}{err}"
    );
}

#[test]
fn what_the_configured_checks_open_is_taken_from_the_sockets_of_the_run() {
    let asked = "auth: {}\nframes: {}\nlimits: { openings-per-second: 200, sockets-per-run: 20 }";
    let (code, _, err) = check("", asked, &[]);
    assert_eq!(code, 2, "{err}");
    let words = "limits.sockets-per-run: the configured checks open 65 sockets (auth 15, frames 50), and the whole run, with \
                 its rounds, may open 20";
    assert!(err.contains(words), "{err}");
    let (code, out, err) = check("", &asked.replace("per-run: 20", "per-run: 100"), &["--format", "json"]);
    assert_eq!(code, 11, "no room for enough rounds\n{out}{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let of = |name: &str| {
        let checks = report["checks"].as_array().unwrap().iter();
        checks.clone().find(|check| check["name"] == name).unwrap()["outcome"].clone()
    };
    assert_eq!((of("auth"), of("frames")), ("pass".into(), "pass".into()), "{out}");
}

/// A real server behind a front end, which answers for a connection that is dropped, and logs it.
#[test]
fn an_oversized_token_that_uvicorn_drops_is_no_failure_behind_a_front_end_either() {
    let app = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends/misuse");
    let python = crate::backends::python();
    let command = format!(
        "env BACKEND_MODE=refuse-1008 BACKEND_JWT_SECRET={SECRET} {} -m uvicorn --app-dir {} app:app --host 127.0.0.1 --port $PORT",
        python.display(),
        app.display()
    );
    let (code, out, err) = checked(
        &serde_json::json!({ "exec": command, "concurrency": 80 }).to_string(),
        "auth: { kinds: [missing, malformed, oversized] }\nlogs: { patience: 30s }",
        &[],
    );
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("pass  auth") && out.contains("pass  logs"), "{out}{err}");
}
