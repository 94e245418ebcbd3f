//! The emulator's sample backend with each failure of an agent, as a revision behind the control plane.

use std::process::Output;

use revgate::emulator::{Emulator, Scenario};
use serde_json::Value;

use crate::backend::{CONFIG, check_of, first_failed, revgate};

/// Checks a sample revision of this behaviour: exit code and document.
fn check(behaviour: &str) -> (i32, Value) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("revgate.yaml"), CONFIG.replace("within: 20s", "within: 2s")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let scenario = format!(
        "revisions: [{{created_minutes_ago: 60}}, {{behaviour: {behaviour}, agent_dies_after: 500ms, tag: gate}}]"
    );
    let scenario = Scenario::parse(&scenario).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the emulator is told the wall clock")]
    let now = jiff::Timestamp::try_from(std::time::SystemTime::now()).unwrap();
    let emulator = runtime.block_on(Emulator::start_scenario(&scenario, None, now)).unwrap();
    let mut check = revgate();
    check.current_dir(folder.path()).args(["check", "--project", "demo-project", "--region", "us-central1"]);
    check.args(["--service", "demo", "--api-endpoint", &emulator.api_endpoint()]);
    check.args(["--only", "agent,isolation", "--format", "json", "--progress", "none"]);
    let Output { status, stdout, stderr } = check.output().unwrap();
    runtime.block_on(emulator.shutdown());
    let told = String::from_utf8_lossy(&stderr);
    let document = serde_json::from_slice(&stdout).unwrap_or_else(|error| panic!("{error}\n{told}"));
    (status.code().unwrap_or(-1), document)
}

#[test]
fn each_failure_of_the_sample_is_blocked_and_the_healthy_sample_is_not() {
    for (behaviour, name, words) in [
        ("agent-dies", "agent", "close 1011 \"orchestrator is None\""),
        ("agent-fallback", "agent", "fallback_active"),
        ("degraded-welcome", "agent", "degraded_mode"),
        ("agent-out-of-order", "agent", "out of order: tool_completed came"),
        ("agent-incomplete", "agent", "where agent_completed was due"),
        ("agent-leak", "isolation", "in a frame"),
    ] {
        let (code, document) = check(behaviour);
        assert_eq!((code, first_failed(&document)), (10, Some(name)), "{behaviour}\n{document:#}");
        assert!(check_of(&document, name).1.contains(words), "{behaviour}\n{document:#}");
    }
    // Without `serves` nothing is approved; the two checks themselves pass.
    let (code, document) = check("fixed");
    assert_eq!(
        (code, check_of(&document, "agent").0, check_of(&document, "isolation").0),
        (11, "pass", "pass")
    );
}
