//! The check `logs`: is the revision's log clean for as long as this run was there?
//!
//! Takes the entries that were read and the times of the run's parts; gives the check. It reads no log. The surprising
//! rule: while badly behaved clients were there (bad tokens, bad frames, clients that vanish), what the application writes
//! does not count, since a healthy one complains of them; crashes, memory and 5xx count at any time, but for a connection
//! that ended without an answer because we had broken it ourselves.

mod deliberate;
mod seen;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use self::deliberate::Deliberate;
pub use self::seen::{Logged, LoggedKind, LogsRead, LogsSeen};
use self::windows::Windows;
use super::check::{Check, Outcome};
use super::evidence::Evidence;
use crate::config::CheckName;
use crate::revision::command;

/// Entries that are shown.
const SHOWN: usize = 10;
/// So little time with well-behaved clients alone shows nothing, in milliseconds.
const LEAST: u64 = 1000;

/// The check.
pub(super) fn logs(evidence: &Evidence) -> Check {
    let name = CheckName::Logs;
    match &evidence.configured.logs {
        None if evidence.probing.is_none() => {
            Check::bare(name, Outcome::Inconclusive, "nothing was probed, so the log was not read")
                .with_help("see the checks above")
        }
        None => Check::bare(name, Outcome::Inconclusive, "asked for, and the log was not read")
            .with_help("write `logs:` into revgate.yaml"),
        Some(LogsSeen::Unread { why, help }) => {
            Check::bare(name, Outcome::Inconclusive, why.as_str()).with_help(help)
        }
        Some(LogsSeen::Read(read)) => judged(read, evidence),
    }
}

/// How many entries a pattern of the configuration excused.
pub(crate) fn excused(evidence: &Evidence) -> usize {
    match &evidence.configured.logs {
        Some(LogsSeen::Read(read)) => read.entries.iter().filter(|entry| is_excused(entry)).count(),
        _ => 0,
    }
}

fn is_excused(entry: &Logged) -> bool {
    entry.allowed.is_some() && entry.kind.is_excusable()
}

/// The lowest severity that counts, where it is higher than by default.
pub(crate) fn severity(evidence: &Evidence) -> Option<&str> {
    let Some(LogsSeen::Read(read)) = &evidence.configured.logs else { return None };
    ["CRITICAL", "ALERT", "EMERGENCY"].contains(&read.severity.as_str()).then_some(&read.severity)
}

/// Entries, by what becomes of them.
struct Sorted<'a> {
    counted: Vec<&'a Logged>,
    allowed: usize,
    /// Written while badly behaved clients were there.
    in_windows: usize,
    /// Ends of our own sockets that another check judges, and the platform's own refusals.
    not_the_logs: Vec<&'a Logged>,
}

fn judged(read: &LogsRead, evidence: &Evidence) -> Check {
    let windows = Windows::of(evidence);
    let sorted = sort(read, &windows, &Deliberate::of(evidence));
    let clean = windows.outside(read.ended);
    let check = if !sorted.counted.is_empty() {
        Check::bare(CheckName::Logs, Outcome::Fail, failed_words(&sorted, read))
    } else if read.more {
        let words = "there are more entries than are read, and all that were read are excused";
        Check::bare(CheckName::Logs, Outcome::Inconclusive, words)
            .with_help("let the application write less at this severity, or raise logs.severity")
    } else if clean < LEAST {
        let words = "this run sent bad tokens or bad frames, or broke sockets off, all the time: what the application wrote shows nothing";
        Check::bare(CheckName::Logs, Outcome::Inconclusive, words)
            .with_help("leave out --pattern, so that the run has well-behaved clients alone for a while")
    } else {
        Check::bare(CheckName::Logs, Outcome::Pass, passed_words(&sorted, read, clean))
    };
    let check = check.with_evidence(numbers(&sorted, read, clean));
    if check.outcome == Outcome::Fail { failed_help(check, &sorted, evidence) } else { check }
}

