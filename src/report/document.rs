//! All that any report says, decided once.

use std::collections::BTreeMap;

use serde::Serialize;

use super::timeline::RoundTimeline;
use super::weakened::weakened;
use crate::config::CheckName;
use crate::exit::Exit;
use crate::judge::{
    AddressKind, Check, Class, Evidence, Finding, Interruption, Judgement, LOCAL_FLOOR, Outcome, Probing,
    REMOTE_FLOOR, Rules, Tally, Verdict, Watch, classify,
};
use crate::probe::{Baseline, Means, Observation, Plan, Round, Stage};
use crate::trust::{Excerpt, one_line};

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
    /// What became of the traffic, a line each; empty where nothing did.
    pub promotion: Vec<String>,
    /// What a signal changes that came when the run was over; `None` where none came.
    pub late_signal: Option<String>,
    /// The candidate's short name.
    pub revision: Option<&'a str>,
    /// The revision that has most of the traffic.
    pub previous_revision: Option<&'a str>,
    /// Service, revision and rule in one line.
    pub headline: String,
    /// How far the run had come when a signal ended it; `None` where it went to its end.
    pub interrupted: Option<&'a Interruption>,
    /// How the candidate's tag was lost meanwhile, so that nothing is approved; `None` where it was not.
    pub tag_lost: Option<String>,
    /// What was skipped or weakened; empty for a full run.
    pub weakened: Vec<String>,
    /// Remarks.
    pub notes: &'a [String],
    /// The plan, in one line.
    pub plan: Option<String>,
    /// What a process of the server of our own was put through; `None` where there is none.
    pub local: Option<LocalPart<'a>>,
    /// What the comparison with the revision that serves cost; `None` where there is none.
    pub baseline: Option<BaselinePart<'a>>,
    /// What was seen of the serving revision's errors; `None` where nobody else serves, or nothing is known of it.
    pub watch: Option<&'a Watch>,
    /// Which windows between a check and its act could be found at best, a line for each stage that was run.
    pub floors: Vec<&'static str>,
    /// All checks.
    pub checks: &'a [Check],
    /// Counts of all sockets.
    pub sockets: &'a Tally,
    /// How closely together the sockets of rounds were let go, a line for each size and means.
    pub released: Vec<Release>,
    /// What happened to each socket.
    pub observations: Vec<Observed<'a>>,
    /// The first failing round of several sockets, reconstructed.
    pub timeline: Option<RoundTimeline>,
    /// The next commands to type.
    pub next: Vec<String>,
    /// Milliseconds of the whole run.
    pub took_ms: u64,
    /// Seed, to provoke the same again.
    pub seed: Option<u64>,
    /// True when the control plane was not Google's.
    pub rehearsed: bool,
    /// True when nothing was to be opened; the first lines say so too.
    #[serde(skip)]
    pub dry_run: bool,
    /// The wall clock at the start.
    pub started_at: jiff::Timestamp,
    /// Milliseconds that each check took.
    pub times: &'a [(CheckName, u64)],
}

/// The local stage in a report.
#[derive(Debug, Clone, Serialize)]
pub struct LocalPart<'a> {
    /// The command that started the server.
    pub command: &'a str,
    /// The plan, in one line.
    pub plan: Option<String>,
    /// Counts of all its sockets.
    pub sockets: Option<&'a Tally>,
    /// Seed, to provoke the same again.
    pub seed: Option<u64>,
    /// Milliseconds that it took.
    pub took_ms: u64,
    /// The last lines that the server wrote, where it failed or never listened.
    pub lines: Vec<&'a str>,
}

/// The comparison with the revision that serves, in a report.
#[derive(Debug, Clone, Serialize)]
pub struct BaselinePart<'a> {
    /// The plan, in one line.
    pub plan: String,
    /// Short name of the revision that serves.
    pub serving: &'a str,
    /// Pairs of rounds.
    pub pairs: usize,
    /// Sockets that were opened at the revision that serves.
    pub serving_sockets: usize,
    /// Sockets that were opened at the candidate for it.
    pub candidate_sockets: usize,
}

/// How closely together sockets were let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Release {
    /// Sockets of a round.
    pub sockets: usize,
    /// By which means.
    pub means: Means,
    /// How many rounds.
    pub rounds: usize,
    /// From the first send to the last, in microseconds, rounded up: half of the rounds were closer.
    pub p50_us: u64,
    /// The same for 99 of 100 rounds.
    pub p99_us: u64,
}

