//! The comparison with the revision that serves: what it says, what it costs, and when it is refused.

use serde_json::{Value, json};

use crate::support::{Ended, QUICK, World};

const ASKED: [&str; 4] = ["--tag", "gate", "--baseline", "--i-may-load-production"];

/// A serving revision and a candidate, each of this behaviour.
fn world(serving: &str, candidate: &str) -> World {
    World::new(&format!(
        "revisions: [{{created_minutes_ago: 60, behaviour: {serving}, echo_revision: true}}, \
         {{behaviour: {candidate}, echo_revision: true}}]"
    ))
}

fn race(report: &Value) -> Value {
    let checks = report["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["name"] == "race").expect("race").clone()
}

/// A recorded check, which must be judged alike; its text, its document and its record.
fn check(world: &World) -> (Ended, Value, Value) {
    let ended = world.check(&ASKED);
    let record = std::fs::read(world.file("run.json")).unwrap();
    let judged =
        Ended::of(crate::support::binary("judge").arg(world.file("run.json")).args(["--format", "json"]));
    assert_eq!(judged.code, ended.code, "{judged:?}");
    (ended, serde_json::from_str(&judged.out).unwrap(), serde_json::from_slice(&record).unwrap())
}

/// Every opening of the comparison, in microseconds, at both revisions.
fn openings(record: &Value) -> Vec<u64> {
    let baseline = &record["baseline"];
    let pairs = baseline["pairs"].as_array().unwrap();
    let rounds = pairs.iter().flat_map(|pair| [&pair["candidate"], &pair["serving"]]);
    let rounds = rounds.chain(baseline["singles"].as_array().unwrap());
    let observations = rounds.flat_map(|round| round["observations"].as_array().unwrap());
    let mut began: Vec<u64> = observations.map(|o| o["timeline"]["began"].as_u64().unwrap()).collect();
    began.sort_unstable();
    began
}

#[test]
fn a_race_that_the_serving_revision_has_not_is_worse() {
    let world = world("fixed", "check-then-act");
    let before = world.traffic();
    let (ended, report, record) = check(&world);
    assert_eq!(ended.code, 10, "{ended:?}");
    let words = format!(
        "worse than the serving revision {}: 5 candidate-only of 5 discordant pairs, E = 24.8",
        world.old_revision()
    );
    assert!(ended.out.contains(&words), "{words}\n{}", ended.out);
    let baseline = race(&report)["evidence"]["baseline"].clone();
    assert_eq!((&baseline["standing"], &baseline["candidate_only"]), (&json!("worse"), &json!(5)));
    // Three single sockets, the first of which sends nothing, and the pairs, which may hold some in which the race did not show.
    let pairs = record["baseline"]["pairs"].as_array().unwrap();
    assert_eq!(report["baseline"]["serving_sockets"], 3 + 2 * pairs.len());
    assert!(pairs.iter().all(|pair| {
        let users = |side: &str| -> Vec<Value> {
            pair[side]["observations"].as_array().unwrap().iter().map(|o| o["user"].clone()).collect()
        };
        users("candidate") == users("serving")
    }));
    // By our own stamps no second has more than ten.
    let began = openings(&record);
    assert!(began.windows(11).all(|eleven| eleven[10] - eleven[0] >= 1_000_000), "{began:?}");
    // One tag, of the candidate, came and went.
    assert_eq!((world.traffic(), world.writes()), (before, 2));
    for request in world.emulator().requests().iter().filter(|request| request.method == "PATCH") {
        let entries = request.body["traffic"].as_array().unwrap();
        let tagged = entries.iter().filter(|entry| entry["tag"].is_string());
        assert!(tagged.clone().all(|entry| entry["revision"] != world.old_revision()), "{entries:?}");
    }
}

#[test]
fn a_race_that_the_serving_revision_has_too_is_pre_existing_and_still_blocks() {
    let world = world("check-then-act", "check-then-act");
    let (ended, report, record) = check(&world);
    assert_eq!(ended.code, 10, "{ended:?}");
    let words = format!("PRE-EXISTING: the serving revision {} fails alike", world.old_revision());
    assert!(ended.out.contains(&words), "{}", ended.out);
    assert_eq!(race(&report)["evidence"]["baseline"]["standing"], "pre-existing");
    // Its first failure is its last round.
    let failed = |pair: &Value| pair["serving"]["observations"].to_string().contains("1011");
    let pairs = record["baseline"]["pairs"].as_array().unwrap();
    assert_eq!(pairs.iter().filter(|pair| failed(pair)).count(), 1);
    assert!(failed(pairs.last().unwrap()));
}

#[test]
fn a_pre_existing_race_is_excused_where_the_policy_says_so_and_the_rest_passes() {
    let allowing = QUICK.replace("noise: 1%", "noise: 1%, pre-existing: allow");
    let both = world("check-then-act", "check-then-act");
    both.configure(&allowing);
    let (ended, report, _) = check(&both);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.out.contains("same-user is excused (pre-existing: allow), though it may fail up to"),
        "{ended:?}"
    );
    assert!(ended.out.contains("WEAKENED  a failure that the serving revision shows as well"), "{ended:?}");
    assert_eq!(race(&report)["outcome"], "pass");
    // Nothing excuses what is new, nor anything when nothing was compared.
    let new = world("fixed", "check-then-act");
    new.configure(&allowing);
    assert_eq!(check(&new).0.code, 10);
    let ended = both.check(&["--tag", "gate"]);
    assert_eq!(ended.code, 10, "{ended:?}");
    assert!(!ended.out.contains("excused"), "{ended:?}");
}

