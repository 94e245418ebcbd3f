//! Which revision gets which verdict.

use crate::support::{CONFIG, Ended, QUICK, World, binary};

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

/// A recorded check, judged again as a document and as text; its code and the text.
fn check(world: &World) -> (i32, String) {
    let (ended, _) = world.check_json(&["--tag", "gate"]);
    let text = Ended::of(binary("judge").arg(world.file("run.json")));
    assert_eq!(text.code, ended.code, "the form of the report changes the code\n{text:?}");
    (ended.code, text.out + &ended.err)
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
                for (behaviour, words) in part {
                    let (code, text) = check(&World::candidate(behaviour, 0.05));
                    assert!(matches!(code, 10 | 11), "5 % of {behaviour} ended {code}\n{text}");
                    assert!(text.contains(words), "5 % of {behaviour} is not named by {words:?}\n{text}");
                }
            });
        }
    });
}

#[test]
fn refusals_of_some_openings_are_not_approved() {
    std::thread::scope(|scope| {
        for (behaviour, words) in [
            ("refuse-503", "HTTP 503"),
            ("refuse-403", "HTTP 403"),
            ("hang", "opening time-out"),
            ("reset", "reset after"),
        ] {
            scope.spawn(move || {
                for rate in [0.02, 0.1, 0.33] {
                    let (code, text) = check(&World::candidate(behaviour, rate));
                    assert!(matches!(code, 10 | 11), "{rate} of {behaviour} ended {code}\n{text}");
                    assert!(text.contains(words), "{rate} of {behaviour} is not named by {words:?}\n{text}");
                }
            });
        }
    });
}

#[test]
fn nor_are_they_in_sixty_lanes() {
    std::thread::scope(|scope| {
        for (behaviour, rate) in [("hang", 0.05), ("refuse-403", 0.03)] {
            scope.spawn(move || {
                let world = World::candidate(behaviour, rate);
                let roomy = "openings-per-second: 1000, sockets-at-once: 300, sockets-per-user: 20";
                world.configure(
                    &(CONFIG.replace("openings-per-second: 1000", roomy) + "race: { lanes: 60 }\n"),
                );
                let (code, text) = check(&world);
                assert!(matches!(code, 10 | 11), "{rate} of {behaviour} ended {code}\n{text}");
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
    let (ended, report) = world.check_json(&["--tag", "gate"]);
    assert_eq!(ended.code, 0, "{ended:?}");
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
        let Ended { code, out, err } = world.check(&["--tag", "gate", "--rounds", rounds]);
        assert_eq!(code, 11, "{rounds} rounds\n{out}{err}");
    }
}

#[test]
fn what_is_left_out_is_never_approved() {
    let left_out = [
        &["--dry-run"][..],
        &["--only", "ready"],
        &["--only", "ready,identity"],
        &["--only", "serves"],
        &["--only", "race"],
        &["--skip", "serves"],
        &["--skip", "race"],
        &["--skip", "serves,race"],
        &["--only", "serves", "--skip", "serves"],
    ];
    let run = |left_out: &[&str]| {
        let world = World::candidate("fixed", 1.0);
        world.configure(QUICK);
        world.check(&[&["--tag", "gate"], left_out].concat())
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let whole = run(&[]);
            assert_eq!(whole.code, 0, "only what is left out keeps the others from approval\n{whole:?}");
        });
        for some in left_out.chunks(3) {
            scope.spawn(move || {
                for left_out in some {
                    let ended = run(left_out);
                    assert_eq!(ended.code, 11, "{left_out:?}\n{ended:?}");
                    assert!(ended.out.starts_with("WEAKENED"), "{}", ended.out);
                }
            });
        }
    });
}

#[test]
fn a_dry_run_has_neither_variable_nor_key() {
    let world = World::candidate("always-503", 1.0);
    let mut check = world.revgate("check");
    let ended = Ended::of(check.args(["--tag", "gate"]).env("REVGATE_DRY_RUN", "true"));
    assert_eq!(ended.code, 10, "the variable is not known\n{ended:?}");
    world.configure("dry-run: true\n");
    let ended = Ended::of(world.revgate("check").args(["--tag", "gate"]));
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("revgate.yaml:1:1") && ended.err.contains("dry-run"), "{ended:?}");
}

#[test]
fn a_container_that_fails_is_blocked_in_the_conditions_own_words() {
    let scenario = "revisions: [{created_minutes_ago: 60}, {fail: 'The container failed to listen on PORT'}]";
    let world = World::new(scenario);
    let Ended { code, out, err } = world.check(&["--tag", "gate"]);
    assert_eq!(code, 10, "{out}{err}");
    assert!(out.contains("The container failed to listen on PORT"), "{out}");
}

#[test]
fn a_revision_that_never_is_ready_is_inconclusive() {
    let world = World::new("revisions: [{created_minutes_ago: 60}, {pending_for: never}]");
    let Ended { code, out, err } = world.check(&["--tag", "gate", "--deadline", "2s"]);
    assert_eq!(code, 11, "{out}{err}");
    assert!(out.contains("not ready after"), "{out}");
}

#[test]
fn a_reused_tag_that_still_reaches_the_old_revision_is_not_approved() {
    let scenario = "revisions: [{created_minutes_ago: 60, tag: candidate, echo_revision: true}, \
                    {tag: candidate, echo_revision: true}]\nfaults: {old_revision_behind_tag_for: 100s}";
    let world = World::new(scenario);
    // Enough rounds for an approval, were they the candidate's.
    world.configure(QUICK);
    let Ended { code, out, err } = world.check(&[]);
    assert_eq!(code, 11, "{out}{err}");
    assert!(out.contains("0 of ") && out.contains("answers came from the candidate, others from"), "{out}");
}

#[test]
fn a_new_tags_own_404_is_waited_out_and_is_no_observation() {
    let world = World::new(
        "revisions: [{created_minutes_ago: 60}, {echo_revision: true}]\nfaults: {new_tag_404_for: 4s}",
    );
    world.configure(QUICK);
    let (ended, report) = world.check_json(&["--tag", "gate"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(report["sockets"]["attempted"], report["sockets"]["ok"], "{ended:?}");
}

#[test]
fn a_candidate_that_serves_already_is_checked_and_the_report_says_so() {
    let world = World::new("revisions: [{percent: 100, tag: candidate, echo_revision: true}]");
    world.configure(QUICK);
    let Ended { code, out, err } = world.check(&["--tag", "gate"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("100 % of traffic"), "{out}");
}

#[test]
fn a_server_that_echoes_no_subprotocol_is_approved() {
    let world = World::candidate("fixed", 1.0);
    world.configure(&(QUICK.to_owned() + "subprotocols: [chat.v1]\n"));
    let (ended, report) = world.check_json(&["--tag", "gate"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let opened = &report["observations"][0]["seen"]["opening"];
    assert!(opened["subprotocol"].is_null(), "it echoes one: {opened}");
}

/// Twenty runs of the fixed backend, four at a time: each ends 0. It takes some minutes of the whole machine:
/// `cargo test --test gate -- --ignored twenty`
#[test]
#[ignore = "some minutes of the whole machine"]
fn the_fixed_backend_is_approved_in_twenty_runs_of_twenty() {
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let four = || (0..5).map(|_| check(&World::candidate("fixed", 1.0)).0).collect::<Vec<_>>();
        let lanes: Vec<_> = (0..4).map(|_| scope.spawn(four)).collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    assert_eq!(codes, [0; 20]);
}
