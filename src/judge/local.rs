//! Race as a whole: what a process of our own showed, beside what the address showed. The worse of the two wins.
//!
//! Takes the evidence and the tests of both stages; gives one check, in which everything that was seen locally is called
//! so. The surprising rule: a process of our own can fail the check and can never pass it alone, since nothing but the
//! command says that it is the program that was deployed.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::advice;
use super::check::{Check, Outcome};
use super::checks::{
    self, failed_words, fails_together, label_words, limited_words, passed_words, unfinished,
};
use super::evidence::{Evidence, Local};
use super::label::Labelling;
use super::race::Tests;
use super::sequential::Decision;
use crate::config::{CheckName, Pattern};

/// Which windows the local stage can find at best (measured; see the module of the stage).
pub const LOCAL_FLOOR: &str = "at best, locally: windows from 5 µs on where one event loop serves all; with threads, only some of the rounds";
/// Which windows the probing of an address can find at best.
pub const REMOTE_FLOOR: &str = "at best, at an address: windows from about 0.5 ms on";

/// The race check.
pub(super) fn race(evidence: &Evidence, remote: Option<&Tests>, local: Option<&Tests>) -> Check {
    let Some(own) = &evidence.local else { return checks::remote_race(evidence, remote) };
    let local = local_race(evidence, own, local);
    if own.ended_run {
        return local.with_help("the address was not probed: mend this first");
    }
    let remote = checks::remote_race(evidence, remote);
    let worse = if rank(local.outcome) > rank(remote.outcome) { local.outcome } else { remote.outcome };
    let mut evidence = remote.evidence;
    if let (Value::Object(whole), Value::Object(mut part)) = (&mut evidence, local.evidence) {
        whole.extend(part.remove("local").map(|part| ("local".to_owned(), part)));
    }
    Check {
        name: CheckName::Race,
        outcome: worse,
        summary: format!("{}; at the address: {}", local.summary, remote.summary),
        evidence,
        help: [local.help, remote.help].concat(),
    }
}

fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::NotAsked | Outcome::Skipped => 0,
        Outcome::Pass => 1,
        Outcome::Inconclusive => 2,
        Outcome::Fail => 3,
    }
}

fn local_race(evidence: &Evidence, own: &Local, tests: Option<&Tests>) -> Check {
    let check = |outcome, words: &str| Check::bare(CheckName::Race, outcome, format!("local: {words}"));
    let Some(tests) = tests else {
        let why = own.not_started.as_ref().map_or("nothing was probed", |why| why.as_str());
        return check(Outcome::Inconclusive, why)
            .with_help("the command must start a server on $PORT of 127.0.0.1: --exec 'CMD --port $PORT'");
    };
    let failed = tests.failed(None);
    let open = tests.patterns.iter().find(|(_, bench)| bench.decision() != Decision::Pass);
    let probing = own.probing.as_ref();
    let judged = if let Some((pattern, bench)) = failed {
        let judged = if bench.is_limited() {
            check(Outcome::Inconclusive, &limited_words(pattern, bench))
        } else {
            let label = label_words(tests).map_or_else(String::new, |words| format!("; {words}"));
            check(Outcome::Fail, &(failed_words(pattern, bench) + &also_words(pattern, tests) + &label))
        };
        let help = advice::again(pattern, bench, probing, evidence).into_iter();
        let first = bench.failures.first();
        let help = help.chain(
            first.map(|failure| advice::of_failure(failure, fails_together(tests, pattern), evidence)),
        );
        help.fold(judged, Check::with_help)
    } else if tests.unstoppable {
        check(Outcome::Inconclusive, "the server went on while its process group was stopped").with_help(
            "name the server itself with --exec, not what starts it elsewhere (docker run, sudo, a daemon)",
        )
    } else if let Some((pattern, bench)) = open {
        let (why, help) = open_words(*pattern, own, tests);
        let test = bench.test();
        let (clean, failing, void) = (test.valid() - test.failing(), test.failing(), test.void());
        let words =
            format!("{pattern}: {clean} clean, {failing} failing, {void} void rounds are too little; {why}");
        let judged = check(Outcome::Inconclusive, &(words + &late_words(own))).with_help(help);
        let crowded = *pattern == Pattern::Cold && void > 0 && !late_words(own).is_empty();
        if crowded { judged.with_help(BACKLOG_HELP) } else { judged }
    } else {
        check(Outcome::Pass, &(passed_words(tests) + &cold_words(own, tests) + &late_words(own)))
    };
    judged.with_evidence(json!({ "local": numbers(own, tests) }))
}

/// The other patterns that failed as well: a race of any two users shows in pairs of one user too, and which of them is
/// decided first is chance.
fn also_words(named: Pattern, tests: &Tests) -> String {
    let others = tests.patterns.iter().filter(|(pattern, _)| **pattern != named);
    let failing = others.filter(|(_, bench)| bench.test().failing() > 0);
    let words = failing.map(|(pattern, bench)| {
        format!("; {pattern} too: {} of {} rounds", bench.test().failing(), bench.test().valid())
    });
    words.collect()
}

/// Why a pattern is undecided; cold starts have a budget of their own.
fn open_words(pattern: Pattern, own: &Local, tests: &Tests) -> (String, Cow<'static, str>) {
    use crate::probe::StopReason;
    match own.probing.as_ref().map(|probing| probing.stopped) {
        Some(StopReason::Time) if pattern == Pattern::Cold => (
            "their time was spent".to_owned(),
            "give cold starts more with race.cold-budget, or ask for less with race.cold-tolerated".into(),
        ),
        _ => unfinished(own.probing.as_ref(), Some(tests)),
    }
}

/// What helps where the burst of a cold start does not fit.
const BACKLOG_HELP: &str = "let the server listen with a larger backlog (as uvicorn --backlog does), so that the sockets of a burst are \
    connected before the first one is accepted";

/// How many sockets of cold starts were left out, since they were not connected when the port opened.
fn late_words(own: &Local) -> String {
    let rounds = own.probing.iter().flat_map(|probing| &probing.rounds);
    let late: Vec<u32> = rounds.filter_map(|round| round.late).collect();
    match late.iter().sum::<u32>() {
        0 => String::new(),
        sockets => format!(
            "; in {} cold starts {sockets} sockets were left out: the port did not take them at once (a small backlog)",
            late.len()
        ),
    }
}

/// What a pass of cold starts says, which is less than that of rounds.
fn cold_words(own: &Local, tests: &Tests) -> String {
    let tolerated = own.probing.as_ref().map_or(0.0, |probing| probing.plan.tolerated(Pattern::Cold));
    match tests.patterns.get(&Pattern::Cold) {
        Some(_) => format!(" (cold: below {} % of starts)", tolerated * 100.0),
        None => String::new(),
    }
}

fn numbers(own: &Local, tests: &Tests) -> Value {
    let strata: serde_json::Map<String, Value> = tests
        .patterns
        .iter()
        .map(|(pattern, bench)| (pattern.name().to_owned(), checks::stratum(bench)))
        .collect();
    let label = tests.labelling.as_ref().map(Labelling::labelled);
    json!({ "command": own.command, "strata": strata, "label": label, "floor": LOCAL_FLOOR })
}
