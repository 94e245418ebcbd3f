//! Golden files: what each report says, what each command's help says, and every error with its help and its exit code.
//!
//! A missing or different snapshot fails and leaves a `.snap.new` beside the old one, which git ignores; nothing is
//! accepted but by hand (`cargo insta review`, or by renaming it). Snapshots hold no path, port or version.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod configuration;
mod documents;
mod errors;
mod help;
mod program;
mod reports;
mod usage;

/// Compares `text` with `snapshots/NAME.snap`.
fn assert_golden(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
