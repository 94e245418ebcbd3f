//! Which round is next, and in whose company?
//!
//! Takes how many rounds of each stage were started and what is still wanted; gives one of them. Pure. Company depends on
//! a round's number, so that `--round` repeats it. The surprising rule: rounds with nothing else open come first, then those with nothing else opening, then lanes: some races re-arm
//! only when the last socket has left, and failures that overlap count as one event and tell little.

use super::observation::{Company, Stage};
use super::plan::{Place, Plan};

/// Once something has failed, one round in so many runs alone.
const WARY_ALONE: u32 = 3;

/// What the schedule asks about a stage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// The stage.
    pub(super) stage: Stage,
    /// How many of its rounds were started.
    pub(super) started: u32,
    /// The number of its next round: by it, and not by what was started, a repeated round has the company that it had.
    pub(super) number: u32,
}

/// The circumstances of a choice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mood {
    /// Something has failed: overlapping failures must be told apart from here on.
    pub(super) wary: bool,
    /// The path is so short that lanes would only disturb each other.
    pub(super) near: bool,
    /// Quiet rounds have had their share of the time: a server that takes its time to answer is waited for in lanes.
    pub(super) late: bool,
}

/// The next round among `wanted`. Held singles go one behind the other, so that one wait for their end is enough;
/// of the others, the one with the fewest rounds.
pub(super) fn next(plan: &Plan, wanted: &[Candidate], mood: Mood) -> Option<(Stage, Company)> {
    wanted
        .iter()
        .map(|candidate| (company(plan, *candidate, mood), candidate))
        .min_by_key(|(company, c)| (*company, if c.stage == Stage::Held { 0 } else { c.started }))
        .map(|(company, candidate)| (candidate.stage, company))
}

fn company(plan: &Plan, candidate: Candidate, mood: Mood) -> Company {
    let Candidate { stage, number, .. } = candidate;
    let turn = number.saturating_sub(1);
    let alone = match stage {
        // A single socket that nothing else opens beside is one, whoever is still held.
        Stage::Control => false,
        Stage::Held => turn >= plan.held,
        _ => turn < plan.alone_rounds || (mood.wary && turn.is_multiple_of(WARY_ALONE)),
    };
    if alone {
        return Company::Alone;
    }
    let single = matches!(stage, Stage::Control | Stage::Held);
    let quiet = single || mood.near || turn < plan.quiet_rounds;
    // A process of our own is stopped for each round: with two under way, the end of one would wake the server of the other.
    let follows = mood.wary || plan.place == Place::Local;
    if follows || (quiet && !mood.late) { Company::Quiet } else { Company::Lanes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FileConfig, Lookup, Purpose, Typed, merge};
    use crate::probe::Capacity;

    fn plan() -> Plan {
        plan_of("send: ping\nusers: [a, b, c]\n")
    }

    fn plan_of(yaml: &str) -> Plan {
        let file = FileConfig::parse("t", yaml.as_bytes()).unwrap();
        let merged = merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Rehearsal).unwrap();
        Plan::new(&merged.settings, Capacity::default(), 1)
    }

    fn sequence(mood: Mood, stages: &[Stage], rounds: usize) -> Vec<(Stage, Company)> {
        let plan = plan();
        let mut wanted: Vec<Candidate> =
            stages.iter().map(|&stage| Candidate { stage, started: 0, number: 1 }).collect();
        (0..rounds)
            .map(|_| {
                let (stage, company) = next(&plan, &wanted, mood).unwrap();
                let next = wanted.iter_mut().find(|c| c.stage == stage).unwrap();
                (next.started, next.number) = (next.started + 1, next.number + 1);
                (stage, company)
            })
            .collect()
    }

    #[test]
    fn alone_then_quiet_then_lanes() {
        let mood = Mood { wary: false, near: false, late: false };
        let rounds = sequence(mood, &[Stage::Control, Stage::Users, Stage::SameUser], 1200);
        assert!(rounds.iter().map(|(_, company)| *company).is_sorted());
        let of = |stage, company| rounds.iter().filter(|r| **r == (stage, company)).count();
        assert_eq!(of(Stage::Users, Company::Alone), 5);
        assert_eq!(of(Stage::Users, Company::Quiet), plan().quiet_rounds as usize - 5);
        assert_eq!(of(Stage::Control, Company::Lanes), 0, "forty lanes of one socket are not one socket");
    }

    #[test]
    fn a_repeated_round_has_the_company_that_it_had() {
        let mood = Mood { wary: false, near: true, late: false };
        let stages = [Stage::FrozenUsers, Stage::FrozenSameUser];
        for (stage, number) in stages.into_iter().flat_map(|stage| (1..=120).map(move |n| (stage, n))) {
            let company = |started| {
                let candidate = Candidate { stage, started, number };
                next(&plan(), &[candidate], mood).unwrap().1
            };
            assert_eq!(company(0), company(number - 1), "{stage:?} {number}");
            assert_eq!(company(0) == Company::Alone, number <= plan().alone_rounds, "{stage:?} {number}");
        }
    }

    #[test]
    fn a_third_of_the_rounds_is_quiet() {
        assert_eq!(plan_of("send: x\n").quiet_rounds, 108);
        assert_eq!(plan_of("send: x\nrace: {rounds: 9}\n").quiet_rounds, 3);
    }

    #[test]
    fn a_slow_server_is_waited_for_in_lanes() {
        let mood = Mood { wary: false, near: true, late: true };
        let rounds = sequence(mood, &[Stage::Control, Stage::Users, Stage::SameUser], 100);
        let alone = rounds.iter().filter(|(_, company)| *company == Company::Alone).count();
        assert_eq!(alone, 10, "five of each pattern");
        assert!(rounds.iter().all(|(_, company)| *company != Company::Quiet));
    }

    #[test]
    fn a_server_that_is_stopped_is_stopped_for_one_round_at_a_time() {
        let plan = Plan { alone_rounds: 0, place: Place::Local, ..plan() };
        let number = plan.quiet_rounds + 1;
        for stage in [Stage::FrozenUsers, Stage::FrozenSameUser, Stage::Control] {
            for (near, late) in [(false, false), (false, true), (true, false), (true, true)] {
                let mood = Mood { wary: false, near, late };
                let next = next(&plan, &[Candidate { stage, started: number - 1, number }], mood);
                assert_eq!(next, Some((stage, Company::Quiet)), "{mood:?}");
            }
        }
    }

    #[test]
    fn near_or_wary_there_are_no_lanes() {
        for (wary, near) in [(true, false), (false, true), (true, true)] {
            let rounds = sequence(Mood { wary, near, late: false }, &[Stage::Users, Stage::SameUser], 900);
            assert!(rounds.iter().all(|(_, company)| *company != Company::Lanes));
        }
        let wary = sequence(Mood { wary: true, near: false, late: true }, &[Stage::Users], 300);
        let alone = wary.iter().filter(|(_, company)| *company == Company::Alone).count();
        assert!(alone >= 100, "one in three: {alone}");
    }
}
