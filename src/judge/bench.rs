//! One test and what it has seen: rounds in, a decision and the first failures out.
//!
//! Takes the findings of a round and feeds the test of its pattern; keeps what a report says of it. The surprising rule: a
//! single close of zero tolerance fails its test at once, whatever the counts say.

use serde::Serialize;

use super::classify::{Class, Finding, Kind};
use super::sequential::{Decision, Sequential, SettingsError, TestSettings, Trial, TrialOutcome};
use super::statistics;
use super::tally::Tally;
use crate::probe::{Observation, Round, Stage};

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
    /// A test that has seen nothing; a `strict` one fails at its first failure.
    pub(super) fn new(settings: TestSettings, strict: bool) -> Result<Self, SettingsError> {
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

    /// True when every failure is a limit of the service's own: no race was seen, and none was ruled out.
    pub(super) fn is_limited(&self) -> bool {
        let limited = self.tally.kinds.get(&Kind::LimitReached).copied().unwrap_or(0);
        limited > 0 && limited == self.tally.app_fail
    }

    /// The counts of its trials.
    pub(super) fn test(&self) -> &Sequential {
        &self.test
    }

    /// Clean trials that a pass needs where nothing fails.
    pub(super) fn least(&self) -> u32 {
        if self.strict {
            return 1;
        }
        let passes = |n: &u32| statistics::e_pass(*n, 0, self.settings.tolerated) >= self.settings.pass_at;
        (1..u32::MAX).find(passes).unwrap_or(u32::MAX)
    }

    /// True when `more` further clean rounds would not be enough for a pass.
    pub(super) fn wants(&self, more: u32) -> bool {
        if self.decision() != Decision::Undecided {
            return false;
        }
        let test = &self.test;
        let counted = test.valid().saturating_add(test.void()).saturating_add(more);
        let against = test.failing().saturating_add(test.void());
        statistics::e_pass(counted, against, self.settings.tolerated) < self.settings.pass_at
    }

    /// The next trial of its test.
    pub(super) fn push(&mut self, trial: &Trial) {
        self.test.push(trial);
    }

    /// Counts the sockets of a round.
    pub(super) fn take(&mut self, round: &Round, findings: &[Finding], zero_tolerance: &[u16]) {
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

    /// True when nothing is wrong but that answers did not come, or were not known for what they are.
    pub(super) fn only_unanswered(&self) -> bool {
        self.zero.is_none() && self.failures.iter().all(|failure| failure.finding.kind == Kind::NoAnswer)
    }

    /// A round that was not `provoked` as it should have been shows failures and no success.
    pub(super) fn add(
        &mut self,
        round: &Round,
        findings: &[Finding],
        zero_tolerance: &[u16],
        provoked: bool,
    ) {
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
        let zero = finding.code.is_some_and(|code| zero_tolerance.contains(&code)) && !finding.keepalive;
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
pub(super) fn outcome(findings: &[Finding]) -> TrialOutcome {
    let of_class = |class| findings.iter().filter(|finding| finding.class == class).count();
    if of_class(Class::AppFail) > 0 {
        return TrialOutcome::Failing;
    }
    // A race needs two: fewer past the handshake provoke nothing.
    let needed = findings.len().clamp(1, 2);
    if of_class(Class::Ok) >= needed { TrialOutcome::Clean } else { TrialOutcome::Void }
}
