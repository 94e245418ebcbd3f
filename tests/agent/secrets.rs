//! Secrets in the texts of a flow: they reach the server, and nothing that is shown or written.

use crate::backend::{Backend, CONFIG, revgate};

const SECRET: &str = "correct-horse/battery \"staple\"";

/// A flow that sends a secret from a variable and one from a file, and fails on the frame that says both back.
fn config(folder: &std::path::Path) -> String {
    let file = folder.join("key");
    std::fs::write(&file, format!("{SECRET}-of-a-file\n")).unwrap();
    let flow = "flows:\n  own:\n    steps:\n      - send:\n          type: start_agent\n          payload:\n            \
                user_request: 'key {{env.FLOW_KEY}} {{file.PATH}}'\n      \
                - expect: { type: agent_completed, pointer: /data/result, equals: other, within: 1s }\n";
    CONFIG.replace("reference-agent", "own") + &flow.replace("PATH", file.to_str().unwrap())
}

#[test]
fn a_secret_of_a_flow_reaches_the_server_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record");
    let backend = Backend::node("fixed", &[("BACKEND_RECORD", record.to_str().unwrap())]);
    let config = config(folder.path());
    let mut shown = Vec::new();
    for arguments in [&["--only", "agent", "--verbose"][..], &["--only", "agent", "--dry-run"]] {
        for format in ["text", "json"] {
            let run = folder.path().join("run.json");
            let mut check = backend.command(&config, arguments);
            check
                .args(["--format", format, "--progress", "plain", "--record"])
                .arg(&run)
                .env("FLOW_KEY", SECRET);
            let output = check.output().unwrap();
            let code = if arguments.contains(&"--dry-run") { 11 } else { 10 };
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(code), "{told}");
            shown.extend([
                told,
                String::from_utf8(output.stdout).unwrap(),
                std::fs::read_to_string(run).unwrap(),
            ]);
        }
    }
    let sent = std::fs::read_to_string(&record).unwrap();
    assert!(sent.contains(&format!("key {SECRET} {SECRET}-of-a-file")), "{sent}");
    assert!(shown.iter().any(|text| text.contains("done: key [redacted] [redacted]")), "{}", shown[0]);
    for text in shown {
        assert!(!text.contains("battery") && !text.contains("horse"), "{text}");
    }
}

#[test]
fn a_secret_that_is_not_there_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let line = config.lines().position(|line| line.contains("FLOW_KEY")).unwrap() + 1;
    std::fs::write(folder.path().join("revgate.yaml"), &config).unwrap();
    let mut check = revgate();
    let output =
        check.current_dir(folder.path()).args(["check", "--url", "ws://127.0.0.1:9"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    let place = format!("revgate.yaml:{line}:32: flows.own.steps[0].send: ");
    assert!(told.contains(&place) && told.contains("variable FLOW_KEY is not set"), "{told}");
}
