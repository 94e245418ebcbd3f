//! A race, or a server that fails now and then whoever comes?
//!
//! Takes what came after a test had failed: single sockets, and rounds of the pattern that failed. Gives a label with
//! its numbers. It never changes an outcome: all labels block. The surprising rule: no failure that ended a
//! test counts, since a run that stops at its first failure has seen failures more often than they come.

use serde::Serialize;

use super::statistics::fisher_exact_greater;
use crate::config::Pattern;
use crate::probe::{Stratum, shuffled};

/// Single sockets that are worth opening for a label.
pub(super) const CONTROLS: u32 = 200;
/// Single sockets after a failed cold start, which is not repeated.
const CONTROLS_AFTER_COLD: u32 = 20;
/// Rounds that are worth running for a label.
const ROUNDS: u32 = 50;
/// Rounds from which a race can be told, as soon as there are as many sockets to compare with.
const FAIR_ROUNDS: u32 = 20;
/// Single sockets from which a race can be told.
const FAIR_CONTROLS: usize = 60;
/// Fisher's exact test calls it a race below this (one-sided).
const SIGNIFICANT: f64 = 0.01;
/// It is called one before all that is worth seeing was seen only below this: asked again after each socket, it would
/// otherwise call a flaky server racy in one run of forty, and not in the one of a hundred that it promises.
const SIGNIFICANT_EARLY: f64 = 0.001;
/// Of fewer single sockets than are fair, rounds fail no more often than these explain where it is not even below this.
const EXPLAINED: f64 = 0.05;

/// What the failures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Label {
    /// Rounds fail more often than as many single sockets do.
    Race,
    /// Single sockets fail as well, and rounds no more often than these explain.
    Flaky,
    /// Too little was seen to tell.
    Unlabelled,
}

/// What was seen after a test had failed.
#[derive(Debug, Clone)]
pub(super) struct Labelling {
    /// The pattern that failed.
    pub(super) pattern: Pattern,
    /// The pattern whose rounds are compared with single sockets; `None` where none can be repeated.
    repeated: Option<Pattern>,
    /// Sockets of one of its rounds.
    sockets: u32,
    /// How many sockets failed in the round that made the test fail, and of how many.
    burst: (u32, u32),
    /// Whether each single socket failed, in their order.
    controls: Vec<bool>,
    rounds: u32,
    failing: u32,
    seed: u64,
}

/// A label and the numbers behind it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Labelled {
    pub(super) label: Label,
    pub(super) pattern: Pattern,
    /// The pattern whose rounds were compared.
    pub(super) repeated: Option<Pattern>,
    pub(super) rounds: u32,
    pub(super) failing_rounds: u32,
    pub(super) single_sockets: u32,
    pub(super) failing_single_sockets: u32,
    /// That rounds fail no more often than single sockets explain (Fisher's exact test, one-sided).
    pub(super) p: f64,
    /// More sockets of a first contact failed than those that were served afterwards, every one, explain.
    pub(super) only_then: bool,
}

impl Labelling {
    /// Nothing was seen yet since `failed`, in whose last round `burst` sockets failed (how many, of how many). A first
    /// contact is over once and for all, so that rounds of `users`, the like of it, stand in for it where there are any.
    pub(super) fn new(failed: Stratum, burst: (u32, u32), users: Option<Stratum>, seed: u64) -> Self {
        let repeated = match failed.pattern {
            Pattern::FirstContact => users,
            Pattern::Cold => None,
            _ => Some(failed),
        };
        let sockets = repeated.unwrap_or(failed).sockets;
        let repeated = repeated.map(|stratum| stratum.pattern);
        let pattern = failed.pattern;
        Self { pattern, repeated, sockets, burst, controls: Vec::new(), rounds: 0, failing: 0, seed }
    }

    /// True for a round of the pattern that is compared.
    pub(super) fn compares(&self, pattern: Option<Pattern>) -> bool {
        pattern.is_some() && pattern == self.repeated
    }

    /// Takes in a single socket.
    pub(super) fn control(&mut self, failed: bool) {
        self.controls.push(failed);
    }

    /// Takes in a round of the pattern.
    pub(super) fn round(&mut self, failed: bool) {
        self.rounds += 1;
        self.failing += u32::from(failed);
    }

    /// True when another single socket would help while `in_flight` are under way.
    pub(super) fn wants_control(&self, in_flight: u32) -> bool {
        let most = if self.pattern == Pattern::Cold { CONTROLS_AFTER_COLD } else { CONTROLS };
        count(self.controls.len()).saturating_add(in_flight) < most && !self.is_told()
    }

