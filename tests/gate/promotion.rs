//! Promotions during which somebody else moves traffic: exit 13 or a refusal, and nobody's write is overwritten.

use revgate::emulator::{ApiStatus, Faults};
use serde_json::{Value, json};

use crate::support::{Ended, QUICK, World};

const COMMAND: &str = "gcloud run services update-traffic demo --to-revisions=demo-00002-gate=100";

fn tagged() -> World {
    let world = World::new(
        "revisions: [{created_minutes_ago: 60}, {name: demo-00002-gate, tag: candidate, echo_revision: true}]",
    );
    world.configure(QUICK);
    world
}

fn entry(revision: &str, percent: u32) -> Value {
    json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": revision, "percent": percent})
}

/// The share of the candidate, as it is asked for.
fn candidate_share(world: &World) -> u64 {
    let traffic = world.traffic();
    let shares = traffic.iter().filter(|entry| entry["revision"] == "demo-00002-gate");
    shares.filter_map(|entry| entry["percent"].as_u64()).sum()
}

fn faults(world: &World, faults: Value) {
    world.emulator().set_faults(serde_json::from_value(faults).unwrap());
}

/// What a person needs who has to look.
fn assert_astray(ended: &Ended) {
    assert_eq!(ended.code, 13, "{ended:?}");
    for words in
        ["the traffic is not as asked", "asked for demo-00002-gate 100 %", "found", "help: look", COMMAND]
    {
        assert!(ended.err.contains(words), "{words:?} is missing\n{ended:?}");
    }
    assert!(!ended.out.contains("PROMOTED"), "{ended:?}");
}

fn assert_refused(ended: &Ended) {
    assert_eq!(ended.code, 3, "{ended:?}");
    for words in ["nothing was written", "help:"] {
        assert!(ended.err.contains(words), "{words:?} is missing\n{ended:?}");
    }
    assert!(!ended.out.contains("PROMOTED"), "{ended:?}");
}

/// One approved check, and many promotions on its record.
#[test]
fn what_others_write_around_the_promotion_stands() {
    let world = tagged();
    let before = world.traffic();
    let approved = world.check(&[]);
    assert_eq!(approved.code, 0, "{approved:?}");
    let promote = |fault: Value| {
        world.set_traffic(&before);
        faults(&world, fault);
        let mut promote = world.revgate("promote");
        let ended = Ended::of(promote.args(["--yes", "--recorded", "run.json"]));
        world.emulator().set_faults(Faults::default());
        ended
    };

    // Another writer was first: our etag is stale, and their share stays.
    let ended = promote(json!({"foreign_writer": 1}));
    assert_refused(&ended);
    assert_eq!(candidate_share(&world), 10, "{ended:?}");
    assert!(ended.err.contains("since the check began"), "{ended:?}");

    // Another writer came right after: theirs stands, ours is not repeated.
    let writes = world.writes();
    let ended = promote(json!({"foreign_writer_after": 1}));
    assert_astray(&ended);
    assert_eq!(candidate_share(&world), 90, "{ended:?}");
    assert_eq!(world.writes() - writes, 2, "one sets the scene, one promotes\n{ended:?}");

    // The answer was lost and nobody interfered: it is found that it happened.
    let writes = world.writes();
    let ended = promote(json!({"lost_reply": 1}));
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!((candidate_share(&world), world.writes() - writes), (100, 2), "{ended:?}");

    // The answer was lost and another writer came on top: nobody knows in which order.
    let ended = promote(json!({"lost_reply": 1, "foreign_writer_after": 1}));
    assert_astray(&ended);
    assert_eq!(candidate_share(&world), 90, "{ended:?}");

    // The answer was lost and another writer came first: nothing of ours was written.
    let ended = promote(json!({"lost_reply": 1, "foreign_writer": 1}));
    assert!(matches!(ended.code, 3 | 13), "{ended:?}");
    assert_eq!(candidate_share(&world), 10, "{ended:?}");

    // Refused, for good.
    let refused = ApiStatus { method: "services.update".to_owned(), status: 403, times: None };
    let ended = promote(json!({"api_status": [refused]}));
    assert_refused(&ended);
    assert_eq!(world.traffic(), before);
}

#[test]
fn a_whole_promotion_with_another_writer_beside_it_ends_13_or_refuses() {
    let world = tagged();
    faults(&world, json!({"foreign_writer_after": 1}));
    let ended = Ended::of(world.revgate("promote").args(["--yes", "--format", "json"]));
    assert_astray(&ended);
    assert_eq!(candidate_share(&world), 90, "{ended:?}");

    let world = tagged();
    faults(&world, json!({"foreign_writer": 1}));
    let ended = Ended::of(world.revgate("promote").arg("--yes"));
    assert_refused(&ended);
    assert_eq!(candidate_share(&world), 10, "{ended:?}");
}

#[test]
fn traffic_that_somebody_moved_during_the_check_is_not_overwritten() {
    let world = tagged();
    let old = world.old_revision();
    let mut promote = world.revgate("promote");
    let run = world.start_command(promote.args(["--yes", "--progress", "plain"]));
    run.says("plan:");
    world.set_traffic(&[entry(&old, 80), entry("demo-00002-gate", 20)]);
    let theirs = world.traffic();
    let ended = run.wait();
    // Their write took the candidate's tag away as well: then there is no approval in the first place.
    assert!(matches!(ended.code, 3 | 11), "{ended:?}");
    assert!(!ended.out.contains("PROMOTED"), "{ended:?}");
    assert_eq!(world.traffic(), theirs);
}

#[test]
fn a_share_that_somebody_gave_during_the_check_is_not_overwritten() {
    let world = tagged();
    let old = world.old_revision();
    let mut promote = world.revgate("promote");
    let run = world.start_command(promote.args(["--yes", "--progress", "plain"]));
    run.says("plan:");
    let mut tag = entry("demo-00002-gate", 20);
    tag["tag"] = json!("candidate");
    world.set_traffic(&[entry(&old, 80), tag]);
    let theirs = world.traffic();
    let ended = run.wait();
    assert_refused(&ended);
    assert!(ended.out.contains("APPROVED"), "{ended:?}");
    assert!(ended.err.contains("since the check began, ") && ended.err.contains("20 %"), "{ended:?}");
    assert_eq!(world.traffic(), theirs);
}
