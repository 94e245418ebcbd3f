//! What is told when signals come, and which signals count.

use std::process::Command;

use revgate::emulator::{ApiStatus, Faults};
use rustix::process::Signal;

use crate::interrupts::endless;
use crate::support::{Running, World, wait_until};

/// The command under another program, which is told first what to do.
fn under(words: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(words[0]);
    outer.args(&words[1..]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer.current_dir(command.get_current_dir().unwrap());
    outer
}

/// A check with a tag of its own, under a program that deals with SIGHUP as told.
fn start_under(world: &World, words: &[&str]) -> Running {
    let mut check = world.revgate("check");
    check.args(["--tag", "gate", "--progress", "plain", "--record", "run.json"]);
    let run = world.start_command(&mut under(words, &check));
    run.says("note: added tag");
    run
}

#[test]
fn a_hangup_cleans_up_as_other_signals_do() {
    let world = endless("200ms");
    // Whoever runs these tests may have ignored it.
    let run = start_under(&world, &["env", "--default-signal=HUP"]);
    run.signal(Signal::HUP);
    let ended = run.wait();
    assert_eq!((ended.code, world.tags()), (129, Vec::new()), "{ended:?}");
    assert!(ended.out.starts_with("INTERRUPTED  by SIGHUP during "), "{ended:?}");
    assert!(ended.out.contains("exit code 129"), "{ended:?}");
    let record = std::fs::read_to_string(world.file("run.json")).unwrap();
    assert!(record.contains(r#""signal":"SIGHUP""#), "{ended:?}");
}

#[test]
fn a_hangup_that_was_ignored_stays_ignored() {
    let world = endless("200ms");
    // As nohup does it.
    let run = start_under(&world, &["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]);
    run.signal(Signal::HUP);
    run.signal(Signal::TERM);
    let ended = run.wait();
    assert_eq!((ended.code, world.tags()), (143, Vec::new()), "{ended:?}");
    assert!(!ended.err.contains("SIGHUP") && !ended.out.contains("SIGHUP"), "{ended:?}");
}

#[test]
fn each_signal_is_told_what_is_cleaned_up_and_what_stays_if_not() {
    let world = endless("200ms");
    let run = world.start(&["--tag", "gate", "--progress", "plain"]);
    run.says("note: added tag");
    let tag = world.tags().pop().unwrap();
    // It takes until the API can again.
    let down = ApiStatus { method: "services.update".to_owned(), status: 503, times: None };
    world.emulator().set_faults(Faults { api_status: vec![down], ..Faults::default() });
    run.signal(Signal::INT);
    run.says(&format!("note: SIGINT: the run ends and takes tag {tag} away: 25 s at most"));
    run.signal(Signal::TERM);
    run.says(&format!(
        "note: SIGTERM: still taking tag {tag} away; killed now it stays until somebody types: gcloud run"
    ));
    world.emulator().set_faults(Faults::default());
    let ended = run.wait();
    assert_eq!((ended.code, world.tags()), (130, Vec::new()), "{ended:?}");
}

/// Reads that show the service without the tag come first; the tag must not stay behind.
#[test]
fn a_stale_read_does_not_pass_for_a_tag_that_is_gone() {
    let lagging = |time: &str| {
        let faults = serde_json::json!({ "stale_reads_for": time });
        serde_json::from_value::<Faults>(faults).unwrap()
    };
    let gone = |world: &World| {
        world.emulator().set_faults(Faults::default());
        world.tags().is_empty()
    };

    // The signal comes right behind the write.
    let world = endless("1ms");
    world.emulator().set_faults(lagging("3s"));
    let run = world.start(&["--tag", "gate", "--progress", "plain"]);
    wait_until("the tag is asked for", || world.writes() == 1);
    run.signal(Signal::TERM);
    let ended = run.wait();
    assert!(gone(&world), "the tag was left behind\n{ended:?}");
    assert_eq!(ended.code, 143, "{ended:?}");

    // It comes while the tag is probed, and then a read from before the write.
    let world = endless("1ms");
    world.emulator().set_faults(lagging("1ms"));
    let run = world.start(&["--tag", "gate", "--progress", "plain"]);
    run.says("note: added tag");
    world.emulator().set_faults(lagging("3s"));
    run.signal(Signal::TERM);
    let ended = run.wait();
    assert!(ended.err.contains("note: removed tag gate-"), "{ended:?}");
    assert!(gone(&world), "the tag was left behind\n{ended:?}");
    assert_eq!(ended.code, 143, "{ended:?}");
}
