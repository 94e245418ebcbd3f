//! Which revision gets which verdict.

use serde_json::Value;

use crate::support::{World, run};

/// Behaviours that must never be approved, with words that the report must hold.
const TWELVE: [(&str, &str); 12] = [
    ("always-503", "HTTP 503"),
    ("never-answers", "opening time-out"),
    ("not-found", "HTTP 404"),
    ("ok-without-upgrade", "HTTP 200"),
    ("silent", "silent"),
    ("abort", "1006"),
    ("close-1000", "close 1000"),
    ("close-1008", "close 1008"),
    ("close-1011", "close 1011"),
    ("error-then-1011", "error frame"),
    ("one-frame-then-1011", "close 1011"),
    ("pong-then-1011", "close 1011"),
];

/// Runs a recorded check; judging the record again must give the same code.
fn check(world: &World) -> (i32, String) {
    let (code, out, err) = run(world.revgate("check").args(["--tag", "gate", "--record", "run.json"]));
    let record = world.file("run.json");
    let (again, ..) = run(crate::support::binary("judge").arg(&record).args(["--format", "json"]));
    assert_eq!(again, code, "judge gives another code than check\n{out}{err}");
    (code, out + &err)
}

#[test]
fn none_of_the_twelve_is_approved_and_each_is_named() {
    std::thread::scope(|scope| {
        for half in TWELVE.chunks(3) {
            scope.spawn(move || {
                for (behaviour, words) in half {
                    let (code, text) = check(&World::candidate(behaviour, 1.0));
                    assert!(matches!(code, 10 | 11), "{behaviour} ended {code}\n{text}");
                    assert!(text.contains(words), "{behaviour} is not named by {words:?}\n{text}");
                }
            });
        }
    });
}

#[test]
fn nor_is_any_of_them_on_five_percent_of_the_sockets() {
    std::thread::scope(|scope| {
        for part in TWELVE.chunks(3) {
            scope.spawn(move || {
                for (behaviour, _) in part {
                    let (code, text) = check(&World::candidate(behaviour, 0.05));
                    assert!(matches!(code, 10 | 11), "5 % of {behaviour} ended {code}\n{text}");
                }
            });
        }
    });
}

#[test]
fn refusals_of_some_openings_are_not_approved() {
    std::thread::scope(|scope| {
        for behaviour in ["refuse-503", "refuse-403", "hang", "reset"] {
            scope.spawn(move || {
                for rate in [0.02, 0.1, 0.33] {
                    let (code, text) = check(&World::candidate(behaviour, rate));
                    assert!(matches!(code, 10 | 11), "{rate} of {behaviour} ended {code}\n{text}");
                }
            });
        }
    });
}

#[test]
fn races_are_blocked_and_named() {
    for behaviour in ["check-then-act", "lazy-singleton", "startup-race"] {
        let (code, text) = check(&World::candidate(behaviour, 1.0));
        assert_eq!(code, 10, "{behaviour}\n{text}");
        assert!(text.contains("1011"), "{behaviour}\n{text}");
    }
}

#[test]
fn the_fixed_backend_is_approved_and_its_json_says_so() {
    let world = World::candidate("fixed", 1.0);
    let (code, out, err) = run(world.revgate("check").args(["--tag", "gate", "--format", "json"]));
    assert_eq!(code, 0, "{out}{err}");
    let report: Value = serde_json::from_str(&out).expect("one JSON document");
    assert_eq!(report["verdict"], "approved");
    assert_eq!(report["exit_code"], 0);
    assert!(report["revision"].as_str().is_some_and(|name| name.starts_with("demo-00002")));
    let outcome = |name: &str| {
        let checks = report["checks"].as_array().expect("checks");
        checks.iter().find(|check| check["name"] == name).expect("the check")["outcome"].clone()
    };
    for name in ["ready", "identity", "serves", "race"] {
        assert_eq!(outcome(name), "pass", "{name}");
    }
    assert_eq!(outcome("logs"), "not-asked");
    let sockets = &report["sockets"];
    let sum: u64 = ["ok", "app_fail", "infra"].iter().map(|class| sockets[*class].as_u64().unwrap()).sum();
    assert_eq!(sockets["attempted"].as_u64().unwrap(), sum);
    assert_eq!(report["observations"].as_array().unwrap().len() as u64, sum);
    assert!(world.traffic().iter().all(|entry| entry.get("tag").is_none()), "the tag was not removed");
}

#[test]
fn too_few_rounds_are_inconclusive() {
    for rounds in ["5", "30"] {
        let world = World::candidate("fixed", 1.0);
        let (code, out, err) = run(world.revgate("check").args(["--tag", "gate", "--rounds", rounds]));
        assert_eq!(code, 11, "{rounds} rounds\n{out}{err}");
    }
}

#[test]
fn what_is_left_out_is_never_approved() {
    let world = World::candidate("fixed", 1.0);
    for extra in [&["--dry-run"][..], &["--only", "ready"], &["--skip", "serves", "--rounds", "3"]] {
        let (code, out, err) = run(world.revgate("check").args(["--tag", "gate"]).args(extra));
        assert_eq!(code, 11, "{extra:?}\n{out}{err}");
    }
}

#[test]
fn a_container_that_fails_is_blocked_in_the_conditions_own_words() {
    let scenario = "revisions: [{created_minutes_ago: 60}, {fail: 'The container failed to listen on PORT'}]";
    let world = World::new(scenario);
    let (code, out, err) = run(world.revgate("check").args(["--tag", "gate"]));
    assert_eq!(code, 10, "{out}{err}");
    assert!(out.contains("The container failed to listen on PORT"), "{out}");
}

#[test]
fn a_revision_that_never_is_ready_is_inconclusive() {
    let world = World::new("revisions: [{created_minutes_ago: 60}, {pending_for: never}]");
    let (code, out, err) = run(world.revgate("check").args(["--tag", "gate", "--deadline", "2s"]));
    assert_eq!(code, 11, "{out}{err}");
    assert!(out.contains("not ready after"), "{out}");
}

#[test]
fn a_reused_tag_that_still_reaches_the_old_revision_is_not_approved() {
    let scenario = "revisions: [{created_minutes_ago: 60, tag: candidate, echo_revision: true}, \
                    {tag: candidate, echo_revision: true}]\nfaults: {old_revision_behind_tag_for: 100s}";
    let world = World::new(scenario);
    let (code, out, err) = run(world.revgate("check").args(["--rounds", "3"]));
    assert_eq!(code, 11, "{out}{err}");
}
