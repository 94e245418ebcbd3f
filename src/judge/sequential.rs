//! When have enough rounds been seen, and what do they decide?
//!
//! Takes the decided rounds of one stratum in the order of their start, gives after each a [`Decision`] and
//! at any time a [`Summary`]. Never decides a pass without a valid round, and knows no budget: `Undecided`
//! when the budget is spent is for the caller to call inconclusive. Push a round only when all earlier ones
//! are decided, or rounds that hang are still open when the quick ones have passed.
//! The surprising rule: a fail is final, a pass is not. After a pass the rounds still in flight have to be
//! awaited and pushed too, and a failing one may take the pass back, since otherwise the slowest rounds, the
//! likeliest to fail, would never be counted.

use super::statistics::{FAIL_COMPONENTS, FailBet, e_pass, mean_of_bets, noise_of_round};
use crate::config::RaceSettings;
use serde::{Deserialize, Serialize};

/// What one round came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrialOutcome {
    /// Valid, and no socket failed.
    Clean,
    /// Valid, and at least one socket failed by the application.
    Failing,
    /// Proved to have met the platform or our own machine and not the application.
    Void,
}

/// One decided round, in the order of its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// What it came to.
    pub outcome: TrialOutcome,
    /// How many sockets it opened; with 0 the noise rate is 0.
    pub sockets: u32,
    /// When its first socket was released, in microseconds on the run's own clock.
    pub started: u64,
    /// When its last socket was decided, in microseconds on the same clock; before `started` counts as
    /// `started`.
    pub ended: u64,
}

/// What the rounds so far decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Rounds fail less often than tolerated.
    Pass,
    /// Rounds fail more often than noise explains.
    Fail,
    /// Neither has been shown.
    Undecided,
}

/// What the test is asked to show, and how surely.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TestSettings {
    /// Rate of failing rounds that a pass must stay below, a fraction in (0, 1).
    pub tolerated: f64,
    /// Probability that a socket fails by noise alone, a fraction in (0, 1).
    pub noise: f64,
    /// Evidence for a pass, above 1: the probability of a wrong pass is at most its reciprocal.
    pub pass_at: f64,
    /// Evidence for a fail, above 1: the probability of any wrong fail over all strata is at most its
    /// reciprocal.
    pub fail_at: f64,
    /// How many strata share `fail_at`; each of them fails at `fail_at · strata`. At least 1.
    pub strata: u32,
}

impl TestSettings {
    /// The standard test for `strata` strata: tolerated 1 % of rounds, noise of 1e-4 a socket, wrong pass
    /// at most 5 % in each stratum, wrong fail at most 0.1 % over all.
    pub fn standard(strata: u32) -> Self {
        Self { tolerated: 0.01, noise: 1e-4, pass_at: 20.0, fail_at: 1000.0, strata }
    }

    /// The test that the settings of a run ask for, on `strata` strata, below a tolerated rate.
    pub(crate) fn of(race: &RaceSettings, tolerated: f64, strata: u32) -> Self {
        Self {
            tolerated,
            noise: race.noise,
            pass_at: evidence_for(race.pass_confidence),
            fail_at: evidence_for(race.fail_confidence),
            strata,
        }
    }

    /// The evidence at which this stratum fails.
    fn fail_threshold(&self) -> f64 {
        self.fail_at * f64::from(self.strata)
    }

    /// The same settings, once they are known to guarantee something.
    fn checked(self) -> Result<Self, SettingsError> {
        let inside = |rate: f64| rate > 0.0 && rate < 1.0;
        if !inside(self.tolerated) {
            return Err(SettingsError::Tolerated(self.tolerated));
        }
        if !inside(self.noise) {
            return Err(SettingsError::Noise(self.noise));
        }
        for threshold in [self.pass_at, self.fail_at] {
            if !(threshold > 1.0 && threshold < f64::from(u32::MAX)) {
                return Err(SettingsError::Threshold(threshold));
            }
        }
        if self.strata == 0 {
            return Err(SettingsError::NoStrata);
        }
        Ok(self)
    }
}

