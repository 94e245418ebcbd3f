//! What a run leaves behind when it is interrupted, when it fails half-way, and when others write at the same time.

use revgate::emulator::{ApiStatus, Faults};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Ended, PATIENT, QUICK, World, binary, wait_until};

/// A candidate whose sockets never open: a run of it lasts until it is interrupted.
pub(crate) fn endless(pace: &str) -> World {
    let world =
        World::new(&format!("pace: {pace}\nrevisions: [{{created_minutes_ago: 60}}, {{behaviour: hang}}]"));
    world.configure(PATIENT);
    world
}

/// Every write to the API is refused from now on.
fn refuse_writes(world: &World) {
    let refused = ApiStatus { method: "services.update".to_owned(), status: 403, times: None };
    world.emulator().set_faults(Faults { api_status: vec![refused], ..Faults::default() });
}

#[test]
fn a_signal_removes_the_tag_and_ends_with_its_own_code() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let world = endless("200ms");
        let run = world.start(&["--tag", "gate", "--progress", "plain"]);
        run.says("note: added tag");
        assert_eq!(world.tags().len(), 1);
        run.signal(signal);
        let ended = run.wait();
        assert_eq!(ended.code, code, "{ended:?}");
        assert_eq!(world.tags(), Vec::<String>::new(), "the tag was left behind\n{ended:?}");
        assert!(ended.err.contains("interrupted") && ended.err.contains("help:"), "{ended:?}");
        assert!(ended.out.starts_with("INTERRUPTED  by SIG"), "{ended:?}");
    }
}

/// The record of the run, and the code with which it is judged.
fn judged(world: &World) -> (Value, i32) {
    let record = world.file("run.json");
    let again = Ended::of(binary("judge").arg(&record));
    (serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap(), again.code)
}

#[test]
fn rounds_that_a_signal_cuts_are_recorded_as_cut() {
    let world = endless("200ms");
    let run = world.start(&["--tag", "gate", "--progress", "plain", "--record", "run.json"]);
    run.says("note: calibration: ");
    run.signal(Signal::TERM);
    let ended = run.wait();
    assert_eq!(ended.code, 143, "{ended:?}");
    let first = "INTERRUPTED  by SIGTERM during `rounds`: 1 of 2 parts ran, ";
    assert!(ended.out.starts_with(first), "{ended:?}");
    let (record, code) = judged(&world);
    assert_eq!((code, &record["probing"]["stopped"]), (11, &Value::from("interrupted")), "{ended:?}");
    let rounds = record["probing"]["rounds"].as_array().unwrap();
    let cut = rounds.iter().flat_map(|round| round["observations"].as_array().unwrap());
    let cut: Vec<_> = cut.map(|observation| observation["timeline"]["cut"].is_u64()).collect();
    assert!(!cut.is_empty() && cut.iter().all(|cut| *cut), "{rounds:?}");
}

#[test]
fn what_had_failed_before_a_signal_stays_failed() {
    let world = World::new(
        "revisions: [{created_minutes_ago: 60}, {behaviour: always-503, echo_revision: true}]\nfaults: {log_lag: never}",
    );
    world.configure(&format!("{QUICK}logs: {{ patience: 10m }}\n"));
    let run = world.start(&["--tag", "gate", "--progress", "plain", "--record", "run.json"]);
    run.says("note: logs: waiting until the log shows our own request");
    run.signal(Signal::INT);
    let ended = run.wait();
    assert_eq!(ended.code, 130, "{ended:?}");
    assert!(ended.out.starts_with("INTERRUPTED  by SIGINT during `logs`: 2 of 3 parts ran, "), "{ended:?}");
    for words in ["  FAIL  serves ", "\nBLOCKED  ", "exit code 130", "SIGINT came in the middle of it"] {
        assert!(ended.out.contains(words), "{words:?}\n{ended:?}");
    }
    assert_eq!(judged(&world).1, 10, "{ended:?}");
}

#[test]
fn a_killed_run_leaves_the_record_of_the_run_before() {
    let world = endless("200ms");
    let before = b"what was recorded before";
    std::fs::write(world.file("run.json"), before).unwrap();
    let run = world.start(&["--tag", "gate", "--progress", "plain", "--record", "run.json"]);
    run.says("note: added tag");
    run.signal(Signal::KILL);
    run.wait();
    assert_eq!(std::fs::read(world.file("run.json")).unwrap(), before);
    assert!(!world.file("run.json.tmp").exists(), "half a record was left behind");
}

