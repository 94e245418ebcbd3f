//! Servers that mean harm, against rounds and against every configured check alone: from the first byte on, once a socket was
//! served, and only where sockets meet. Bounded memory, an end of its own, and a name for what was seen.
#![cfg(target_os = "linux")]

use crate::support::{Backend, side_by_side};

/// The most memory that a run may take, in KiB. A message that is larger than is read is refused by its header.
const MOST: u64 = 150 * 1024;

const HARMS: [&str; 7] = ["huge", "tiny", "deep", "utf8", "deaf", "half", "pings"];

/// What is asked, each alone; `serves` with the rounds of `race`.
const CHECKS: [&str; 5] = ["serves", "agent", "auth", "hold", "frames"];

/// Everything that can be asked of a socket.
const CONFIG: &str = r#"
path: /ws?when=WHEN
send: '{"type":"ping","nonce":"{{nonce}}"}'
users: [user-1, user-2, user-3, user-4]
token: { secret-env: APP_SECRET }
timeouts: { opening: 8s, first-contact: 8s, answer: 2s, serves-hold: 300ms }
race: { tolerated: 25%, noise: 1%, time-budget: 20s }
limits: { openings-per-second: 200 }
agent: { flow: talk, runs: 1, at-once: 3, within: 3s }
hold: { for: 3s, sockets: 2, ping-every: 1s }
auth: { kinds: [missing, expired] }
frames: { largest: 1MiB, bystanders: 1, tries: 2, kinds: [malformed-json, far-over, ping-flood] }
flows:
  talk:
    steps:
      - send: { type: ping }
      - expect: { type: pong }
      - send: { type: ping }
      - expect: { type: never }
"#;

/// How a check names what this server does from the first byte on.
fn at_once(harm: &str, check: &str) -> &'static str {
    match (harm, check) {
        ("huge", _) => "a message larger than the 16 MiB that are read",
        ("utf8", _) => "protocol violation",
        // What is answered is served, however much else comes; what follows is not.
        ("tiny", _) => "",
        ("deep", "auth" | "frames" | "hold" | "agent") => afterwards(harm, check),
        ("deep", _) => "no answer to what was sent",
        (_, "agent") => "pong did not come within 2.0 s; nothing that was due had come",
        ("pings", _) => "open, and silent but for pings",
        _ => "open, and silent: nothing ever came",
    }
}

/// The same where a first message was answered before.
fn afterwards(harm: &str, check: &str) -> &'static str {
    match (harm, check) {
        ("tiny", _) => "",
        (_, "auth") => "accepted, and served like a good one",
        (_, "frames") => "another user's socket",
        ("huge", _) => "a message larger than the 16 MiB that are read",
        ("utf8", _) => "protocol violation",
        (_, "agent") => "never did not come within 2.0 s; the last to come was pong",
        (_, "serves") => "no answer to what was sent",
        _ => "pings got no pong within 2 s",
    }
}

/// The same where only sockets are harmed beside which others are open: single ones are served.
fn in_a_crowd(harm: &str) -> &'static str {
    match harm {
        "huge" => "a message larger than the 16 MiB that are read",
        "utf8" => "protocol violation",
        // What is answered between all else is served.
        "tiny" | "deep" => "",
        _ => "no answer to what was sent",
    }
}

#[test]
fn every_check_is_bounded_and_names_what_it_saw() {
    // Each has a process of its own: one that floods would starve the others.
    side_by_side(&HARMS, |harm| {
        let backend = Backend::hostile(harm);
        for check in CHECKS {
            assert_bounded(&backend, ("opening", harm), check, at_once(harm, check));
            assert_bounded(&backend, ("answered", harm), check, afterwards(harm, check));
        }
        assert_bounded(&backend, ("crowd", harm), "race", in_a_crowd(harm));
    });
}

fn assert_bounded(backend: &Backend, (when, harm): (&str, &str), check: &str, words: &str) {
    let config = CONFIG.replace("WHEN", when);
    // It is well, and slow: its rounds take all the time that there is.
    let config = if harm == "tiny" { config.replace("time-budget: 20s", "time-budget: 15s") } else { config };
    let only = if matches!(check, "serves" | "race") { "serves,race" } else { check };
    let checked = backend.check(&config, &["--only", only, "--no-calibration"]);
    let (_, summary) = checked.of(check);
    // Alone, nothing but `serves` and `race` could approve.
    assert!(matches!(checked.code, 10 | 11), "{when} {harm} {check}\n{}", checked.text);
    assert!(summary.contains(words), "{when} {harm} {check}\n{}", checked.text);
    assert!(checked.peak > 0 && checked.peak < MOST, "{when} {harm} {check} took {} KiB", checked.peak);
}
