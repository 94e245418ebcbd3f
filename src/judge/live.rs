//! The judge while a campaign runs: when has enough been seen?
//!
//! Takes rounds as they are decided and answers the prober's questions. Its tests are the very ones that judge a
//! record. It keeps no verdict: that is made from the evidence, afterwards. The surprising rule: once one test has failed,
//! only what helps to label the failure is wanted, since nothing that follows could approve the revision any more; but for
//! a failure that a policy may still excuse.

use super::race::Tests;
use super::sequential::SettingsError;
use crate::probe::{Learned, Plan, Round, Stage, Steering};

/// How far a campaign is, for whoever shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The stage of the round that was just decided.
    pub stage: Stage,
    /// Its number.
    pub number: u32,
    /// Sockets so far.
    pub sockets: u32,
    /// Sockets failed by the application so far.
    pub failed: u32,
    /// Sockets that never reached the application so far.
    pub infra: u32,
}

/// The judge of a running campaign.
#[derive(Debug)]
pub struct LiveJudge<F> {
    tests: Tests,
    learned: Option<Learned>,
    report: F,
}

impl<F: FnMut(Progress)> LiveJudge<F> {
    /// A judge for `plan`; `report` hears of every decided round.
    pub fn new(plan: &Plan, platform_counts: bool, report: F) -> Result<Self, SettingsError> {
        Ok(Self { tests: Tests::new(plan, platform_counts)?, learned: None, report })
    }
}

impl<F> LiveJudge<F> {
    /// True when only a log could still tell how instances started.
    pub fn needs_log(&self) -> bool {
        self.tests.needs_log()
    }
}

impl<F: FnMut(Progress)> Steering for LiveJudge<F> {
    fn learned(&mut self, learned: Option<&Learned>) {
        self.learned = learned.cloned();
    }

    fn record(&mut self, round: &Round) {
        self.tests.add(round, self.learned.as_ref());
        let tally = &self.tests.tally;
        (self.report)(Progress {
            stage: round.stage,
            number: round.number,
            sockets: tally.attempted,
            failed: tally.app_fail,
            infra: tally.infra,
        });
    }

    fn wants(&self, stage: Stage, in_flight: u32) -> bool {
        self.tests.wants(stage, in_flight)
    }

    fn prefers_quiet(&self) -> bool {
        self.tests.has_failures()
    }

    fn has_failed(&self) -> bool {
        self.tests.is_lost()
    }

    fn has_passed(&self) -> bool {
        self.tests.has_passed()
    }
}