/// The evidence that gives a confidence: the reciprocal of what that leaves open (Ville's inequality), without the noise
/// of binary fractions.
pub(crate) fn evidence_for(confidence: f64) -> f64 {
    (1e6 / (1.0 - confidence)).round() / 1e6
}

/// Settings under which a decision would mean nothing. The one who wrote them is at fault.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// The tolerated rate is not inside of (0, 1).
    #[error("tolerated rate of failing rounds must lie between 0 and 1, not be {0}")]
    Tolerated(f64),
    /// The noise of a socket is not inside of (0, 1).
    #[error("noise of a socket must lie between 0 and 1, not be {0}")]
    Noise(f64),
    /// Evidence of 1 or less is none at all; evidence beyond 2^32 is never reached.
    #[error("evidence for a decision must be above 1 and below 2^32, not {0}")]
    Threshold(f64),
    /// Zero strata would divide the error by nothing.
    #[error("a test needs at least one stratum")]
    NoStrata,
}

/// The figures of a test, as they are reported.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// What the rounds so far decide.
    pub decision: Decision,
    /// After how many rounds, voids included, the decision fell; `None` while undecided.
    pub decided_at: Option<u32>,
    /// Valid rounds: clean and failing.
    pub valid: u32,
    /// Valid rounds that failed.
    pub failing: u32,
    /// Void rounds.
    pub void: u32,
    /// Failing rounds, those that overlap in time counted as one.
    pub failing_events: u32,
    /// Evidence for a pass, after all rounds; at most `f64::MAX`.
    pub e_pass: f64,
    /// Evidence for a fail, after all rounds; at most `f64::MAX`.
    pub e_fail: f64,
    /// What the test was asked.
    pub settings: TestSettings,
}

/// The sequential test of one stratum: two e-processes, checked after every round.
///
/// **Pass.** A void round counts as failing here, so that no void ever brings a pass nearer. The hypothesis
/// that a pass refutes is "each round fails with at least the tolerated rate, whatever came before".
///
/// **Fail.** The hypothesis that a fail refutes is "a valid round that starts after every earlier failing
/// round has ended fails with at most its noise rate, whatever came before". It says nothing about a round
/// that starts while an earlier failing one is open: one blip may take all of them. Such a round, if it
/// fails, belongs to the same event and multiplies the evidence by 1, being neither a trial nor a failure;
/// if it is clean it counts as a clean trial, which can only lower the evidence. So whatever the blip does,
/// no factor gains on average and the evidence remains an e-process. Three conditions carry this: whether a
/// round joins an event is known at its start, because rounds come in the order of their start; an event
/// counts with the noise rate of its first round; and a void round multiplies by 1, for which a round's noise
/// rate is to be read as its rate among valid rounds. A blip that outlives all rounds it broke is two events.
/// The price: where many rounds are always in flight and failures are frequent, all of them chain into one
/// event. Only rounds with nothing else in flight then bring a fail; without them the test stays undecided.
///
/// **Decision.** Fail at once and for good when the evidence for it reaches `fail_at · strata`, also from a
/// round that was in flight at a pass; fail wins over pass. Pass while the evidence for it is at least
/// `pass_at` and one round was valid; a failing or void round that takes it below leaves the test undecided,
/// free to go on. Both are values at the time of the check, never a past maximum, so this is stricter for a
/// pass than stopping at the first crossing, which Ville's inequality would permit.
#[derive(Debug, Clone)]
pub struct Sequential {
    settings: TestSettings,
    clean: u32,
    failing: u32,
    void: u32,
    failing_events: u32,
    /// Latest end of all failing rounds so far, in microseconds: whoever starts by then joins the event.
    event_ends: Option<u64>,
    /// Logarithm of each component of the evidence for a fail.
    ln_fail: [f64; FAIL_COMPONENTS],
    decision: Decision,
    decided_at: Option<u32>,
}

impl Sequential {
    /// A test that has seen nothing. Fails on settings under which a decision would mean nothing.
    pub fn new(settings: TestSettings) -> Result<Self, SettingsError> {
        Ok(Self {
            settings: settings.checked()?,
            clean: 0,
            failing: 0,
            void: 0,
            failing_events: 0,
            event_ends: None,
            ln_fail: [0.0; FAIL_COMPONENTS],
            decision: Decision::Undecided,
            decided_at: None,
        })
    }

