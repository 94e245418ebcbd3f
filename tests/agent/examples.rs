//! The examples: whole configurations that are read, planned, and whose flows are there by name.

use std::path::Path;

use crate::backend::revgate;

const EXAMPLES: [&str; 3] = ["reference-agent", "socket-io", "graphql-transport-ws"];

#[test]
fn every_example_is_a_whole_configuration_with_its_plan() {
    let folder = tempfile::tempdir().unwrap();
    for name in EXAMPLES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.yaml"));
        let text = std::fs::read_to_string(path).unwrap();
        assert!(["project: ", "region: ", "service: "].iter().all(|key| text.contains(key)), "{name}");
        // Nobody has this service: the plan is made for an address.
        let lines = text
            .lines()
            .filter(|line| !["project: ", "region: ", "service: "].iter().any(|key| line.starts_with(key)));
        let path = folder.path().join("revgate.yaml");
        std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
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
        assert!(told.contains(&format!("agent: flow {name}, 3 runs alone and 1 times 2 at once")), "{told}");
        assert!(told.contains("5 at once were asked for, and there are 2 users"), "{told}");
    }
}
