//! What the gate refuses, what it never shows, and what it does to traffic.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{World, binary, run};

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
    let (code, _, err) = run(world.revgate("check").env("REVGATE_SERVICE", "").args(["--service", "absent"]));
    assert!(code == 2 || code == 3, "{err}");
    let mut unreachable = binary("check");
    unreachable.args(["--project", "p", "--region", "r-1", "--service", "s"]);
    unreachable.args(["--api-endpoint", "http://127.0.0.1:9", "--progress", "none"]);
    let (code, _, err) = run(&mut unreachable);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("help:"), "{err}");
}

#[test]
fn secrets_and_hostile_text_are_never_shown() {
    let secret = "a-signing-key-that-must-not-be-seen";
    let scenario = format!(
        "revisions: [{{created_minutes_ago: 60}}, {{behaviour: echo-secrets, jwt_secret: {secret}, echo_revision: true}}]"
    );
    let world = World::new(&scenario);
    let config = "path: /ws\ntoken: { secret-env: KEY_OF_TEST, carry: [authorization, subprotocol] }\n\
                  identity: { header: x-revision }\nlimits: { sockets-per-user: 10, openings-per-second: 1000 }\n";
    std::fs::write(world.file("revgate.yaml"), config).unwrap();
    let mut command = world.revgate("check");
    command.env("KEY_OF_TEST", secret).args([
        "--tag",
        "gate",
        "--verbose",
        "--rounds",
        "3",
        "--record",
        "run.json",
    ]);
    let (code, out, err) = run(command.args(["--format", "json"]));
    assert!(matches!(code, 10 | 11), "{out}{err}");
    let record = std::fs::read_to_string(world.file("run.json")).unwrap();
    for text in [&out, &err, &record] {
        assert!(!text.contains(secret), "the key is shown");
        assert!(!text.contains("eyJ0eXAi") || !text.contains("eyJzdWIi"), "a token is shown");
    }
    assert!(record.contains("[redacted]"), "the server's echo was not seen at all");

    let world = World::candidate("hostile-text", 1.0);
    let (_, out, err) = run(world.revgate("check").args(["--tag", "gate", "--verbose"]));
    for text in [out, err] {
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text:?}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");
    }
}

#[test]
fn sigterm_removes_the_tag_and_ends_143() {
    let world = World::candidate("fixed", 1.0);
    let mut command = world.revgate("check");
    let mut child =
        command.args(["--tag", "gate"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the tag is there", || world.traffic().iter().any(|entry| entry.get("tag").is_some()));
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(world.traffic().iter().all(|entry| entry.get("tag").is_none()), "the tag was left behind");
}

#[test]
fn two_runs_at_once_leave_each_others_tag_alone() {
    let world = World::candidate("fixed", 1.0);
    let start = || {
        let mut command = world.revgate("check");
        command.args(["--tag", "gate", "--rounds", "40"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let mut both = [start(), start()];
    for child in &mut both {
        assert_eq!(
            child.wait().unwrap().code(),
            Some(11),
            "40 rounds are too few, and nothing else went wrong"
        );
    }
    assert!(world.traffic().iter().all(|entry| entry.get("tag").is_none()));
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

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    #[expect(clippy::disallowed_methods, reason = "a generous bound on a test that polls")]
    let clock = Instant::now;
    let begun = clock();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_promotion_never_overwrites_another_writer() {
    let scenario = "revisions: [{created_minutes_ago: 60}, {tag: candidate, echo_revision: true}]\n\
                    faults: {foreign_writer: 1}";
    let world = World::new(scenario);
    let (code, out, err) = run(world.revgate("promote").arg("--yes"));
    assert!(matches!(code, 3 | 13), "ended {code}\n{out}{err}");
    let all = world.traffic().into_iter().find(|entry| entry["percent"] == 100);
    assert!(
        all.is_none_or(|entry| !entry["revision"]
            .as_str()
            .is_some_and(|name| name.starts_with("demo-00002")))
    );
}
