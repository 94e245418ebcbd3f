//! One function a check: evidence in, outcome with its numbers out.
//!
//! Takes the evidence and, for what was probed, the tests it went through. It never weighs one check against another.
//! The surprising rule: a check that was asked for and could not run is inconclusive, never skipped in silence.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Value, json};

use super::advice;
use super::agent;
use super::api;
use super::auth;
use super::baseline::{self, Comparison};
use super::bench::{Bench, Failure};
use super::check::{Check, Outcome};
use super::classify::{Kind, Rules};
use super::cold::words as cold;
use super::evidence::{Evidence, Probing, ReadyEvidence};
use super::frames;
use super::hold;
use super::identity;
use super::interruption;
use super::isolation;
use super::label::Labelling;
use super::local;
use super::logs;
use super::race::Tests;
use super::seen::classify;
use super::sequential::Decision;
use super::statistics;
use super::tag_loss;
use super::watch;
use crate::config::{CheckName, Pattern};
use crate::probe::{Calibration, HELD_SOCKETS, Stage, StopReason};

/// One check of a run.
pub(super) fn check(
    name: CheckName,
    evidence: &Evidence,
    tests: Option<&Tests>,
    local: Option<&Tests>,
) -> Check {
    if !evidence.selection.is_asked(name) {
        return Check::bare(name, Outcome::NotAsked, "not asked");
    }
    if evidence.selection.is_skipped(name) {
        return Check::bare(name, Outcome::Skipped, "skipped on request");
    }
    let ended_locally = evidence.local.as_ref().is_some_and(|local| local.ended_run);
    let check = match name {
        _ if ended_locally && name != CheckName::Race => {
            Check::bare(name, Outcome::Inconclusive, "not looked at: the local stage failed")
        }
        CheckName::Ready => ready(evidence),
        // Nothing above it is to blame.
        _ if evidence.dry_run && evidence.probing.is_none() => agent::not_run(name, evidence),
        CheckName::Identity => identity::identity(evidence),
        CheckName::Serves => serves(evidence, tests),
        CheckName::Race => local::race(evidence, tests, local),
        CheckName::Agent => agent::agent(evidence),
        CheckName::Isolation => isolation::isolation(evidence),
        CheckName::Auth => auth::auth(evidence),
        CheckName::Hold => hold::hold(evidence),
        CheckName::Api => api::api(evidence),
        CheckName::Frames => frames::frames(evidence),
        CheckName::Logs => logs::logs(evidence),
    };
    let check = tag_loss::held_back(trimmed(check, evidence), evidence);
    interruption::held_back(watch::held_back(check, evidence), evidence)
}

/// A check that had fewer at once than were asked for says so, and shows nothing where nothing was left.
fn trimmed(check: Check, evidence: &Evidence) -> Check {
    let trimmed = evidence.configured.trimmed.iter().find(|trimmed| trimmed.check == check.name);
    let Some(trimmed) = trimmed else { return check };
    let help = "let the tagged revision hold more (--max-instances, --concurrency of gcloud run deploy), or ask for fewer";
    if trimmed.left == 0 {
        let words = format!("not run: {}", trimmed.words());
        return Check::bare(check.name, Outcome::Inconclusive, words).with_help(help);
    }
    let held_back = check.outcome == Outcome::Pass && trimmed.shows_nothing();
    let outcome = if held_back { Outcome::Inconclusive } else { check.outcome };
    let summary = format!("{}; {}", check.summary, trimmed.words());
    let told = Check { help: check.help, ..Check::bare(check.name, outcome, summary) };
    let told = told.with_evidence(check.evidence);
    if outcome == Outcome::Inconclusive { told.with_help(help) } else { told }
}

fn ready(evidence: &Evidence) -> Check {
    let name = CheckName::Ready;
    match &evidence.ready {
        ReadyEvidence::Ready { notes } => {
            let summary =
                if notes.is_empty() { "ready by its own conditions".to_owned() } else { notes.join("; ") };
            Check::bare(name, Outcome::Pass, summary).with_evidence(json!({ "notes": notes }))
        }
        ReadyEvidence::Failed { condition, reason, message, log } => {
            let check =
                Check::bare(name, Outcome::Fail, format!("{condition} failed, {reason}: \"{message}\""))
                    .with_evidence(
                        json!({ "condition": condition, "reason": reason, "message": message, "log": log }),
                    );
            match log {
                Some(log) => check.with_help(format!("read the revision's log: {log}")),
                None => check,
            }
        }
        ReadyEvidence::Late { waited_s, last } => {
            Check::bare(name, Outcome::Inconclusive, format!("not ready after {waited_s} s: {last}"))
                .with_evidence(json!({ "waited_s": waited_s, "last": last }))
                .with_help("wait longer with --deadline, or look at the revision's conditions")
        }
        ReadyEvidence::Unknown => {
            Check::bare(name, Outcome::Inconclusive, "there is no control plane to ask").with_help(
                "name --project, --region and --service, or leave it out with --skip ready,identity",
            )
        }
    }
}

