//! The table of README: made from what the benches wrote, and recognised by its fingerprint.
//!
//! Every bench leaves its lines in `target/bench/NAME.rows` (`.quick-rows` with `--quick`). The block between the markers is a function of all of them,
//! and its last line holds a fingerprint of what stands before it, so that a figure that was typed by hand is noticed.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The benches, each with its lines of the table, in their order.
pub const MEASURES: [(&str, &[&str]); 9] = [
    (
        "release",
        &["spread of 2 at the server, µs, p50 / p99", "spread of 10", "spread of 100", "spread of 1000"],
    ),
    (
        "detection",
        &[
            "pairs that find a race of 50 µs: Rust, a thread a socket",
            "… Rust, an event loop",
            "… FastAPI, uvicorn",
            "… Node, ws",
        ],
    ),
    (
        "cloud",
        &[
            "… behind TLS and a front end 5 ms away: a race of 50 µs",
            "… of 200 µs",
            "… of 1 ms",
            "failing rounds in 1000 sockets, 50 µs",
        ],
    ),
    ("rate", &["rounds of 2 a second over a 10 ms path"]),
    (
        "handshakes",
        &[
            "handshakes a second, plain",
            "handshakes a second, TLS",
            "CPU a handshake, µs, plain",
            "CPU a handshake, µs, TLS",
        ],
    ),
    ("memory", &["memory a held socket, KB user + kernel, plain", "memory a held socket, TLS"]),
    (
        "local",
        &[
            "local stage, pairs that find a race of 5 µs: FastAPI, uvicorn",
            "… Node, ws",
            "… Python, a thread a socket",
            "… Rust, a thread a socket",
        ],
    ),
    ("shaking", &[]),
    (
        "cold",
        &[
            "cold starts that find what is missing for 10 ms: FastAPI",
            "… for 50 ms: FastAPI",
            "… for 10 ms: Node",
            "… for 50 ms: Node",
        ],
    ),
];

/// The line above the block.
pub const BEGIN: &str = "<!-- figures: made by `cargo bench -- --readme`, not by hand -->";
/// The beginning of the line below it.
pub const END: &str = "<!-- figures end: ";
const HEAD: &str = "| measure | revgate | tokio, `join_all` | Python `websockets`, `gather` | against the better |\n|---|---|---|---|---|\n";

/// The block of these lines, which are whole lines of the table, and a remark on how they were measured.
pub fn block(lines: &[String], remark: &str) -> String {
    let mut text = format!("{remark}\n\n{HEAD}");
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
    let fingerprint = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{BEGIN}\n{text}{END}{fingerprint:016x} -->\n")
}

/// What stands before the block of a README, the block itself, and what follows.
pub fn parts(readme: &str) -> Option<(&str, &str, &str)> {
    let start = readme.find(BEGIN)?;
    let last = start + readme[start..].find(END)?;
    let end = last + readme[last..].find('\n')? + 1;
    Some((&readme[..start], &readme[start..end], &readme[end..]))
}

/// Why this is no block that [`block`] made; `None` when it is one.
pub fn flaw(found: &str) -> Option<String> {
    let inside = found.strip_prefix(BEGIN).and_then(|inside| inside.trim_start().split_once("\n\n"));
    let Some((remark, rest)) = inside else { return Some("no remark and table".to_owned()) };
    let Some(rest) = rest.strip_prefix(HEAD) else { return Some("another head".to_owned()) };
    let lines: Vec<String> =
        rest.lines().take_while(|line| line.starts_with('|')).map(str::to_owned).collect();
    let measures = MEASURES.iter().flat_map(|(_, measures)| *measures);
    let mut others = lines.iter().zip(measures.clone()).filter(|(line, measure)| {
        !line.starts_with(&format!("| {measure} |")) || line.matches(" | ").count() != 4
    });
    if let Some((line, measure)) = others.next() {
        return Some(format!("{line:?} is no line of {measure:?}"));
    }
    if lines.len() != measures.count() {
        return Some(format!("{} lines", lines.len()));
    }
    (block(&lines, remark) != found).then(|| "it was edited by hand".to_owned())
}

/// Puts the block into the README of `root`, from the rows of a `kind` that are in `folder`.
///
/// # Errors
/// When a bench has not run yet, or a file cannot be read or written.
pub fn update(root: &Path, folder: &Path, kind: &str, remark: &str) -> Result<(), String> {
    let mut lines = Vec::new();
    for (bench, measures) in MEASURES {
        let rows = fs::read_to_string(folder.join(format!("{bench}.{kind}")))
            .map_err(|_| format!("README is left as it is: {bench} has not run yet"))?;
        lines.extend(rows.lines().map(str::to_owned));
        if rows.lines().count() != measures.len() {
            return Err(format!("README is left as it is: {bench} left other rows than are due"));
        }
    }
    let place = root.join("README.md");
    let readme = fs::read_to_string(&place).map_err(|error| error.to_string())?;
    let (before, _, after) = parts(&readme).ok_or("README has no place for the figures")?;
    fs::write(place, format!("{before}{}{after}", block(&lines, remark))).map_err(|error| error.to_string())
}
