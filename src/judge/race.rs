//! Rounds on their way through the tests: the same code during a run and from a record.
//!
//! Takes rounds in the order of their starts, classifies their sockets and feeds two kinds of test: one for each
//! pattern, on rounds, and one for `serves`, on single sockets. It decides nothing beyond those tests. The surprising
//! rule: a single close of zero tolerance fails its test at once, whatever the counts say.

use std::collections::BTreeMap;

use serde::Serialize;

use super::classify::{Class, Finding, Rules, classify};
use super::cold::ColdStarts;
use super::evidence::LogProof;
use super::label::Labelling;
use super::sequential::{Decision, Sequential, SettingsError, TestSettings, Trial, TrialOutcome};
use super::statistics;
use super::tally::Tally;
use crate::config::Pattern;
use crate::probe::{Freeze, Learned, Observation, Place, Plan, Round, Stage, Stratum};

/// One test and what it has seen.
#[derive(Debug)]
pub(super) struct Bench {
    test: Sequential,
    settings: TestSettings,
    /// Counts of its sockets.
    pub(super) tally: Tally,
    /// The first failures, for the report.
    pub(super) failures: Vec<Failure>,
    /// The first socket that never reached the application.
    pub(super) unreached: Option<Finding>,
    /// A single failure fails this test.
    strict: bool,
    zero: Option<Failure>,
    /// Release spreads, nanoseconds.
    pub(super) spreads: Vec<u64>,
}

/// A failed socket, with where to find it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Failure {
    /// The stage.
    pub(super) stage: Stage,
    /// The round's number inside its stage.
    pub(super) round: u32,
    /// The socket's number in the run.
    pub(super) socket: u32,
    /// Its user.
    pub(super) user: Option<String>,
    /// What was seen.
    pub(super) finding: Finding,
}

/// How many failures a report shows in words.
const SHOWN: usize = 12;

impl Bench {
    fn new(settings: TestSettings, strict: bool) -> Result<Self, SettingsError> {
        Ok(Self {
            test: Sequential::new(settings)?,
            settings,
            tally: Tally::default(),
            failures: Vec::new(),
            unreached: None,
            strict,
            zero: None,
            spreads: Vec::new(),
        })
    }

    /// What it has decided so far.
    pub(super) fn decision(&self) -> Decision {
        if self.zero.is_some() || (self.strict && self.test.failing() > 0) {
            return Decision::Fail;
        }
        if self.strict {
            return if self.test.valid() > 0 { Decision::Pass } else { Decision::Undecided };
        }
        self.test.decision()
    }

    /// The failure of zero tolerance, if there was one.
    pub(super) fn zero(&self) -> Option<&Failure> {
        self.zero.as_ref()
    }

    /// The counts of its trials.
    pub(super) fn test(&self) -> &Sequential {
        &self.test
    }

    /// Clean trials that a pass needs where nothing fails.
    pub(super) fn least(&self) -> u32 {
        let passes = |n: &u32| statistics::e_pass(*n, 0, self.settings.tolerated) >= self.settings.pass_at;
        (1..u32::MAX).find(passes).unwrap_or(u32::MAX)
    }

    /// True when `more` further clean rounds would not be enough for a pass.
    fn wants(&self, more: u32) -> bool {
        if self.decision() != Decision::Undecided {
            return false;
        }
        let test = &self.test;
        let counted = test.valid().saturating_add(test.void()).saturating_add(more);
        let against = test.failing().saturating_add(test.void());
        statistics::e_pass(counted, against, self.settings.tolerated) < self.settings.pass_at
    }
}

/// All tests of a run.
#[derive(Debug)]
pub(super) struct Tests {
    /// One for each pattern that provokes, in the order of the plan.
    pub(super) patterns: BTreeMap<Pattern, Bench>,
    /// Single sockets; `None` when the plan has none.
    pub(super) serves: Option<Bench>,
    /// Counts of all sockets.
    pub(super) tally: Tally,
    /// Sockets that were held for seconds.
    pub(super) held: u32,
    /// Those of them that were served.
    pub(super) held_ok: u32,
    /// How many of them are due.
    held_due: u32,
    /// What came after a test had failed.
    pub(super) labelling: Option<Labelling>,
    strata: Vec<Stratum>,
    /// Instances of a deployed revision; `None` where none are made to start.
    pub(super) cold: Option<ColdStarts>,
    /// The server answered while it was stopped: whoever serves is another process.
    pub(super) unstoppable: bool,
    seed: u64,
    declared: crate::probe::Declared,
    platform_counts: bool,
    zero_tolerance: Vec<u16>,
}

