//! The pure modules stay pure: no clock, no network, no files, no environment, no runtime.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

/// Folders and files that take values and return values.
const PURE: &[&str] = &[
    "src/config",
    "src/revision",
    "src/judge",
    "src/report",
    "src/event.rs",
    "src/exit.rs",
    "src/trust",
    "src/probe/observation.rs",
    "src/probe/expectation.rs",
    "src/probe/frame.rs",
    "src/probe/matcher.rs",
    "src/probe/plan.rs",
    "src/probe/platform.rs",
    "src/probe/steering.rs",
];

/// What none of them may name.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "tokio::",
    "reqwest",
    "crate::cli",
    "crate::engine",
    "crate::emulator",
    "crate::progress",
    "rand::",
];

/// The emulator must not share the client's types, or both would share a mistake.
const STRANGERS: &[(&str, &str)] =
    &[("src/emulator", "crate::cloudrun"), ("src/cloudrun", "crate::emulator")];

fn sources(root: &Path) -> Vec<PathBuf> {
    if root.is_file() {
        return vec![root.to_owned()];
    }
    let entries = std::fs::read_dir(root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// The code of a file: without comments and without its tests.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a readable source");
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn offences(place: &str, banned: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(place);
    let files = sources(&root).into_iter().filter(|path| !path.ends_with("tests.rs"));
    files
        .flat_map(|path| {
            let code = code(&path);
            let found = banned.iter().filter(|word| code.contains(**word)).map(|word| (*word).to_owned());
            found.map(|word| format!("{} names {word}", path.display())).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn pure_modules_name_nothing_impure() {
    let found: Vec<String> = PURE.iter().flat_map(|place| offences(place, IMPURE)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_emulator_and_the_client_are_strangers() {
    let found: Vec<String> = STRANGERS.iter().flat_map(|(place, other)| offences(place, &[other])).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_file_is_longer_than_four_hundred_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in sources(&root) {
        let lines = std::fs::read_to_string(&path).expect("a readable source").lines().count();
        assert!(lines <= 400, "{} has {lines} lines", path.display());
    }
}
