//! The report for people: failures first, what is next last; it reads well without colour.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style as Ansi};

use super::document::{Document, Observed, Release};
use super::timeline::RoundTimeline;
use crate::judge::{Check, Class, Outcome, Verdict};
use crate::trust::one_line;

/// How many failed sockets are shown.
const SHOWN: usize = 3;

/// How much is shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Checks that nobody asked for, and every failed socket.
    pub verbose: bool,
}

/// The report as text with ANSI styles; whoever prints it strips them where they are not wanted.
pub fn render(document: &Document<'_>, style: Style) -> String {
    let mut text = String::new();
    if let Some(interruption) = document.interrupted {
        let _ = writeln!(text, "INTERRUPTED  {}", interruption.words());
        for left in &interruption.left {
            let _ = writeln!(text, "LEFT UNDONE  {}", one_line(left));
        }
    }
    if let Some(words) = &document.tag_lost {
        let _ = writeln!(text, "TAG LOST  {words}");
    }
    for words in &document.weakened {
        let _ = writeln!(text, "WEAKENED  {words}");
    }
    let _ = writeln!(text, "{}", document.headline);
    if let Some(local) = &document.local {
        let _ = writeln!(text, "local: {} ({} s)", local.command, local.took_ms / 1000);
        if let Some(plan) = &local.plan {
            let _ = writeln!(text, "plan: {plan}");
        }
    }
    if let Some(plan) = &document.plan {
        let _ = writeln!(text, "plan: {plan}");
    }
    if let Some(baseline) = &document.baseline {
        let _ = writeln!(text, "plan: {}", baseline.plan);
    }
    for note in document.notes {
        let _ = writeln!(text, "note: {}", one_line(note));
    }
    text.push('\n');
    let checks = document.checks.iter().filter(|c| style.verbose || c.outcome != Outcome::NotAsked);
    checks.for_each(|check| check_line(&mut text, check));
    sockets(&mut text, document);
    baseline(&mut text, document);
    floors(&mut text, document);
    released(&mut text, document);
    failures(&mut text, document, style);
    output(&mut text, document);
    help(&mut text, document);
    ending(&mut text, document);
    text
}

fn check_line(text: &mut String, check: &Check) {
    let (mark, colour) = match check.outcome {
        Outcome::Pass => ("pass", AnsiColor::Green),
        Outcome::Fail => ("FAIL", AnsiColor::Red),
        Outcome::Inconclusive => ("????", AnsiColor::Yellow),
        Outcome::Skipped => ("skip", AnsiColor::Yellow),
        Outcome::NotAsked => ("  - ", AnsiColor::BrightBlack),
    };
    let style = Ansi::new().fg_color(Some(colour.into())).bold();
    let word = if check.outcome == Outcome::Inconclusive { "inconclusive: " } else { "" };
    let _ = writeln!(text, "  {style}{mark}{style:#}  {:<10} {word}{}", check.name.name(), check.summary);
}

fn sockets(text: &mut String, document: &Document<'_>) {
    let local = document.local.as_ref().and_then(|local| local.sockets).map(|tally| ("local sockets", tally));
    let tallies = local.into_iter().chain([("sockets", document.sockets)]);
    for (index, (what, tally)) in tallies.filter(|(_, tally)| tally.attempted > 0).enumerate() {
        let _ = writeln!(
            text,
            "{}  {what}: {} attempted = {} served + {} failed by the application + {} that never reached it",
            if index == 0 { "\n" } else { "" },
            tally.attempted,
            tally.ok,
            tally.app_fail,
            tally.infra
        );
    }
}

/// What was opened besides, and where.
fn baseline(text: &mut String, document: &Document<'_>) {
    let Some(baseline) = &document.baseline else { return };
    let _ = writeln!(
        text,
        "  baseline: {} pairs, {} sockets at {} and {} at the candidate besides",
        baseline.pairs,
        baseline.serving_sockets,
        one_line(baseline.serving),
        baseline.candidate_sockets
    );
}

/// What could be found at best.
fn floors(text: &mut String, document: &Document<'_>) {
    for floor in &document.floors {
        let _ = writeln!(text, "  {floor}");
    }
}

/// How closely together rounds were let go, by our own stamps.
fn released(text: &mut String, document: &Document<'_>) {
    for Release { sockets, means, rounds, p50_us, p99_us } in &document.released {
        let of = if *rounds == 1 { "round of" } else { "rounds of" };
        let _ = writeln!(
            text,
            "  released: {rounds} {of} {sockets} by {means}, {p50_us} µs from first to last (99 % within {p99_us} µs)"
        );
    }
}

