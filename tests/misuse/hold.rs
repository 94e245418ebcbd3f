//! Sockets that are held, on real servers.

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
        (Backend::fastapi("drops"), "lost after 6 s: TCP ended without a close frame (1006)"),
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
