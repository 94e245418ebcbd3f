//! What is said of instances that were made to start.

use serde_json::{Value, json};

use super::super::advice;
use super::super::bench::Bench;
use super::super::check::{Check, Outcome};
use super::super::checks::failed_words;
use super::super::evidence::{Evidence, LogProof, Probing};
use super::super::race::Tests;
use crate::config::{CheckName, Echo, Pattern};
use crate::probe::StopReason;

/// What a failure of the pattern is called: its trials are instances and not rounds.
pub(in crate::judge) fn failed(pattern: Pattern, bench: &Bench, tests: &Tests) -> String {
    let words = failed_words(pattern, bench);
    if pattern == Pattern::Cold && tests.cold.is_some() {
        words.replace("rounds fail", "starts fail")
    } else {
        words
    }
}

/// What to do about it.
pub(in crate::judge) const FAILED_HELP: &str = "an instance is sent sockets as soon as its start-up probe passes, and the \
    default one is a TCP connect: open the port once the application is ready, or declare an HTTP start-up probe";

/// The race check where the pattern was asked for and could not be run; `None` where it could.
pub(in crate::judge) fn left_out(evidence: &Evidence) -> Option<Check> {
    let plan = &evidence.probing.as_ref()?.plan;
    let (_, reason) = plan.left_out.iter().find(|(pattern, _)| *pattern == Pattern::Cold)?;
    let words = format!("cold is left out: {reason}");
    Some(
        Check::bare(CheckName::Race, Outcome::Inconclusive, words)
            .with_help("or go without cold starts: leave out --cold"),
    )
}

/// The race check where too few instances are known to have started.
pub(in crate::judge) fn undecided(evidence: &Evidence, bench: &Bench, tests: &Tests) -> Check {
    let (why, help) = match (&tests.cold, &evidence.probing) {
        (Some(cold), Some(probing)) if cold.fresh == 0 && cold.nameless > 0 => {
            (nameless(cold.nameless, probing), named_help())
        }
        (Some(cold), Some(probing)) if cold.doubtful > 0 && is_read(probing) => (
            format!("of {} instances the log knows no start", cold.doubtful),
            "idle instances stay for 15 minutes, also those of a run before: wait, then run it again".to_owned(),
        ),
        (Some(cold), Some(_)) if cold.doubtful > 0 => (
            format!("{} instances answered too soon to have just started", cold.doubtful),
            "idle instances stay for 15 minutes, also those of a run before: wait, or let this account read the log \
             (roles/logging.viewer), which tells who started"
                .to_owned(),
        ),
        (_, Some(_)) if bench.unreached.is_some() => (
            "the platform had no further instance for us".to_owned(),
            "let the tagged revision have more: gcloud run deploy … --max-instances".to_owned(),
        ),
        (_, Some(probing)) => stopped(probing),
        (_, None) => ("nothing was probed".to_owned(), "see the checks above".to_owned()),
    };
    let test = bench.test();
    let summary = format!(
        "cold: {} clean, {} failing, {} void starts of new instances, where {} clean ones are needed; {why}",
        test.valid() - test.failing(),
        test.failing(),
        test.void(),
        bench.least()
    );
    let check = Check::bare(CheckName::Race, Outcome::Inconclusive, summary).with_help(help);
    let unreached = bench.unreached.as_ref().map(|finding| advice::of_unreached(finding, evidence));
    unreached.into_iter().fold(check, Check::with_help)
}

fn is_read(probing: &Probing) -> bool {
    let log = probing.cold.as_ref().and_then(|cold| cold.log.as_ref());
    matches!(log, Some(LogProof::Read { .. }))
}

fn nameless(sockets: u32, probing: &Probing) -> String {
    let log = match probing.cold.as_ref().and_then(|cold| cold.log.as_ref()) {
        None => "the log was not asked".to_owned(),
        Some(LogProof::Unread { why }) => format!("the log could not be read: {why}"),
        Some(LogProof::Read { .. }) => "the log has no entries of them".to_owned(),
    };
    format!("of {sockets} held sockets nothing says which instance took them, and {log}")
}

fn named_help() -> String {
    "let answers name their instance, by an id that is made at start-up: `identity: {instance-header: x-instance}` in \
     revgate.yaml; or let this account read the log: roles/logging.viewer"
        .to_owned()
}

/// What kept further instances from starting.
fn stopped(probing: &Probing) -> (String, String) {
    let plan = &probing.plan;
    let concurrency = plan.capacity.concurrency.unwrap_or(1);
    let (why, help) = match probing.cold.as_ref().map(|cold| cold.stopped) {
        Some(StopReason::Held) => {
            let wanted = plan.least_fresh().saturating_mul(concurrency).saturating_mul(2);
            return (
                format!("all {} sockets that may be open at once are held", plan.room()),
                format!(
                    "deploy the tagged revision with --concurrency=1 and enough --max-instances, or raise \
                     sockets-at-once under `limits:` to {wanted}, and name users enough"
                ),
            );
        }
        Some(StopReason::Time) => ("their time was spent", "give them more with race.cold-budget"),
        Some(StopReason::Sockets) => {
            ("the sockets of this run were spent", "raise limits.sockets-per-run in revgate.yaml")
        }
        Some(StopReason::Rounds) => {
            ("the rounds that were allowed were run", "leave out --rounds; some met instances that were warm")
        }
        Some(StopReason::ServingErrors) => {
            ("the run was stopped, for the serving revision began to fail", "find out why it did, first")
        }
        Some(StopReason::Interrupted) => ("the run was interrupted", "run it to its end"),
        Some(StopReason::TagLost) => ("the tag no longer led to the candidate", "see identity"),
        Some(StopReason::Decided) => ("the run ended on another failure", "mend the failed check first"),
        Some(StopReason::Unheard) => ("what comes unasked is not known", "see serves"),
        Some(StopReason::AnswerUntold) => ("an answer cannot be told from what comes unasked", "see serves"),
        Some(StopReason::NotServed) | None => ("no single socket was served", "see serves"),
    };
    (why.to_owned(), help.to_owned())
}

/// What a pass says besides the clean rounds.
pub(in crate::judge) fn passed(evidence: &Evidence, tests: &Tests) -> String {
    let (Some(cold), Some(probing)) = (&tests.cold, &evidence.probing) else { return String::new() };
    let by =
        match (&probing.cold.as_ref().and_then(|cold| cold.log.as_ref()), &evidence.identity.instance_echo) {
            (Some(LogProof::Read { .. }), _) => "by the log".to_owned(),
            (_, Some(Echo::Header(name))) => {
                format!("by header {name} and the time they took to start")
            }
            (_, Some(Echo::Pointer(pointer))) => {
                format!("by {pointer} of a frame and the time they took to start")
            }
            (_, None) => return String::new(),
        };
    format!(
        "; {} fresh instances, {by} (below {} % of starts)",
        cold.fresh,
        probing.plan.tolerated(Pattern::Cold) * 100.0
    )
}

/// The numbers behind it.
pub(in crate::judge) fn numbers(tests: &Tests) -> Option<Value> {
    let cold = tests.cold.as_ref()?;
    Some(json!({ "fresh": cold.fresh, "doubtful": cold.doubtful, "nameless_sockets": cold.nameless }))
}
