//! The twelve behaviours that a gate was once fooled by, later than at the opening: none is ever approved.

use crate::backend::{Backend, CONFIG, check_of};

/// The behaviours of the Node backend.
const BEHAVIOURS: [&str; 12] = [
    "always-503",
    "never-answers",
    "404",
    "200",
    "silent",
    "abort",
    "1000",
    "1008",
    "1011",
    "error-1011",
    "frame-1011",
    "pong-1011",
];

/// Checks each behaviour at a position: `agent` itself fails.
fn assert_none_passes(position: &str) {
    let config =
        CONFIG.replace("within: 20s", "within: 2s").replace("first-contact: 5s", "first-contact: 2s");
    for behaviour in BEHAVIOURS {
        let backend = Backend::node(behaviour, &[("BACKEND_POSITION", position)]);
        let (code, document) = backend.check(&config, &["--only", "agent,isolation"]);
        assert_eq!((code, check_of(&document, "agent").0), (10, "fail"), "{behaviour}\n{document:#}");
        assert_ne!(check_of(&document, "isolation").0, "pass", "{behaviour}\n{document:#}");
    }
}

#[test]
fn none_of_the_twelve_passes_behind_the_first_frame() {
    assert_none_passes("first-frame");
}

#[test]
fn none_of_the_twelve_passes_in_the_middle_of_a_run() {
    assert_none_passes("mid-run");
}
