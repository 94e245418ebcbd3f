//! From checks to one verdict: worst wins.
//!
//! Takes evidence and gives the judgement. The empty set is inconclusive, and so is everything that did not show
//! `serves` and one of `race` and `agent`: no evidence is never approval.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::check::{Check, Outcome};
use super::checks;
use super::evidence::{Evidence, Probing};
use super::race::Tests;
use super::sequential::SettingsError;
use super::tally::Tally;
use crate::config::CheckName;

/// What is said of a revision. Ordered: the worst wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything that was asked holds, on enough evidence.
    Approved,
    /// It could not be found out.
    Inconclusive,
    /// A check failed.
    Blocked,
}

impl Verdict {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Inconclusive => "inconclusive",
            Self::Blocked => "blocked",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Checks and verdict of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// All checks that revgate knows, in the order of a report.
    pub checks: Vec<Check>,
    /// Counts of all sockets at the address.
    pub tally: Tally,
    /// Counts of all sockets at a process of our own; `None` where there is none.
    pub local_tally: Option<Tally>,
}

/// Judges a run. An error means that the evidence's settings guarantee nothing (an edited record).
pub fn judge(evidence: &Evidence) -> Result<Judgement, SettingsError> {
    let counted = evidence.counted();
    let evidence = counted.as_ref();
    let remote = tested(evidence.probing.as_ref(), evidence.target.behind_front_end)?;
    let local = tested(evidence.local.as_ref().and_then(|local| local.probing.as_ref()), false)?;
    let check = |name| checks::check(name, evidence, remote.as_ref(), local.as_ref());
    let checks: Vec<Check> = CheckName::ALL.into_iter().map(check).collect();
    let tally = remote.map(|tests| tests.tally).unwrap_or_default();
    let local_tally = local.map(|tests| tests.tally);
    let cut = evidence.interrupted.is_some() || evidence.tag_loss.is_some();
    let shows_nothing = evidence.dry_run || cut;
    Ok(Judgement { verdict: verdict(&checks, shows_nothing), checks, tally, local_tally })
}

/// The tests that a recorded campaign went through.
pub(super) fn tested(
    probing: Option<&Probing>,
    behind_front_end: bool,
) -> Result<Option<Tests>, SettingsError> {
    let Some(probing) = probing else { return Ok(None) };
    let log = probing.cold.as_ref().and_then(|cold| cold.log.as_ref());
    let mut tests = Tests::new(&probing.plan, behind_front_end)?.with_log(log);
    for round in &probing.rounds {
        tests.add(round, probing.learned.as_ref());
    }
    Ok(Some(tests))
}

/// Worst wins; without `serves` and one of `race` and `agent` there is no approval, and neither is there of a run that shows
/// nothing: a dry one, one that a signal ended, and one whose tag was lost.
fn verdict(checks: &[Check], shows_nothing: bool) -> Verdict {
    let passed = |name| checks.iter().any(|c| c.name == name && c.outcome == Outcome::Pass);
    let shown = passed(CheckName::Serves) && (passed(CheckName::Race) || passed(CheckName::Agent));
    let least = if shown && !shows_nothing { Verdict::Approved } else { Verdict::Inconclusive };
    checks
        .iter()
        .map(|check| match check.outcome {
            Outcome::Pass | Outcome::Skipped | Outcome::NotAsked => Verdict::Approved,
            Outcome::Inconclusive => Verdict::Inconclusive,
            Outcome::Fail => Verdict::Blocked,
        })
        .fold(least, Verdict::max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outcomes() -> impl Strategy<Value = Vec<Check>> {
        let outcome = prop_oneof![
            Just(Outcome::Pass),
            Just(Outcome::Fail),
            Just(Outcome::Inconclusive),
            Just(Outcome::Skipped),
            Just(Outcome::NotAsked)
        ];
        proptest::collection::vec(outcome, 0..CheckName::ALL.len()).prop_map(|outcomes| {
            CheckName::ALL
                .into_iter()
                .zip(outcomes)
                .map(|(name, outcome)| Check::bare(name, outcome, ""))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn approval_needs_serves_and_a_race_and_no_worse_check(checks in outcomes(), shows_nothing: bool) {
            let of = |name| checks.iter().find(|c| c.name == name).map(|c| c.outcome);
            let verdict = verdict(&checks, shows_nothing);
            if checks.iter().any(|c| c.outcome == Outcome::Fail) {
                prop_assert_eq!(verdict, Verdict::Blocked);
            } else if checks.iter().any(|c| c.outcome == Outcome::Inconclusive) || shows_nothing {
                prop_assert_eq!(verdict, Verdict::Inconclusive);
            }
            if verdict == Verdict::Approved {
                prop_assert_eq!(of(CheckName::Serves), Some(Outcome::Pass));
                prop_assert!([CheckName::Race, CheckName::Agent].into_iter().any(|n| of(n) == Some(Outcome::Pass)));
            }
        }
    }

    #[test]
    fn the_empty_set_is_inconclusive() {
        assert_eq!(verdict(&[], false), Verdict::Inconclusive);
    }
}
