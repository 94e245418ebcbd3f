//! The serving revision's errors while a candidate is probed.

use serde_json::Value;

use crate::support::{Ended, QUICK, World, assert_judged_alike, binary};

/// Twenty openings a second: a run of minutes, which nothing but its own end can end.
const SLOW: &str = r#"
path: /ws?user={{user}}
send: '{"type":"ping","nonce":"{{nonce}}"}'
expect: '{"type":"pong"}'
users: [u01, u02, u03, u04, u05, u06, u07, u08, u09, u10, u11, u12]
limits: { openings-per-second: 20 }
"#;

fn world(serving: &str, faults: &str) -> World {
    World::new(&format!(
        "revisions: [{{created_minutes_ago: 60, behaviour: {serving}}}, {{echo_revision: true}}]\nfaults: {faults}"
    ))
}

/// Plain requests to the service, as its people would send.
fn ask(world: &World, count: usize) {
    let url = world.emulator().service_url().unwrap();
    for _ in 0..count {
        world.read_status(&url);
    }
}

fn record(world: &World) -> Value {
    serde_json::from_slice(&std::fs::read(world.file("run.json")).unwrap()).unwrap()
}

#[test]
fn a_run_ends_when_the_serving_revision_begins_to_fail() {
    let world = world("always-503", "{}");
    world.configure(SLOW);
    let mut check = world.revgate("check");
    check.args(["--tag", "gate", "--record", "run.json"]);
    // A later choice of the progress than the environment's.
    let running = world.start_command(check.args(["--progress", "plain"]));
    running.says("calibration:");
    ask(&world, 12);
    let ended = running.wait();
    assert_eq!(ended.code, 11, "{ended:?}");
    let words = format!("12 requests of the serving revision {} ended with 5xx in", world.old_revision());
    for words in
        [words.as_str(), "the run was stopped, for the serving revision began to fail", "gcloud logging read"]
    {
        assert!(ended.out.contains(words), "{words}\n{}", ended.out);
    }
    assert_judged_alike(&world.file("run.json"), &[], &ended);
    let record = record(&world);
    assert_eq!(record["probing"]["stopped"], "serving-errors");
    assert_eq!((&record["watch"]["before"], &record["watch"]["during"]), (&0.into(), &12.into()));
    // As ever, nothing was left behind.
    assert!(world.tags().is_empty());
}

#[test]
fn errors_as_many_as_before_stop_nothing() {
    let world = world("always-503", "{}");
    world.configure(QUICK);
    ask(&world, 40);
    let (ended, report) = world.check_json(&["--tag", "gate"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(report["watch"]["before"], 40);
    assert!(!ended.out.contains("ended with 5xx"), "{}", ended.out);
}

#[test]
fn a_log_that_may_not_be_read_is_noted_and_stops_nothing() {
    let world = world("always-503", "{denied_permissions: [logging.logEntries.list]}");
    world.configure(QUICK);
    let ended = world.check(&["--tag", "gate"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let words = format!("note: the errors of the serving revision {} were not watched", world.old_revision());
    assert!(ended.out.contains(&words) && ended.out.contains("logging.logEntries.list"), "{}", ended.out);
}

#[test]
fn an_approval_is_held_back_when_a_record_shows_a_rise() {
    let world = world("fixed", "{}");
    world.configure(QUICK);
    let (ended, _) = world.check_json(&["--tag", "gate"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let mut record = record(&world);
    record["watch"]["during"] = 9.into();
    std::fs::write(world.file("risen.json"), record.to_string()).unwrap();
    let judged = Ended::of(binary("judge").arg(world.file("risen.json")));
    assert_eq!(judged.code, 11, "{judged:?}");
    assert!(judged.out.contains("9 requests of the serving revision"), "{judged:?}");
}
