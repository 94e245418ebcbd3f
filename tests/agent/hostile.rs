//! A server that does its worst in the middle of a run: bounded memory, bounded time, and a failure with its name.

use crate::backend::{Backend, CONFIG, check_of};

#[test]
fn a_hostile_server_fails_and_costs_no_memory() {
    let config = CONFIG.replace("within: 20s", "within: 3s");
    for (mode, words) in [
        ("flood", "where "),
        ("huge", "a message larger than the 16 MiB that are read"),
        ("bad-utf8", "protocol violation"),
        ("never-reads", "not complete within 3.0 s"),
    ] {
        let backend = Backend::node(mode, &[]);
        let (code, document) = backend.check(&config, &["--only", "agent,isolation"]);
        let (outcome, summary) = check_of(&document, "agent");
        assert_eq!((code, outcome), (10, "fail"), "{mode}\n{document:#}");
        assert!(summary.contains(words), "{mode}: {summary}");
        assert!(summary.len() < 2000, "{mode}: {summary}");
    }
    // Of the children that have ended the largest was a check, since the servers still live or are small.
    #[cfg(target_os = "linux")]
    {
        use nix::sys::resource::{UsageWho, getrusage};
        let largest = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
        assert!(largest < 400 * 1024, "a child of {largest} KiB");
    }
}

#[test]
fn deep_json_is_only_a_frame_that_nobody_expects() {
    let backend = Backend::node("deep", &[]);
    let (_, document) = backend.check(CONFIG, &["--only", "agent"]);
    assert_eq!(check_of(&document, "agent").0, "pass", "{document:#}");
}