    /// True when another round of `pattern` would help while `in_flight` are under way.
    pub(super) fn wants_round(&self, pattern: Pattern, in_flight: u32) -> bool {
        // Beyond a fair number single sockets tell more: rounds of a broken pattern may take seconds each.
        let most = if self.controls.len() < FAIR_CONTROLS { FAIR_ROUNDS } else { ROUNDS };
        self.compares(Some(pattern)) && self.rounds.saturating_add(in_flight) < most && !self.is_told()
    }

    /// True when the label is known for good, on a fair number of both: a race that is beyond doubt, and a failure at the
    /// first contact alone.
    fn is_told(&self) -> bool {
        let rounds = if self.repeated.is_some() { FAIR_ROUNDS } else { 0 };
        let fair = self.rounds >= rounds && self.controls.len() >= FAIR_CONTROLS;
        fair && {
            let told = self.labelled();
            (told.label == Label::Race && told.p < SIGNIFICANT_EARLY) || told.only_then
        }
    }

    /// The label for what was seen so far.
    pub(super) fn labelled(&self) -> Labelled {
        let (groups, failing_groups) = self.pseudo_rounds();
        let p = fisher_exact_greater(self.failing, self.rounds, failing_groups, groups);
        let failing_controls = count(self.controls.iter().filter(|failed| **failed).count());
        let label = if self.failing > 0 && p < SIGNIFICANT {
            Label::Race
        } else if failing_controls > 0 && (self.controls.len() >= FAIR_CONTROLS || p >= EXPLAINED) {
            Label::Flaky
        } else {
            Label::Unlabelled
        };
        Labelled {
            label,
            pattern: self.pattern,
            repeated: self.repeated,
            rounds: self.rounds,
            failing_rounds: self.failing,
            single_sockets: count(self.controls.len()),
            failing_single_sockets: failing_controls,
            p,
            only_then: self.pattern == Pattern::FirstContact
                && self.failing == 0
                && failing_controls == 0
                && self.is_burst(),
        }
    }

    /// True when the sockets of the round that failed first fail more often than those since then, had none of these failed
    /// (Fisher's exact test): one of ten and none of two hundred is what a flaky server shows, too. That one failed is why
    /// it is asked, and shows nothing: it is left out.
    fn is_burst(&self) -> bool {
        let (failing, sockets) = (self.burst.0.saturating_sub(1), self.burst.1.saturating_sub(1));
        let since = self.rounds.saturating_mul(self.sockets).saturating_add(count(self.controls.len()));
        fisher_exact_greater(failing, sockets, 0, since) < SIGNIFICANT
    }

    /// Single sockets put together at random to rounds of the same size: how many, and how many with a failure.
    fn pseudo_rounds(&self) -> (u32, u32) {
        let order = shuffled(self.controls.len(), self.seed);
        let groups = order.chunks_exact(self.sockets.max(1) as usize);
        let failed = |group: &[usize]| group.iter().any(|&i| self.controls.get(i).copied().unwrap_or(false));
        (count(groups.len()), count(groups.filter(|group| failed(group)).count()))
    }
}