/// One socket in a report.
#[derive(Debug, Clone, Serialize)]
pub struct Observed<'a> {
    /// At a process of our own.
    pub local: bool,
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
    /// Puts a report together; `evidence` is all that counts of it, as [`Evidence::counted`] gives it.
    pub fn new(evidence: &'a Evidence, judgement: &'a Judgement) -> Self {
        let target = &evidence.target;
        Self {
            version: REPORT_VERSION,
            verdict: judgement.verdict,
            exit_code: Exit::from(judgement.verdict).code(),
            promotion: Vec::new(),
            late_signal: None,
            revision: target.revision.as_deref(),
            previous_revision: target.previous.as_deref(),
            headline: headline(evidence),
            interrupted: evidence.interrupted.as_ref(),
            tag_lost: evidence.tag_loss.as_ref().map(|loss| one_line(&loss.words())),
            weakened: weakened(evidence),
            notes: &target.notes,
            plan: evidence.probing.as_ref().map(|probing| probing.plan.words()),
            local: local(evidence, judgement),
            baseline: evidence.baseline.as_ref().map(BaselinePart::new),
            watch: evidence.watch.as_ref(),
            floors: floors(evidence),
            checks: &judgement.checks,
            sockets: &judgement.tally,
            released: released(evidence),
            observations: observations(evidence),
            timeline: timeline(evidence),
            next: next(evidence, judgement),
            took_ms: evidence.took_ms,
            seed: evidence.probing.as_ref().map(|probing| probing.plan.seed),
            rehearsed: target.rehearsed,
            dry_run: evidence.dry_run,
            started_at: evidence.started_at,
            times: &evidence.times,
        }
    }

    /// The same for a command that ended otherwise than by its verdict: what became of the traffic, and the code.
    #[must_use]
    pub fn ended(self, promotion: &[String], exit: Exit) -> Self {
        Self {
            promotion: promotion.iter().map(|words| one_line(words)).collect(),
            exit_code: exit.code(),
            ..self
        }
    }

    /// The same where a signal came when the run was over, with what that changes.
    #[must_use]
    pub fn with_late_signal(self, words: Option<String>) -> Self {
        Self { late_signal: words, ..self }
    }

    /// The sockets that were not served, application failures first.
    pub fn failures(&self) -> Vec<&Observed<'a>> {
        let mut failures: Vec<_> =
            self.observations.iter().filter(|o| o.finding.class != Class::Ok).collect();
        failures.sort_by_key(|o| o.finding.class);
        failures
    }
}

impl<'a> BaselinePart<'a> {
    fn new(baseline: &'a Baseline) -> Self {
        let sockets =
            |rounds: &mut dyn Iterator<Item = &'a Round>| rounds.map(|r| r.observations.len()).sum();
        let pairs = &baseline.pairs;
        Self {
            plan: one_line(&baseline.plan.words()),
            serving: &baseline.plan.serving,
            pairs: pairs.len(),
            serving_sockets: sockets(
                &mut baseline.singles.iter().chain(pairs.iter().map(|pair| &pair.serving)),
            ),
            candidate_sockets: sockets(&mut pairs.iter().map(|pair| &pair.candidate)),
        }
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
        _ if evidence.local.as_ref().is_some_and(|local| local.ended_run) => {
            "no address: the local stage failed before one was looked for".to_owned()
        }
        _ => format!("{} ({})", target.address.as_deref().unwrap_or("no address"), target.rule),
    };
    one_line(&words)
}

fn released(evidence: &Evidence) -> Vec<Release> {
    let rounds = evidence.probing.iter().flat_map(|probing| &probing.rounds);
    let mut spreads: BTreeMap<(usize, Means), Vec<u64>> = BTreeMap::new();
    for round in rounds {
        if let (Some(means), Some(spread)) = (round.means, round.release_spread) {
            spreads.entry((round.observations.len(), means)).or_default().push(spread);
        }
    }
    let lines = spreads.into_iter().map(|((sockets, means), mut spreads)| {
        spreads.sort_unstable();
        let at = |percent: usize| {
            spreads.get((spreads.len() - 1) * percent / 100).map_or(0, |ns| ns.div_ceil(1000))
        };
        Release { sockets, means, rounds: spreads.len(), p50_us: at(50), p99_us: at(99) }
    });
    lines.collect()
}