/// Why nothing can be said when a stage did not get what it needed.
pub(super) fn unfinished(probing: Option<&Probing>, tests: Option<&Tests>) -> (String, Cow<'static, str>) {
    let Some(probing) = probing else {
        return ("nothing was probed".to_owned(), "see the checks above".into());
    };
    let (words, help) = match probing.stopped {
        StopReason::Time => return ("the time budget was spent".to_owned(), more_time(probing, tests)),
        StopReason::Sockets => {
            ("the sockets of this run were spent", "raise limits.sockets-per-run in revgate.yaml")
        }
        StopReason::Rounds => ("the rounds that were allowed were run", "leave out --rounds, or raise it"),
        StopReason::ServingErrors => {
            ("the run was stopped, for the serving revision began to fail", "find out why it did, first")
        }
        StopReason::Interrupted => ("the run was interrupted", "run it to its end"),
        StopReason::TagLost => ("the tag no longer led to the candidate", "see identity"),
        StopReason::Held => {
            ("as many sockets were held as may be", "raise limits.sockets-at-once in revgate.yaml")
        }
        StopReason::NotServed => ("no single socket was served", "see serves"),
        StopReason::Unheard => {
            return (unheard(probing), "find out why it did not open, then run it again".into());
        }
        StopReason::AnswerUntold => (
            "an answer to what was sent cannot be told from what comes unasked",
            "describe the answer with --expect PATTERN",
        ),
        StopReason::Decided => ("the run ended on another failure", "mend the failed check first"),
    };
    (words.to_owned(), help.into())
}

/// What helps where the time was spent, with about as much time as would do where nothing fails.
fn more_time(probing: &Probing, tests: Option<&Tests>) -> Cow<'static, str> {
    let judged =
        || probing.rounds.iter().filter(|round| round.stage.is_judged() && round.stage != Stage::Cold);
    let began = judged().map(|round| round.started).min().unwrap_or(0);
    let ended = judged().map(|round| round.ended).max().unwrap_or(0);
    let spent = Duration::from_micros(ended.saturating_sub(began));
    let Some(missing) = tests.and_then(|tests| tests.time_missing(spent)) else {
        return "give it more with --time-budget".into();
    };
    let budget = probing.plan.race.time_budget.saturating_add(missing);
    let budget = budget.max(probing.plan.least_time().unwrap_or_default());
    let minutes = budget.as_secs() / 60 + 1;
    format!("give it more: by the rounds that there was time for, and if none fails, about --time-budget {minutes}m")
        .into()
}

/// What is said where no socket that only listens opened: how the last of them ended.
fn unheard(probing: &Probing) -> String {
    let why = "the socket that sends nothing did not open, so that nobody knows what comes unasked";
    let rules = Rules { declared: probing.plan.declared, learned: None, closes: &[], platform_counts: false };
    let listened = probing.rounds.iter().rev().filter(|round| round.stage == Stage::Listening);
    match listened.flat_map(|round| &round.observations).next() {
        Some(seen) => format!("{why}: {}", classify(seen, &rules).words),
        None => why.to_owned(),
    }
}

