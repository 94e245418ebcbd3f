//! Tags that a crash left behind: the next run removes those, and nothing that merely looks like them.

use revgate::emulator::Faults;
use serde_json::{Value, json};

use crate::support::{Ended, World, now};

/// `BASE-<minute in base 36>RANDOM`, made so many minutes ago.
fn tag(base: &str, minutes_ago: i64, random: &str) -> String {
    let mut minute = now() / 60 - minutes_ago;
    let mut digits = Vec::new();
    while minute > 0 {
        digits.push(char::from_digit(u32::try_from(minute % 36).unwrap(), 36).unwrap());
        minute /= 36;
    }
    let minute: String = digits.iter().rev().collect();
    format!("{base}-{minute:0>5}{random}")
}

#[test]
fn only_old_tags_of_the_gates_own_shape_without_traffic_are_removed() {
    let world = World::candidate("fixed", 1.0);
    let old = world.old_revision();
    let entry = |tag: &str, percent: u32| match percent {
        0 => json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": old, "tag": tag}),
        _ => {
            json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": old, "percent": percent, "tag": tag})
        }
    };
    let all = json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": old, "percent": 90});
    let stale = [tag("gate", 62, "0001"), tag("gate", 60 * 24 * 365, "beef")];
    let kept = [
        entry(&tag("gate", 62, "0002"), 10),
        entry(&tag("gate", 58, "0003"), 0),
        entry(&tag("gate", 0, "0004"), 0),
        entry(&tag("other", 62, "0005"), 0),
        entry(&tag("gate-blue", 62, "0006"), 0),
        entry(&tag("gate", 62, "000z"), 0),
        entry(&tag("gate", 62, "00007"), 0),
        entry("gate-production", 0),
        entry("blue", 0),
    ];
    let left: Vec<Value> = std::iter::once(all).chain(kept).collect();
    let mut before = left.clone();
    before.insert(1, entry(&stale[0], 0));
    before.push(entry(&stale[1], 0));
    world.set_traffic(&before);

    let ended = world.check(&["--tag", "gate", "--rounds", "1"]);
    assert_eq!(ended.code, 11, "one round is too little, and nothing else went wrong\n{ended:?}");
    assert_eq!(world.traffic(), left);
    for tag in stale {
        assert!(ended.out.contains(&format!("removed tag {tag} of an earlier run")), "{}", ended.out);
    }
}

#[test]
fn a_run_that_adds_no_tag_removes_none() {
    let world = World::new("revisions: [{created_minutes_ago: 60}, {tag: candidate, echo_revision: true}]");
    let mut traffic = world.traffic();
    traffic.push(json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": world.old_revision(),
        "tag": tag("gate", 62, "0001")}));
    world.set_traffic(&traffic);
    let writes = world.writes();
    let ended = world.check(&["--rounds", "1"]);
    assert_eq!(ended.code, 11, "{ended:?}");
    assert_eq!((world.traffic(), world.writes()), (traffic, writes));
}

#[test]
fn a_name_that_another_revision_has_is_refused_and_not_moved() {
    let world = World::candidate("fixed", 1.0);
    let mut traffic = world.traffic();
    traffic.push(json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": world.old_revision(),
        "tag": "gate"}));
    world.set_traffic(&traffic);
    let writes = world.writes();
    let ended = Ended::of(world.revgate("check").args(["--tag", "gate", "--record", "run.json"]));
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("the tag gate belongs to demo-00001"), "{ended:?}");
    assert!(!world.file("run.json").exists(), "a run without evidence has no record");
    assert_eq!((world.traffic(), world.writes()), (traffic, writes));
}

#[test]
fn what_was_seen_counts_also_where_the_tag_cannot_be_read_afterwards() {
    let world = World::new("revisions: [{created_minutes_ago: 60}, {behaviour: always-503, tag: candidate}]");
    let run = world.start(&["--progress", "plain", "--record", "run.json"]);
    run.says("plan: ");
    let denied = vec!["run.services.get".to_owned()];
    world.emulator().set_faults(Faults { denied_permissions: denied, ..Faults::default() });
    let ended = run.wait();
    assert_eq!(ended.code, 10, "{ended:?}");
    for words in ["HTTP 503", "the tag could not be read after the probing", "BLOCKED"] {
        assert!(ended.out.contains(words), "{words}\n{ended:?}");
    }
    assert!(world.file("run.json").exists());
}
