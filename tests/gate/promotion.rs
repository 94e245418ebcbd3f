//! Promotions during which somebody else moves traffic: exit 13 or a refusal, and nobody's write is overwritten.

use revgate::emulator::{ApiStatus, Faults};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Ended, PATIENT, QUICK, World, wait_until};

const COMMAND: &str = "gcloud run services update-traffic demo --to-revisions=demo-00002-gate=100";

/// A good revision, and a candidate with a tag.
pub(crate) fn tagged() -> World {
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
pub(crate) fn candidate_share(world: &World) -> u64 {
    let traffic = world.traffic();
    let shares = traffic.iter().filter(|entry| entry["revision"] == "demo-00002-gate");
    shares.filter_map(|entry| entry["percent"].as_u64()).sum()
}

/// From now on these are in force.
pub(crate) fn faults(world: &World, faults: Value) {
    world.emulator().set_faults(serde_json::from_value(faults).unwrap());
}

/// A promotion on a kept check, from this traffic and under this fault.
pub(crate) fn promote(world: &World, before: &[Value], fault: Value) -> Ended {
    world.set_traffic(before);
    faults(world, fault);
    let ended = Ended::of(world.revgate("promote").args(["--yes", "--recorded", "run.json"]));
    world.emulator().set_faults(Faults::default());
    ended
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
    let promote = |fault| promote(&world, &before, fault);

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

#[test]
fn a_promotion_without_proof_of_the_revision_is_refused_before_anything_is_asked() {
    let world = World::new("revisions: [{created_minutes_ago: 60}, {behaviour: always-503, tag: candidate}]");
    let other = World::candidate("fixed", 1.0);
    let url = other.emulator().service_url().unwrap().replace("http://", "ws://");
    for (flags, variables) in [
        (vec!["--url", &url, "--skip", "identity"], vec![]),
        (vec!["--url", &url], vec![("REVGATE_SKIP", "identity")]),
        (vec!["--only", "serves,race"], vec![]),
    ] {
        let mut promote = world.revgate("promote");
        let ended = Ended::of(promote.args(&flags).arg("--yes").envs(variables));
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains("a promotion needs ") && ended.err.contains("help:"), "{ended:?}");
    }
    assert_eq!(world.writes() + other.writes(), 0);
}

#[test]
fn a_promotion_that_fails_says_so_wherever_its_code_is_read() {
    let world = tagged();
    let mut promote = world.revgate("promote");
    faults(&world, json!({"foreign_writer_after": 1}));
    let (output, summary) = (world.file("output"), world.file("summary.md"));
    promote.env("GITHUB_OUTPUT", &output).env("GITHUB_STEP_SUMMARY", &summary);
    let ended = Ended::of(promote.args(["--yes", "--record", "run.json"]));
    assert_astray(&ended);
    let outputs = std::fs::read_to_string(output).unwrap();
    assert!(outputs.contains("exit-code=13\n") && !outputs.contains("exit-code=0"), "{outputs}");
    let summary = std::fs::read_to_string(summary).unwrap();
    for text in [&ended.out, &summary] {
        assert!(text.contains("exit code 13") && text.contains("PROMOTION FAILED"), "{text}");
    }
    assert!(world.file("run.json").exists(), "the evidence was lost");
}

#[test]
fn a_signal_at_the_end_of_the_check_moves_no_traffic() {
    let world = World::new("pace: 2s\nrevisions: [{created_minutes_ago: 60}, {echo_revision: true}]");
    world.configure(QUICK);
    let before = world.old_revision();
    let mut promote = world.revgate("promote");
    let run = world.start_command(promote.args(["--yes", "--tag", "gate"]));
    wait_until("the tag is being removed", || world.writes() == 2);
    run.signal(Signal::TERM);
    let ended = run.wait();
    assert_eq!(ended.code, 143, "{ended:?}");
    let interrupted = "INTERRUPTED  by SIGTERM after the last part: 2 of 2 parts ran, ";
    assert!(ended.out.starts_with(interrupted) && ended.out.contains("exit code 143"), "{ended:?}");
    assert!(!ended.out.contains("APPROVED"), "somebody had ended it\n{ended:?}");
    assert_eq!((world.old_revision(), world.writes()), (before, 2), "traffic was moved\n{ended:?}");
}

#[test]
fn a_signal_in_the_middle_of_the_check_leaves_a_report_and_a_record_that_promotes_nothing() {
    let world = World::new(
        "pace: 200ms\nrevisions: [{created_minutes_ago: 60}, {behaviour: hang, echo_revision: true}]",
    );
    world.configure(PATIENT);
    let before = world.old_revision();
    let promote = |arguments: &[&str]| {
        let mut promote = world.revgate("promote");
        promote.args(["--yes", "--progress", "plain"]).args(arguments);
        world.start_command(&mut promote)
    };
    let run = promote(&["--tag", "gate", "--record", "run.json"]);
    run.says("note: calibration: ");
    run.signal(Signal::TERM);
    let ended = run.wait();
    assert_eq!(ended.code, 143, "{ended:?}");
    assert!(
        ended.out.starts_with("INTERRUPTED  by SIGTERM during `rounds`: 1 of 2 parts ran, "),
        "{ended:?}"
    );
    assert!(ended.err.contains("error: interrupted"), "{ended:?}");
    let again = promote(&["--recorded", "run.json"]).wait();
    assert_eq!(again.code, 11, "{again:?}");
    assert!(again.out.starts_with("INTERRUPTED  by SIGTERM "), "{again:?}");
    assert_eq!((world.old_revision(), world.writes()), (before, 2), "traffic was moved\n{ended:?}");
}

#[test]
fn a_signal_behind_the_write_says_what_came_of_it() {
    // The platform takes a while to act upon the write; nobody is kept waiting for it.
    let world = World::new(
        "pace: 15s\nrevisions: [{created_minutes_ago: 60}, {name: demo-00002-gate, tag: candidate, echo_revision: true}]",
    );
    world.configure(QUICK);
    let approved = world.check(&[]);
    assert_eq!(approved.code, 0, "{approved:?}");
    let mut promote = world.revgate("promote");
    let run = world.start_command(promote.args(["--yes", "--recorded", "run.json", "--progress", "plain"]));
    wait_until("the write", || world.writes() == 1);
    let told = |signal| format!("note: {signal}: what came of the write is looked for: 8 s at most");
    run.signal(Signal::INT);
    run.says(&told("SIGINT"));
    run.signal(Signal::TERM);
    run.says(&told("SIGTERM"));
    let ended = run.wait();
    assert_eq!(ended.code, 13, "{ended:?}");
    for words in ["interrupted behind the write", "help: look", COMMAND] {
        assert!(ended.err.contains(words), "{words:?}\n{ended:?}");
    }
}
