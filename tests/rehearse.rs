//! Real servers, that somebody else wrote, as the candidate: FastAPI on uvicorn, and Node with ws.

#[path = "support/backends.rs"]
pub mod backends;

use std::process::Command;

/// `rehearse --exec` of a server that answers a ping, at its address only; exit code and all output. Its record, judged
/// again, must give the same code and the same report.
fn rehearse(exec: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("a folder: {error}"));
    let record = folder.path().join("run.json");
    let output = Command::new(env!("CARGO_BIN_EXE_revgate"))
        .args(["rehearse", "--exec", exec, "--progress", "none", "--color", "never"])
        .args(["--pattern", "first-contact,control,users,same-user,first-message"])
        .args(["--path", "/ws?user={{user}}", "--send", r#"{"type":"ping","nonce":"{{nonce}}"}"#])
        .args([
            "--expect",
            r#"{"type":"pong","nonce":"{{nonce}}"}"#,
            "--user",
            "u1,u2,u3,u4,u5,u6,u7,u8,u9,u10",
        ])
        .arg("--record")
        .arg(&record)
        .current_dir(folder.path())
        .output()
        .unwrap_or_else(|error| panic!("the binary: {error}"));
    let again = Command::new(env!("CARGO_BIN_EXE_revgate"))
        .arg("judge")
        .arg(&record)
        .output()
        .unwrap_or_else(|error| panic!("the binary: {error}"));
    assert_eq!(again.status.code(), output.status.code(), "judge gives another code");
    // What the server said stands before the report.
    assert!(output.stdout.ends_with(&again.stdout) && !again.stdout.is_empty(), "judge gives another report");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

#[test]
fn fastapi_is_blocked_with_each_defect_and_approved_without() {
    for mode in ["check-then-act", "check-then-act-exception", "early-message", "silent"] {
        let (code, text) = rehearse(&backends::fastapi_command(mode));
        assert_eq!(code, 10, "{mode}\n{text}");
        assert!(text.contains("pass  ready"), "{mode} never ran\n{text}");
    }
    let (code, text) = rehearse(&backends::fastapi_command("fixed"));
    assert_eq!(code, 0, "{text}");
}

#[test]
fn node_is_blocked_with_each_defect_and_approved_without() {
    for mode in ["check-then-act", "early-message", "silent"] {
        let (code, text) = rehearse(&backends::node_command(mode));
        assert_eq!(code, 10, "{mode}\n{text}");
        assert!(text.contains("pass  ready"), "{mode} never ran\n{text}");
    }
    let (code, text) = rehearse(&backends::node_command("fixed"));
    assert_eq!(code, 0, "{text}");
}

#[test]
fn options_that_leave_too_little_to_see_are_no_defect_of_ours() {
    for option in [&["--dry-run"][..], &["--rounds", "3", "--skip", "serves"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_revgate"))
            .args(["rehearse", "--progress", "none", "--color", "never"])
            .args(option)
            .output()
            .unwrap_or_else(|error| panic!("the binary: {error}"));
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(11), "{option:?}\n{text}");
        assert!(text.contains("leave out what restricts the checks"), "{text}");
    }
}
