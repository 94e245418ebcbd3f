//! The candidate's tag is taken away or moved while it is probed: the run stops soon, and blames nobody.

use revgate::emulator::Faults;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::interrupts::endless;
use crate::support::{PATIENT, QUICK, World, wait_until};

fn entry(revision: &str, rest: &Value) -> Value {
    let mut entry = json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": revision});
    entry.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    entry
}

/// Takes every tag away.
fn take_tags_away(world: &World) {
    world.set_traffic(&[entry(&world.old_revision(), &json!({"percent": 100}))]);
}

fn record(world: &World) -> Value {
    serde_json::from_slice(&std::fs::read(world.file("run.json")).unwrap()).unwrap()
}

#[test]
fn a_run_whose_tag_is_taken_away_stops_with_the_reason() {
    let world = endless("1ms");
    let run = world.start(&["--tag", "gate", "--progress", "plain", "--record", "run.json"]);
    run.says("note: calibration: ");
    let tag = world.tags().pop().unwrap();
    take_tags_away(&world);
    let ended = run.wait();
    assert_eq!(ended.code, 11, "{ended:?}");
    let words = format!("tag {tag} is gone: somebody took it away, seen at ");
    for text in [&ended.out, &ended.err] {
        assert!(text.contains(&words), "{ended:?}");
    }
    assert!(
        ended
            .out
            .contains("see who changed the traffic, then run it again: gcloud run services describe demo"),
        "{ended:?}"
    );
    let record = record(&world);
    // Its sockets would have waited for a minute, one behind the other.
    assert_eq!(record["probing"]["stopped"], "tag-lost", "{ended:?}");
    assert_eq!((&record["tag_loss"]["tag"], &record["tag_loss"]["holder"]), (&json!(tag), &Value::Null));
}

#[test]
fn what_another_revision_does_behind_a_moved_tag_blocks_nobody() {
    let world = World::new(
        "revisions: [{created_minutes_ago: 60}, {name: demo-00002-bad, behaviour: always-503}, \
         {name: demo-00003-gate, tag: candidate, echo_revision: true}]",
    );
    world.configure(QUICK);
    let old = world.old_revision();
    let run = world.start(&["--progress", "plain", "--record", "run.json"]);
    run.says("plan:");
    let moved = entry("demo-00002-bad", &json!({"tag": "candidate"}));
    world.set_traffic(&[entry(&old, &json!({"percent": 100})), moved]);
    let ended = run.wait();
    assert_eq!(ended.code, 11, "{ended:?}");
    assert!(ended.out.contains("tag candidate was moved to demo-00002-bad by somebody"), "{ended:?}");
    assert!(!ended.out.contains("FAIL"), "{ended:?}");
}

/// Its sockets would wait for a minute, one behind the other; a move that fails never comes into effect.
#[test]
fn a_tag_that_somebody_asked_to_move_ends_the_run_though_it_is_in_its_place() {
    let world = World::new(
        "revisions: [{created_minutes_ago: 60}, {name: demo-00002-gate, tag: candidate, behaviour: hang}]",
    );
    world.configure(PATIENT);
    let old = world.old_revision();
    let run = world.start(&["--progress", "plain", "--record", "run.json"]);
    run.says("plan:");
    let moved = entry("demo-00009-nil", &json!({"tag": "candidate"}));
    world.set_traffic(&[entry(&old, &json!({"percent": 100})), moved]);
    let ended = run.wait();
    assert_eq!(ended.code, 11, "{ended:?}");
    assert!(
        ended.out.starts_with("TAG LOST  tag candidate was moved to demo-00009-nil by somebody"),
        "{ended:?}"
    );
    assert_eq!(record(&world)["probing"]["stopped"], "tag-lost", "{ended:?}");
}

#[test]
fn what_had_failed_before_the_tag_was_lost_stays_failed() {
    let world = World::new(
        "revisions: [{created_minutes_ago: 60}, {behaviour: always-503, echo_revision: true}]\nfaults: {log_lag: never}",
    );
    world.configure(&format!("{QUICK}logs: {{ patience: 10m }}\n"));
    let run = world.start(&["--tag", "gate", "--progress", "plain", "--record", "run.json"]);
    run.says("note: logs: waiting until the log shows our own request");
    let before = service_reads(&world);
    // One look may have been under way already.
    wait_until("two looks find the tag", || service_reads(&world) >= before + 2);
    take_tags_away(&world);
    let ended = run.wait();
    assert_eq!(ended.code, 10, "{ended:?}");
    for words in [
        "  FAIL  serves ",
        " is gone: somebody took it away",
        "logs       inconclusive: not run to its end: tag ",
    ] {
        assert!(ended.out.contains(words), "{words:?}\n{ended:?}");
    }
}

/// How often the service was read.
fn service_reads(world: &World) -> usize {
    let requests = world.emulator().requests();
    requests
        .iter()
        .filter(|request| request.method == "GET" && request.path.ends_with("/services/demo"))
        .count()
}

#[test]
fn a_signal_behind_the_loss_is_a_signal() {
    let world = endless("1ms");
    let run = world.start(&["--tag", "gate", "--progress", "plain", "--record", "run.json"]);
    run.says("note: calibration: ");
    take_tags_away(&world);
    // So long it takes to see that there is nothing to remove.
    let slow = serde_json::from_value::<Faults>(json!({"api_latency": "2s"})).unwrap();
    world.emulator().set_faults(slow);
    run.says("what is under way is ended");
    run.signal(Signal::TERM);
    let ended = run.wait();
    assert_eq!(ended.code, 143, "{ended:?}");
    assert!(ended.out.starts_with("INTERRUPTED  by SIGTERM "), "{ended:?}");
    assert!(ended.out.contains("\nTAG LOST  tag gate-"), "{ended:?}");
    assert!(ended.err.contains("is not on the service: nothing to remove"), "{ended:?}");
}
