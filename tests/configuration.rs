//! The page on revgate.yaml and the file's model say the same: every key of one stands in the other, and the page's own
//! examples are read.
//!
//! The model is asked through its errors: a key that it does not know is answered with those that it knows. So nothing
//! has to be listed here, and a new key, at any depth, is missed in the page at once.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use revgate::config::{FileConfig, Lookup, Purpose, Typed, merge, needed};
use revgate::trust::Secret;

const PAGE: &str = include_str!("../docs/configuration.md");

/// A key that there is not.
const UNKNOWN: &str = "no-such-key";

/// The keys of blocks, by the path of the block; the root's path is empty.
type Blocks = BTreeMap<String, BTreeSet<String>>;

/// `value` at the end of `path`, in whose elements `[]` is a list and `NAME` any name.
fn nested(path: &[&str], value: &str) -> String {
    let inner = path.iter().skip(1).rev().fold(value.to_owned(), |inner, step| match *step {
        "[]" => format!("[{inner}]"),
        key => format!("{{ {key}: {inner} }}"),
    });
    path.first().map_or_else(|| value.to_owned(), |key| format!("{key}: {inner}"))
}

/// The keys of the block at `path`; `None` where there is no such block.
fn keys_of(path: &[&str]) -> Option<BTreeSet<String>> {
    let block = format!("{{ {UNKNOWN}: 1 }}");
    let text = if path.is_empty() { format!("{UNKNOWN}: 1") } else { nested(path, &block) };
    let error = FileConfig::parse("revgate.yaml", text.as_bytes()).err()?;
    if !error.message().contains(&format!("there is no key \"{UNKNOWN}\"")) {
        return None;
    }
    let known = error.help().strip_prefix("the keys here are ").expect("the keys");
    Some(known.split(", ").map(str::to_owned).collect())
}

/// The block at `path` and all inside it.
fn collect(path: &[&str], blocks: &mut Blocks) {
    let Some(keys) = keys_of(path) else { return };
    for key in &keys {
        for more in [&[][..], &["[]"], &["NAME"]] {
            collect(&[path, &[key.as_str()], more].concat(), blocks);
        }
    }
    let name: Vec<&str> = path.iter().copied().filter(|step| *step != "[]").collect();
    blocks.insert(name.join("."), keys);
}

/// A row of the page: the blocks that it is about, its key, and its example.
struct Row {
    blocks: Vec<String>,
    key: String,
    example: String,
}

/// The text between the first and the last backtick.
fn code(cell: &str) -> String {
    cell.trim().trim_matches('`').to_owned()
}

fn rows() -> Vec<Row> {
    let mut blocks = Vec::new();
    let mut rows = Vec::new();
    for line in PAGE.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let names = heading.split(", ").map(|name| if name == "At the top" { "" } else { name });
            blocks = names.map(str::to_owned).collect();
        } else if line.starts_with("| `") {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
            assert_eq!(cells.len(), 5, "a row has five cells: {line}");
            rows.push(Row { blocks: blocks.clone(), key: code(cells[0]), example: code(cells[4]) });
        }
    }
    rows
}

#[test]
fn every_key_stands_in_the_page_and_no_other() {
    let mut known = Blocks::new();
    collect(&[], &mut known);
    assert!(known.len() > 20 && known.contains_key("hold.heartbeat"), "{:?}", known.keys());
    let mut written = Blocks::new();
    for Row { blocks, key, .. } in rows() {
        for block in blocks {
            assert!(written.entry(block.clone()).or_default().insert(key.clone()), "{block}: {key} twice");
        }
    }
    for (block, keys) in &known {
        assert_eq!(
            written.get(block),
            Some(keys),
            "of the block `{block}` docs/configuration.md says otherwise"
        );
    }
    let unknown: Vec<&String> = written.keys().filter(|block| !known.contains_key(*block)).collect();
    assert!(unknown.is_empty(), "there are no such blocks: {unknown:?}");
}

#[test]
fn every_key_has_an_example_that_is_read() {
    for Row { blocks, key, example } in rows() {
        assert!(example.starts_with(&format!("{key}: ")), "{key}: {example}");
        for block in blocks {
            let (_, value) = example.split_once(": ").unwrap();
            let path: Vec<&str> =
                block.split('.').chain([key.as_str()]).filter(|step| !step.is_empty()).collect();
            let lists = ["endpoints", "steps", "cleanup"];
            let path: Vec<&str> = path
                .iter()
                .enumerate()
                .flat_map(|(index, step)| {
                    let inside = lists.contains(step) && index + 1 < path.len();
                    [Some(*step), inside.then_some("[]")]
                })
                .flatten()
                .collect();
            let text = nested(&path, value);
            let parsed = FileConfig::parse("revgate.yaml", text.as_bytes());
            assert!(parsed.is_ok(), "{text}\n{}", parsed.unwrap_err());
        }
    }
}

#[test]
fn the_page_s_whole_examples_are_settings() {
    let blocks: Vec<&str> =
        PAGE.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() > 10);
    for text in blocks {
        let file = FileConfig::parse("revgate.yaml", text.as_bytes());
        let file = file.unwrap_or_else(|error| panic!("{text}\n{error}"));
        let typed = Typed::default();
        let mut lookup = Lookup::at(1_700_000_000);
        for source in needed(&typed, Some(&file), Purpose::Rehearsal).unwrap() {
            lookup.insert(source, Ok(Secret::new("a-secret-of-some-length")));
        }
        let merged = merge(&typed, Some(&file), &lookup, Purpose::Rehearsal);
        assert!(merged.is_ok(), "{text}\n{}", merged.unwrap_err());
    }
}

#[test]
fn the_page_says_the_defaults_that_are_in_force() {
    let merged = merge(&Typed::default(), None, &Lookup::default(), Purpose::Rehearsal).unwrap().settings;
    let (timeouts, race, limits) = (merged.timeouts, merged.race, merged.limits);
    let due = [
        ("timeouts", "opening", format!("{:?}", timeouts.opening)),
        ("timeouts", "first-contact", format!("{:?}", timeouts.first_contact)),
        ("timeouts", "answer", format!("{:?}", timeouts.answer)),
        ("timeouts", "hold", format!("{:?}", timeouts.hold)),
        ("timeouts", "serves-hold", format!("{:?}", timeouts.serves_hold)),
        ("race", "sockets", race.sockets.to_string()),
        ("race", "time-budget", format!("{}m", race.time_budget.as_secs() / 60)),
        ("race", "cold-budget", format!("{}m", race.cold_budget.as_secs() / 60)),
        ("race", "tolerated", format!("{}%", race.tolerated * 100.0)),
        ("race", "pass-confidence", format!("{}%", race.pass_confidence * 100.0)),
        ("race", "fail-confidence", format!("{}%", race.fail_confidence * 100.0)),
        ("limits", "sockets-at-once", limits.sockets_at_once.to_string()),
        ("limits", "openings-per-second", limits.openings_per_second.to_string()),
        ("limits", "sockets-per-run", limits.sockets_per_run.to_string()),
        ("limits", "sockets-per-user", limits.sockets_per_user.to_string()),
    ];
    for (block, key, value) in due {
        let section = PAGE.split(&format!("\n## {block}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
        let row = section.lines().find(|line| line.starts_with(&format!("| `{key}` |"))).unwrap();
        let default = row.split(" | ").nth(3).unwrap();
        assert_eq!(default, value, "{block}.{key}");
    }
}
