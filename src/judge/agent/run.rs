//! What one run of a flow came to, in words.
//!
//! Takes what was seen of it; says whether it completed, failed, or says nothing. Pure. The surprising rule: a socket that
//! is closed in peace once everything has come has ended as conversations do; one that ends without a close frame has not.

use super::super::classify::{Class, Kind, Rules, close_words, closes_at_limit};
use super::super::seen::classify;
use super::after_start;
use crate::config::FAILED;
use crate::probe::{Declared, EndKind, Ending, FlowRun, Near};

/// Said of a run that met a limit of the service's own: it shows how many came, and nothing of how they are served.
const LIMIT: &str = ", a limit of the service's own: state it under `limits:` in revgate.yaml";

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Conclusion {
    /// Everything came.
    Completed,
    /// The application failed it.
    Failed(String),
    /// Nothing can be said of the application.
    Void(String),
}

/// Says what a run came to.
pub(super) fn of_run(run: &FlowRun, platform_counts: bool) -> Conclusion {
    let rules = Rules {
        declared: Declared { send: false, expect: false, greeting: false },
        learned: None,
        closes: &[],
        platform_counts,
    };
    let our_own = || {
        let finding = classify(&run.observation, &rules);
        matches!(finding.kind, Kind::LatePong | Kind::ExpiredToken).then_some(finding.words)
    };
    match &run.ending {
        Ending::Cut => Conclusion::Void("cut by us: the run was over".to_owned()),
        Ending::NotOpened => {
            let finding = classify(&run.observation, &rules);
            if finding.class == Class::Infra {
                Conclusion::Void(finding.words)
            } else if finding.kind == Kind::LimitReached {
                Conclusion::Void(format!("{}{LIMIT}", finding.words))
            } else {
                Conclusion::Failed(finding.words)
            }
        }
        Ending::Completed => closed(run),
        Ending::Ended { due: None, .. } => match run.observation.end.as_ref().map(|end| &end.kind) {
            Some(EndKind::CloseFrame { code, .. }) if !code.is_some_and(|code| FAILED.contains(&code)) => {
                Conclusion::Completed
            }
            _ => our_own().map_or_else(|| failed(run), Conclusion::Void),
        },
        Ending::Ended { .. } => match run.observation.end.as_ref().map(|end| &end.kind) {
            Some(EndKind::CloseFrame { code: Some(code), reason })
                if closes_at_limit(*code, reason.as_str()) =>
            {
                Conclusion::Void(format!("{}{LIMIT}", close_words(Some(*code), reason.as_str())))
            }
            _ => our_own().map_or_else(|| failed(run), Conclusion::Void),
        },
        _ => failed(run),
    }
}

/// A completed run: only an error code in answer to our close still counts against it.
fn closed(run: &FlowRun) -> Conclusion {
    match run.observation.end.as_ref().map(|end| &end.kind) {
        Some(EndKind::CloseFrame { code: Some(code), reason }) if FAILED.contains(code) => {
            Conclusion::Failed(format!(
                "{} in answer to our close",
                close_words(Some(*code), reason.as_str())
            ))
        }
        _ => Conclusion::Completed,
    }
}

fn failed(run: &FlowRun) -> Conclusion {
    let moment = moment(run);
    Conclusion::Failed(match &run.ending {
        Ending::Forbidden { rule, because, text, .. } => {
            let because = because.as_ref().map_or_else(String::new, |because| format!(", for {because}"));
            format!("forbidden frame \"{text}\" {moment} (rule {rule}{because}){}", then(run))
        }
        Ending::ErrorFrame { text, due, .. } => {
            format!("error frame \"{text}\" {moment}{}{}", where_due(due.as_ref()), then(run))
        }
        Ending::OutOfOrder { came, due, text, .. } => {
            format!("out of order: {came} came {moment}, before {due}: \"{text}\"")
        }
        Ending::Unexpected { text, due, .. } => {
            format!("unexpected frame \"{text}\" {moment}{}", where_due(due.as_ref()))
        }
        Ending::Missing { due, waited_ms } => {
            format!("{due} did not come within {} s{}{}", seconds(*waited_ms * 1000), near(run), last(run))
        }
        Ending::TooLong { due, within_ms } => {
            let time = seconds(*within_ms * 1000);
            format!("not complete within {time} s, where {due} was due{}{}", near(run), last(run))
        }
        Ending::Ended { due, .. } => {
            format!("{} {moment}{}{}{}", end_words(run), where_due(due.as_ref()), near(run), last(run))
        }
        Ending::Uncaptured { due } => {
            format!("{due} was captured from no frame, and the next message needs it")
        }
        Ending::Completed | Ending::NotOpened | Ending::Cut => String::new(),
    })
}

/// When it was, counted from the run's first step.
fn moment(run: &FlowRun) -> String {
    after(after_start(run))
}

fn after(time: Option<u64>) -> String {
    time.map_or_else(
        || "before its first step".to_owned(),
        |time| format!("{} s after its start", seconds(time)),
    )
}

/// The frame that was nearly what was due.
fn near(run: &FlowRun) -> String {
    let Some(Near { words, text, at, .. }) = &run.near else { return String::new() };
    let started = run.started.filter(|started| started <= at);
    let moment = after(started.map(|started| at - started));
    format!("; one of its type came {moment}, but {words}: \"{text}\"")
}

fn seconds(microseconds: u64) -> String {
    let tenths = (microseconds + 50_000) / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn where_due(due: Option<&String>) -> String {
    due.map_or_else(|| ", after everything had come".to_owned(), |due| format!(", where {due} was due"))
}

fn last(run: &FlowRun) -> String {
    match run.events.last() {
        None => "; nothing that was due had come".to_owned(),
        Some(came) => format!("; the last to come was {}", came.name),
    }
}

/// How the socket ended behind what had already failed.
fn then(run: &FlowRun) -> String {
    match run.observation.end.as_ref().map(|end| &end.kind) {
        Some(EndKind::CloseFrame { code: Some(code), .. }) if *code == 1000 => String::new(),
        Some(EndKind::CloseFrame { code, reason }) => {
            format!(", then {}", close_words(*code, reason.as_str()))
        }
        Some(EndKind::NoCloseFrame | EndKind::Reset) => ", then the end of TCP (1006)".to_owned(),
        _ => String::new(),
    }
}

fn end_words(run: &FlowRun) -> String {
    match run.observation.end.as_ref().map(|end| &end.kind) {
        Some(EndKind::CloseFrame { code, reason }) => close_words(*code, reason.as_str()),
        Some(EndKind::NoCloseFrame) => "TCP ended without a close frame (1006)".to_owned(),
        Some(EndKind::Reset) => "TCP reset (1006)".to_owned(),
        Some(EndKind::TooLarge { limit }) => {
            format!("a message larger than the {} MiB that are read", limit >> 20)
        }
        Some(EndKind::Violation { what }) => format!("protocol violation \"{what}\""),
        Some(EndKind::CutByUs) | None => "the end".to_owned(),
    }
}
