//! The check `agent`: do whole conversations run to their end, in order and in time?
//!
//! Takes the evidence; gives the outcome with the numbers of every run. It opens nothing. The surprising rule: a run is void
//! only where it is proven that the platform or this machine answered in the application's place; a time-out is a failure.

mod latency;
mod run;

use serde_json::{Value, json};

use self::latency::Latencies;
use self::run::{Conclusion, of_run};
use super::check::{Check, Outcome};
use super::checks::unfinished;
use super::evidence::Evidence;
use super::statistics;
use crate::config::CheckName;
use crate::probe::{AgentAsked, AgentSeen, Ending, FlowCompany, FlowRun};

/// How many failures are told in full.
const SHOWN: usize = 8;

/// How the runs went.
#[derive(Default)]
struct Runs<'a> {
    failed: Vec<(&'a FlowRun, String)>,
    void: Vec<(&'a FlowRun, String)>,
    completed: Vec<&'a FlowRun>,
    begun: usize,
}

impl<'a> Runs<'a> {
    fn of(seen: &'a AgentSeen, evidence: &Evidence) -> Self {
        let mut runs = Self::default();
        for run in seen.runs.iter().filter(|run| run.company != FlowCompany::Isolation) {
            runs.begun += 1;
            match of_run(run, evidence.target.behind_front_end) {
                Conclusion::Completed => runs.completed.push(run),
                Conclusion::Failed(words) => runs.failed.push((run, words)),
                Conclusion::Void(words) => runs.void.push((run, words)),
            }
        }
        runs
    }
}

impl Runs<'_> {
    fn all(&self) -> impl Iterator<Item = &FlowRun> {
        let told = self.failed.iter().chain(&self.void).map(|(run, _)| *run);
        self.completed.iter().copied().chain(told)
    }
}

/// The check.
pub(super) fn agent(evidence: &Evidence) -> Check {
    let name = CheckName::Agent;
    let seen = evidence.configured.agent.as_ref();
    let Some((seen, asked)) = seen.and_then(|seen| Some((seen, seen.agent.as_ref()?))) else {
        return not_run(name, evidence);
    };
    let runs = Runs::of(seen, evidence);
    let latencies = Latencies::of(&runs.completed);
    let numbers = numbers(asked, &runs, &latencies);
    let begun =
        if runs.begun < asked.total() as usize { format!(", {} begun", runs.begun) } else { String::new() };
    let counts = format!("{} of {} runs completed{begun}", runs.completed.len(), asked.total());
    let slow = latencies.over(&asked.latency);
    let check = if let Some((run, words)) = runs.failed.first() {
        let more = match runs.failed.len() {
            1 => String::new(),
            failed => format!("; {failed} failed"),
        };
        Check::bare(name, Outcome::Fail, format!("{counts}; {}: {words}{more}", called(run)))
    } else if let Some(slow) = slow {
        Check::bare(name, Outcome::Fail, format!("{counts}, too slowly: {slow}"))
            .with_help("mend what is slow, or allow more under `agent: latency:` in revgate.yaml")
    } else if let Some((run, words)) = runs.void.first() {
        let void = format!("{counts}; {} say nothing; {}: {words}", runs.void.len(), called(run));
        Check::bare(name, Outcome::Inconclusive, void).with_help(again(evidence))
    } else if runs.completed.is_empty() || runs.completed.len() < asked.total() as usize {
        Check::bare(name, Outcome::Inconclusive, format!("{counts}; the run ended before the others"))
            .with_help(again(evidence))
    } else {
        let together = match asked.together() {
            at_once if at_once == asked.at_once => format!("{at_once} at once"),
            at_once => format!("{at_once} at once, for there are no more users"),
        };
        let words = format!("{counts}, {} alone and {together}; {}", asked.alone, latencies.words());
        Check::bare(name, Outcome::Pass, format!("{words}; {}", left_open(&runs)))
    };
    let check = check.with_evidence(numbers);
    match runs.failed.first() {
        Some((run, _)) => check.with_help(advice(run)).with_help(again(evidence)),
        None => check,
    }
}

/// The rate of failing runs that what was seen does not exclude, at 95 %.
fn upper_95(runs: &Runs<'_>) -> f64 {
    let count = |runs: usize| u32::try_from(runs).unwrap_or(u32::MAX);
    let (failed, clean) = (count(runs.failed.len()), count(runs.completed.len()));
    statistics::clopper_pearson_upper(failed, failed.saturating_add(clean), 0.95)
}

/// The same in words: a handful of clean runs says little of what fails seldom. A bound is rounded up.
fn left_open(runs: &Runs<'_>) -> String {
    let rate = (upper_95(runs) * 1000.0 - 1e-6).ceil() / 10.0;
    format!("up to {rate} % of runs failing is not excluded (95 %)")
}