fn failures(text: &mut String, document: &Document<'_>, style: Style) {
    if let Some(timeline) = &document.timeline {
        round(text, timeline);
    }
    let failures = document.failures();
    if style.verbose {
        for failure in &failures {
            failed(text, failure, 1);
        }
        return;
    }
    // Alike ones are told once, with the first of them.
    let mut kinds: Vec<(&Observed<'_>, usize)> = Vec::new();
    for failure in failures {
        let alike = |(other, _): &&mut (&Observed<'_>, usize)| {
            other.local == failure.local
                && other.stage == failure.stage
                && other.finding.words == failure.finding.words
        };
        match kinds.iter_mut().find(alike) {
            Some((_, count)) => *count += 1,
            None => kinds.push((failure, 1)),
        }
    }
    for (first, count) in kinds.iter().take(SHOWN) {
        failed(text, first, *count);
    }
    if kinds.len() > SHOWN {
        let _ = writeln!(text, "\n   and {} more kinds (--verbose, --format json)", kinds.len() - SHOWN);
    }
}

fn failed(text: &mut String, failure: &Observed<'_>, count: usize) {
    let Observed { local, stage, round, finding, seen } = failure;
    let place = if *local { "local " } else { "" };
    let word = if finding.class == Class::Infra { "infra" } else { "error" };
    let user =
        seen.user.as_ref().map_or_else(String::new, |user| format!(" of {}", crate::trust::escape(user)));
    let others = if count > 1 { format!(", and {} more sockets alike", count - 1) } else { String::new() };
    let _ = writeln!(text, "\n{word}[{place}{}]: {}", stage.name(), finding.words);
    let _ = writeln!(text, "   round {round}, socket {}{user}{others}", seen.socket);
}

/// A round as it went, a line a socket.
fn round(text: &mut String, timeline: &RoundTimeline) {
    let _ = writeln!(text, "\n  {}; µs since the first release:", timeline.title);
    let shown = timeline.sockets.iter().filter(|line| line.failed).take(SHOWN);
    let served = timeline.sockets.iter().filter(|line| !line.failed).take(SHOWN);
    for line in shown.chain(served) {
        let events: Vec<String> = line.events.iter().map(|(at, what)| format!("{at} {what}")).collect();
        let mark = if line.failed { "x" } else { " " };
        let _ = writeln!(text, "   {mark} {:<20} {}", line.who, events.join(" · "));
    }
}

/// What the server of our own said at last.
fn output(text: &mut String, document: &Document<'_>) {
    let Some(local) = document.local.as_ref().filter(|local| !local.lines.is_empty()) else { return };
    text.push_str("\nthe last lines of the local server's output:\n");
    for line in &local.lines {
        let _ = writeln!(text, "  | {line}");
    }
}

/// What each check suggests, once; where several do, each line names its own.
fn help(text: &mut String, document: &Document<'_>) {
    let mut said: Vec<(&Check, &str)> = Vec::new();
    for check in document.worst_first() {
        for help in &check.help {
            if said.iter().all(|(_, earlier)| earlier != help) {
                said.push((check, help));
            }
        }
    }
    let several = said.iter().any(|(check, _)| Some(check.name) != said.first().map(|(first, _)| first.name));
    for (index, (check, help)) in said.iter().enumerate() {
        let of = if several { format!("[{}]", check.name) } else { String::new() };
        let _ = writeln!(text, "{}   help{of}: {help}", if index == 0 { "\n" } else { "" });
    }
}

fn ending(text: &mut String, document: &Document<'_>) {
    let colour = match document.verdict {
        Verdict::Approved => AnsiColor::Green,
        Verdict::Inconclusive => AnsiColor::Yellow,
        Verdict::Blocked => AnsiColor::Red,
    };
    let style = Ansi::new().fg_color(Some(colour.into())).bold();
    let word = document.verdict.word().to_uppercase();
    let what = one_line(document.revision.unwrap_or("this address"));
    let rest = match (document.verdict, document.previous_revision) {
        _ if document.dry_run => " was not tried: a dry run says nothing of it".to_owned(),
        (Verdict::Approved, _) => " may take traffic".to_owned(),
        (_, Some(previous)) if Some(previous) != document.revision => {
            format!(" must not take traffic; {} keeps it", one_line(previous))
        }
        _ => " must not take traffic".to_owned(),
    };
    let seconds = document.took_ms / 1000;
    let _ = writeln!(text, "\n{style}{word}{style:#}  {what}{rest}  ({seconds} s)");
    for next in &document.next {
        let _ = writeln!(text, "next     {next}");
    }
    for line in document.promotion.iter().chain(&document.late_signal) {
        let _ = writeln!(text, "{line}");
    }
    let seed = document.seed.map_or_else(String::new, |seed| format!(" · seed {seed}"));
    let _ = writeln!(text, "exit code {}{seed}", document.exit_code);
}
