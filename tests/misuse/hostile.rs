//! Servers that mean harm: the gate's memory and time are bounded, and what was seen has a name.
#![cfg(target_os = "linux")]

use crate::support::Backend;

/// The most memory that a run may take, in KiB. The largest message that is read has 16 MiB, and each of the sockets that
/// are open at once may be in the middle of one.
const MOST: u64 = 250 * 1024;

/// Two sockets at once, three in all, and a message of 8 MiB of ours.
const ASKED: &str = "auth: { kinds: [missing] }\nframes: { largest: 1MiB, bystanders: 1, kinds: [malformed-json, far-over] }\n\
                     hold: { for: 3s, sockets: 2, ping-every: 1s }";

fn assert_bounded(mode: &str, words: &str) {
    let checked = Backend::hostile(mode).check(ASKED, &["--only", "auth,frames,hold"]);
    assert!(matches!(checked.code, 10 | 11), "{mode} ended {}\n{}", checked.code, checked.text);
    assert!(checked.text.contains(words), "{mode} is not named by {words:?}\n{}", checked.text);
    assert!(checked.peak > 0 && checked.peak < MOST, "{mode} took {} KiB", checked.peak);
}

#[test]
fn a_message_of_a_hundred_megabytes_is_not_read() {
    assert_bounded("huge", "a message larger than the 16 MiB that are read");
}

#[test]
fn a_million_tiny_frames_are_counted_and_not_kept() {
    assert_bounded("tiny", "hold");
}

#[test]
fn deep_json_is_a_text_like_any_other() {
    assert_bounded("deep", "hold");
}

#[test]
fn invalid_text_is_a_violation() {
    assert_bounded("utf8", "protocol violation");
}

#[test]
fn a_server_that_never_reads_is_left() {
    assert_bounded("deaf", "open, and silent: nothing ever came");
}

#[test]
fn half_a_message_is_none() {
    assert_bounded("half", "open, and silent: nothing ever came");
}

#[test]
fn pings_without_end_end_with_the_time() {
    assert_bounded("pings", "hold");
}
