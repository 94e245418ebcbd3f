//! What the gate refuses, what it never shows, and what it does to traffic.

use std::process::{Command, Stdio};

use crate::support::{Ended, QUICK, World, binary, run};

#[test]
fn bad_configuration_ends_2_with_its_place() {
    let world = World::candidate("fixed", 1.0);
    for (text, place) in [
        ("path: /ws\nsokets: 3\n", "revgate.yaml:2:1"),
        ("race:\n  sockets: many\n", "revgate.yaml:2:12"),
        ("race: { tolerated: 100% }\n", "revgate.yaml:1:"),
        ("path: /ws\npath: /wt\n", "revgate.yaml:2:1"),
        ("token: { secret-env: NOT_THERE_AT_ALL }\n", "revgate.yaml:1:"),
    ] {
        std::fs::write(world.file("revgate.yaml"), text).unwrap();
        let (code, out, err) = run(&mut world.revgate("check"));
        assert_eq!(code, 2, "{text}\n{out}{err}");
        assert!(err.contains(place), "{place} is not in\n{err}");
    }
}

#[test]
fn what_cannot_be_asked_ends_3_with_help() {
    let world = World::candidate("fixed", 1.0);
    let absent = run(binary("check")
        .args(["--project", "demo-project", "--region", "us-central1", "--service", "absent"])
        .args(["--api-endpoint", &world.emulator().api_endpoint(), "--progress", "none"]));
    let refusing = World::new("revisions: [{}]\nfaults: { denied_permissions: [run.services.get] }");
    let refused = run(refusing.revgate("check").args(["--tag", "gate"]));
    for ((code, _, err), words) in [(absent, "absent"), (refused, "run.services.get")] {
        assert_eq!(code, 3, "{err}");
        assert!(err.contains("help:") && err.contains(words), "{err}");
    }
    let mut unreachable = binary("check");
    unreachable.args(["--project", "p", "--region", "r-1", "--service", "s"]);
    unreachable.args(["--api-endpoint", "http://127.0.0.1:9", "--progress", "none"]);
    let (code, _, err) = run(&mut unreachable);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("help:"), "{err}");
}

#[test]
fn hostile_text_is_shown_escaped() {
    let world = World::candidate("hostile-text", 1.0);
    let (_, out, err) = run(world.revgate("check").args(["--tag", "gate", "--verbose"]));
    assert!(out.contains("injected"), "the server was not heard at all\n{out}");
    for text in [out, err] {
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text:?}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");
    }
}

#[test]
fn a_record_that_cannot_be_written_is_refused_before_anything_is_asked() {
    let world = World::candidate("fixed", 1.0);
    std::fs::create_dir(world.file("folder")).unwrap();
    for (command, extra) in [("check", None), ("promote", Some("--yes"))] {
        for path in ["folder", "nowhere/run.json", "/proc/run.json", "revgate.yaml/run.json"] {
            let mut revgate = world.revgate(command);
            let (code, out, err) = run(revgate.args(["--tag", "gate", "--record", path]).args(extra));
            assert_eq!(code, 2, "{command} {path}\n{out}{err}");
            assert!(err.contains("the record") && err.contains("help:"), "{err}");
        }
    }
    assert_eq!(world.emulator().requests().len(), 0, "the API was asked");
    assert!(!world.file("nowhere").exists());
    for exec in [&[][..], &["--exec", "sleep 60"]] {
        let mut rehearse = binary("rehearse");
        rehearse.args(["--record", "nowhere/run.json", "--progress", "none"]).args(exec);
        let (code, out, err) = run(rehearse.current_dir(world.folder.path()));
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
    }
}

#[test]
fn a_run_without_evidence_leaves_no_record_and_an_old_one_alone() {
    let world = World::candidate("fixed", 1.0);
    let refused = |world: &World| {
        let mut check = world.revgate("check");
        check.args(["--tag", "gate", "--revision", "absent", "--record", "run.json"]);
        let (code, out, err) = run(&mut check);
        assert!(matches!(code, 2 | 3), "ended {code}\n{out}{err}");
    };
    refused(&world);
    let left = || {
        let entries = std::fs::read_dir(world.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(left(), ["revgate.yaml"]);
    std::fs::write(world.file("run.json"), "an earlier run").unwrap();
    refused(&world);
    assert_eq!(left(), ["revgate.yaml", "run.json"]);
    assert_eq!(std::fs::read_to_string(world.file("run.json")).unwrap(), "an earlier run");
}

#[test]
fn a_record_can_go_to_a_device_which_stays_one() {
    let world = World::candidate("always-503", 1.0);
    let (code, out, err) = run(world.revgate("check").args(["--tag", "gate", "--record", "/dev/stderr"]));
    assert_eq!(code, 10, "{out}{err}");
    let record: serde_json::Value = serde_json::from_str(&err).expect("nothing but the record");
    assert_eq!(record["version"], revgate::judge::EVIDENCE_VERSION);
}

#[test]
fn promote_moves_traffic_for_an_approved_revision_only() {
    let world = World::candidate("fixed", 1.0);
    let (code, _, err) = run(world.revgate("promote").args(["--tag", "gate"]).stdin(Stdio::null()));
    assert_eq!(code, 2, "nobody agreed\n{err}");
    let (code, out, err) = run(world.revgate("promote").args(["--tag", "gate", "--yes"]));
    assert_eq!(code, 0, "{out}{err}");
    let traffic = world.traffic();
    assert!(traffic.iter().any(|entry| {
        entry["percent"] == 100
            && entry["revision"].as_str().is_some_and(|name| name.starts_with("demo-00002"))
    }));

    let world = World::candidate("close-1011", 1.0);
    let before = world.traffic();
    let (code, out, err) = run(world.revgate("promote").args(["--tag", "gate", "--yes"]));
    assert_eq!(code, 10, "{out}{err}");
    assert_eq!(world.traffic(), before);
}

/// The check in a shell that first says what it may have open.
#[cfg(unix)]
fn limited(world: &World, limit: &str, sockets_at_once: u32) -> Ended {
    world.configure(&QUICK.replace("limits: {", &format!("limits: {{ sockets-at-once: {sockets_at_once},")));
    let check = world.revgate("check");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{limit}; exec \"$0\" \"$@\"")])
        .arg(check.get_program())
        .args(check.get_args());
    shell.current_dir(world.folder.path()).args(["--tag", "gate", "--progress", "none"]);
    Ended::of(&mut shell)
}

#[cfg(unix)]
#[test]
fn more_sockets_at_once_than_descriptors_are_refused_before_the_first() {
    let world = World::candidate("fixed", 1.0);
    let refused = limited(&world, "ulimit -n 1000", 2000);
    assert_eq!(refused.code, 2, "{refused:?}");
    for words in ["2000 sockets at once need 2064 file descriptors", "may have 1000", "ulimit -n 2064"] {
        assert!(refused.err.contains(words), "{words}\n{refused:?}");
    }
    // The soft limit alone is raised.
    let raised = limited(&world, "ulimit -S -n 100", 150);
    assert_eq!(raised.code, 0, "{raised:?}");
}