    /// Counts the next round, in the order of starts, and gives the decision as it then stands.
    ///
    /// A round pushed out of order is taken as it comes; one that started before the latest end of a failing
    /// round joins its event, which can only lower the evidence for a fail.
    pub fn push(&mut self, trial: &Trial) -> Decision {
        match trial.outcome {
            TrialOutcome::Clean => self.count_clean(trial),
            TrialOutcome::Failing => self.count_failing(trial),
            TrialOutcome::Void => self.void += 1,
        }
        self.decide();
        self.decision
    }

    /// The decision over all rounds pushed so far; final as soon as nothing is in flight.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// After how many rounds, voids included, the present decision fell; `None` while undecided, also after
    /// a pass that was taken back.
    pub fn decided_at(&self) -> Option<u32> {
        self.decided_at
    }

    /// Rounds pushed, voids included.
    pub fn rounds(&self) -> u32 {
        self.valid() + self.void
    }

    /// Valid rounds: clean and failing.
    pub fn valid(&self) -> u32 {
        self.clean + self.failing
    }

    /// Valid rounds that failed, each counted.
    pub fn failing(&self) -> u32 {
        self.failing
    }

    /// Void rounds.
    pub fn void(&self) -> u32 {
        self.void
    }

    /// Failing rounds, those that overlap in time, directly or through others, counted as one.
    pub fn failing_events(&self) -> u32 {
        self.failing_events
    }

    /// Evidence for a pass, after all rounds: [`e_pass`] with the void rounds among the failing.
    pub fn e_pass(&self) -> f64 {
        e_pass(self.rounds(), self.failing + self.void, self.settings.tolerated)
    }

    /// Evidence for a fail, after all rounds. With the same number of sockets in each it is
    /// [`e_fail`](super::statistics::e_fail) of clean rounds and failing events; otherwise the product of
    /// each round's own factor, before the mean over the components is taken.
    pub fn e_fail(&self) -> f64 {
        mean_of_bets(&self.ln_fail)
    }

    /// All figures at once, for the report.
    pub fn summary(&self) -> Summary {
        Summary {
            decision: self.decision,
            decided_at: self.decided_at,
            valid: self.valid(),
            failing: self.failing,
            void: self.void,
            failing_events: self.failing_events,
            e_pass: self.e_pass(),
            e_fail: self.e_fail(),
            settings: self.settings,
        }
    }

    fn count_clean(&mut self, trial: &Trial) {
        self.clean += 1;
        let bet = self.bet_on(trial);
        self.multiply_fail(&bet.ln_clean);
    }

    fn count_failing(&mut self, trial: &Trial) {
        self.failing += 1;
        let joins = self.event_ends.is_some_and(|ends| trial.started <= ends);
        if !joins {
            self.failing_events += 1;
            let bet = self.bet_on(trial);
            self.multiply_fail(&bet.ln_failing);
        }
        let ends = trial.ended.max(trial.started);
        self.event_ends = Some(self.event_ends.map_or(ends, |latest| latest.max(ends)));
    }

    fn bet_on(&self, trial: &Trial) -> FailBet {
        FailBet::against(noise_of_round(trial.sockets, self.settings.noise))
    }

    fn multiply_fail(&mut self, ln_factors: &[f64; FAIL_COMPONENTS]) {
        for (total, factor) in self.ln_fail.iter_mut().zip(ln_factors) {
            *total += factor;
        }
    }

    fn decide(&mut self) {
        let next = if self.decision == Decision::Fail || self.e_fail() >= self.settings.fail_threshold() {
            Decision::Fail
        } else if self.valid() > 0 && self.e_pass() >= self.settings.pass_at {
            Decision::Pass
        } else {
            Decision::Undecided
        };
        if next != self.decision {
            self.decided_at = (next != Decision::Undecided).then(|| self.rounds());
            self.decision = next;
        }
    }
}

#[cfg(test)]
mod tests;
