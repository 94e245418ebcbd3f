//! A control plane that is late, forgets, or does not check: no approval of what was not seen, no promotion over others.

use std::time::Duration;

use revgate::emulator::{Deployment, Faults};
use serde_json::{Value, json};

use crate::promotion::{candidate_share, faults, promote, tagged};
use crate::support::{Ended, QUICK, World};

/// One approved check, and many promotions on its record.
#[test]
fn a_promotion_sees_its_own_write_before_it_ends() {
    let world = tagged();
    let before = world.traffic();
    let approved = world.check(&[]);
    assert_eq!(approved.code, 0, "{approved:?}");
    let promote = |fault| promote(&world, &before, fault);

    let ended = promote(json!({"api_latency": "300ms"}));
    assert_eq!((ended.code, candidate_share(&world)), (0, 100), "{ended:?}");

    // Reads that show what was are not somebody else's change.
    let ended = promote(json!({"stale_reads_for": "3s"}));
    assert_eq!((ended.code, candidate_share(&world)), (0, 100), "{ended:?}");

    // An API that checks no etag, and nobody else writes.
    let ended = promote(json!({"etag_ignored": true}));
    assert_eq!((ended.code, candidate_share(&world)), (0, 100), "{ended:?}");

    // Somebody else's write was overwritten without a word: a person must look.
    let ended = promote(json!({"etag_ignored": true, "foreign_writer": 1}));
    assert_eq!(ended.code, 13, "{ended:?}");
    assert!(!ended.out.contains("PROMOTED"), "{ended:?}");
    let ended = promote(json!({"etag_ignored": true, "foreign_writer": 1, "stale_reads_for": "2s"}));
    assert_eq!(ended.code, 13, "{ended:?}");
}

/// The gate adds a tag of its own, through reads that lag behind its writes.
#[test]
fn a_check_finds_its_own_tag_through_stale_reads() {
    let world =
        World::new("revisions: [{created_minutes_ago: 60}, {name: demo-00002-gate, echo_revision: true}]");
    world.configure(QUICK);
    faults(&world, json!({"stale_reads_for": "2s"}));
    let ended = Ended::of(world.revgate("check").args(["--tag", "gate"]));
    assert_eq!(ended.code, 0, "{ended:?}");
    world.emulator().set_faults(Faults::default());
    assert!(world.tags().is_empty(), "its tag is gone again: {:?}", world.tags());
}

/// A revision that fails while it is checked, or after the check and before its promotion, gets nothing.
#[test]
fn a_revision_that_was_ready_and_has_failed_is_neither_approved_nor_promoted() {
    let world = tagged();
    let approved = world.check(&[]);
    assert_eq!(approved.code, 0, "{approved:?}");
    faults(&world, json!({"ready_then_failed_after": "2s"}));
    let deployment = candidate("demo-00003-late");
    let late = world.deploy(deployment);
    let ended = Ended::of(world.revgate("check").args(["--revision", &late, "--tag", "late"]));
    assert!(matches!(ended.code, 10 | 11), "{ended:?}");
    let ended = Ended::of(world.revgate("promote").args(["--yes", "--revision", &late, "--tag", "late"]));
    assert!(matches!(ended.code, 3 | 10 | 11), "{ended:?}");
    let shares: Vec<Value> = world.traffic();
    let given = shares.iter().any(|entry| entry["revision"] == late.as_str() && entry["percent"].is_u64());
    assert!(!given, "{shares:?}");
}

/// What was checked is what is promoted, whatever is deployed meanwhile.
#[test]
fn a_newer_revision_that_appears_half_way_is_not_promoted() {
    let world = tagged();
    faults(&world, json!({"newer_revision_after": "2s"}));
    let checked = world.deploy(candidate("demo-00003-mine"));
    let ended = Ended::of(world.revgate("promote").args(["--yes", "--tag", "late"]));
    let traffic = world.traffic();
    let serving = traffic.iter().find(|entry| entry["percent"] == 100).unwrap();
    match ended.code {
        0 => assert_eq!(serving["revision"], checked.as_str(), "{ended:?}"),
        3 | 11 => assert_ne!(serving["revision"], checked.as_str(), "{ended:?}"),
        _ => panic!("{ended:?}"),
    }
}

fn candidate(name: &str) -> Deployment {
    use revgate::emulator::{Behaviour, SampleBackend, Workload};
    let backend = SampleBackend { echo_revision: true, ..SampleBackend::new(Behaviour::Fixed) };
    Deployment {
        revision: Some(name.to_owned()),
        tag: Some("late".to_owned()),
        pending_for: Duration::from_millis(1),
        ..Deployment::new(Workload::Sample(backend))
    }
}