#[test]
fn a_record_that_cannot_be_written_changes_no_code_of_a_signal() {
    let world = endless("200ms");
    std::fs::create_dir(world.file("folder")).unwrap();
    let run = world.start(&["--tag", "gate", "--progress", "plain", "--record", "folder/run.json"]);
    run.says("note: added tag");
    std::fs::remove_dir(world.file("folder")).unwrap();
    run.signal(Signal::TERM);
    let ended = run.wait();
    assert_eq!(ended.code, 143, "{ended:?}");
    assert!(ended.out.starts_with("INTERRUPTED  by SIGTERM "), "{ended:?}");
    assert!(ended.err.contains("the record folder/run.json cannot be written"), "{ended:?}");
}

#[test]
fn a_signal_while_the_tag_is_being_added_removes_it_too() {
    let world = endless("1s");
    let run = world.start(&["--tag", "gate"]);
    wait_until("the tag is asked for", || !world.tags().is_empty());
    run.signal(Signal::INT);
    let ended = run.wait();
    assert_eq!(ended.code, 130, "{ended:?}");
    assert_eq!(world.tags(), Vec::<String>::new(), "the tag was left behind\n{ended:?}");
}

#[test]
fn a_second_signal_neither_stops_the_clean_up_nor_changes_the_code() {
    let world = endless("1s");
    let run = world.start(&["--tag", "gate", "--progress", "plain"]);
    run.says("note: added tag");
    let writes = world.writes();
    run.signal(Signal::INT);
    wait_until("the removal is asked for", || world.writes() > writes);
    run.signal(Signal::TERM);
    run.signal(Signal::INT);
    let ended = run.wait();
    assert_eq!(ended.code, 130, "the first signal's\n{ended:?}");
    assert_eq!(world.tags(), Vec::<String>::new(), "the tag was left behind\n{ended:?}");
    assert!(ended.err.contains("note: removed tag"), "it did not wait for the removal\n{ended:?}");
}

#[test]
fn a_signal_before_there_is_a_tag_ends_at_once() {
    let world = World::new("revisions: [{created_minutes_ago: 60}, {pending_for: never}]");
    let run = world.start(&["--tag", "gate", "--progress", "plain"]);
    run.says("waiting until ready");
    run.signal(Signal::INT);
    let ended = run.wait();
    assert_eq!((ended.code, world.writes()), (130, 0), "{ended:?}");
    let first = "INTERRUPTED  by SIGINT during `ready`: 0 of 2 parts ran, ";
    assert!(ended.out.starts_with(first) && !ended.out.contains("LEFT UNDONE"), "{ended:?}");
}

/// The tag is named, and the command that takes it away.
fn assert_left(world: &World, text: &str) {
    let tags = world.tags();
    assert_eq!(tags.len(), 1, "{text}");
    let command = "gcloud run services update-traffic demo --remove-tags";
    for words in [tags[0].as_str(), command] {
        assert!(text.contains(words), "{words} is not named\n{text}");
    }
}

#[test]
fn a_tag_that_cannot_be_removed_is_named_with_the_command_that_does() {
    let world = endless("200ms");
    let run = world.start(&["--tag", "gate", "--progress", "plain"]);
    run.says("note: added tag");
    refuse_writes(&world);
    run.signal(Signal::TERM);
    let ended = run.wait();
    assert_eq!(ended.code, 143, "{ended:?}");
    // The progress may be silent: the error itself has to say it.
    let error = ended.err.split("error:").nth(1).unwrap_or_default();
    assert_left(&world, error);
    // And so may whoever keeps nothing but the report.
    let left = ended.out.lines().find(|line| line.starts_with("LEFT UNDONE  ")).unwrap_or_default();
    assert_left(&world, left);

    let world = World::candidate("always-503", 1.0);
    let run = world.start(&["--tag", "gate", "--progress", "plain"]);
    run.says("note: added tag");
    refuse_writes(&world);
    let ended = run.wait();
    assert_eq!(ended.code, 10, "the evidence is not lost\n{ended:?}");
    assert_left(&world, &ended.out);
}

#[test]
fn a_tag_that_a_signal_finds_being_removed_is_named_where_it_stays() {
    let world = World::candidate("fixed", 1.0);
    world.configure(QUICK);
    let run = world.start(&["--tag", "gate", "--progress", "plain", "--rounds", "1", "--record", "run.json"]);
    run.says("note: added tag");
    // Refused for now: it is tried again, and there is nothing else to be done.
    let status = |status| ApiStatus { method: "services.update".to_owned(), status, times: None };
    world.emulator().set_faults(Faults { api_status: vec![status(503)], ..Faults::default() });
    let writes = world.writes();
    wait_until("the removal is asked for", || world.writes() > writes);
    run.signal(Signal::INT);
    refuse_writes(&world);
    let ended = run.wait();
    assert_eq!(ended.code, 130, "{ended:?}");
    let left = ended.out.lines().find(|line| line.starts_with("LEFT UNDONE  ")).unwrap_or_default();
    assert_left(&world, left);
    assert_left(&world, ended.err.split("error:").nth(1).unwrap_or_default());
    let (record, code) = judged(&world);
    assert!(code == 11 && record["identity"]["after"] == true, "the evidence is not lost\n{ended:?}");
}