impl Tests {
    /// The tests of a plan.
    pub(super) fn new(plan: &Plan, platform_counts: bool) -> Result<Self, SettingsError> {
        let provoking: Vec<Pattern> =
            plan.strata.iter().map(|s| s.pattern).filter(|&p| p != Pattern::Control).collect();
        // A server of our own serves nobody: its single sockets only say what kind a failure is.
        let has_control =
            plan.place == Place::Remote && plan.strata.iter().any(|s| s.pattern == Pattern::Control);
        let strata = u32::try_from(provoking.len()).unwrap_or(u32::MAX).saturating_add(1);
        let of =
            |tolerated| TestSettings { tolerated, noise: plan.race.noise, ..TestSettings::standard(strata) };
        let mut patterns = BTreeMap::new();
        for pattern in provoking {
            let settings = of(plan.tolerated(pattern));
            patterns.insert(pattern, Bench::new(settings, pattern == Pattern::FirstContact)?);
        }
        Ok(Self {
            patterns,
            serves: has_control.then(|| Bench::new(of(plan.race.tolerated), false)).transpose()?,
            tally: Tally::default(),
            held: 0,
            held_ok: 0,
            held_due: plan.held,
            labelling: None,
            strata: plan.strata.clone(),
            cold: plan.starts_instances().then(ColdStarts::default),
            unstoppable: false,
            seed: plan.seed,
            declared: plan.declared,
            platform_counts,
            zero_tolerance: plan.race.zero_tolerance.clone(),
        })
    }

    /// The same, with what the log says of instances.
    pub(super) fn with_log(mut self, log: Option<&LogProof>) -> Self {
        self.cold = self.cold.map(|_| ColdStarts::new(log));
        self
    }

    /// Takes in one round.
    pub(super) fn add(&mut self, round: &Round, learned: Option<&Learned>) {
        let rules = Rules { declared: self.declared, learned, platform_counts: self.platform_counts };
        let findings: Vec<Finding> = round.observations.iter().map(|o| classify(o, &rules)).collect();
        for finding in &findings {
            self.tally.add(finding);
        }
        self.unstoppable |= round.frozen.is_some_and(|freeze| freeze.spoke);
        let frozen = !self.unstoppable && round.frozen.is_none_or(Freeze::holds);
        self.label(round.stage, &findings);
        let zero = &self.zero_tolerance;
        if let Some(cold) = self.cold.as_mut().filter(|_| round.stage != Stage::Cold) {
            cold.note(round);
        }
        match round.stage {
            Stage::Cold if self.cold.is_some() => {
                let bench = self.patterns.get_mut(&Pattern::Cold);
                if let (Some(cold), Some(bench)) = (&mut self.cold, bench) {
                    bench.take(round, &findings, zero);
                    for trial in cold.trials(round, &findings) {
                        bench.test.push(&trial);
                    }
                }
            }
            Stage::Learning | Stage::Held | Stage::Control => {
                if round.stage == Stage::Held {
                    self.held += u32::try_from(findings.len()).unwrap_or(u32::MAX);
                    self.held_ok += findings.iter().map(|f| u32::from(f.class == Class::Ok)).sum::<u32>();
                }
                if let Some(bench) = &mut self.serves {
                    bench.add(round, &findings, zero, true);
                }
            }
            stage => {
                if let Some(bench) = stage.pattern().and_then(|pattern| self.patterns.get_mut(&pattern)) {
                    bench.add(round, &findings, zero, frozen || stage == Stage::Cold);
                }
            }
        }
    }

    /// After a failure everything that comes helps to say what kind of failure it is.
    fn label(&mut self, stage: Stage, findings: &[Finding]) {
        if self.labelling.is_none() {
            self.labelling = self.compared().map(|s| Labelling::new(s.pattern, s.sockets, self.seed));
        }
        let Some(labelling) = &mut self.labelling else { return };
        let trial = outcome(findings);
        match stage {
            _ if trial == TrialOutcome::Void => {}
            Stage::Control => labelling.control(trial == TrialOutcome::Failing),
            stage if stage.pattern() == Some(labelling.pattern) => {
                labelling.round(trial == TrialOutcome::Failing);
            }
            _ => {}
        }
    }

    /// The pattern that is compared with single sockets: the one that failed, else the largest that there is.
    fn compared(&self) -> Option<Stratum> {
        if !self.has_failed() {
            return None;
        }
        let failed =
            |s: &&Stratum| self.patterns.get(&s.pattern).is_some_and(|b| b.decision() == Decision::Fail);
        let several = self.strata.iter().filter(|s| s.sockets > 1 && s.pattern != Pattern::FirstContact);
        let found = self.strata.iter().find(failed).or_else(|| several.max_by_key(|s| s.sockets));
        found.copied()
    }