fn sort<'a>(read: &'a LogsRead, windows: &Windows, deliberate: &Deliberate) -> Sorted<'a> {
    let mut sorted = Sorted { counted: vec![], allowed: 0, in_windows: 0, not_the_logs: vec![] };
    for entry in &read.entries {
        let own = entry.socket.is_some();
        let is_of = |numbers: &BTreeSet<u32>| entry.socket.is_some_and(|number| numbers.contains(&number));
        match entry.kind {
            _ if is_excused(entry) => sorted.allowed += 1,
            // We broke it off ourselves, or its token or frame was bad: `auth` and `frames` judge how such a one ends.
            LoggedKind::BrokenRequest if is_of(&deliberate.broken) => sorted.not_the_logs.push(entry),
            // The application answers an endpoint with the very 5xx that is declared to be due: `api` judges that.
            LoggedKind::ServerError if is_of(&deliberate.due) => sorted.not_the_logs.push(entry),
            // Open for longer than the revision allows, which `hold` judges; or without room in any instance, which keeps
            // the check that sent it from passing. Of others, who had no part in this run, both count.
            LoggedKind::TimedOut | LoggedKind::NoInstance if own => sorted.not_the_logs.push(entry),
            LoggedKind::Departure => sorted.not_the_logs.push(entry),
            LoggedKind::Error | LoggedKind::Traceback | LoggedKind::Probe if windows.hold(entry.at) => {
                sorted.in_windows += 1;
            }
            _ => sorted.counted.push(entry),
        }
    }
    sorted.counted.sort_by_key(|entry| entry.at);
    sorted
}

fn by_kind(entries: &[&Logged]) -> Vec<String> {
    let mut counts: BTreeMap<LoggedKind, usize> = BTreeMap::new();
    for entry in entries {
        *counts.entry(entry.kind).or_default() += 1;
    }
    counts.into_iter().map(|(kind, count)| kind.words(count)).collect()
}

fn failed_words(sorted: &Sorted<'_>, read: &LogsRead) -> String {
    let least = if read.more { "at least " } else { "" };
    let first = sorted.counted.first().map_or_else(String::new, |entry| format!("; first {}", shown(entry)));
    let named = sorted.counted.iter().filter(|entry| entry.allowed.is_some()).count();
    let named = match named {
        0 => String::new(),
        named => format!("; logs.allow names {named} of them, and excuses no crash, no memory and no 5xx"),
    };
    format!("{least}{}{first}{named}", by_kind(&sorted.counted).join(", "))
}

fn shown(entry: &Logged) -> String {
    let severity = if entry.severity.is_empty() { "no severity" } else { &entry.severity };
    format!("at {}, {severity}: \"{}\"", seconds(entry.at), entry.text)
}

fn passed_words(sorted: &Sorted<'_>, read: &LogsRead, clean: u64) -> String {
    let seen = format!(
        "no crash and no 5xx in {}, no error of the application at {} or above in {} of these",
        seconds(read.ended),
        read.severity,
        seconds(clean)
    );
    let counts = [
        (sorted.allowed, "excused by logs.allow"),
        (
            sorted.in_windows,
            "not counted, written while this run sent bad tokens or bad frames, or broke sockets off",
        ),
    ];
    let entries = |count: usize| if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") };
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let counts = counts.map(|(count, what)| format!("{} {what}", entries(count)));
    let others = by_kind(&sorted.not_the_logs);
    let others = (!others.is_empty())
        .then(|| format!("not counted, for the checks that sent them judge them: {}", others.join(", ")));
    let own = format!("the log showed our own request after {}", seconds(read.waited));
    let parts: Vec<String> = [seen].into_iter().chain(counts).chain(others).chain([own]).collect();
    parts.join("; ")
}

fn failed_help(check: Check, sorted: &Sorted<'_>, evidence: &Evidence) -> Check {
    let more = sorted.counted.iter().skip(1).take(SHOWN - 1);
    let check = more.fold(check, |check, entry| check.with_help(format!("also {}", shown(entry))));
    let target = (&evidence.target.service, &evidence.target.revision);
    let (Some(service), Some(revision)) = target else { return check };
    check.with_help(format!("read them all: {}", command::log_of(service, revision)))
}

fn numbers(sorted: &Sorted<'_>, read: &LogsRead, clean: u64) -> Value {
    let first: Vec<Value> = sorted
        .counted
        .iter()
        .take(SHOWN)
        .map(|entry| {
            json!({ "at_ms": entry.at, "kind": entry.kind, "severity": entry.severity, "text": entry.text,
                "socket": entry.socket })
        })
        .collect();
    json!({ "counted": sorted.counted.len(), "kinds": by_kind(&sorted.counted), "more": read.more, "allowed": sorted.allowed,
        "in_windows": sorted.in_windows, "not_counted": by_kind(&sorted.not_the_logs), "window_ms": read.ended,
        "judged_for_errors_ms": clean, "waited_ms": read.waited, "severity": read.severity, "allow": read.allow,
        "instance_starts": read.starts.len(), "first": first })
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}

#[cfg(test)]
mod tests;