fn serves(evidence: &Evidence, tests: Option<&Tests>) -> Check {
    let name = CheckName::Serves;
    let Some((tests, bench)) = tests.and_then(|tests| tests.serves.as_ref().map(|bench| (tests, bench)))
    else {
        let (why, help) = unfinished(evidence.probing.as_ref(), None);
        return Check::bare(name, Outcome::Inconclusive, why).with_help(help);
    };
    let tally = &bench.tally;
    let counts = format!("{} of {} opened and answered", tally.ok, tally.attempted);
    let numbers = json!({ "test": bench.test().summary(), "sockets": tally, "held_ok": tests.held_ok,
        "failures": bench.failures, "fixed_sample": fixed_sample(bench) });
    let nobody = tally.ok == 0 && tally.app_fail > 0;
    let untold = stopped_for(evidence, StopReason::AnswerUntold) && bench.only_unanswered();
    let check = match bench.decision() {
        // Some were served, and then more was asked than the service allows: that shows no defect.
        Decision::Fail if bench.is_limited() && !nobody => {
            let words = format!("{counts}; {}", limited_words(Pattern::Control, bench));
            Check::bare(name, Outcome::Inconclusive, words)
        }
        Decision::Fail if !untold => {
            let label = tests.labelling.as_ref().map(Labelling::labelled);
            let label = label.filter(|label| !label.is_of_start()).and_then(|label| label.words());
            let label = label.map_or_else(String::new, |words| format!("; {words}"));
            Check::bare(name, Outcome::Fail, format!("{counts}; {}{label}", first_failure(bench)))
        }
        // Nobody was served: two single sockets are enough to say so.
        _ if nobody && tally.app_fail >= 2 && !untold => {
            Check::bare(name, Outcome::Fail, format!("{counts}; {}", first_failure(bench)))
        }
        Decision::Pass if tests.held_ok >= HELD_SOCKETS => {
            Check::bare(name, Outcome::Pass, format!("{counts}; {} held", tests.held_ok))
        }
        _ => {
            let (why, help) = unfinished(evidence.probing.as_ref(), Some(tests));
            let seen =
                if bench.failures.is_empty() { String::new() } else { format!("; {}", first_failure(bench)) };
            let void = bench.unreached.as_ref().map_or_else(String::new, |first| {
                let what = match first.kind {
                    // The application said so itself.
                    Kind::ExpiredToken | Kind::LatePong => "not counted",
                    _ => "never reached the application",
                };
                format!("; {} {what}: {}", tally.infra, first.words)
            });
            let check = Check::bare(name, Outcome::Inconclusive, format!("{counts}{seen}{void}; {why}"));
            // "See serves" is no help in `serves` itself.
            if stopped_for(evidence, StopReason::NotServed) { check } else { check.with_help(help) }
        }
    };
    let check = check.with_evidence(numbers);
    if check.outcome == Outcome::Pass {
        check
    } else {
        suggestion(bench, false, evidence).into_iter().fold(check, Check::with_help)
    }
}

fn stopped_for(evidence: &Evidence, reason: StopReason) -> bool {
    evidence.probing.as_ref().is_some_and(|probing| probing.stopped == reason)
}

/// What the first failure suggests; where there is none, the first socket that never reached the application.
fn suggestion(bench: &Bench, together: bool, evidence: &Evidence) -> Option<String> {
    let failure = bench.failures.first().map(|failure| advice::of_failure(failure, together, evidence));
    failure.or_else(|| bench.unreached.as_ref().map(|finding| advice::of_unreached(finding, evidence)))
}

/// The race check of what was probed at an address.
pub(super) fn remote_race(evidence: &Evidence, tests: Option<&Tests>) -> Check {
    let name = CheckName::Race;
    let Some(tests) = tests else {
        let (why, help) = unfinished(evidence.probing.as_ref(), None);
        return Check::bare(name, Outcome::Inconclusive, why).with_help(help);
    };
    let strata: serde_json::Map<String, Value> =
        tests.patterns.iter().map(|(pattern, bench)| (pattern.name().to_owned(), stratum(bench))).collect();
    let label = tests.labelling.as_ref().map(Labelling::labelled);
    let compared = Comparison::of(evidence, tests);
    let mut numbers = json!({ "strata": strata, "label": label, "calibration": evidence.probing.as_ref().map(|p| p.calibration),
        "baseline": compared });
    if let Some(cold) = cold::numbers(tests) {
        numbers["cold"] = cold;
    }
    let excused = baseline::excused(evidence, compared.as_ref());
    let judged = || tests.patterns.iter().filter(|(pattern, _)| Some(**pattern) != excused);
    let starts = [Pattern::FirstContact, Pattern::Cold];
    let provoking = judged().any(|(pattern, _)| !starts.contains(pattern));
    let failed = tests.failed(excused);
    let open = judged().find(|(_, bench)| bench.decision() != Decision::Pass);
    let check = if let Some((pattern, bench)) = failed.filter(|(_, bench)| bench.is_limited()) {
        Check::bare(name, Outcome::Inconclusive, limited_words(pattern, bench))
    } else if let Some((pattern, bench)) = failed {
        let label = label_words(tests).map_or_else(String::new, |words| format!("; {words}"));
        let check = Check::bare(name, Outcome::Fail, cold::failed(pattern, bench, tests) + &label);
        if pattern == Pattern::Cold { check.with_help(cold::FAILED_HELP) } else { check }
    } else if let Some((_, bench)) = open.filter(|(pattern, _)| **pattern == Pattern::Cold) {
        cold::undecided(evidence, bench, tests)
    } else if !provoking {
        Check::bare(name, Outcome::Inconclusive, "no pattern with sockets released together was run")
            .with_help("leave out --pattern, name more users, or raise limits.sockets-at-once")
    } else if let Some((pattern, bench)) = open {
        let (why, help) = unfinished(evidence.probing.as_ref(), Some(tests));
        let test = bench.test();
        let summary = format!(
            "{pattern}: {} clean, {} failing, {} void rounds are too little; {why}",
            test.valid() - test.failing(),
            test.failing(),
            test.void()
        );
        Check::bare(name, Outcome::Inconclusive, summary).with_help(help)
    } else if let Some(check) = cold::left_out(evidence) {
        check
    } else if let Some(blind) = evidence.probing.as_ref().and_then(uncalibrated) {
        Check::bare(name, Outcome::Inconclusive, blind)
            .with_help("run it where less else is running; --no-calibration goes without this proof")
    } else {
        Check::bare(name, Outcome::Pass, passed_words(tests) + &cold::passed(evidence, tests))
    };
    let check = baseline::told(check, compared.as_ref(), excused).with_evidence(numbers);
    let again = failed
        .and_then(|(pattern, bench)| advice::again(pattern, bench, evidence.probing.as_ref(), evidence));
    let seen = failed.or(open.map(|(pattern, bench)| (*pattern, bench)));
    let together = |pattern| fails_together(tests, pattern);
    let seen = seen.and_then(|(pattern, bench)| suggestion(bench, together(pattern), evidence));
    again.into_iter().chain(seen).fold(check, Check::with_help)
}

