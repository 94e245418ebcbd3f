//! A server that numbers its runs: a number that counts stands in everybody's frames, and means something else there.

use crate::backend::{Backend, CONFIG, check_of};

const ASKED: [&str; 2] = ["--only", "agent,isolation"];

#[test]
fn numbers_that_count_are_no_leak_whatever_they_begin_with() {
    for (first, passed_over) in [("1", true), ("4711", false), ("1700000000", false)] {
        let backend = Backend::node("fixed", &[("BACKEND_FIRST_RUN", first)]);
        let (_, document) = backend.check(CONFIG, &ASKED);
        assert_eq!(check_of(&document, "agent").0, "pass", "{first}\n{document:#}");
        let (outcome, summary) = check_of(&document, "isolation");
        assert_eq!(outcome, "pass", "{first}\n{document:#}");
        // Nonces and users are looked for, and numbers under the key that they were taken from; of short ones it is said
        // that they are not.
        let words =
            "4 marks are shorter than 4 characters, or numbered as a count does, and were not looked for";
        assert_eq!(summary.contains(words), passed_over, "{first}: {summary}");
    }
}

#[test]
fn runs_that_are_counted_for_each_user_apart_are_no_leak() {
    // Of five users one has a second run.
    let config = CONFIG.replace("runs: 1", "runs: 3");
    let backend = Backend::node("fixed", &[("BACKEND_COUNTS_APART", "1")]);
    let (_, document) = backend.check(&config, &ASKED);
    assert_eq!(check_of(&document, "isolation").0, "pass", "{document:#}");
    assert!(check_of(&document, "isolation").1.contains("numbered as a count does"), "{document:#}");
    let backend = Backend::node("leak", &[("BACKEND_COUNTS_APART", "1")]);
    let (_, document) = backend.check(&config, &ASKED);
    assert!(check_of(&document, "isolation").1.contains("got the nonce of gate-user-"), "{document:#}");
}

#[test]
fn a_leak_is_found_where_runs_are_numbered() {
    let backend = Backend::node("leak", &[("BACKEND_FIRST_RUN", "1")]);
    let (code, document) = backend.check(CONFIG, &ASKED);
    assert_eq!((code, check_of(&document, "isolation").0), (10, "fail"), "{document:#}");
    assert!(check_of(&document, "isolation").1.contains("got the nonce of gate-user-"), "{document:#}");
}