fn local<'a>(evidence: &'a Evidence, judgement: &'a Judgement) -> Option<LocalPart<'a>> {
    let local = evidence.local.as_ref()?;
    let plan = local.probing.as_ref().map(|probing| &probing.plan);
    let shown = local.ended_run || local.not_started.is_some();
    Some(LocalPart {
        command: &local.command,
        plan: plan.map(Plan::words),
        sockets: judgement.local_tally.as_ref(),
        seed: plan.map(|plan| plan.seed),
        took_ms: local.took_ms,
        lines: local.lines.iter().filter(|_| shown).map(Excerpt::as_str).collect(),
    })
}

fn floors(evidence: &Evidence) -> Vec<&'static str> {
    let own = evidence.local.as_ref().and_then(|local| local.probing.as_ref());
    own.map(|_| LOCAL_FLOOR).into_iter().chain(evidence.probing.as_ref().map(|_| REMOTE_FLOOR)).collect()
}

/// What was probed, at a process of our own and at the address, each with what is known of a healthy socket there.
fn stages(evidence: &Evidence) -> impl Iterator<Item = (bool, &Probing, Rules<'_>)> {
    let own = evidence.local.as_ref().and_then(|local| local.probing.as_ref());
    let own = own.map(|probing| (true, probing, false));
    let remote = evidence.probing.as_ref().map(|p| (false, p, evidence.target.behind_front_end));
    own.into_iter().chain(remote).map(|(local, probing, platform_counts)| {
        let learned = probing.learned.as_ref();
        let Plan { declared, closes, .. } = &probing.plan;
        (local, probing, Rules { declared: *declared, learned, closes, platform_counts })
    })
}

fn timeline(evidence: &Evidence) -> Option<RoundTimeline> {
    let rounds = stages(evidence)
        .flat_map(|(local, probing, rules)| probing.rounds.iter().map(move |round| (local, round, rules)));
    rounds.into_iter().find_map(|(local, round, rules)| {
        let findings: Vec<Finding> = round.observations.iter().map(|o| classify(o, &rules)).collect();
        let failed = findings.len() > 1 && findings.iter().any(|finding| finding.class == Class::AppFail);
        failed.then(|| RoundTimeline::new(round, &findings, local))
    })
}

fn observations(evidence: &Evidence) -> Vec<Observed<'_>> {
    let mut observed = Vec::new();
    for (local, probing, rules) in stages(evidence) {
        for round in probing.rounds.iter().filter(|round| round.stage.is_judged()) {
            observed.extend(round.observations.iter().map(|seen| Observed {
                local,
                stage: round.stage,
                round: round.number,
                finding: classify(seen, &rules),
                seen,
            }));
        }
    }
    observed
}

/// Options that only a check has, or that name the candidate: a promotion names its own.
const OF_A_CHECK: [&str; 5] = ["revision", "label", "image-digest", "only", "skip"];

fn next(evidence: &Evidence, judgement: &Judgement) -> Vec<String> {
    let (target, asked) = (&evidence.target, &evidence.asked);
    let rehearsal = asked.command == "rehearse";
    let again = || asked.repeat(&[]);
    match (judgement.verdict, &target.revision) {
        _ if evidence.dry_run => vec![format!("without --dry-run: {}", again())],
        (Verdict::Approved, _) if rehearsal => Vec::new(),
        (Verdict::Approved, Some(revision)) => {
            vec![asked.line("promote", &OF_A_CHECK, &[("revision", revision)])]
        }
        (Verdict::Approved, None) => Vec::new(),
        (Verdict::Inconclusive, Some(revision)) if !rehearsal => {
            vec![asked.line("check", &["label", "image-digest"], &[("revision", revision)])]
        }
        (Verdict::Inconclusive, _) => vec![again()],
        (Verdict::Blocked, _) if rehearsal => vec![format!("fix, then: {}", again())],
        (Verdict::Blocked, None) => vec![format!("fix, then: {}", again())],
        (Verdict::Blocked, Some(_)) => {
            let newest = asked.line("check", &["revision", "label", "image-digest"], &[]);
            vec![format!("fix, deploy with --no-traffic, then: {newest}")]
        }
    }
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
