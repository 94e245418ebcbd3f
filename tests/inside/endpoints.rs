//! HTTP endpoints: each way to be wrong is blocked and named, and the healthy twin is approved.

use crate::support::{Ended, World};
use crate::world::{NAMED, assert_says, backend, first_failure, sample};

const HEALTH: &str = r"
api:
  endpoints:
    - path: /health
      json: { /status: healthy, /ready: true, /version: { regex: '^1\.' } }
      within: 500ms
      at-once: 4
";

fn check(world: &World) -> Ended {
    world.check(&["--tag", "gate"])
}

fn blocked(mode: &str, api: &str, words: &[&str]) {
    let world = backend(mode, &format!("{NAMED}{api}"), "{}");
    let Ended { code, out, err } = world.check(&["--tag", "gate", "--skip", "race"]);
    assert_eq!(code, 10, "{mode}\n{out}{err}");
    assert_eq!(first_failure(&out), "api", "{mode}\n{out}");
    assert_says(&out, words);
    assert_says(&out, &["pass  serves"]);
}

#[test]
fn healthy_endpoints_are_asked_and_approved() {
    let more = r"
    - { method: POST, path: '/agent?user={{user}}', body: { ask: '{{nonce}}' }, headers: { X-Tenant: { env: TENANT } }, json: { /by: correct-horse } }
    - { path: /missing, status: [404, 3xx], times: 1, at-once: 0, headers: { X-Test-Type: E2E } }
";
    let world = backend("fixed", &format!("{NAMED}{HEALTH}{more}"), "{}");
    let mut check = world.revgate("check");
    check
        .args(["--tag", "gate", "--record", "run.json", "--progress", "plain"])
        .env("TENANT", "correct-horse");
    let Ended { code, out, err } = Ended::of(&mut check);
    assert_eq!(code, 0, "{out}{err}");
    assert_says(
        &out,
        &["pass  api", "16 of 16 answers of 3 endpoints as they should be, slowest", "p50", "p95", "p99"],
    );
    assert_says(&out, &["test headers sent: X-Test-Type: they may change the path under test"]);
    assert_says(&err, &["api: 3 endpoints, 16 requests, at most 5 at once"]);
    let record = std::fs::read_to_string(world.file("run.json")).unwrap();
    assert!(!record.contains("correct-horse") && !err.contains("correct-horse"));
}

#[test]
fn wrong_json_is_blocked_and_quoted() {
    blocked(
        "wrong-json",
        HEALTH,
        &["GET /health: 7 of 7 answers are wrong", "/status is \"degraded\" and not \"healthy\""],
    );
}

#[test]
fn slow_answers_are_blocked() {
    blocked("slow", HEALTH, &["GET /health: 7 of 7 answers are wrong", "no whole answer within 500 ms"]);
}

#[test]
fn a_redirect_is_not_followed_and_its_address_is_escaped() {
    let words = ["status 302, a redirect to https://elsewhere.example/health", "where 2xx is due"];
    blocked("redirect", HEALTH, &words);
}

#[test]
fn the_tenth_request_at_once_is_the_one_that_shows_it() {
    let work =
        |at_once: u32| format!("api: {{ endpoints: [{{ path: /work, times: 3, at-once: {at_once} }}] }}\n");
    blocked("tenth", &work(12), &["status 500 where 2xx is due", "pool exhausted", "of 12 at once"]);
    let Ended { code, out, err } = check(&backend("tenth", &format!("{NAMED}{}", work(9)), "{}"));
    assert_eq!(code, 0, "nine at once are well\n{out}{err}");
}

#[test]
fn of_a_large_body_one_mebibyte_is_read() {
    let large = "api: { endpoints: [{ path: /large, json: { /status: healthy } }] }\n";
    blocked("fixed", large, &["its body is longer than 1 MiB"]);
    let status_alone = "api: { endpoints: [{ path: /large }] }\n";
    let Ended { code, out, err } = check(&backend("fixed", &format!("{NAMED}{status_alone}"), "{}"));
    assert_eq!(code, 0, "{out}{err}");
}

#[test]
fn sockets_that_die_are_named_before_an_endpoint_that_is_well() {
    let Ended { code, out, err } = check(&backend("sockets-die", &format!("{NAMED}{HEALTH}"), "{}"));
    assert_eq!(code, 10, "{out}{err}");
    assert_eq!(first_failure(&out), "serves", "{out}");
    assert_says(&out, &["pass  api", "close 1011"]);
}

#[test]
fn a_page_of_the_platform_is_no_answer_and_no_failure() {
    // The front end answers one request in three in the revision's place.
    let more = format!("{NAMED}api: {{ endpoints: [{{ path: /health, times: 30, at-once: 0 }}] }}\n");
    let world = sample("{echo_revision: true}", &more, "{front_status: 503, front_rate: 0.3}");
    let Ended { code, out, err } = world.check(&["--tag", "gate", "--only", "api"]);
    assert_eq!(code, 11, "{out}{err}");
    assert_says(&out, &["never reached the application: the platform's own 503"]);
}

#[test]
fn what_the_edge_swallows_is_warned_about_before_and_after() {
    let more = format!("{NAMED}api: {{ endpoints: [{{ path: /healthz, status: [404] }}] }}\n");
    let world = sample("{echo_revision: true}", &more, "{}");
    let mut plan = world.revgate("check");
    let Ended { code, err, .. } = Ended::of(plan.args(["--tag", "gate", "--dry-run", "--progress", "plain"]));
    assert_eq!(code, 11);
    assert_says(&err, &["api: 1 endpoint, 8 requests", "/healthz never reaches a service at run.app"]);
    let Ended { out, .. } = check(&world);
    assert_says(&out, &["/healthz never reaches a service at run.app"]);
}
