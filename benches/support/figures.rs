//! Percentiles, ratios, and the Markdown that shows them.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

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

/// Shows the text and keeps it as `target/bench/NAME.md`.
pub(crate) fn publish(name: &str, text: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("cargo's tmp is inside target");
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder).expect("target can be written to");
    std::fs::write(folder.join(format!("{name}.md")), text).expect("target can be written to");
}
