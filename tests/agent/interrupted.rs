//! A signal in the middle of conversations: each is ended by its cleanup, and what is said then is true.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::backend::{Backend, CONFIG};

/// Three conversations at once that wait for what never comes.
fn config(cleanup: &str) -> String {
    let lines = CONFIG.lines().filter(|line| !line.starts_with("agent:") && !line.starts_with("isolation:"));
    let flow = "flows:\n  own:\n    steps:\n      - send: { type: start_agent, payload: { user_request: '{{nonce}}' } }\n      \
                - expect: { type: agent_started, capture: { run_id: /payload/run_id } }\n      \
                - expect: { type: never, within: 60s }\n";
    let lines = lines.collect::<Vec<_>>().join("\n");
    format!("{lines}\nisolation: {{ flow: own, at-once: 3 }}\n{flow}{cleanup}")
}

/// Waits until so many agents were started, sends the signal, and gives the code, what was said, and what the server got.
fn interrupted(config: &str, signal: Signal) -> (i32, String, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record");
    let backend = Backend::node("fixed", &[("BACKEND_RECORD", record.to_str().unwrap())]);
    let mut check = backend.command(config, &["--only", "isolation", "--progress", "plain"]);
    let check = check.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let recorded = || -> Vec<String> {
        let text = std::fs::read_to_string(&record).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    for _ in 0..3000 {
        if recorded().len() >= 3 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    // What the agents have said since is on its way, and is what the cleanup needs.
    std::thread::sleep(Duration::from_millis(500));
    kill_process(Pid::from_child(&check), signal).unwrap();
    let output = check.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(
        report.starts_with("INTERRUPTED  by SIG") && report.contains(" during `agent`: "),
        "{report}\n{told}"
    );
    assert!(
        report.contains("INCONCLUSIVE  "),
        "no verdict of what was not seen to its end\n{report}\n{told}"
    );
    // What is left undone stands in both.
    let left = report.lines().find(|line| line.starts_with("LEFT UNDONE  "));
    assert_eq!(left.is_some(), !told.contains("error: interrupted\n"), "{report}\n{told}");
    (output.status.code().unwrap_or(-1), told, recorded())
}

#[test]
fn conversations_under_way_are_cleaned_up_before_a_signal_ends_the_run() {
    let cleanup = "    cleanup:\n      - send: { type: stop_agent, payload: { run_id: '{{capture.run_id}}' } }\n      \
                   - expect: { type: stopped }\n";
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (ended, told, recorded) = interrupted(&config(cleanup), signal);
        assert_eq!(ended, code, "{told}");
        assert!(told.contains("error: interrupted\n") && told.contains("was removed"), "{told}");
        let mut stopped: Vec<_> = recorded.iter().filter(|line| line.starts_with("stop_agent ")).collect();
        stopped.sort();
        stopped.dedup();
        assert_eq!((recorded.len(), stopped.len()), (6, 3), "each its own\n{recorded:?}\n{told}");
    }
}

#[test]
fn what_a_signal_leaves_behind_is_said() {
    let (code, told, recorded) = interrupted(&config(""), Signal::INT);
    assert_eq!((code, recorded.len()), (130, 3), "{told}");
    assert!(
        told.contains("interrupted; 3 conversations were under way, of a flow without `cleanup:`"),
        "{told}"
    );
    let cleanup = "    cleanup: [ { expect: { type: never, within: 500ms } } ]\n";
    let (code, told, _) = interrupted(&config(cleanup), Signal::TERM);
    assert_eq!(code, 143, "{told}");
    let words = "the cleanup of 3 of 3 conversations was not done: never did not come";
    assert!(told.contains(words) && !told.contains("was removed"), "{told}");
    // What would wait for longer than anybody waits is said without the wait.
    let cleanup =
        "    cleanup: [ { wait: 60s }, { send: { type: stop_agent, payload: {} } }, { wait: 60s } ]\n";
    let (code, told, recorded) = interrupted(&config(cleanup), Signal::INT);
    assert_eq!((code, recorded.len()), (130, 6), "{told}");
}