    /// True when another round of this stage would tell something while `in_flight` are under way.
    pub(super) fn wants(&self, stage: Stage, in_flight: u32) -> bool {
        if self.has_failed() {
            let Some(labelling) = &self.labelling else { return stage == Stage::Control };
            return match stage {
                Stage::Control => labelling.wants_control(in_flight),
                other => other.pattern().is_some_and(|p| labelling.wants_round(p, in_flight)),
            };
        }
        if stage == Stage::Held {
            let enough = self.held_ok.saturating_add(in_flight) >= self.held_due;
            return !enough && self.held.saturating_add(in_flight) < 2 * self.held_due;
        }
        if self.unstoppable && stage != Stage::Cold {
            return false;
        }
        let bench = match stage {
            Stage::Control => self.serves.as_ref(),
            other => other.pattern().and_then(|pattern| self.patterns.get(&pattern)),
        };
        bench.is_some_and(|bench| bench.wants(in_flight))
    }

    fn benches(&self) -> impl Iterator<Item = &Bench> {
        self.patterns.values().chain(self.serves.as_ref())
    }

    /// True when all tests have passed.
    pub(super) fn has_passed(&self) -> bool {
        self.held_ok >= self.held_due && self.benches().all(|bench| bench.decision() == Decision::Pass)
    }

    /// True when one test has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.benches().any(|bench| bench.decision() == Decision::Fail)
    }

    /// True when only a log could still tell how instances started.
    pub(super) fn needs_log(&self) -> bool {
        let open = |bench: &Bench| bench.decision() == Decision::Undecided;
        self.cold.is_some() && self.patterns.get(&Pattern::Cold).is_some_and(open)
    }

    /// True when something has failed at least once.
    pub(super) fn has_failures(&self) -> bool {
        self.benches().any(|bench| bench.test.failing() > 0)
    }
}

impl Bench {
    /// Counts the sockets of a round.
    fn take(&mut self, round: &Round, findings: &[Finding], zero_tolerance: &[u16]) {
        for (observation, finding) in round.observations.iter().zip(findings) {
            self.tally.add(finding);
            match finding.class {
                Class::AppFail => self.note(round, observation, finding, zero_tolerance),
                Class::Infra if self.unreached.is_none() => self.unreached = Some(finding.clone()),
                Class::Infra | Class::Ok => {}
            }
        }
        self.spreads.extend(round.release_spread);
    }

    /// A round that was not `provoked` as it should have been shows failures and no success.
    fn add(&mut self, round: &Round, findings: &[Finding], zero_tolerance: &[u16], provoked: bool) {
        self.take(round, findings, zero_tolerance);
        let outcome = match outcome(findings) {
            TrialOutcome::Clean if !provoked => TrialOutcome::Void,
            outcome => outcome,
        };
        self.test.push(&Trial {
            outcome,
            sockets: u32::try_from(findings.len()).unwrap_or(u32::MAX),
            started: round.observations.iter().map(beginning).min().unwrap_or(round.started),
            ended: round.observations.iter().zip(findings).map(decided).max().unwrap_or(round.ended),
        });
    }

    fn note(&mut self, round: &Round, observation: &Observation, finding: &Finding, zero_tolerance: &[u16]) {
        let failure = Failure {
            stage: round.stage,
            round: round.number,
            socket: observation.socket,
            user: observation.user.clone(),
            finding: finding.clone(),
        };
        let zero = finding.code.is_some_and(|code| zero_tolerance.contains(&code)) && !finding.is_keepalive();
        if zero && self.zero.is_none() {
            self.zero = Some(failure.clone());
        }
        if self.failures.len() < SHOWN {
            self.failures.push(failure);
        }
    }
}

/// When a socket began to matter: armed rounds wait for their turn.
fn beginning(observation: &Observation) -> u64 {
    observation.timeline.released.unwrap_or(observation.timeline.began)
}

/// When a socket was decided: what it is held for afterwards makes no two failures one event.
fn decided((observation, finding): (&Observation, &Finding)) -> u64 {
    let times = &observation.timeline;
    match finding.class {
        Class::Ok => times.satisfied.unwrap_or(times.ended),
        Class::AppFail | Class::Infra => times.ended,
    }
}

/// One failing socket makes a valid, failing round; a round that met only the platform is void.
fn outcome(findings: &[Finding]) -> TrialOutcome {
    let of_class = |class| findings.iter().filter(|finding| finding.class == class).count();
    if of_class(Class::AppFail) > 0 {
        return TrialOutcome::Failing;
    }
    // A race needs two: fewer past the handshake provoke nothing.
    let needed = findings.len().clamp(1, 2);
    if of_class(Class::Ok) >= needed { TrialOutcome::Clean } else { TrialOutcome::Void }
}
