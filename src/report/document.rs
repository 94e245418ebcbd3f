//! All that any report says, decided once.

use serde::Serialize;

use crate::config::{CheckName, in_percent};
use crate::exit::Exit;
use crate::judge::{
    AddressKind, Check, Class, Evidence, Finding, Judgement, Outcome, Rules, Tally, Verdict, classify,
};
use crate::probe::{Observation, Stage};
use crate::revision::command;
use crate::trust::one_line;

/// Version of the JSON report.
pub const REPORT_VERSION: u32 = 1;

/// All that any report says.
#[derive(Debug, Clone, Serialize)]
pub struct Document<'a> {
    /// [`REPORT_VERSION`].
    pub version: u32,
    /// The verdict.
    pub verdict: Verdict,
    /// The exit code that it gives.
    pub exit_code: u8,
    /// The candidate's short name.
    pub revision: Option<&'a str>,
    /// The revision that has most of the traffic.
    pub previous_revision: Option<&'a str>,
    /// Service, revision and rule in one line.
    pub headline: String,
    /// What was skipped or weakened; empty for a full run.
    pub weakened: Vec<String>,
    /// Remarks.
    pub notes: &'a [String],
    /// The plan, in one line.
    pub plan: Option<String>,
    /// All checks.
    pub checks: &'a [Check],
    /// Counts of all sockets.
    pub sockets: &'a Tally,
    /// What happened to each socket.
    pub observations: Vec<Observed<'a>>,
    /// The next commands to type.
    pub next: Vec<String>,
    /// Milliseconds of the whole run.
    pub took_ms: u64,
    /// Seed, to provoke the same again.
    pub seed: Option<u64>,
    /// True when the control plane was not Google's.
    pub rehearsed: bool,
    /// The wall clock at the start.
    pub started_at: jiff::Timestamp,
    /// Milliseconds that each check took.
    pub times: &'a [(CheckName, u64)],
}

/// One socket in a report.
#[derive(Debug, Clone, Serialize)]
pub struct Observed<'a> {
    /// What its round was for.
    pub stage: Stage,
    /// Its round.
    pub round: u32,
    /// What it came to.
    #[serde(flatten)]
    pub finding: Finding,
    /// What was seen.
    pub seen: &'a Observation,
}

impl<'a> Document<'a> {
    /// Puts a report together.
    pub fn new(evidence: &'a Evidence, judgement: &'a Judgement) -> Self {
        let target = &evidence.target;
        Self {
            version: REPORT_VERSION,
            verdict: judgement.verdict,
            exit_code: Exit::from(judgement.verdict).code(),
            revision: target.revision.as_deref(),
            previous_revision: target.previous.as_deref(),
            headline: headline(evidence),
            weakened: weakened(evidence),
            notes: &target.notes,
            plan: evidence.probing.as_ref().map(|probing| probing.plan.words()),
            checks: &judgement.checks,
            sockets: &judgement.tally,
            observations: observations(evidence),
            next: next(evidence, judgement),
            took_ms: evidence.took_ms,
            seed: evidence.probing.as_ref().map(|probing| probing.plan.seed),
            rehearsed: target.rehearsed,
            started_at: evidence.started_at,
            times: &evidence.times,
        }
    }

    /// The sockets that were not served, application failures first.
    pub fn failures(&self) -> Vec<&Observed<'a>> {
        let mut failures: Vec<_> =
            self.observations.iter().filter(|o| o.finding.class != Class::Ok).collect();
        failures.sort_by_key(|o| o.finding.class);
        failures
    }
}

fn headline(evidence: &Evidence) -> String {
    let target = &evidence.target;
    let address = match &evidence.identity.address {
        AddressKind::FreshTag { tag } | AddressKind::Tag { tag } => format!(", tag {tag}"),
        AddressKind::Url | AddressKind::None => String::new(),
    };
    let words = match (&target.service, &target.revision) {
        (Some(service), Some(revision)) => format!(
            "{service} · revision {revision} ({}, {} % of traffic{address})",
            target.rule, target.serving_percent
        ),
        _ => format!("{} ({})", target.address.as_deref().unwrap_or("no address"), target.rule),
    };
    one_line(&words)
}

fn weakened(evidence: &Evidence) -> Vec<String> {
    let mut weakened = Vec::new();
    if evidence.target.rehearsed {
        weakened.push("rehearsed: the control plane was not Google's".to_owned());
    }
    if evidence.dry_run {
        weakened.push("dry run: nothing was opened".to_owned());
    }
    let skipped: Vec<&str> = evidence.selection.skipped().into_iter().map(CheckName::name).collect();
    if !skipped.is_empty() {
        weakened.push(format!("skipped on request: {}", skipped.join(", ")));
    }
    if let Some(probing) = &evidence.probing {
        let standard = crate::config::RaceSettings::default();
        let race = &probing.plan.race;
        if race.patterns != standard.patterns {
            let names: Vec<&str> = race.patterns.iter().map(|pattern| pattern.name()).collect();
            weakened.push(format!("patterns restricted to {}", names.join(", ")));
        }
        if race.tolerated > standard.tolerated {
            weakened.push(format!("tolerates {} % of rounds failing", in_percent(race.tolerated)));
        }
        if race.noise > standard.noise {
            weakened.push(format!("takes {} % of sockets for noise", in_percent(race.noise)));
        }
        if !race.zero_tolerance.contains(&1011) {
            weakened.push("a single 1011 does not block".to_owned());
        }
    }
    weakened
}

fn observations(evidence: &Evidence) -> Vec<Observed<'_>> {
    let Some(probing) = &evidence.probing else { return Vec::new() };
    let rules = Rules {
        declared: probing.plan.declared,
        learned: probing.learned.as_ref(),
        platform_counts: evidence.target.behind_front_end,
    };
    let of_round = |round: &'_ crate::probe::Round| (round.stage, round.number);
    probing
        .rounds
        .iter()
        .flat_map(|round| {
            let (stage, number) = of_round(round);
            round.observations.iter().map(move |seen| (stage, number, seen))
        })
        .map(|(stage, round, seen)| Observed { stage, round, finding: classify(seen, &rules), seen })
        .collect()
}

fn next(evidence: &Evidence, judgement: &Judgement) -> Vec<String> {
    let target = &evidence.target;
    let mut next: Vec<String> = Vec::new();
    let (Some(service), Some(revision)) = (&target.service, &target.revision) else {
        return next;
    };
    let command = match judgement.verdict {
        Verdict::Approved => command::promote(service, &["--revision", revision]),
        Verdict::Inconclusive => command::check(service, &["--revision", revision, "--tag", "gate"]),
        Verdict::Blocked => {
            format!("fix, deploy with --no-traffic, then: {}", command::check(service, &["--tag", "gate"]))
        }
    };
    next.push(one_line(&command));
    next
}

impl Document<'_> {
    /// The checks in the order of a person's interest: what failed first.
    pub fn worst_first(&self) -> Vec<&Check> {
        let mut checks: Vec<&Check> = self.checks.iter().collect();
        checks.sort_by_key(|check| match check.outcome {
            Outcome::Fail => 0,
            Outcome::Inconclusive => 1,
            Outcome::Pass => 2,
            Outcome::Skipped => 3,
            Outcome::NotAsked => 4,
        });
        checks
    }
}
