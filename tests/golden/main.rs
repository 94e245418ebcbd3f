//! Golden files: what each report says, what each command's help says, and every error with its help and its exit code.
//!
//! A missing or different snapshot fails and leaves a `.snap.new` beside the old one, which git ignores; nothing is
//! accepted but by hand (`cargo insta review`, or by renaming it). Snapshots hold no path, port or version.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod compared;
mod configuration;
mod configured;
mod documents;
mod errors;
mod help;
mod interrupted;
mod lost;
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

/// Endings and beginnings that are put to a golden file's name where it is made.
const PARTS: [&str; 7] = ["_text", "_verbose", "_markdown", "_github", "_json", "errors_", "help_"];

#[test]
fn no_golden_file_is_left_over() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = |folder: &std::path::Path, ending: &str| {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect::<Vec<_>>()
    };
    let sources: String =
        files(&folder, ".rs").iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let commands = revgate::cli::command();
    let commands: Vec<&str> = commands.get_subcommands().map(clap::Command::get_name).collect();
    for path in files(&folder.join("snapshots"), ".snap") {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let base = PARTS.iter().fold(name.as_str(), |name, part| {
            name.strip_suffix(part).or_else(|| name.strip_prefix(part)).unwrap_or(name)
        });
        let made = sources.contains(&format!("\"{base}\"")) || sources.contains(&format!("\"{name}\""));
        assert!(made || commands.contains(&base), "nothing makes {}: delete it", path.display());
    }
}
