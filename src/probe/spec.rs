//! One round before it is run: whose sockets, and how they are let go.
//!
//! Takes the plan, a stage and a number; gives users and delays. Pure. The surprising rule: everything here depends on
//! seed, stage and number alone, so that `--seed` and `--round` repeat exactly what was done.

use std::time::Duration;

use super::observation::{Company, Stage};
use super::plan::{Place, Plan};

/// The delays of a pair, in turn.
const DELAYS: [Duration; 12] = [
    Duration::ZERO,
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(200),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
];
/// One round, before it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundSpec {
    /// What it is for.
    pub stage: Stage,
    /// Its number inside its stage, from 1.
    pub number: u32,
    /// What else is under way.
    pub company: Company,
    /// Its sockets.
    pub sockets: Vec<SocketSpec>,
}

/// One socket, before it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketSpec {
    /// Number of the socket in this run, from 1.
    pub number: u32,
    /// Index of its user; `None` where sockets carry no identity.
    pub user: Option<usize>,
    /// A text that no other socket of any run has.
    pub nonce: String,
}

impl Plan {
    /// The users of a round's sockets: the same for the same seed, stage and number. Every user has his turn before any
    /// has it again, so that one who still holds sockets is seldom asked for more; each cycle is shuffled anew, so that
    /// other users meet.
    pub(super) fn users_of_round(&self, stage: Stage, number: u32, sockets: u32) -> Vec<Option<usize>> {
        let users = self.users as usize;
        if users == 0 {
            return vec![None; sockets as usize];
        }
        if stage == Stage::Cold && self.place == Place::Remote {
            // They are all held together: nobody has more of them than his share.
            let order = shuffled(users, mix(self.seed, stage, 0));
            let first = number.saturating_sub(1).saturating_mul(sockets) as usize;
            return (first..).take(sockets as usize).map(|at| order.get(at % users).copied()).collect();
        }
        let one =
            matches!(stage, Stage::SameUser | Stage::FrozenSameUser | Stage::Reconnect | Stage::Stagger);
        let distinct = if one { 1 } else { sockets.max(1) };
        let rounds_of_cycle = (self.users / distinct).max(1);
        let turn = number.saturating_sub(1);
        let order = shuffled(users, mix(self.seed, stage, turn / rounds_of_cycle));
        let first = (turn % rounds_of_cycle * distinct) as usize;
        (0..sockets as usize)
            .map(|index| order.get((first + if one { 0 } else { index }) % users).copied())
            .collect()
    }

    /// The number of a stage's first round: `--round` repeats a single one.
    pub(super) fn first_number(&self, stage: Stage) -> u32 {
        let repeated = stage.pattern().and(self.race.round);
        repeated.filter(|_| stage != Stage::FirstContact).unwrap_or(1)
    }

    /// True while `--rounds` and `--round` allow another round of a stage.
    pub(super) fn allows(&self, stage: Stage, started: u32) -> bool {
        match (stage, self.race.round, self.race.rounds) {
            (Stage::Held, ..) | (_, None, None) => true,
            (_, Some(_), _) => started < 1,
            (_, None, Some(most)) => started < most,
        }
    }
}

impl RoundSpec {
    /// The round of a stage with this number, of so many sockets: their numbers follow on `before`, those of the run so far,
    /// and `run` is a text that no other run has.
    pub(super) fn new(
        plan: &Plan,
        (stage, number, company): (Stage, u32, Company),
        count: u32,
        before: u32,
        run: &str,
    ) -> Self {
        let users = plan.users_of_round(stage, number, count);
        let sockets = (before + 1..).zip(users).map(|(number, user)| SocketSpec {
            number,
            user,
            nonce: format!("{run}-{number}"),
        });
        Self { stage, number, company, sockets: sockets.collect() }
    }
}

/// A number that depends on seed, stage and cycle alone.
fn mix(seed: u64, stage: Stage, cycle: u32) -> u64 {
    splitmix(seed ^ (u64::from(cycle) << 8) ^ stage as u64)
}

/// One step of splitmix64 (Steele, Lea, Flood, OOPSLA 2014): our own, since a record must repeat with any version of
/// any library.
fn splitmix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The numbers below `length` in an order that `seed` alone decides (Fisher and Yates).
pub(crate) fn shuffled(length: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..length).collect();
    let mut state = seed;
    for last in (1..length).rev() {
        state = splitmix(state);
        let bound = last as u64 + 1;
        order.swap(last, usize::try_from(state % bound).unwrap_or(last));
    }
    order
}

/// How the sockets of a round are let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// All together.
    Together,
    /// The second so long after the first.
    Apart(Duration),
    /// The second at the instant at which the first, served, is dropped without a word.
    Reconnect,
}

impl RoundSpec {
    /// How its sockets are let go.
    pub(super) fn start(&self) -> Start {
        match self.stage {
            Stage::Reconnect => Start::Reconnect,
            Stage::Stagger => {
                let turn = (self.number.saturating_sub(1) as usize) % DELAYS.len();
                Start::Apart(DELAYS[turn])
            }
            _ => Start::Together,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FileConfig, Lookup, Purpose, Typed, merge};
    use crate::probe::Capacity;

    fn plan(yaml: &str, seed: u64) -> Plan {
        let file = FileConfig::parse("t", yaml.as_bytes()).unwrap();
        let merged = merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Rehearsal).unwrap();
        Plan::new(&merged.settings, Capacity::default(), seed)
    }

    #[test]
    fn a_seed_repeats_who_meets_and_everybody_has_a_turn() {
        let yaml = "path: /{{user}}\nusers: [a, b, c, d, e, f, g]\nsend: x\n";
        let rounds = |seed| -> Vec<_> {
            (1..=30).map(|number| plan(yaml, seed).users_of_round(Stage::Users, number, 3)).collect()
        };
        assert_eq!(rounds(7), rounds(7));
        assert_ne!(rounds(7), rounds(8));
        for round in rounds(7) {
            let mut users = round.clone();
            users.sort_unstable();
            users.dedup();
            assert_eq!(users.len(), 3, "distinct users: {round:?}");
        }
        for cycle in rounds(7).chunks(2) {
            assert!(
                cycle[0].iter().all(|user| !cycle[1].contains(user)),
                "again before the others: {cycle:?}"
            );
        }
        let pair = plan(yaml, 7).users_of_round(Stage::SameUser, 4, 2);
        assert_eq!(pair[0], pair[1]);
    }

    #[test]
    fn few_users_share_a_burst_and_none_is_asked_for() {
        let plan = plan("path: /{{user}}\nusers: [a, b]\nsend: x\n", 7);
        assert_eq!(plan.users_of_round(Stage::FirstContact, 1, 8).iter().flatten().count(), 8);
        let anonymous = self::plan("send: x\n", 7);
        assert_eq!(anonymous.users_of_round(Stage::Users, 1, 2), [None, None]);
    }

    #[test]
    fn delays_repeat_on_a_grid() {
        let spec =
            |number| RoundSpec { stage: Stage::Stagger, number, company: Company::Quiet, sockets: vec![] };
        assert_eq!(spec(1).start(), Start::Apart(Duration::ZERO));
        assert_eq!(spec(12).start(), Start::Apart(Duration::from_millis(100)));
        assert_eq!(spec(14).start(), spec(2).start());
    }
}
