//! Bad frames on real servers, beside sockets of other users.

use crate::support::{Backend, side_by_side};

/// Everything but what needs a control plane, and the rounds.
const SINGLE: [&str; 2] = ["--skip", "ready,identity,race"];
/// Everything but what needs a control plane.
const WHOLE: [&str; 2] = ["--skip", "ready,identity"];

#[test]
fn a_frame_that_fails_its_handler_is_blocked() {
    let cases = [
        (Backend::fastapi("text-only"), "binary (try 1 of 5): TCP ended without a close frame (1006)"),
        (
            Backend::fastapi("json-only"),
            "malformed-json (try 1 of 5): TCP ended without a close frame (1006)",
        ),
        (
            Backend::fastapi("hangs"),
            "malformed-json (try 1 of 5): hangs: no answer to the next proper message within 3 s",
        ),
        (Backend::node("json-only"), "malformed-json (try 1 of 5): TCP ended without a close frame (1006)"),
        (
            Backend::node("hangs"),
            "malformed-json (try 1 of 5): hangs: no answer to the next proper message within 3 s",
        ),
        (Backend::node("leaks-half-open"), "half-close (try 1 of 5): the socket was still open 3 s after"),
    ];
    side_by_side(&cases, |(backend, words)| {
        let checked = backend.check("frames: { largest: 64KiB }", &SINGLE);
        checked.assert_blocked_by("frames", words);
        assert!(checked.of("frames").1.contains("18 of 18 sockets of other users alive"), "{}", checked.text);
    });
}

#[test]
fn a_frame_that_ends_the_sockets_of_others_is_blocked_and_names_the_user() {
    let cases = [
        (
            Backend::fastapi("kills-everybody"),
            "malformed-json (try 1 of 5): another user's socket was lost (u02): close 1011",
            8,
        ),
        (Backend::node("crash"), "malformed-json (try 1 of 5): another user's socket was lost (u02)", 0),
        (
            Backend::fastapi("half-close-kills"),
            "half-close (try 1 of 5): another user's socket was lost (u02)",
            12,
        ),
    ];
    side_by_side(&cases, |(backend, words, alive)| {
        let checked = backend.check("frames: {}", &SINGLE);
        checked.assert_blocked_by("frames", words);
        // The next kind has others beside it, where the process lives on.
        let alive = format!("{alive} of 14 sockets of other users alive");
        assert!(checked.of("frames").1.contains(&alive), "{}", checked.text);
    });
}

#[test]
fn what_one_try_would_miss_is_found_in_every_run() {
    let cases = [
        (Backend::fastapi("kills-third"), "another user's socket was lost (u02): close 1011"),
        (Backend::node("kills-third"), "another user's socket was lost (u02): TCP "),
        (Backend::node("deafens-third"), "another user's socket no longer answers pings (u02)"),
    ];
    side_by_side(&cases, |(backend, words)| {
        let asked = "frames: { kinds: [malformed-json] }";
        let once = "frames: { kinds: [malformed-json], tries: 1 }";
        let of_one = backend.check(once, &["--only", "frames"]);
        assert_eq!(of_one.of("frames").0, "pass", "{}", of_one.text);
        // One was sent before, and each third since does harm.
        for number in [2, 3, 1] {
            let words = format!("malformed-json (try {number} of 5): {words}");
            backend.check(asked, &SINGLE).assert_blocked_by("frames", &words);
        }
    });
}

#[test]
fn servers_that_answer_or_close_properly_are_approved() {
    let cases = [Backend::fastapi("refuse-403"), Backend::node("refuse-401")];
    side_by_side(&cases, |backend| {
        let checked = backend.check("frames: { largest: 64KiB, bystanders: 3 }", &WHOLE);
        checked.assert_approved();
        let due = (
            "pass",
            "45 of 45 bad frames answered properly, 27 of 27 sockets of other users alive; 5 tries of each kind cannot exclude one that \
             does harm in up to 46 % of tries",
        );
        assert_eq!(checked.of("frames"), due);
    });
}

#[test]
fn what_is_too_large_is_sent_only_where_the_largest_is_stated() {
    let checked = Backend::node("refuse-401")
        .check("frames: { kinds: [malformed-json, binary], tries: 1 }", &["--only", "frames"]);
    // Alone it approves nothing.
    assert_eq!(checked.code, 11, "{}", checked.text);
    let due = (
        "pass",
        "2 of 2 bad frames answered properly, 4 of 4 sockets of other users alive; none too large, since frames.largest is not stated; \
         1 try of each kind cannot exclude one that does harm in up to 95 % of tries",
    );
    assert_eq!(checked.of("frames"), due);
    let closed = Backend::node("refuse-401")
        .check("frames: { largest: 64KiB, kinds: [just-over, far-over] }", &["--only", "frames"]);
    assert_eq!(closed.of("frames").0, "pass", "{}", closed.text);
    let frames =
        closed.report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "frames").unwrap();
    assert_eq!(frames["evidence"]["frames"][0]["words"], "close 1009", "{frames}");
}

#[test]
fn half_of_a_connection_with_tls_is_closed_too() {
    let asked = "frames: { kinds: [binary, half-close] }";
    let cases = [Backend::secure_fastapi("refuse-403"), Backend::secure_node("refuse-401")];
    side_by_side(&cases, |backend| {
        let checked = backend.check(asked, &["--only", "frames"]);
        let (outcome, summary) = checked.of("frames");
        assert_eq!(outcome, "pass", "{summary}");
        assert!(
            summary.starts_with("10 of 10 bad frames answered properly, 4 of 4 sockets of other users alive"),
            "{summary}"
        );
    });
}
