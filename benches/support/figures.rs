//! Percentiles, ratios, and the Markdown that shows them.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::readme;

/// The value below which `share` per cent of the values are, by nearest rank.
pub(crate) fn percentile(values: &[f64], share: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * share).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

/// Microseconds between the first and the last.
pub(crate) fn spread(arrivals: &[Duration]) -> f64 {
    let first = arrivals.iter().min().copied().unwrap_or_default();
    let last = arrivals.iter().max().copied().unwrap_or_default();
    microseconds(last.saturating_sub(first))
}

/// A duration in microseconds.
pub(crate) fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Three significant digits or so, as people write them.
pub(crate) fn short(value: f64) -> String {
    if value.is_nan() {
        "-".to_owned()
    } else if value < 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// A Markdown table.
pub(crate) fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(head);
    let _ = writeln!(text, "|{}", "---|".repeat(head.len()));
    for row in rows {
        text.push_str(&line(row));
    }
    text
}

/// Cores, and how busy the machine was over the last minute.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("{cores} cores, load {}", load.split(' ').next().unwrap_or("unknown"))
}

/// One line of README's table.
pub(crate) struct Line {
    /// What is measured, as it stands in [`readme::MEASURES`].
    pub(crate) measure: &'static str,
    /// Ours, tokio's and Python's.
    pub(crate) cells: [String; 3],
    /// How many times better than the better of the others we are.
    pub(crate) ratio: String,
}

impl Line {
    /// Of how many of `rounds` each client found something; `None` for a client that was not there.
    pub(crate) fn found(measure: &'static str, counts: [Option<usize>; 3], rounds: usize) -> Self {
        let others: Vec<f64> = counts[1..].iter().flatten().map(|found| *found as f64).collect();
        Self {
            measure,
            cells: counts.map(|found| found.map_or("-".to_owned(), |found| share(found, rounds))),
            ratio: times_more(counts[0].unwrap_or(0) as f64, &others),
        }
    }
}

/// The lines of README that a bench has to fill.
pub(crate) fn measures(name: &str) -> &'static [&'static str] {
    readme::MEASURES.iter().find(|(bench, _)| *bench == name).expect("a known bench").1
}

/// How many times `ours` is of the better of the others, where more is better.
pub(crate) fn times_more(ours: f64, others: &[f64]) -> String {
    let best = others.iter().copied().fold(f64::NAN, f64::max);
    match best {
        best if best > 0.0 => format!("{}×", short(ours / best)),
        best if best.is_nan() || ours == 0.0 => "-".to_owned(),
        _ => "found by us only".to_owned(),
    }
}

/// How many times the better of the others is of `ours`, where less is better.
pub(crate) fn times_less(ours: f64, others: &[f64]) -> String {
    let best = others.iter().copied().fold(f64::NAN, f64::min);
    if best.is_nan() { "-".to_owned() } else { format!("{}×", short(best / ours)) }
}

/// How much of `all` a `part` is.
pub(crate) fn ratio(part: usize, all: usize) -> f64 {
    part as f64 / all as f64
}

/// A share of rounds with two decimals; `-` where there was none.
pub(crate) fn share(found: usize, rounds: usize) -> String {
    if rounds == 0 { "-".to_owned() } else { format!("{:.2}", ratio(found, rounds)) }
}

/// True with `-- --quick`.
pub(crate) fn quick() -> bool {
    std::env::args().any(|argument| argument == "--quick")
}

/// Shows the text and keeps it as `target/bench/NAME.md`, and the lines for README beside it; with `-- --readme` they
/// are put there.
pub(crate) fn publish(name: &str, text: &str, lines: &[Line]) {
    let say = |text: &str| {
        let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
    };
    say(text);
    let folder = target().join("bench");
    std::fs::create_dir_all(&folder).expect("target can be written to");
    std::fs::write(folder.join(format!("{name}.md")), text).expect("target can be written to");
    assert!(
        lines.iter().map(|line| line.measure).eq(measures(name).iter().copied()),
        "{name} has other lines for README"
    );
    let rows = lines.iter().map(|Line { measure, cells: [ours, tokio, python], ratio }| {
        format!("| {measure} | {ours} | {tokio} | {python} | {ratio} |\n")
    });
    // What was measured in haste never stands beside what was not.
    let kind = if quick() { "quick-rows" } else { "rows" };
    std::fs::write(folder.join(format!("{name}.{kind}")), rows.collect::<String>())
        .expect("target can be written to");
    if std::env::args().any(|argument| argument == "--readme") {
        let amount = if quick() { "with a tenth of the rounds (`--quick`)" } else { "with all rounds" };
        let remark = format!("{} at the end of the last bench, {amount}:", machine());
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        say(&match readme::update(root, &folder, kind, &remark) {
            Ok(()) => "README has the new figures\n".to_owned(),
            Err(reason) => format!("{reason}\n"),
        });
    }
}

/// Which of the load generators that people use instead are missing. They are not driven here.
pub(crate) fn not_measured() -> String {
    let is_there = |program: &str| {
        let found = std::process::Command::new(program).arg("version").output();
        format!(
            "{program} ({})",
            if found.is_ok() { "installed, not driven by this bench" } else { "not installed" }
        )
    };
    format!("\nNot measured: {}, {}.\n", is_there("k6"), is_there("artillery"))
}

/// Where cargo builds.
pub(crate) fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("cargo's tmp is inside target")
}
