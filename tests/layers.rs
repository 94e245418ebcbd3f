//! The pure modules stay pure: no clock, no network, no files, no environment, no runtime.
//!
//! The rules are functions of a file's place and text, so that the tests below can show that each of them finds what it
//! is there to find; the last tests hold the crate's own sources to them.
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
    "src/probe/baseline.rs",
    "src/probe/observation.rs",
    "src/probe/envelope.rs",
    "src/probe/expectation.rs",
    "src/probe/flow/condition.rs",
    "src/probe/flow/marks.rs",
    "src/probe/flow/places.rs",
    "src/probe/flow/progress.rs",
    "src/probe/flow/seen.rs",
    "src/probe/frame.rs",
    "src/probe/learned.rs",
    "src/probe/matcher.rs",
    "src/probe/plan.rs",
    "src/probe/platform.rs",
    "src/probe/shape.rs",
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

/// The most lines of a file.
const LINES: usize = 400;

/// The code of a file: without its tests and without comments, white space and the nesting of `use`.
///
/// `use std::{collections::BTreeMap, fs}` becomes two paths, since a banned one could hide in the braces.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    let code = lines.collect::<Vec<_>>().join("\n");
    let mut paths = String::new();
    for piece in code.split("use ").skip(1) {
        let tree: String = piece.split(';').next().unwrap_or_default().split_whitespace().collect();
        flatten("", &tree, &mut paths);
    }
    code + "\n" + &paths
}

/// Writes every path of a `use` tree on its own line.
fn flatten(before: &str, tree: &str, paths: &mut String) {
    let Some((head, rest)) = tree.split_once('{') else {
        paths.extend([before, tree, "\n"]);
        return;
    };
    let before = format!("{before}{head}");
    let (mut depth, mut start) = (0, 0);
    let inside = rest.strip_suffix('}').unwrap_or(rest);
    for (at, character) in inside.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                flatten(&before, &inside[start..at], paths);
                start = at + 1;
            }
            _ => {}
        }
    }
    flatten(&before, &inside[start..], paths);
}

/// What a file breaks, in words; `place` is its path in the repository.
fn violations(place: &str, text: &str) -> Vec<String> {
    let is_in = |root: &str| place == root || place.starts_with(&format!("{root}/"));
    let mut banned: Vec<&str> = Vec::new();
    if PURE.iter().any(|root| is_in(root)) {
        banned.extend(IMPURE);
    }
    banned.extend(STRANGERS.iter().filter(|(root, _)| is_in(root)).map(|(_, other)| *other));
    let mut found = Vec::new();
    // A file of tests beside its module is no code of the module.
    if !place.ends_with("/tests.rs") {
        let code = code(text);
        found.extend(
            banned.iter().filter(|word| code.contains(**word)).map(|word| format!("{place} names {word}")),
        );
    }
    let lines = text.lines().count();
    if lines > LINES {
        found.push(format!("{place} has {lines} lines"));
    }
    found
}

fn sources(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn a_pure_module_that_does_input_or_output_is_found() {
    for (place, line, word) in [
        ("src/judge/checks.rs", "use std::fs;", "std::fs"),
        ("src/judge/new.rs", "    std::fs::read(path)", "std::fs"),
        ("src/config/file.rs", "use tokio::net::TcpStream;", "tokio::"),
        ("src/report/text.rs", "use std::{collections::BTreeMap, fs::File};", "std::fs"),
        ("src/report/text.rs", "use std::{\n    fmt,\n    net::{IpAddr, TcpStream},\n};", "std::net"),
        ("src/revision/deep/down.rs", "let now = std::time::Instant::now();", "Instant"),
        ("src/probe/plan.rs", "use std::env;", "std::env"),
        ("src/event.rs", "use reqwest::Client;", "reqwest"),
        ("src/exit.rs", "use crate::{cli::run, judge::Verdict};", "crate::cli"),
        ("src/trust/redact.rs", "let key = rand::random();", "rand::"),
    ] {
        let text = format!("//! A module.\n\n{line}\n\nfn sum() {{}}\n");
        assert_eq!(violations(place, &text), [format!("{place} names {word}")], "{line}");
    }
}

#[test]
fn an_emulator_and_a_client_that_know_each_other_are_found() {
    let text = "use crate::cloudrun::wire::Service;\n";
    assert_eq!(
        violations("src/emulator/api/new.rs", text),
        ["src/emulator/api/new.rs names crate::cloudrun"]
    );
    let text = "use crate::{emulator::Emulator, trust::Secret};\n";
    assert_eq!(violations("src/cloudrun/client.rs", text), ["src/cloudrun/client.rs names crate::emulator"]);
}

#[test]
fn a_long_file_is_found() {
    let long = "fn f() {}\n".repeat(LINES + 1);
    assert_eq!(violations("src/cli/new.rs", &long), ["src/cli/new.rs has 401 lines"]);
    assert_eq!(violations("src/judge/tests.rs", &long), ["src/judge/tests.rs has 401 lines"]);
    assert!(violations("src/cli/new.rs", &long["fn f() {}\n".len()..]).is_empty());
}

#[test]
fn what_is_allowed_is_not_found() {
    for (place, text) in [
        ("src/cli/input.rs", "use std::fs;\nuse tokio::net::TcpStream;\n"),
        ("src/judge.md", "std::fs\n"),
        ("src/judge/checks.rs", "//! It never opens a file (std::fs).\nfn f() {} // no tokio::net here\n"),
        ("src/judge/checks.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n"),
        ("src/judge/beta/tests.rs", "use std::fs;\n"),
        ("src/emulator/state.rs", "use tokio::net::TcpListener;\n"),
    ] {
        assert!(violations(place, text).is_empty(), "{place}: {:?}", violations(place, text));
    }
}

#[test]
fn every_place_of_the_rules_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for place in PURE.iter().chain(STRANGERS.iter().map(|(place, _)| place)) {
        assert!(root.join(place).exists(), "{place} is held to a rule and does not exist");
    }
}

#[test]
fn the_sources_break_no_rule() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = sources(&root.join("src"));
    assert!(files.len() > 100, "only {} files were looked at", files.len());
    let found: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let place = path.strip_prefix(root).expect("a path below the root").display().to_string();
            violations(&place, &std::fs::read_to_string(path).expect("a readable source"))
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