pub(super) fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Labelled {
    /// True for a failure at a start, of which rounds afterwards have shown nothing.
    pub(super) fn is_of_start(&self) -> bool {
        let at_start = matches!(self.pattern, Pattern::FirstContact | Pattern::Cold);
        at_start && (self.rounds == 0 || self.only_then)
    }

    /// True where rounds of `pattern` fail, and single sockets were seen to be served.
    pub(super) fn is_of_company(&self, pattern: Pattern) -> bool {
        self.label == Label::Race && self.pattern == pattern && self.failing_single_sockets == 0
    }

    /// One fragment for a report; `None` when nothing was compared.
    pub(super) fn words(&self) -> Option<String> {
        let Self { repeated, rounds, failing_rounds, single_sockets, failing_single_sockets, .. } = self;
        let Some(pattern) = repeated.filter(|_| *rounds > 0 && *single_sockets > 0) else {
            let served = single_sockets - failing_single_sockets;
            let at_start =
                matches!(self.pattern, Pattern::FirstContact | Pattern::Cold) && *single_sockets > 0;
            return at_start
                .then(|| format!("of {single_sockets} single sockets afterwards {served} were served"));
        };
        if self.is_of_start() {
            return Some(format!(
                "only then: afterwards 0 of {rounds} rounds of {pattern} fail, and 0 of {single_sockets} single sockets"
            ));
        }
        let name = match self.label {
            Label::Race => "labelled RACE",
            Label::Flaky => "labelled FLAKY, not race",
            Label::Unlabelled => "unlabelled",
        };
        Some(format!(
            "{name}: afterwards {failing_rounds} of {rounds} rounds of {pattern} fail, and {failing_single_sockets} of {single_sockets} single sockets"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelling(rounds: (u32, u32), controls: (u32, u32), sockets: u32) -> Labelled {
        let mut labelling =
            Labelling::new(Stratum { pattern: Pattern::Users, sockets }, (1, sockets), None, 7);
        (0..rounds.1).for_each(|i| labelling.round(i < rounds.0));
        (0..controls.1).for_each(|i| labelling.control(i < controls.0));
        labelling.labelled()
    }

    #[test]
    fn rounds_that_fail_where_single_sockets_do_not_are_a_race() {
        let told = labelling((20, 50), (0, 200), 2);
        assert_eq!(told.label, Label::Race);
        assert!(told.is_of_company(Pattern::Users) && !told.is_of_company(Pattern::SameUser));
        assert!(!labelling((50, 50), (1, 200), 2).is_of_company(Pattern::Users), "one fails alone as well");
    }

    #[test]
    fn sockets_that_fail_at_random_are_flaky_whatever_their_number() {
        // 2 % of sockets: 18 % of rounds of ten, and as many of ten single sockets.
        assert_eq!(labelling((9, 50), (4, 200), 10).label, Label::Flaky);
        assert_eq!(labelling((50, 50), (200, 200), 5).label, Label::Flaky);
    }

    #[test]
    fn too_little_has_no_label() {
        assert_eq!(labelling((1, 50), (0, 200), 2).label, Label::Unlabelled);
        assert_eq!(labelling((1, 1), (0, 0), 2).label, Label::Unlabelled);
        // All rounds fail, and one single socket of twelve: nothing like what that one explains, and too few to tell.
        assert_eq!(labelling((5, 5), (1, 12), 2).label, Label::Unlabelled);
        assert_eq!(labelling((5, 5), (6, 12), 2).label, Label::Flaky);
        assert_eq!(labelling((0, 0), (0, 0), 2).words(), None);
    }

    /// After a first contact of ten sockets of which `burst` failed.
    fn after(burst: u32, rounds: (u32, u32), controls: (u32, u32)) -> Labelling {
        let first = Stratum { pattern: Pattern::FirstContact, sockets: 10 };
        let users = Stratum { pattern: Pattern::Users, sockets: 5 };
        let mut labelling = Labelling::new(first, (burst, 10), Some(users), 7);
        assert!(labelling.wants_round(Pattern::Users, 0) && !labelling.wants_round(Pattern::FirstContact, 0));
        (0..rounds.1).for_each(|i| labelling.round(i < rounds.0));
        (0..controls.1).for_each(|i| labelling.control(i < controls.0));
        labelling
    }

    #[test]
    fn rounds_of_users_stand_in_for_a_first_contact() {
        let (healed, racy, flaky) =
            (after(6, (0, 20), (0, 60)), after(1, (15, 20), (0, 60)), after(1, (2, 20), (1, 60)));
        assert!(!healed.wants_control(0) && !racy.wants_control(0) && flaky.wants_control(0));
        assert!(healed.labelled().is_of_start() && !flaky.labelled().is_of_start());
        assert_eq!([racy.labelled().label, flaky.labelled().label], [Label::Race, Label::Flaky]);
        let words = healed.labelled().words().unwrap();
        assert_eq!(words, "only then: afterwards 0 of 20 rounds of users fail, and 0 of 60 single sockets");
        let first = Stratum { pattern: Pattern::FirstContact, sockets: 10 };
        let alone = Labelling::new(first, (1, 10), None, 7);
        assert!(alone.wants_control(0) && !alone.wants_round(Pattern::Users, 0));
    }

    #[test]
    fn one_socket_of_a_first_contact_may_be_a_flaky_one_and_is_looked_into_to_the_end() {
        let early = after(1, (0, 20), (0, 64));
        assert!(early.wants_control(0) && !early.labelled().is_of_start());
        let words = after(1, (0, 50), (0, 200)).labelled().words().unwrap();
        assert_eq!(words, "unlabelled: afterwards 0 of 50 rounds of users fail, and 0 of 200 single sockets");
    }

    /// Sockets fail at random; asked after every three single sockets and one round, as long as more is wanted.
    #[test]
    fn a_flaky_server_is_called_racy_in_one_run_of_a_hundred_at_most() {
        let users = Stratum { pattern: Pattern::Users, sockets: 2 };
        let mut racy = 0;
        for seed in 0..500 {
            let draws = shuffled(700, seed);
            let mut failed = draws.iter().map(|draw| draw % 10 == 0);
            let mut labelling = Labelling::new(users, (1, 2), None, seed);
            let mut fails = || failed.next().unwrap();
            while labelling.wants_control(0) || labelling.wants_round(Pattern::Users, 0) {
                for _ in 0..3 {
                    if labelling.wants_control(0) {
                        labelling.control(fails());
                    }
                }
                if labelling.wants_round(Pattern::Users, 0) {
                    let (one, other) = (fails(), fails());
                    labelling.round(one || other);
                }
            }
            racy += u32::from(labelling.labelled().label == Label::Race);
        }
        assert!(racy <= 5, "{racy} of 500");
    }
}