#[test]
fn a_new_race_beside_one_that_was_there_before_blocks() {
    let world = world("check-then-act", "lazy-singleton");
    world.configure(&QUICK.replace("noise: 1%", "noise: 1%, pre-existing: allow"));
    let (ended, report, _) = check(&world);
    assert_eq!(ended.code, 10, "{ended:?}");
    assert_eq!(race(&report)["outcome"], "fail");
}

#[test]
fn of_two_races_that_were_there_before_only_one_is_excused() {
    let world = world("lazy-singleton", "lazy-singleton");
    world.configure(&QUICK.replace("noise: 1%", "noise: 1%, pre-existing: allow"));
    let ended = world.check(&[&ASKED[..], &["--pattern", "control,users,same-user,first-message"]].concat());
    assert_eq!(ended.code, 10, "{ended:?}");
    let line = ended.out.lines().find(|line| line.starts_with("  FAIL  race")).expect("a failed race");
    assert!(line.contains(" is excused (pre-existing: allow)") && line.contains("PRE-EXISTING"), "{line}");
}

#[test]
fn single_sockets_that_fail_are_never_excused() {
    let world = world("refuse-403", "refuse-403");
    world.configure(&QUICK.replace("noise: 1%", "noise: 1%, pre-existing: allow"));
    let (ended, _, record) = check(&world);
    assert_eq!(ended.code, 10, "{ended:?}");
    assert_eq!(record["baseline"]["pairs"], json!([]), "a first contact cannot be repeated");
}

#[test]
fn without_a_failure_nothing_is_opened_at_the_serving_revision() {
    let world = world("fixed", "fixed");
    world.configure(QUICK);
    let (ended, report, _) = check(&world);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(report["baseline"]["serving_sockets"], 0);
    assert!(ended.out.contains("nothing failed that could be compared"), "{ended:?}");
}

#[test]
fn a_comparison_nobody_acknowledged_is_refused_before_anything_is_asked() {
    let world = world("fixed", "fixed");
    let refused = |world: &World, variables: &[(&str, &str)], typed: &[&str]| {
        let mut check = world.revgate("check");
        let ended = Ended::of(check.args(["--tag", "gate"]).args(typed).envs(variables.iter().copied()));
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains("opens sockets at production"), "{}", ended.err);
        assert!(ended.err.contains("add --i-may-load-production"), "{}", ended.err);
    };
    refused(&world, &[], &["--baseline"]);
    refused(&world, &[("REVGATE_BASELINE", "true")], &["--dry-run"]);
    refused(&world, &[("REVGATE_I_MAY_LOAD_PRODUCTION", "false")], &["--baseline"]);
    world.configure(&QUICK.replace("noise: 1%", "noise: 1%, baseline: true"));
    refused(&world, &[], &[]);
    // The file may not acknowledge anything.
    world.configure(&QUICK.replace("noise: 1%", "noise: 1%, i-may-load-production: true"));
    let ended = Ended::of(world.revgate("check").args(["--tag", "gate"]));
    assert!(ended.code == 2 && ended.err.contains("there is no key"), "{ended:?}");
    assert_eq!(world.emulator().requests().len(), 0, "the API was asked");
    // The variable may.
    world.configure(&QUICK.replace("noise: 1%", "noise: 1%, baseline: true"));
    let mut check = world.revgate("check");
    let ended = Ended::of(
        check.arg("--dry-run").env("REVGATE_I_MAY_LOAD_PRODUCTION", "true").args(["--tag", "gate"]),
    );
    assert_eq!(ended.code, 11, "{ended:?}");
}

#[test]
fn a_share_of_the_traffic_is_no_address_and_nobody_is_no_rival() {
    let world = world("fixed", "check-then-act");
    world.configure(QUICK);
    let old = world.old_revision();
    let new = format!("{}-hvj", old.rsplit_once('-').unwrap().0.replace("00001", "00002"));
    let entry = |revision: &str, percent: u32| json!({"type": 2, "revision": revision, "percent": percent});
    world.set_traffic(&[entry(&old, 90), entry(&new, 10)]);
    let writes = world.writes();
    let ended = Ended::of(world.revgate("check").args(ASKED));
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("has no address of its own"), "{}", ended.err);
    assert!(ended.err.contains(&format!("--update-tags=serving={old}")), "{}", ended.err);
    assert_eq!(world.writes(), writes, "something was written");
    let tagged = json!({"type": 2, "revision": old, "tag": "live"});
    world.set_traffic(&[entry(&old, 90), entry(&new, 10), tagged]);
    let ended = world.check(&ASKED);
    assert!(ended.out.contains("(by its tag live)") && ended.out.contains("worse than"), "{ended:?}");
    world.set_traffic(&[entry(&new, 100)]);
    let ended = world.check(&ASKED);
    assert!(ended.out.contains("no baseline: the candidate is the revision that serves"), "{ended:?}");
    assert!(!ended.out.contains("comparable"), "{ended:?}");
}
