//! Rounds on their way through the tests: the same code during a run and from a record.
//!
//! Takes rounds in the order of their starts, classifies their sockets and feeds two kinds of test: one for each
//! pattern, on rounds, and one for `serves`, on single sockets. It decides nothing beyond those tests. The surprising
//! rule: once one test has failed, only what helps to say what kind of failure it is goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bench::{Bench, outcome};
use super::classify::{Class, Finding, Rules};
use super::cold::ColdStarts;
use super::evidence::LogProof;
use super::label::{CONTROLS, Labelling, count};
use super::seen::classify;
use super::sequential::{Decision, SettingsError, TestSettings, TrialOutcome};
use super::tally::Tally;
use crate::config::Pattern;
use crate::probe::{Freeze, Learned, Place, Plan, Round, Stage, Stratum};

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
    closes: Vec<u16>,
    zero_tolerance: Vec<u16>,
    /// A failure that the serving revision shows as well may be excused.
    excuses: bool,
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
        let of = |tolerated| TestSettings::of(&plan.race, tolerated, strata);
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
            closes: plan.closes.clone(),
            zero_tolerance: plan.race.zero_tolerance.clone(),
            excuses: plan.race.baseline.excuses() && plan.place == Place::Remote,
        })
    }

    /// The same, with what the log says of instances.
    pub(super) fn with_log(mut self, log: Option<&LogProof>) -> Self {
        self.cold = self.cold.map(|_| ColdStarts::new(log));
        self
    }

    /// Takes in one round.
    pub(super) fn add(&mut self, round: &Round, learned: Option<&Learned>) {
        if !round.stage.is_judged() {
            // Nothing was said to it, so that it owes nothing; but its instance was met.
            self.cold.iter_mut().for_each(|cold| cold.note(round));
            return;
        }
        let rules = Rules {
            declared: self.declared,
            learned,
            closes: &self.closes,
            platform_counts: self.platform_counts,
        };
        let findings: Vec<Finding> = round.observations.iter().map(|o| classify(o, &rules)).collect();
        for finding in &findings {
            self.tally.add(finding);
        }
        self.label(round.stage, &findings);
        self.test(round, &findings);
        self.begin_label(&findings);
    }

    /// Takes in one round's findings where they belong.
    fn test(&mut self, round: &Round, findings: &[Finding]) {
        self.unstoppable |= round.frozen.is_some_and(Freeze::misses_the_server);
        let frozen = !self.unstoppable && round.frozen.is_none_or(Freeze::holds);
        let zero = &self.zero_tolerance;
        if let Some(cold) = self.cold.as_mut().filter(|_| round.stage != Stage::Cold) {
            cold.note(round);
        }
        match round.stage {
            Stage::Cold if self.cold.is_some() => {
                let bench = self.patterns.get_mut(&Pattern::Cold);
                if let (Some(cold), Some(bench)) = (&mut self.cold, bench) {
                    bench.take(round, findings, zero);
                    for trial in cold.trials(round, findings) {
                        bench.push(&trial);
                    }
                }
            }
            Stage::Learning | Stage::Held | Stage::Control => {
                if round.stage == Stage::Held {
                    self.held += count(findings.len());
                    self.held_ok += findings.iter().map(|f| u32::from(f.class == Class::Ok)).sum::<u32>();
                }
                if let Some(bench) = &mut self.serves {
                    bench.add(round, findings, zero, true);
                }
            }
            stage => {
                if let Some(bench) = stage.pattern().and_then(|pattern| self.patterns.get_mut(&pattern)) {
                    // A burst of which one socket was there in time has nobody to race with.
                    let crowd = round.late.is_none() || findings.len() > 1;
                    let provoked = if stage == Stage::Cold { crowd } else { frozen };
                    bench.add(round, findings, zero, provoked);
                }
            }
        }
    }

    /// Where a test has failed by a round with these findings, it is asked from now on what kind of failure that is.
    fn begin_label(&mut self, findings: &[Finding]) {
        if self.labelling.is_none() {
            let users = self.strata.iter().find(|stratum| stratum.pattern == Pattern::Users).copied();
            let failing = findings.iter().filter(|finding| finding.class == Class::AppFail).count();
            let burst = (count(failing), count(findings.len()));
            self.labelling = self.compared().map(|failed| Labelling::new(failed, burst, users, self.seed));
        }
    }

    /// After a failure everything that comes helps to say what kind of failure it is.
    fn label(&mut self, stage: Stage, findings: &[Finding]) {
        let Some(labelling) = &mut self.labelling else { return };
        let trial = outcome(findings);
        match stage {
            _ if trial == TrialOutcome::Void => {}
            Stage::Control | Stage::Learning | Stage::Held => {
                labelling.control(trial == TrialOutcome::Failing);
            }
            stage if labelling.compares(stage.pattern()) => {
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
        let failed = self.failed(None).map(|(pattern, _)| pattern);
        let failed = self.strata.iter().find(|s| Some(s.pattern) == failed);
        let several = self.strata.iter().filter(|s| s.sockets > 1 && s.pattern != Pattern::FirstContact);
        failed.or_else(|| several.max_by_key(|s| s.sockets)).copied()
    }

    /// The failed pattern that a report names: one that shows more than a limit of the service's own, where there is one.
    pub(super) fn failed(&self, excused: Option<Pattern>) -> Option<(Pattern, &Bench)> {
        let failed = || {
            let judged = self.patterns.iter().filter(|(pattern, _)| Some(**pattern) != excused);
            judged.filter(|(_, bench)| bench.decision() == Decision::Fail)
        };
        let found = failed().find(|(_, bench)| !bench.is_limited()).or_else(|| failed().next());
        found.map(|(pattern, bench)| (*pattern, bench))
    }

    /// True when another round of this stage would tell something while `in_flight` are under way.
    pub(super) fn wants(&self, stage: Stage, in_flight: u32) -> bool {
        if self.has_failed() {
            let for_label = self.wants_for_label(stage, in_flight);
            if for_label || self.is_lost() {
                return for_label;
            }
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

    /// True when another round of this stage would help to say what kind of failure was seen.
    fn wants_for_label(&self, stage: Stage, in_flight: u32) -> bool {
        let Some(labelling) = &self.labelling else {
            // There is nothing to compare single sockets with: they only say how often one fails.
            let singles =
                self.serves.as_ref().map_or(0, |serves| serves.test().valid() + serves.test().void());
            return stage == Stage::Control && singles.saturating_add(in_flight) < CONTROLS;
        };
        match stage {
            Stage::Control => labelling.wants_control(in_flight),
            other => other.pattern().is_some_and(|p| labelling.wants_round(p, in_flight)),
        }
    }

    /// The pattern to compare with the serving revision: the failed one that a report names, else the one with most
    /// failures that is undecided.
    pub(super) fn in_question(&self) -> Option<Pattern> {
        let patterns = || self.patterns.iter().filter(|(_, bench)| !bench.is_limited());
        let failed = patterns().find(|(_, bench)| bench.decision() == Decision::Fail);
        let open = patterns()
            .filter(|(_, bench)| bench.decision() == Decision::Undecided && bench.test().failing() > 0);
        failed.or_else(|| open.max_by_key(|(_, bench)| bench.test().failing())).map(|(pattern, _)| *pattern)
    }

    fn benches(&self) -> impl Iterator<Item = &Bench> {
        self.patterns.values().chain(self.serves.as_ref())
    }

    /// How much longer rounds would have to go on that went on for `spent`, if none fails and none is void: as much as the
    /// pattern needs that is the furthest behind. `None` where too few were seen to tell, since the first ones are slower
    /// than those that follow; and where some failed or were void. Cold starts have a time of their own.
    pub(super) fn time_missing(&self, spent: Duration) -> Option<Duration> {
        let patterns = self.patterns.iter().filter(|(pattern, _)| **pattern != Pattern::Cold);
        let benches = patterns.map(|(_, bench)| bench).chain(self.serves.as_ref());
        let open = benches.filter(|bench| bench.decision() == Decision::Undecided);
        let behind = |bench: &Bench| {
            let (clean, least) = (f64::from(bench.test().valid()), f64::from(bench.least()));
            let tells = bench.test().failing() == 0 && bench.test().void() == 0 && clean * 10.0 >= least;
            tells.then(|| (least - clean) / clean)
        };
        let behind: Option<Vec<f64>> = open.map(behind).collect();
        behind?.into_iter().reduce(f64::max).map(|times| spent.mul_f64(times.max(0.0)))
    }

    /// True when all tests have passed.
    pub(super) fn has_passed(&self) -> bool {
        let is_over = |bench: &Bench| {
            bench.decision() == Decision::Pass || (self.excuses && bench.decision() == Decision::Fail)
        };
        self.held_ok >= self.held_due && self.benches().all(is_over) && !self.is_lost()
    }

    /// True when one test has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.benches().any(|bench| bench.decision() == Decision::Fail)
    }

    /// True when nothing that follows could approve any more. One failed pattern may still be excused, where that is
    /// allowed; the comparison ends at the serving revision's first failure, so that a second one cannot.
    pub(super) fn is_lost(&self) -> bool {
        let failed = |bench: &Bench| bench.decision() == Decision::Fail;
        if !self.excuses {
            return self.has_failed();
        }
        let patterns = self.patterns.iter().filter(|(_, bench)| failed(bench));
        let patterns: Vec<Pattern> = patterns.map(|(pattern, _)| *pattern).collect();
        let excusable = patterns.len() <= 1 && patterns.iter().all(|pattern| pattern.is_comparable());
        self.serves.as_ref().is_some_and(failed) || !excusable
    }

    /// True when only a log could still tell how instances started.
    pub(super) fn needs_log(&self) -> bool {
        let open = |bench: &Bench| bench.decision() == Decision::Undecided;
        self.cold.is_some() && self.patterns.get(&Pattern::Cold).is_some_and(open)
    }

    /// True when something has failed at least once.
    pub(super) fn has_failures(&self) -> bool {
        self.benches().any(|bench| bench.test().failing() > 0)
    }
}

#[cfg(test)]
mod tests;
