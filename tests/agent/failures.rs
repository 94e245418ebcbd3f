//! One backend for each failure of an agent: each is blocked by the check that should see it; the healthy one is approved.

use serde_json::Value;

use crate::backend::{Backend, CONFIG, check_of, first_failed};

/// `serves` runs, and the race, which single users cannot tell from an agent's failure, does not.
const WITHOUT_RACE: [&str; 2] = ["--skip", "ready,identity,race"];

/// The failing check and words of its summary.
fn assert_blocked(backend: &Backend, name: &str, words: &[&str]) -> Value {
    let (code, document) = backend.check(CONFIG, &WITHOUT_RACE);
    assert_eq!((code, first_failed(&document)), (10, Some(name)), "{document:#}");
    assert_eq!(check_of(&document, "serves").0, "pass", "{document:#}");
    let (_, summary) = check_of(&document, name);
    for word in words {
        assert!(summary.contains(word), "{word} is not in: {summary}");
    }
    document
}

#[test]
fn a_healthy_agent_is_approved_without_the_race() {
    for backend in
        [Backend::fastapi("fixed", &[]), Backend::node("fixed", &[]), Backend::node("mute-heartbeats", &[])]
    {
        let (code, document) = backend.check(CONFIG, &WITHOUT_RACE);
        assert_eq!(code, 0, "{document:#}");
        assert_eq!(check_of(&document, "race").0, "skipped");
        let (outcome, summary) = check_of(&document, "agent");
        assert_eq!(outcome, "pass");
        assert!(summary.starts_with("4 of 4 runs completed, 1 alone and 3 at once"), "{summary}");
        assert_eq!(check_of(&document, "isolation").0, "pass", "{document:#}");
    }
}

#[test]
fn an_agent_that_dies_after_seven_seconds_is_blocked_with_its_close() {
    let words = ["close 1011 \"orchestrator is None\" 7.", " s after its start", "agent_thinking was due"];
    let document = assert_blocked(&Backend::fastapi("dies", &[]), "agent", &words);
    let agent = document["checks"].as_array().unwrap().iter().find(|check| check["name"] == "agent").unwrap();
    let failure = &agent["evidence"]["failures"][0];
    assert_eq!(failure["end"]["code"], 1011, "{failure:#}");
    assert!(failure["after_start_us"].as_u64().unwrap() >= 7_000_000, "{failure:#}");
    let soon = [("BACKEND_DELAY_MS", "300")];
    assert_blocked(&Backend::node("dies", &soon), "agent", &["close 1011 \"orchestrator is None\"", "0.3 s"]);
}

#[test]
fn a_fallback_that_plays_the_agent_is_blocked() {
    for backend in [Backend::fastapi("fallback", &[]), Backend::node("fallback", &[])] {
        assert_blocked(
            &backend,
            "agent",
            &["forbidden frame", "fallback_active", "a fallback plays the agent"],
        );
    }
}

#[test]
fn a_degraded_welcome_is_blocked() {
    for backend in [Backend::fastapi("degraded-welcome", &[]), Backend::node("degraded-welcome", &[])] {
        assert_blocked(&backend, "agent", &["forbidden frame", "degraded_mode", "before its first step"]);
    }
    assert_blocked(&Backend::fastapi("late-start", &[]), "agent", &["forbidden frame", "startup_complete"]);
}

#[test]
fn events_in_the_wrong_order_are_blocked() {
    let backend = Backend::fastapi("wrong-order", &[]);
    assert_blocked(&backend, "agent", &["out of order: tool_completed came", "before tool_executing"]);
    let backend = Backend::node("wrong-order", &[]);
    assert_blocked(&backend, "agent", &["out of order: agent_thinking came", "before agent_started"]);
}

#[test]
fn a_run_that_never_completes_is_blocked() {
    let config = CONFIG.replace("within: 20s", "within: 2s");
    for backend in [Backend::fastapi("missing-completion", &[]), Backend::node("missing-completion", &[])] {
        let (code, document) = backend.check(&config, &WITHOUT_RACE);
        assert_eq!((code, first_failed(&document)), (10, Some("agent")), "{document:#}");
        let (_, summary) = check_of(&document, "agent");
        assert!(summary.contains("not complete within 2.0 s, where agent_completed was due"), "{summary}");
    }
}

#[test]
fn an_error_event_and_a_death_behind_the_last_event_are_blocked() {
    assert_blocked(&Backend::fastapi("error", &[]), "agent", &["forbidden frame", "the model is gone"]);
    let words = ["close 1011 \"late\"", "after everything had come"];
    assert_blocked(&Backend::fastapi("dies-after", &[]), "agent", &words);
}

#[test]
fn a_list_of_events_is_looked_at_event_by_event() {
    let (_, document) = Backend::node("listed", &[]).check(CONFIG, &["--only", "agent,isolation"]);
    for name in ["agent", "isolation"] {
        assert_eq!(check_of(&document, name).0, "pass", "{document:#}");
    }
}

#[test]
fn an_agent_without_a_result_is_blocked_with_the_frame_that_has_none() {
    let config = CONFIG.replace("within: 20s", "within: 2s");
    let (code, document) = Backend::node("empty-result", &[]).check(&config, &["--only", "agent"]);
    let (outcome, summary) = check_of(&document, "agent");
    assert_eq!((code, outcome), (10, "fail"), "{document:#}");
    let words = "where agent_completed was due; one of its type came 0.";
    assert!(summary.contains(words), "{summary}");
    assert!(summary.contains("but /data/result is \"\" and does not match "), "{summary}");
    assert!(summary.contains(": \"{\"type\":\"agent_completed\","), "{summary}");
}

