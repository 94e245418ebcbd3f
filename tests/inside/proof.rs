//! Identity by the log: a tag that may have named another revision is proved by the entries of our own requests.

use crate::support::{Ended, World};
use crate::world::{assert_says, sample};

/// The candidate has a tag of its own; nothing in an answer names a revision.
const TAGGED: &str = "{tag: gate}";

fn check(world: &World) -> Ended {
    world.check(&["--tag", "gate"])
}

#[test]
fn the_log_proves_a_tag_that_was_there_before() {
    let Ended { code, out, err } = check(&sample(TAGGED, "", "{log_lag: 1s}"));
    assert_eq!(code, 0, "{out}{err}");
    assert_says(&out, &["pass  identity", "by the log: ", "requests reached demo-"]);
}

#[test]
fn the_old_revision_behind_the_tag_is_not_approved() {
    let world = World::new(
        "revisions:\n  - {created_minutes_ago: 60, tag: gate}\n  - {tag: gate}\nfaults: {old_revision_behind_tag_for: 10m}\n",
    );
    world.configure(crate::world::QUICK);
    let Ended { code, out, err } = check(&world);
    assert_eq!(code, 11, "{out}{err}");
    assert_says(&out, &["by the log 0 of", "others \"demo-"]);
    let logs = format!("{}logs: {{ patience: 20s }}\n", crate::world::QUICK);
    world.configure(&logs);
    let Ended { code, out, err } = check(&world);
    assert_eq!(code, 11, "{out}{err}");
    assert_says(&out, &["our own request reached demo-"]);
}

#[test]
fn entries_that_are_missing_prove_nothing() {
    let impatient = "logs: { patience: 4s }\n";
    for (faults, words) in [
        ("{log_lag: never}", "sockets after"),
        ("{denied_permissions: [logging.logEntries.list]}", "logging.logEntries.list is denied"),
    ] {
        let Ended { code, out, err } = check(&sample(TAGGED, impatient, faults));
        assert_eq!(code, 11, "{faults}\n{out}{err}");
        assert_says(&out, &[words]);
        assert!(!out.contains("pass  identity"), "{out}");
    }
}

#[test]
fn a_fresh_tag_needs_no_log() {
    let denied = "{denied_permissions: [logging.logEntries.list]}";
    let Ended { code, out, err } = check(&sample("{}", "", denied));
    assert_eq!(code, 0, "{out}{err}");
    assert_says(&out, &["a name never used before"]);
}
