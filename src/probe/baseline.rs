//! Pairs of rounds, one at the candidate and one at the revision that serves: what they may cost, and what they left behind.
//!
//! Takes the serving revision's address and the limits; gives a plan a person can read before the first socket, and the
//! record of what was done. Pure: `pairs` opens the sockets. The surprising rule: seed and number decide which side of a
//! pair comes first, since a server behind both (a database, a cache) may be warmed, or harmed, by whoever does.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::learned::Learned;
use super::observation::{Opening, Round};
use super::spec::shuffled;
use crate::config::{Limits, Pattern};

/// Openings a second at both revisions together: people are served there.
const OPENINGS_PER_SECOND: u32 = 10;
/// Pairs of one comparison. Five that only the candidate fails are enough: at a rate of one in ten they come within these
/// in 97 of 100 runs.
const PAIRS: u32 = 100;
/// How long a comparison may take, besides the time of the probing.
const TIME: Duration = Duration::from_mins(2);
/// Sockets of a round, whatever the candidate was met with: more would be more than a second's openings.
const LARGEST_ROUND: u32 = OPENINGS_PER_SECOND;
/// Sets the draw of who is first apart from all others that are made of the same seed.
const FIRST: u64 = 0x6d63_6e65_6d61_7200;

/// What a comparison may cost, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaselinePlan {
    /// Short name of the revision that serves.
    pub serving: String,
    /// Where it is reached, without the path.
    pub address: String,
    /// Why that address leads there.
    pub way: String,
    /// The most pairs.
    pub pairs: u32,
    /// The most sockets of a round.
    pub largest_round: u32,
    /// Openings a second, at both revisions together.
    pub openings_per_second: u32,
    /// How long it may take.
    pub time: Duration,
}

impl BaselinePlan {
    /// The plan within the limits of the run.
    pub fn new(serving: String, address: String, way: String, limits: &Limits) -> Self {
        Self {
            serving,
            address,
            way,
            pairs: PAIRS,
            largest_round: LARGEST_ROUND,
            openings_per_second: limits.openings_per_second.min(OPENINGS_PER_SECOND),
            time: TIME,
        }
    }

    /// One line a person can read before the first socket.
    pub fn words(&self) -> String {
        let Self { serving, way, pairs, openings_per_second, time, .. } = self;
        format!(
            "baseline: after a failure, at most {pairs} pairs of rounds with {serving} (by {way}), one after the other, \
             {openings_per_second} openings a second, {} s, until its first failure",
            time.as_secs()
        )
    }

    /// The time that belongs to so many openings.
    pub(super) fn gap(&self, sockets: u32) -> Duration {
        Duration::from_secs_f64(f64::from(sockets) / f64::from(self.openings_per_second.max(1)))
    }
}

/// A round at each of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// From 1.
    pub number: u32,
    /// The serving revision's round was first.
    pub serving_first: bool,
    /// The candidate's round.
    pub candidate: Round,
    /// The serving revision's round.
    pub serving: Round,
}

/// Why a comparison ended, or was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaselineEnd {
    /// The candidate failed in nothing that could be compared.
    NothingFailed,
    /// What it failed in cannot be repeated at a revision that serves already.
    NotRepeatable,
    /// Single sockets of the serving revision were not served.
    NotServed,
    /// The serving revision began to fail, by its log.
    ServingErrors,
    /// The serving revision failed, or the candidate is worse.
    Decided,
    /// The pairs that were allowed are used up.
    Pairs,
    /// The sockets of the run are used up.
    Sockets,
    /// The time that was allowed is used up.
    Time,
}

/// What a comparison left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// What it was allowed to cost.
    pub plan: BaselinePlan,
    /// What was compared; `None` when nothing was.
    pub pattern: Option<Pattern>,
    /// What comes unasked at the serving revision.
    pub learned: Option<Learned>,
    /// Single sockets of the serving revision, from which that was learned.
    pub singles: Vec<Round>,
    /// The pairs, in their order.
    pub pairs: Vec<Pair>,
    /// Why it ended.
    pub end: BaselineEnd,
    /// Afterwards the address still led to the serving revision, by the control plane.
    pub held: bool,
}

impl Baseline {
    /// Nothing was compared.
    pub fn none(plan: BaselinePlan, end: BaselineEnd) -> Self {
        Self { plan, pattern: None, learned: None, singles: Vec::new(), pairs: Vec::new(), end, held: true }
    }

    /// Sockets that the serving revision refused with a status of 500 or more.
    pub fn serving_errors(&self) -> u32 {
        let rounds = self.singles.iter().chain(self.pairs.iter().map(|pair| &pair.serving));
        let refused = rounds
            .flat_map(|round| &round.observations)
            .filter(|seen| matches!(seen.opening, Opening::Refused { status: 500.., .. }));
        u32::try_from(refused.count()).unwrap_or(u32::MAX)
    }
}

impl Pattern {
    /// True for one that can be met at a revision that serves: a first contact is over there once and for all, and cold
    /// starts would make instances that people pay for.
    pub(crate) fn is_comparable(self) -> bool {
        matches!(self, Self::Users | Self::SameUser | Self::FirstMessage | Self::Reconnect | Self::Stagger)
    }
}

/// Who of a pair is first.
pub(super) fn serving_is_first(seed: u64, number: u32) -> bool {
    shuffled(2, seed ^ FIRST ^ u64::from(number).rotate_left(32)).first() == Some(&1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan(openings_per_second: u32) -> BaselinePlan {
        let limits = Limits { openings_per_second, ..Limits::default() };
        BaselinePlan::new("s-1".into(), "wss://s".into(), "tag blue".into(), &limits)
    }

    #[test]
    fn never_more_than_ten_openings_a_second() {
        assert_eq!(plan(200).openings_per_second, 10);
        assert_eq!(plan(3).openings_per_second, 3);
        assert_eq!(plan(200).gap(5), Duration::from_millis(500));
        assert!(plan(200).words().contains("10 openings a second"));
    }

    proptest! {
        #[test]
        fn either_side_is_first_in_about_half_of_the_pairs(seed: u64) {
            let first = (1..=100).filter(|&number| serving_is_first(seed, number)).count();
            prop_assert!((20..=80).contains(&first), "{first} of 100");
            prop_assert_eq!(serving_is_first(seed, 7), serving_is_first(seed, 7));
        }
    }
}
