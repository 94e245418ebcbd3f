//! Instances of a deployed revision that are made to start: which verdict, and what proves it.

use crate::{
    backends,
    support::{Ended, World},
};

/// Ten clean starts are enough here, and few rounds of everything else: for tests of what surrounds the verdict.
const QUICK: &str = r#"
path: /ws?user={{user}}
send: '{"type":"ping","nonce":"{{nonce}}"}'
expect: '{"type":"pong"}'
identity: { header: x-revision, IDENTITY }
users: [u01, u02, u03, u04, u05, u06, u07, u08, u09, u10, u11, u12]
race: { tolerated: 25%, noise: 1%, cold-tolerated: 30% }
timeouts: { opening: 10s, answer: 5s }
limits: { openings-per-second: 1000 }
"#;

const ECHO: &str = "instance-header: x-instance";
/// The log says nothing to us.
const DENIED: &str = "faults: {denied_permissions: [logging.logEntries.list]}";

/// A gate with a candidate of these fields in YAML, besides a healthy old revision.
fn world(candidate: &str, faults: &str, identity: &str) -> World {
    let world =
        World::new(&format!("revisions:\n  - {{created_minutes_ago: 60}}\n  - {candidate}\n{faults}\n"));
    world.configure(&QUICK.replace("IDENTITY", identity));
    world
}

/// A sample of which each socket takes an instance of its own, and each instance a while to start.
fn sample(more: &str) -> String {
    format!("{{echo_revision: true, concurrency: 1, max_instances: 200, starts_in: 400ms, {more}}}")
}

fn check(world: &World) -> Ended {
    world.check(&["--tag", "gate", "--cold"])
}

#[test]
fn a_server_that_is_not_ready_when_its_port_opens_is_blocked_by_its_cold_starts_alone() {
    let server = format!(
        "env BACKEND_WINDOW_MS=700 BACKEND_FAILURE=1011 {}",
        backends::fastapi_command("startup-race")
    );
    // The first contact fits into the instance that is warm already.
    let candidate = serde_json::json!({ "exec": server, "concurrency": 12, "max_instances": 20, "pending_for": "1500ms" });
    let world = world(&candidate.to_string(), "", ECHO);
    let Ended { code, out, err } = check(&world);
    assert_eq!(code, 10, "{out}{err}");
    for words in ["FAIL  race       cold: close 1011", "starts fail", "explain race", "HTTP start-up probe"] {
        assert!(out.contains(words), "{words}\n{out}{err}");
    }
    assert!(out.contains("let instances start again: revgate check") && out.contains("--cold"), "{out}");
    let without = world.check(&["--tag", "gate", "--pattern", "control,users"]);
    assert_ne!(without.code, 10, "nothing else finds it\n{without:?}");
}

#[test]
fn fresh_instances_that_serve_are_counted_and_the_revision_is_approved() {
    let world = world(&sample("echo_instance: true"), DENIED, ECHO);
    let Ended { code, out, err } = check(&world);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("fresh instances, by header x-instance"), "{out}");
    assert!(out.contains("below 30 % of starts"), "{out}");
}

#[test]
fn the_log_proves_them_where_answers_name_no_instance() {
    let world = world(&sample(""), "faults: {log_lag: 1s}", "");
    let Ended { code, out, err } = check(&world);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("fresh instances, by the log"), "{out}");
}

#[test]
fn without_echo_and_log_it_is_inconclusive_and_says_what_to_configure() {
    let world = world(&sample(""), DENIED, "");
    let Ended { code, out, err } = check(&world);
    assert_eq!(code, 11, "{out}{err}");
    for words in [
        "nothing says which instance took them, and the log could not be read",
        "logging.logEntries.list is denied",
        "instance-header: x-instance",
        "roles/logging.viewer",
    ] {
        assert!(out.contains(words), "{words}\n{out}");
    }
}

#[test]
fn instances_that_were_warm_before_are_not_taken_for_fresh() {
    // A hundred instances are kept: a run before, or the service's own setting, left them warm.
    let kept = sample("echo_instance: true, min_instances: 100").replace("400ms", "0ms");
    let Ended { code, out, err } = check(&world(&kept, DENIED, ECHO));
    assert_eq!(code, 11, "{out}{err}");
    assert!(out.contains("answered too soon to have just started"), "{out}");
}

#[test]
fn what_the_limits_leave_no_room_for_is_not_approved_either() {
    let many = "{echo_revision: true, concurrency: 80}";
    let Ended { code, out, err } = check(&world(many, "", ECHO));
    assert_eq!(code, 11, "{out}{err}");
    for words in ["cold is left out: an instance takes 80 sockets", "--concurrency=1"] {
        assert!(out.contains(words), "{words}\n{out}");
    }
    let short = sample("echo_instance: true").replace("max_instances: 200", "max_instances: 30");
    let Ended { code, out, err } = check(&world(&short, DENIED, ECHO));
    assert_eq!(code, 11, "{out}{err}");
    assert!(out.contains("that may be open at once are held"), "{out}");
}

#[test]
fn an_address_without_a_specification_has_no_cold_starts_to_ask_for() {
    let world = world(&sample("echo_instance: true, tag: candidate"), "", ECHO);
    let url = world.emulator().tag_url("candidate").unwrap();
    let mut command = crate::support::binary("check");
    command.current_dir(world.folder.path()).args(["--cold", "--url", &url, "--skip", "ready,identity"]);
    let Ended { code, out, err } = Ended::of(command.args(["--progress", "none", "--color", "never"]));
    assert_eq!(code, 11, "{out}{err}");
    assert!(out.contains("cold is left out: how much an instance takes is not known"), "{out}");
}