#[test]
fn a_death_while_others_of_the_round_still_run_is_blocked() {
    let variables =
        |code| [("BACKEND_USER", "gate-user-2"), ("BACKEND_DELAY_MS", "1500"), ("BACKEND_CODE", code)];
    let backend = Backend::node("dies-later", &variables("1011"));
    let (code, document) = backend.check(CONFIG, &["--only", "agent"]);
    let (outcome, summary) = check_of(&document, "agent");
    assert_eq!((code, outcome), (10, "fail"), "{document:#}");
    for words in
        ["run 2 (at once with others, gate-user-2)", "close 1011 \"late\"", "after everything had come"]
    {
        assert!(summary.contains(words), "{words} is not in: {summary}");
    }
    // Nobody else runs any more: it is held all the same, for an agent may die of what it has left behind.
    let last = [("BACKEND_USER", "gate-user-1"), ("BACKEND_DELAY_MS", "1500"), ("BACKEND_CODE", "1011")];
    let (code, document) = Backend::node("dies-later", &last).check(CONFIG, &["--only", "agent"]);
    assert_eq!(code, 10, "{document:#}");
    assert!(check_of(&document, "agent").1.contains("run 1 (alone, gate-user-1): close 1011 \"late\""));
    let backend = Backend::node("dies-later", &variables("1000"));
    let (_, document) = backend.check(CONFIG, &["--only", "agent"]);
    assert_eq!(check_of(&document, "agent").0, "pass", "a close in peace\n{document:#}");
}

#[test]
fn a_leak_between_runs_that_overlap_is_blocked_and_none_is_seen_alone() {
    for backend in [Backend::fastapi("leak", &[]), Backend::node("leak", &[])] {
        assert_blocked(&backend, "isolation", &["got ", " of gate-user-", "in a frame"]);
        // The same server where nothing overlaps: no leak can be seen, and so none is looked for.
        let refused = backend.command(CONFIG, &["--user", "gate-user-1"]).output().unwrap();
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(refused.status.code() == Some(2) && told.contains("isolation takes two"), "{told}");
        let skipped = "ready,identity,race,isolation";
        let (_, document) = backend.check(CONFIG, &["--skip", skipped, "--user", "gate-user-1"]);
        assert_eq!(check_of(&document, "agent").0, "pass", "{document:#}");
    }
}

#[test]
fn a_nonce_that_leaks_in_another_form_is_found() {
    for (mode, place) in [
        ("leak-upper", "in a frame"),
        ("leak-base64", "in a frame"),
        ("leak-streamed", "in pieces over several frames"),
    ] {
        let (code, document) = Backend::node(mode, &[]).check(CONFIG, &["--only", "agent,isolation"]);
        let (outcome, summary) = check_of(&document, "isolation");
        assert_eq!((code, outcome), (10, "fail"), "{mode}\n{document:#}");
        assert!(
            summary.contains("got the nonce of gate-user-") && summary.contains(place),
            "{mode}: {summary}"
        );
        assert_eq!(check_of(&document, "agent").0, "pass", "{mode}\n{document:#}");
    }
}

#[test]
fn latency_is_held_to_its_limits() {
    let backend = Backend::node("fixed", &[("BACKEND_STEP_MS", "200")]);
    let config = CONFIG.replace("within: 20s", "within: 20s, latency: { p95: 400ms }");
    let (code, document) = backend.check(&config, &["--only", "agent"]);
    let (outcome, summary) = check_of(&document, "agent");
    assert_eq!((code, outcome), (10, "fail"), "{document:#}");
    assert!(summary.contains("too slowly: p95 is") && summary.contains("400 ms are allowed"), "{summary}");
}

#[test]
fn a_cleanup_is_done_whatever_happened_and_decides_nothing() {
    let flow = "flows:\n  own:\n    steps:\n      - send: { type: start_agent, payload: { user_request: '{{nonce}}' } }\n      \
                - expect: { type: EVENT, within: 1s, capture: { run_id: /payload/run_id } }\n    cleanup:\n      \
                - send: { type: ping, payload: { run: '{{capture.run_id}}' } }\n      - expect: { type: pong }\n      \
                - expect: { type: never, within: 100ms }\n";
    let backend = Backend::node("fixed", &[]);
    let config = CONFIG.replace("reference-agent", "own");
    let with = |event: &str| format!("{config}{}", flow.replace("EVENT", event));
    let (_, document) = backend.check(&with("agent_started"), &["--only", "agent"]);
    assert_eq!(check_of(&document, "agent").0, "pass", "{document:#}");
    let run = backend.recorded()["runs"][0].clone();
    assert_eq!((&run["sent"], &run["cleanup"]), (&2.into(), &"never did not come".into()), "{run:#}");
    // A run that fails before anything was captured: the cleanup cannot be filled, and says so.
    let (_, document) = backend.check(&with("agent_never"), &["--only", "agent"]);
    assert_eq!(check_of(&document, "agent").0, "fail", "{document:#}");
    let run = backend.recorded()["runs"][0].clone();
    assert_eq!((&run["sent"], &run["cleanup"]), (&1.into(), &"run_id was never captured".into()), "{run:#}");
}