/// Why this prober may not pass anybody: it did not see a race that was there.
fn uncalibrated(probing: &Probing) -> Option<String> {
    if !probing.plan.race.calibrate {
        return None;
    }
    match probing.calibration {
        None => Some("no failure, but this prober was not calibrated".to_owned()),
        Some(calibration) if calibration.is_enough() => None,
        Some(Calibration { rounds, found, .. }) => Some(format!(
            "no failure, but this prober found the bundled race in {found} of {rounds} rounds only"
        )),
    }
}

pub(super) fn stratum(bench: &Bench) -> Value {
    json!({ "decision": bench.decision(), "test": bench.test().summary(), "sockets": bench.tally,
        "failures": bench.failures, "zero_tolerance": bench.zero(), "fixed_sample": fixed_sample(bench),
        "release_spread_us": { "p50": percentile(&bench.spreads, 50), "p99": percentile(&bench.spreads, 99) } })
}

/// Companions for people who know fixed samples; they decide nothing.
fn fixed_sample(bench: &Bench) -> Value {
    let (k, n) = (bench.test().failing(), bench.test().valid());
    let (low, high) = statistics::clopper_pearson(k, n, 0.95);
    json!({ "failing": k, "rounds": n, "interval_95": [low, high],
        "upper_95": statistics::clopper_pearson_upper(k, n, 0.95) })
}

fn percentile(nanoseconds: &[u64], percent: usize) -> Option<u64> {
    let mut sorted = nanoseconds.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().checked_sub(1)?;
    sorted.get(last * percent / 100).map(|value| value.div_ceil(1000))
}

pub(super) fn label_words(tests: &Tests) -> Option<String> {
    tests.labelling.as_ref()?.labelled().words()
}

/// True where rounds of `pattern` fail and single sockets are served.
pub(super) fn fails_together(tests: &Tests, pattern: Pattern) -> bool {
    tests.labelling.as_ref().is_some_and(|labelling| labelling.labelled().is_of_company(pattern))
}

pub(super) fn failed_words(pattern: Pattern, bench: &Bench) -> String {
    let test = bench.test();
    let mut words = format!("{pattern}: {}", first_failure(bench));
    if bench.zero().is_some() {
        words.push_str(" (zero tolerance)");
    }
    words + &format!("; {} of {} rounds fail", test.failing(), test.valid())
}

/// What is said where every failure is a limit of the service's own: no race was seen, and none was ruled out.
pub(super) fn limited_words(pattern: Pattern, bench: &Bench) -> String {
    format!("{pattern}: {}; more was asked than the service allows", first_failure(bench))
}

pub(super) fn passed_words(tests: &Tests) -> String {
    let counts: Vec<String> = tests
        .patterns
        .iter()
        .map(|(pattern, bench)| {
            format!("{pattern} {}/{}", bench.test().valid() - bench.test().failing(), bench.test().valid())
        })
        .collect();
    format!("clean rounds: {}", counts.join(", "))
}

fn first_failure(bench: &Bench) -> String {
    match bench.zero().or_else(|| bench.failures.first()) {
        None => "no failure".to_owned(),
        Some(Failure { stage, round, socket, finding, .. }) => {
            format!("{} ({} round {round}, socket {socket})", finding.words, stage.name())
        }
    }
}