/// Prints a token for each user that expires in ten seconds; asked again, it hangs.
const HANGS_AT_NEW_TOKENS: &str = r#"[ -e asked ] && { touch again; sleep 100; }; touch asked
claims=$(printf '{"exp":%s}' $(( $(date +%s) + 10 )) | base64 | tr -d '=\n')
for user in $(seq -w 1 12); do echo "u$user e30.$claims.c2ln"; done"#;

#[test]
fn a_signal_does_not_wait_for_new_tokens() {
    let world = World::candidate("fixed", 1.0);
    let words = serde_json::json!(["sh", "-c", HANGS_AT_NEW_TOKENS]);
    world.configure(&format!("{QUICK}token: {{ tokens-command: {words} }}\n"));
    let run = world.start(&["--tag", "gate", "--progress", "plain", "--allow-commands"]);
    wait_until("new tokens are asked for", || world.file("again").exists());
    run.signal(Signal::TERM);
    let ended = run.wait();
    assert_eq!((ended.code, world.tags()), (143, Vec::new()), "{ended:?}");
    assert!(!ended.err.contains("could not be renewed"), "it was waited for\n{ended:?}");
}

#[test]
fn a_tag_whose_adding_fails_is_removed() {
    // The platform accepts the write, and its operation fails: the entry would stop every later deployment.
    let world = World::new("revisions: [{created_minutes_ago: 60}, {fail: 'it does not start'}]");
    let mut check = world.revgate("check");
    let ended = Ended::of(check.args(["--tag", "gate", "--skip", "ready"]));
    assert_eq!(ended.code, 3, "{ended:?}");
    assert_eq!(world.writes(), 2, "one to add it, one to take it away\n{ended:?}");
    assert_eq!(world.tags(), Vec::<String>::new(), "the tag was left behind\n{ended:?}");
}

#[test]
fn a_lost_reply_to_the_adding_leaves_no_tag() {
    let world = World::new("revisions: [{created_minutes_ago: 60}, {}]\nfaults: {lost_reply: 1}");
    let ended = world.check(&["--tag", "gate", "--rounds", "1"]);
    assert_eq!(ended.code, 11, "one round is too little, and nothing else went wrong\n{ended:?}");
    assert_eq!(world.tags(), Vec::<String>::new(), "the tag was left behind\n{ended:?}");
}

#[test]
fn a_run_that_ends_leaves_the_tag_of_another_run_alone() {
    let world = endless("200ms");
    let one = world.start(&["--tag", "gate", "--progress", "plain"]);
    one.says("note: added tag");
    let first = world.tags();
    let other = world.start(&["--tag", "gate", "--progress", "plain"]);
    other.says("note: added tag");
    assert_eq!(world.tags().len(), 2, "both are there at once");
    assert!(world.tags().contains(&first[0]));
    other.signal(Signal::INT);
    assert_eq!(other.wait().code, 130);
    assert_eq!(world.tags(), first, "the other run's tag is gone, this run's is there");
    one.signal(Signal::INT);
    assert_eq!(one.wait().code, 130);
    assert_eq!(world.tags(), Vec::<String>::new());
}

#[test]
fn runs_that_start_at_once_keep_their_tags_to_the_end() {
    let world = World::candidate("fixed", 1.0);
    let start = || world.start(&["--tag", "gate", "--rounds", "5", "--format", "json"]);
    let mut headlines = Vec::new();
    for run in [start(), start(), start()] {
        let ended = run.wait();
        assert_eq!(ended.code, 11, "5 rounds are too few, and nothing else went wrong\n{ended:?}");
        let report: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
        let checks = report["checks"].as_array().unwrap();
        let identity = checks.iter().find(|check| check["name"] == "identity").unwrap();
        assert_eq!(
            identity["outcome"], "pass",
            "the tag was not the candidate's for the whole run\n{identity}"
        );
        headlines.push(report["headline"].as_str().unwrap().to_owned());
    }
    headlines.sort();
    headlines.dedup();
    assert_eq!(headlines.len(), 3, "each has a tag of its own: {headlines:?}");
    assert_eq!(world.tags(), Vec::<String>::new());
}
