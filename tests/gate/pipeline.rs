//! The steps of action.yml and of cloudbuild.yaml, run in their order against the emulator: traffic moves for an approved
//! revision and for no other.

use std::path::Path;
use std::process::Command;

use serde_yaml::Value;

use crate::support::{Ended, World, assert_judged_alike, binary};

fn yaml(name: &str) -> Value {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

/// The candidate's name and what has all traffic.
fn full_share(world: &World) -> String {
    let traffic = world.traffic();
    let entry = traffic.iter().find(|entry| entry["percent"] == 100).expect("an entry with all traffic");
    entry["revision"].as_str().unwrap_or("LATEST").to_owned()
}

/// An emulator whose candidate bears the name that the pipeline gives it.
fn world(behaviour: &str) -> World {
    World::new(&format!(
        "revisions: [{{created_minutes_ago: 60}}, \
         {{name: demo-gate-0123abcd, tag: gate-0123abcd, behaviour: {behaviour}, echo_revision: true}}]"
    ))
}

/// Runs the steps of cloudbuild.yaml that use the gate's image, as Cloud Build would; the exit code of the last.
fn cloud_build(world: &World) -> i32 {
    // Writes the configuration that a user has.
    drop(world.revgate("check"));
    std::fs::create_dir(world.file("revgate")).unwrap();
    let workspace = world.folder.path().to_str().unwrap().to_owned();
    let fill = |text: &str| {
        text.replace("${_SERVICE}", "demo")
            .replace("$PROJECT_ID", "demo-project")
            .replace("${_REGION}", "us-central1")
            .replace("${_CONFIG}", "revgate.yaml")
            .replace("${_RUN}", "0123abcd")
            .replace("/workspace", &workspace)
    };
    for step in yaml("cloudbuild.yaml")["steps"].as_sequence().unwrap() {
        if step["name"].as_str() != Some("${_REVGATE_IMAGE}") {
            continue;
        }
        let arguments: Vec<String> =
            step["args"].as_sequence().unwrap().iter().map(|a| fill(a.as_str().unwrap())).collect();
        let mut command = binary(&arguments[0]);
        command.args(&arguments[1..]).current_dir(world.folder.path());
        command.env("REVGATE_API_ENDPOINT", world.emulator.as_ref().unwrap().api_endpoint());
        let ended = Ended::of(&mut command);
        if let Some(record) = arguments.iter().find_map(|argument| argument.strip_prefix("--record=")) {
            assert_judged_alike(Path::new(record), &[], &ended);
        }
        let code = ended.code;
        let allowed = step["allowExitCodes"]
            .as_sequence()
            .is_some_and(|codes| codes.iter().any(|allowed| allowed.as_i64() == Some(i64::from(code))));
        if code != 0 && !allowed {
            return code;
        }
    }
    0
}

#[test]
fn cloud_build_promotes_an_approved_revision() {
    let world = world("fixed");
    assert_eq!(cloud_build(&world), 0);
    assert_eq!(full_share(&world), "demo-gate-0123abcd");
}

#[test]
fn cloud_build_stops_at_a_blocked_revision() {
    let world = world("close-1011");
    let before = full_share(&world);
    assert_eq!(cloud_build(&world), 10);
    assert_eq!(full_share(&world), before);
}

/// Runs the action's last step with these inputs; exit code, outputs, summary.
fn action(world: &World, command: &str) -> (i32, String, String) {
    drop(world.revgate("check"));
    let action = yaml("action.yml");
    let steps = action["runs"]["steps"].as_sequence().unwrap();
    let run = steps.iter().find(|step| step["id"].as_str() == Some("run")).unwrap();
    let mut bash = Command::new("bash");
    bash.args(["-eo", "pipefail", "-c", run["run"].as_str().unwrap()]).current_dir(world.folder.path());
    // Every input that nobody gave arrives as an empty variable.
    for (name, _) in run["env"].as_mapping().unwrap() {
        bash.env(name.as_str().unwrap(), "");
    }
    let given = [
        ("REVGATE_COMMAND", command),
        ("REVGATE_PROJECT", "demo-project"),
        ("REVGATE_REGION", "us-central1"),
        ("REVGATE_SERVICE", "demo"),
        ("REVGATE_TAG", "revgate"),
        ("REVGATE_YES", "true"),
        ("REVGATE_BIN", env!("CARGO_BIN_EXE_revgate")),
    ];
    bash.envs(given).env("REVGATE_API_ENDPOINT", world.emulator.as_ref().unwrap().api_endpoint());
    bash.env("GITHUB_OUTPUT", world.file("output")).env("GITHUB_STEP_SUMMARY", world.file("summary.md"));
    let code = bash.output().unwrap().status.code().unwrap();
    let read = |name: &str| std::fs::read_to_string(world.file(name)).unwrap_or_default();
    (code, read("output"), read("summary.md"))
}

#[test]
fn the_action_promotes_an_approved_revision_and_says_so() {
    let world = world("fixed");
    let (code, outputs, summary) = action(&world, "promote");
    assert_eq!(code, 0, "{outputs}");
    assert!(outputs.contains("verdict=approved\nexit-code=0\nrevision=demo-gate-0123abcd\n"), "{outputs}");
    assert!(summary.contains("APPROVED"), "{summary}");
    assert_eq!(full_share(&world), "demo-gate-0123abcd");
}

#[test]
fn the_action_writes_its_outputs_before_it_fails() {
    let world = world("close-1011");
    let before = full_share(&world);
    let (code, outputs, summary) = action(&world, "promote");
    assert_eq!(code, 10, "{outputs}");
    assert!(outputs.contains("verdict=blocked\nexit-code=10\n"), "{outputs}");
    assert!(summary.contains("BLOCKED"), "{summary}");
    assert_eq!(full_share(&world), before);
}
