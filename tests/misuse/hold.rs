//! Sockets that are held, on real servers.

use std::collections::BTreeMap;

use crate::support::{Backend, side_by_side};

/// Everything but what needs a control plane, and the rounds.
const SINGLE: [&str; 2] = ["--skip", "ready,identity,race"];
/// Everything but what needs a control plane.
const WHOLE: [&str; 2] = ["--skip", "ready,identity"];
/// The backends' heartbeat, which comes twice a second.
const HELD: &str =
    "hold: { for: 4s, sockets: 3, ping-every: 1s, heartbeat: { expect: { type: heartbeat }, every: 1s } }";

#[test]
fn sockets_that_do_not_last_are_blocked() {
    let cases = [
        (Backend::fastapi("heartbeat-never"), "heartbeat never sent in "),
        (Backend::node("heartbeat-never"), "heartbeat never sent in "),
        (Backend::fastapi("drops"), "lost after 6 s: TCP "),
        (Backend::node("unponging"), "pings got no pong within 3 s"),
    ];
    side_by_side(&cases, |(backend, words)| {
        let asked =
            if words.contains("heartbeat") { HELD.to_owned() } else { HELD.replace("for: 4s", "for: 8s") };
        backend.check(&asked, &SINGLE).assert_blocked_by("hold", words);
    });
}

#[test]
fn sockets_that_last_are_approved() {
    let cases = [Backend::fastapi("refuse-403"), Backend::node("refuse-401")];
    side_by_side(&cases, |backend| {
        let checked = backend.check(HELD, &WHOLE);
        checked.assert_approved();
        let (outcome, summary) = checked.of("hold");
        assert_eq!(outcome, "pass", "{summary}");
        assert!(
            summary.starts_with("3 of 3 sockets held 4 s; ") && summary.contains("heartbeats"),
            "{summary}"
        );
    });
}

/// What a client of an application says by itself, and nothing of the server's.
const OWN: &str =
    "hold: { for: 5s, sockets: 2, ping-every: 1s, heartbeat: { send: { type: heartbeat }, every: 500ms } }";

#[test]
fn a_server_that_wants_heartbeats_of_its_clients_keeps_those_that_send_them() {
    let bare = "hold: { for: 5s, sockets: 2, ping-every: 1s }";
    let wants = Backend::fastapi("wants-heartbeat");
    let checked = wants.check(bare, &["--only", "hold"]);
    checked.assert_blocked_by("hold", "lost after 2 s: close 4408 \"no heartbeat\"");
    assert!(checked.text.contains("let this one send it: hold: { heartbeat: { send:"), "{}", checked.text);
    for backend in [&wants, &Backend::fastapi("refuse-403"), &Backend::node("refuse-401")] {
        let checked = backend.check(OWN, &["--only", "hold"]);
        let (outcome, summary) = checked.of("hold");
        assert_eq!(outcome, "pass", "{summary}");
        let counts =
            summary.starts_with("2 of 2 sockets held 5 s; ") && summary.ends_with(" heartbeats of ours");
        assert!(counts && !summary.contains(" 0 heartbeats"), "{summary}");
    }
}

#[test]
fn servers_that_ping_often_lose_nobody() {
    let pings = ["--ws-ping-interval", "1", "--ws-ping-timeout", "1"];
    let cases = [Backend::fastapi_with("refuse-403", &pings), Backend::node("pings-clients")];
    side_by_side(&cases, |backend| {
        let checked = backend.check("hold: { for: 6s, sockets: 3, ping-every: 1s }", &["--only", "hold"]);
        let (outcome, summary) = checked.of("hold");
        assert!(outcome == "pass" && summary.starts_with("3 of 3 sockets held 6 s; "), "{summary}");
    });
}

#[test]
fn a_hold_of_two_pings_shows_one_of_them() {
    let backend = Backend::node("refuse-401");
    let checked = backend.check("hold: { for: 2s, sockets: 2, ping-every: 1s }", &["--only", "hold"]);
    let (outcome, summary) = checked.of("hold");
    assert_eq!((outcome, summary), ("pass", "2 of 2 sockets held 2 s; 2 of 2 pongs"));
}

#[test]
fn a_server_with_a_session_limit_of_its_own_is_told_how_to_be_held_for_less() {
    let backend = Backend::fastapi("session-over");
    let hold = |time: &str| format!("hold: {{ for: {time}, sockets: 2, ping-every: 500ms }}");
    let checked = backend.check(&hold("6s"), &["--only", "hold"]);
    checked.assert_blocked_by("hold", "lost after 3 s: close 1000 \"session over\"");
    assert!(checked.text.contains("hold them for less: hold: { for: 2s }"), "{}", checked.text);
    assert_eq!(backend.check(&hold("2s"), &["--only", "hold"]).of("hold").0, "pass");
}

#[test]
fn an_error_frame_on_a_held_socket_is_blocked_unless_it_is_declared() {
    let backend = Backend::fastapi("errors-later");
    let held = "hold: { for: 4s, sockets: 2, ping-every: 1s }";
    let checked = backend.check(held, &["--only", "hold"]);
    checked.assert_blocked_by("hold", "the session store is gone");
    let harmless = format!("harmless: '{{\"error\":\"the session store is gone\"}}'\n{held}");
    assert_eq!(backend.check(&harmless, &["--only", "hold"]).of("hold").0, "pass");
}

/// Rounds, held sockets, bad tokens and bad frames in the names of the same users, who may say twelve things a minute.
const COUNTED: &str = r#"
path: /ws
send: '{"type":"ping","nonce":"{{nonce}}"}'
users: [u01, u02, u03]
token: { secret-env: APP_SECRET, claims: { aud: us } }
timeouts: { opening: 4s, answer: 3s, serves-hold: 300ms }
race: { tolerated: 25%, noise: 1%, time-budget: 8s }
limits: { openings-per-second: 200, messages-per-minute: 12 }
hold: { for: 7s, sockets: 3, ping-every: 1s, heartbeat: { send: { type: heartbeat }, every: 5s } }
auth: { kinds: [malformed] }
frames: { kinds: [binary, empty], bystanders: 2, tries: 2 }
"#;

#[test]
fn no_user_says_more_in_any_minute_than_is_stated_whatever_it_is_for() {
    let mut backend = Backend::fastapi("counts");
    let checked = backend.check(COUNTED, &["--only", "serves,hold,auth,frames"]);
    for name in ["hold", "auth", "frames"] {
        assert_eq!(checked.of(name).0, "pass", "{}", checked.text);
    }
    let mut said: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in backend.said().lines().filter_map(|line| line.strip_prefix("message ")) {
        let (user, time) = line.split_once(' ').unwrap();
        said.entry(user.to_owned()).or_default().push(time.parse().unwrap());
    }
    assert!(said["u01"].len() > 12, "nobody had to wait: {said:?}");
    for (user, times) in &said {
        for (first, thirteenth) in times.iter().zip(times.iter().skip(12)) {
            assert!(thirteenth - first >= 60.0, "{user} said thirteen things within a minute: {times:?}");
        }
    }
}
