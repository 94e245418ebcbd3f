//! The examples: whole configurations that are read, planned, and whose flows are there by name.

use std::path::Path;

use crate::backend::{Backend, check_of, revgate};

const EXAMPLES: [&str; 3] = ["reference-agent", "socket-io", "graphql-transport-ws"];

/// An example without its service, which nobody has: it is aimed at an address instead.
pub(crate) fn without_service(name: &str) -> String {
    const SERVICE: [&str; 3] = ["project: ", "region: ", "service: "];
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.yaml"));
    let text = std::fs::read_to_string(path).unwrap();
    assert!(SERVICE.iter().all(|key| text.contains(key)), "{name}");
    let lines = text.lines().filter(|line| !SERVICE.iter().any(|key| line.starts_with(key)));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_examples_of_other_protocols_run() {
    for (name, mode) in [("socket-io", "socket-io"), ("graphql-transport-ws", "graphql")] {
        let backend = Backend::node(mode, &[]);
        let (_, document) = backend.check(&without_service(name), &["--only", "agent"]);
        let (outcome, summary) = check_of(&document, "agent");
        assert_eq!(outcome, "pass", "{document:#}");
        assert!(summary.starts_with("8 of 8 runs completed, 3 alone and 5 at once"), "{summary}");
    }
    // The same flow where the server speaks another protocol.
    let (_, document) =
        Backend::node("fixed", &[]).check(&without_service("socket-io"), &["--only", "agent"]);
    assert_eq!(check_of(&document, "agent").0, "fail", "{document:#}");
}

#[test]
fn every_example_is_a_whole_configuration_with_its_plan() {
    let folder = tempfile::tempdir().unwrap();
    for name in EXAMPLES {
        let path = folder.path().join("revgate.yaml");
        std::fs::write(&path, without_service(name)).unwrap();
        let mut check = revgate();
        check
            .args(["check", "--dry-run", "--progress", "plain", "--skip", "ready,identity"])
            .arg("--config")
            .arg(&path);
        check.args(["--url", "ws://127.0.0.1:9"]).env("JWT_SECRET", "0123456789abcdef0123456789abcdef");
        let output = check.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(11), "{name}\n{told}");
        assert!(told.contains(&format!("agent: flow {name}, 3 runs alone")), "{name}\n{told}");
        let stated = told.contains("limits: 10 runs, 100 messages a minute of one user");
        assert_eq!(stated, name == "reference-agent", "{told}");
        assert!(
            !told.contains("a pass of the rounds takes"),
            "no example asks for more than it has time for\n{told}"
        );
        let short = String::from_utf8(check.args(["--time-budget", "3m"]).output().unwrap().stderr).unwrap();
        let slow = short.contains("180 s; a pass of the rounds takes 6 min or more: name more users");
        assert_eq!(slow, name == "reference-agent", "{short}");
    }
}

#[test]
fn the_flow_of_every_example_is_there_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    for name in EXAMPLES {
        let config = format!("users: [aaaa, bbbb]\nagent: {{ flow: {name} }}\n");
        std::fs::write(folder.path().join("revgate.yaml"), config).unwrap();
        let mut check = revgate();
        check.current_dir(folder.path()).args(["check", "--dry-run", "--progress", "plain"]);
        let output = check.args(["--url", "ws://127.0.0.1:9"]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(11), "{name}\n{told}");
        assert!(told.contains(&format!("agent: flow {name}, 3 runs alone and 1 × 2 at once")), "{told}");
        assert!(told.contains("5 at once were asked for, and there are 2 users"), "{told}");
    }
}
