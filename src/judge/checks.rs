//! One function a check: evidence in, outcome with its numbers out.
//!
//! Takes the evidence and, for what was probed, the tests it went through. It never weighs one check against another.
//! The surprising rule: a check that was asked for and could not run is inconclusive, never skipped in silence.

use serde_json::{Value, json};

use super::check::{Check, Outcome};
use super::classify::Kind;
use super::evidence::{AddressKind, Evidence, ReadyEvidence};
use super::race::{Bench, Failure, Tests};
use super::sequential::Decision;
use super::statistics;
use crate::config::{CheckName, Echo, Pattern};
use crate::probe::{HELD_SOCKETS, Opening, StopReason};
use crate::revision::command;

/// One check of a run.
pub(super) fn check(name: CheckName, evidence: &Evidence, tests: Option<&Tests>) -> Check {
    if !evidence.selection.is_asked(name) {
        return Check::bare(name, Outcome::NotAsked, "not asked");
    }
    if evidence.selection.is_skipped(name) {
        return Check::bare(name, Outcome::Skipped, "skipped on request");
    }
    match name {
        CheckName::Ready => ready(evidence),
        CheckName::Identity => identity(evidence),
        CheckName::Serves => serves(evidence, tests),
        CheckName::Race => race(evidence, tests),
        other => Check::bare(other, Outcome::Inconclusive, "asked for, and this version cannot run it")
            .with_help(format!("leave {other} out of --only")),
    }
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

fn identity(evidence: &Evidence) -> Check {
    let name = CheckName::Identity;
    let unproven =
        |summary: String, help: &str| Check::bare(name, Outcome::Inconclusive, summary).with_help(help);
    let Some(revision) = &evidence.target.revision else {
        return unproven(
            "there is no control plane to ask which revision answers".to_owned(),
            "name --project, --region and --service, or leave it out with --skip ready,identity",
        );
    };
    let Some(probing) = &evidence.probing else {
        return unproven("nothing was probed".to_owned(), "see the checks above");
    };
    let identity = &evidence.identity;
    if identity.before == Some(false) || identity.after == Some(false) {
        return unproven(
            "the tag did not name the candidate for the whole run".to_owned(),
            "somebody moved the tag meanwhile: run the check again",
        );
    }
    if let Some(echo) = &identity.echo {
        let opened: Vec<Option<&str>> = probing
            .rounds
            .iter()
            .flat_map(|round| &round.observations)
            .filter(|o| matches!(o.opening, Opening::Opened { .. }))
            .map(|o| o.echo.as_ref().map(crate::trust::Excerpt::as_str))
            .collect();
        return by_echo(echo, &opened, revision);
    }
    match &identity.address {
        AddressKind::FreshTag { tag } => Check::bare(
            name,
            Outcome::Pass,
            format!("by tag {tag}, a name never used before, on the candidate before and after"),
        )
        .with_evidence(json!({ "by": "fresh-tag", "tag": tag })),
        AddressKind::Tag { tag } => unproven(
            format!("tag {tag} may have named another revision before, and answers do not name theirs"),
            "let answers name their revision (--identity-header x-revision), or deploy without a tag and give --tag NAME",
        ),
        AddressKind::Url | AddressKind::None => unproven(
            "answers at this address do not name their revision".to_owned(),
            "let answers name their revision: --identity-header x-revision",
        ),
    }
}

fn by_echo(echo: &Echo, opened: &[Option<&str>], revision: &str) -> Check {
    let place = match echo {
        Echo::Header(name) => format!("header {name}"),
        Echo::Pointer(pointer) => format!("{pointer} of a frame"),
    };
    let right = opened.iter().filter(|echo| **echo == Some(revision)).count();
    let missing = opened.iter().filter(|echo| echo.is_none()).count();
    let other = opened.iter().flatten().find(|echo| **echo != revision);
    let numbers = json!({ "by": "echo", "place": place, "opened": opened.len(), "candidate": right, "missing": missing,
        "other": other });
    let (outcome, summary) = match other {
        _ if opened.is_empty() => {
            (Outcome::Inconclusive, "no socket opened, so nothing named its revision".to_owned())
        }
        Some(other) => (
            Outcome::Inconclusive,
            format!("{right} of {} answers came from the candidate, others from \"{other}\"", opened.len()),
        ),
        None if missing > 0 => {
            (Outcome::Inconclusive, format!("{missing} of {} answers have no {place}", opened.len()))
        }
        None => (Outcome::Pass, format!("by {place} in {right} of {} answers", opened.len())),
    };
    let check = Check::bare(CheckName::Identity, outcome, summary).with_evidence(numbers);
    match outcome {
        Outcome::Pass => check,
        _ if other.is_some() => {
            check.with_help("routing was not finished, or the address is another revision's: run again")
        }
        _ => check.with_help("put the value of K_REVISION there in every answer"),
    }
}

/// Why nothing can be said when a stage did not get what it needed.
fn unfinished(evidence: &Evidence) -> (String, &'static str) {
    let Some(probing) = &evidence.probing else {
        return ("nothing was probed".to_owned(), "see the checks above");
    };
    let (words, help) = match probing.stopped {
        StopReason::Time => ("the time budget was spent", "give it more with --time-budget"),
        StopReason::Sockets => {
            ("the sockets of this run were spent", "raise limits.sockets-per-run in revgate.yaml")
        }
        StopReason::Rounds => ("the rounds that were allowed were run", "leave out --rounds, or raise it"),
        StopReason::NotServed => ("no single socket was served", "see serves"),
        StopReason::Decided => ("the run ended on another failure", "mend the failed check first"),
    };
    (words.to_owned(), help)
}

fn serves(evidence: &Evidence, tests: Option<&Tests>) -> Check {
    let name = CheckName::Serves;
    let Some((tests, bench)) = tests.and_then(|tests| tests.serves.as_ref().map(|bench| (tests, bench)))
    else {
        let (why, help) = unfinished(evidence);
        return Check::bare(name, Outcome::Inconclusive, why).with_help(help);
    };
    let tally = &bench.tally;
    let counts = format!("{} of {} opened and answered", tally.ok, tally.attempted);
    let numbers = json!({ "test": bench.test().summary(), "sockets": tally, "held_ok": tests.held_ok,
        "failures": bench.failures, "fixed_sample": fixed_sample(bench) });
    let nobody = tally.ok == 0 && tally.app_fail > 0;
    let check = match bench.decision() {
        Decision::Fail => Check::bare(name, Outcome::Fail, format!("{counts}; {}", first_failure(bench))),
        // Nobody was served: two single sockets are enough to say so.
        _ if nobody && tally.app_fail >= 2 => {
            Check::bare(name, Outcome::Fail, format!("{counts}; {}", first_failure(bench)))
        }
        Decision::Pass if tests.held_ok >= HELD_SOCKETS => {
            Check::bare(name, Outcome::Pass, format!("{counts}; {} held", tests.held_ok))
        }
        _ => {
            let (why, help) = unfinished(evidence);
            let seen =
                if bench.failures.is_empty() { String::new() } else { format!("; {}", first_failure(bench)) };
            let void = if tally.infra > 0 {
                format!("; {} never reached the application", tally.infra)
            } else {
                String::new()
            };
            Check::bare(name, Outcome::Inconclusive, format!("{counts}{seen}{void}; {why}")).with_help(help)
        }
    };
    let help = advice(bench);
    let check = check.with_evidence(numbers);
    if check.outcome == Outcome::Pass { check } else { help.into_iter().fold(check, Check::with_help) }
}

fn race(evidence: &Evidence, tests: Option<&Tests>) -> Check {
    let name = CheckName::Race;
    let Some(tests) = tests else {
        let (why, help) = unfinished(evidence);
        return Check::bare(name, Outcome::Inconclusive, why).with_help(help);
    };
    let strata: serde_json::Map<String, Value> =
        tests.patterns.iter().map(|(pattern, bench)| (pattern.name().to_owned(), stratum(bench))).collect();
    let numbers = json!({ "strata": strata });
    let provoking = tests.patterns.keys().any(|pattern| *pattern != Pattern::FirstContact);
    let failed = tests.patterns.iter().find(|(_, bench)| bench.decision() == Decision::Fail);
    let open = tests.patterns.iter().find(|(_, bench)| bench.decision() != Decision::Pass);
    let check = if let Some((pattern, bench)) = failed {
        Check::bare(name, Outcome::Fail, failed_words(*pattern, bench))
    } else if !provoking {
        Check::bare(name, Outcome::Inconclusive, "no pattern with sockets released together was run")
            .with_help("leave out --pattern, name more users, or raise limits.sockets-at-once")
    } else if let Some((pattern, bench)) = open {
        let (why, help) = unfinished(evidence);
        let test = bench.test();
        let summary = format!(
            "{pattern}: {} clean, {} failing, {} void rounds are too little; {why}",
            test.valid() - test.failing(),
            test.failing(),
            test.void()
        );
        Check::bare(name, Outcome::Inconclusive, summary).with_help(help)
    } else {
        Check::bare(name, Outcome::Pass, passed_words(tests))
    };
    let check = check.with_evidence(numbers);
    match failed {
        Some((pattern, bench)) => {
            again(*pattern, evidence).into_iter().chain(advice(bench)).fold(check, Check::with_help)
        }
        None => check,
    }
}

fn stratum(bench: &Bench) -> Value {
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
    sorted.get(last * percent / 100).map(|value| value / 1000)
}

fn failed_words(pattern: Pattern, bench: &Bench) -> String {
    let test = bench.test();
    let mut words = format!("{pattern}: {}", first_failure(bench));
    if bench.zero().is_some() {
        words.push_str(" (zero tolerance)");
    }
    words + &format!("; {} of {} rounds fail", test.failing(), test.valid())
}

fn passed_words(tests: &Tests) -> String {
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

/// How to run the failing pattern again.
fn again(pattern: Pattern, evidence: &Evidence) -> Option<String> {
    let seed = evidence.probing.as_ref()?.plan.seed;
    let seed = seed.to_string();
    let what = ["--pattern", pattern.name(), "--seed", &seed];
    let command = match (&evidence.target.service, &evidence.target.address) {
        (Some(name), _) => command::check(name, &[&["--tag", "gate"][..], &what].concat()),
        (None, Some(address)) => {
            let words = ["revgate", "check", "--url", address, "--path", &evidence.target.path];
            command::line(&[&words[..], &what].concat())
        }
        (None, None) => return None,
    };
    Some(format!("provoke only this again: {command}"))
}

/// What the failures suggest.
fn advice(bench: &Bench) -> Option<String> {
    let finding = &bench.failures.first()?.finding;
    let help = match (finding.kind, finding.status, finding.code) {
        (Kind::HttpStatus, Some(401 | 403), _) | (_, _, Some(1008 | 4001 | 4003)) => {
            "the application refused the socket: look at the token (`token:` in revgate.yaml), its claims and the users"
        }
        (Kind::HttpStatus, Some(404 | 405), _) => "no WebSocket at this path: name it with --path",
        (Kind::HttpStatus, Some(429), _) => {
            "the service reached a limit: state it under `limits:` in revgate.yaml"
        }
        (Kind::Silent, ..) => {
            "a socket that says nothing proves nothing: declare what a healthy one does with --send TEXT and --expect PATTERN"
        }
        (Kind::NoAnswer, ..) => {
            "if the answer looks like what comes unasked, describe it with --expect PATTERN"
        }
        (Kind::ErrorFrame, ..) => {
            "if this frame is what a healthy server says, declare it with --expect PATTERN"
        }
        (Kind::TcpRefused | Kind::TcpTimeout | Kind::TcpFailed, ..) => {
            "nobody answers there: is the server up, is the address right?"
        }
        (Kind::Subprotocol, ..) => "offer what the server speaks with --subprotocol",
        (Kind::Tls, ..) => "check the address (wss needs a certificate that this machine trusts)",
        _ => return Some("what it means: revgate explain race".to_owned()),
    };
    Some(help.to_owned())
}