/// What is said where no conversation was held.
pub(super) fn not_run(name: CheckName, evidence: &Evidence) -> Check {
    if evidence.dry_run {
        return Check::bare(name, Outcome::Inconclusive, "asked for, and not run: a dry run")
            .with_help(format!("run it: {}", evidence.asked.line("check", &["dry-run"], &[])));
    }
    if !evidence.selection.configured.contains(&name) {
        return Check::bare(name, Outcome::Inconclusive, "asked for, and not configured")
            .with_help(format!("write a block `{name}:` into revgate.yaml: revgate explain {name}"));
    }
    let (why, help) = unfinished(evidence.probing.as_ref(), None);
    Check::bare(name, Outcome::Inconclusive, format!("asked for, and not run: {why}")).with_help(help)
}

fn again(evidence: &Evidence) -> String {
    let asked = evidence.selection.is_asked(CheckName::Isolation);
    let only = if asked { "serves,agent,isolation" } else { "serves,agent" };
    format!("run the conversations again: {}", evidence.asked.repeat(&[("only", only)]))
}

/// A run, as reports call it.
pub(super) fn called(run: &FlowRun) -> String {
    let company = match run.company {
        FlowCompany::Alone => "alone",
        FlowCompany::Together(_) | FlowCompany::Isolation => "at once with others",
    };
    format!("run {} ({company}, {})", run.number, run.user)
}

/// What a failed run suggests.
fn advice(run: &FlowRun) -> &'static str {
    match &run.ending {
        Ending::NotOpened => {
            "its socket did not open: see serves, and the limits under `limits:` in revgate.yaml"
        }
        Ending::Forbidden { .. } => {
            "if a healthy server says this, take the rule out of `forbid:` of the flow; else find out why it is degraded"
        }
        Ending::ErrorFrame { .. } => {
            "if a healthy server says this, declare it with `harmless: PATTERN` in revgate.yaml; else see the \
             application's log at this time"
        }
        Ending::OutOfOrder { .. } => {
            "if a healthy server may send them in this order, put both under `any-order:` of the flow; where they are, take out \
             `follows:`"
        }
        Ending::Unexpected { .. } => {
            "a strict flow expects every frame: name it under `ignore:`, or leave out `strict`"
        }
        Ending::Missing { .. } | Ending::TooLong { .. } if run.near.is_some() => {
            "if a healthy server says what came, mend the step's conditions in revgate.yaml; else see the application's log at \
             this time"
        }
        Ending::Missing { .. } | Ending::TooLong { .. } => {
            "if a healthy one takes longer, allow it: `within:` of the step, and of `agent:`, in revgate.yaml"
        }
        Ending::Uncaptured { .. } => "let `capture:` name every place where the text may stand",
        Ending::Ended { .. } | Ending::Completed | Ending::Cut => {
            "see the application's log at this time: revgate explain agent"
        }
    }
}

fn numbers(asked: &AgentAsked, runs: &Runs<'_>, latencies: &Latencies) -> Value {
    let told = |(run, words): &(&FlowRun, String)| {
        json!({ "run": run.number, "company": run.company, "user": run.user, "words": words, "ending": run.ending,
            "end": run.observation.end, "after_start_us": after_start(run), "events": run.events })
    };
    let cleanups: Vec<Value> = runs
        .completed
        .iter()
        .copied()
        .chain(runs.failed.iter().map(|(run, _)| *run))
        .filter_map(|run| run.cleanup.as_ref().map(|words| json!({ "run": run.number, "words": words })))
        .collect();
    json!({
        "flow": asked.flow,
        "asked": { "alone": asked.alone, "at_once": asked.at_once, "rounds": asked.rounds, "runs": asked.total() },
        "users": asked.users,
        "begun": runs.begun,
        "completed": runs.completed.len(),
        "failed": runs.failed.len(),
        "void": runs.void.len(),
        "upper_95": upper_95(runs),
        "answered": runs.all().map(|run| run.answered).sum::<u32>(),
        "latency_limits": asked.latency,
        "to_completion_us": latencies.completion(),
        "to_event_us": latencies.events(),
        "failures": runs.failed.iter().take(SHOWN).map(told).collect::<Vec<_>>(),
        "voids": runs.void.iter().take(SHOWN).map(told).collect::<Vec<_>>(),
        "cleanup_failures": cleanups,
    })
}

/// From a run's first step to its end, in microseconds.
fn after_start(run: &FlowRun) -> Option<u64> {
    let end = match &run.ending {
        Ending::Forbidden { at, .. }
        | Ending::ErrorFrame { at, .. }
        | Ending::OutOfOrder { at, .. }
        | Ending::Unexpected { at, .. }
        | Ending::Ended { at, .. } => *at,
        _ => run.completed.unwrap_or(run.observation.timeline.ended),
    };
    run.started.map(|started| end.saturating_sub(started))
}

#[cfg(test)]
mod tests;
