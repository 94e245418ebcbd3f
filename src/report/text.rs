//! The report for people: failures first, what is next last; it reads well without colour.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style as Ansi};

use super::document::{Document, Observed};
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
    for words in &document.weakened {
        let _ = writeln!(text, "WEAKENED  {words}");
    }
    let _ = writeln!(text, "{}", document.headline);
    if let Some(plan) = &document.plan {
        let _ = writeln!(text, "plan: {plan}");
    }
    for note in document.notes {
        let _ = writeln!(text, "note: {}", one_line(note));
    }
    text.push('\n');
    let checks = document.checks.iter().filter(|c| style.verbose || c.outcome != Outcome::NotAsked);
    checks.for_each(|check| check_line(&mut text, check));
    sockets(&mut text, document);
    failures(&mut text, document, style);
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
    let tally = document.sockets;
    if tally.attempted == 0 {
        return;
    }
    let _ = writeln!(
        text,
        "\n  sockets: {} attempted = {} served + {} failed by the application + {} that never reached it",
        tally.attempted, tally.ok, tally.app_fail, tally.infra
    );
}

fn failures(text: &mut String, document: &Document<'_>, style: Style) {
    let failures = document.failures();
    let shown = if style.verbose { failures.len() } else { SHOWN };
    for Observed { stage, round, finding, seen } in failures.iter().take(shown) {
        let word = if finding.class == Class::Infra { "infra" } else { "error" };
        let _ = writeln!(text, "\n{word}[{}]: {}", stage.name(), finding.words);
        let user =
            seen.user.as_ref().map_or_else(String::new, |user| format!(" of {}", crate::trust::escape(user)));
        let _ = write!(text, "   round {round}, socket {}{user}", seen.socket);
        let times = &seen.timeline;
        for (what, at) in
            [("released", times.released), ("answer", times.answered), ("end", Some(times.ended))]
        {
            if let Some(at) = at {
                let after = at.saturating_sub(times.released.unwrap_or(times.began));
                let _ = write!(text, ", {what} +{}.{:03} ms", after / 1000, after % 1000);
            }
        }
        text.push('\n');
    }
    if failures.len() > shown {
        let _ = writeln!(text, "\n   and {} more (--verbose, --format json)", failures.len() - shown);
    }
}

fn help(text: &mut String, document: &Document<'_>) {
    let mut said: Vec<&str> = Vec::new();
    for check in document.worst_first() {
        for help in &check.help {
            if !said.contains(&help.as_str()) {
                let _ = writeln!(text, "{}   help: {help}", if said.is_empty() { "\n" } else { "" });
                said.push(help);
            }
        }
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
    let seed = document.seed.map_or_else(String::new, |seed| format!(" · seed {seed}"));
    let _ = writeln!(text, "exit code {}{seed}", document.exit_code);
}
