//! What pairs come to: every order of outcomes, and who stops the comparison.

use proptest::prelude::*;

use super::*;
use crate::probe::{Company, Declared, End, EndKind, Frame, Opening, Phase, PlatformPage, Stage, Timeline};

/// How a round of a pair goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Went {
    Clean,
    Closed(u16),
    Unreached,
}
use Went::{Clean, Closed, Unreached};

const RULES: Rules<'_> = Rules {
    declared: Declared { send: false, expect: false, greeting: false },
    learned: None,
    closes: &[],
    platform_counts: true,
};

fn observation(went: Went) -> Observation {
    let kind = |code| EndKind::CloseFrame { code: Some(code), reason: Excerpt::default() };
    let frame = Frame { at: 2, shape: Excerpt::new("hi"), text: Excerpt::new("hi"), ..Frame::default() };
    let (opening, frames, end) = match went {
        Clean => (
            Opening::Opened { subprotocol: None },
            vec![frame],
            Some(End { kind: kind(1000), phase: Phase::Closing }),
        ),
        Closed(code) => {
            let end = Some(End { kind: kind(code), phase: Phase::Greeting });
            (Opening::Opened { subprotocol: None }, Vec::new(), end)
        }
        Unreached => {
            let page = Some(PlatformPage::NotAvailable);
            let body = Excerpt::default();
            (Opening::Refused { status: 503, body, location: None, platform: page }, Vec::new(), None)
        }
    };
    Observation {
        socket: 1,
        user: None,
        opening,
        frames_total: u32::try_from(frames.len()).unwrap(),
        sent_after: None,
        knew_greeting: false,
        echo: None,
        instance: None,
        timeline: Timeline { satisfied: (went == Clean).then_some(3), ended: 4, ..Timeline::default() },
        frames,
        end,
    }
}

fn round(went: Went) -> Round {
    Round {
        stage: Stage::SameUser,
        number: 1,
        company: Company::Alone,
        delay: None,
        started: 0,
        ended: 4,
        frozen: None,
        means: None,
        release_spread: None,
        late: None,
        observations: vec![observation(Clean), observation(went)],
    }
}

/// The pairs as a run would take them in: until it is over.
fn pairing(pairs: &[(Went, Went)]) -> Pairing {
    let mut pairing = Pairing::default();
    for (number, (candidate, serving)) in (1..).zip(pairs) {
        if pairing.is_over() {
            break;
        }
        let pair =
            Pair { number, serving_first: false, candidate: round(*candidate), serving: round(*serving) };
        pairing.add(&pair, [&RULES, &RULES]);
    }
    pairing
}

#[test]
fn five_failures_of_the_candidate_alone_are_worse_and_four_are_not() {
    let five = pairing(&[(Closed(1011), Clean); 7]);
    assert_eq!((five.standing(), five.candidate_only, five.pairs), (Standing::Worse, 5, 5));
    assert_eq!(five.words(), "5 candidate-only of 5 discordant pairs, E = 24.8");
    let four = pairing(&[(Closed(1011), Clean); 4]);
    assert!(four.standing() == Standing::Open && !four.is_over());
}

#[test]
fn one_failure_of_the_serving_revision_ends_it() {
    let alike = pairing(&[(Closed(1011), Clean), (Closed(1011), Closed(1011)), (Closed(1011), Clean)]);
    assert_eq!((alike.standing(), alike.pairs, alike.both), (Standing::PreExisting, 2, 1));
    // The candidate need not fail in the same pair.
    let apart = pairing(&[(Closed(1011), Clean), (Clean, Closed(1011))]);
    assert_eq!((apart.standing(), apart.serving_only), (Standing::PreExisting, 1));
    let unlike = pairing(&[(Closed(1011), Clean), (Closed(1011), Closed(1008))]);
    assert_eq!(unlike.standing(), Standing::Unlike);
}

#[test]
fn what_never_reached_the_serving_revision_ends_it_and_says_nothing() {
    let refused = pairing(&[(Closed(1011), Unreached), (Closed(1011), Clean)]);
    assert_eq!((refused.standing(), refused.void, refused.pairs), (Standing::Open, 1, 0));
    assert!(refused.is_over());
    let limited = pairing(&[(Closed(1013), Closed(1013))]);
    assert_eq!(limited.standing(), Standing::Open);
    let void = pairing(&[(Unreached, Clean); 9]);
    assert_eq!((void.standing(), void.void, void.is_over()), (Standing::Open, 9, false));
}

fn any_went() -> impl Strategy<Value = Went> {
    prop_oneof![3 => Just(Clean), 3 => Just(Closed(1011)), 1 => Just(Closed(1008)), 1 => Just(Unreached)]
}

proptest! {
    #[test]
    fn counts_add_up_and_the_serving_revision_fails_at_most_once(
        pairs in proptest::collection::vec((any_went(), any_went()), 0..40),
    ) {
        let pairing = pairing(&pairs);
        let counted = pairing.pairs + pairing.void;
        let taken = pairs.iter().take(counted as usize);
        prop_assert!(pairing.is_over() || counted as usize == pairs.len());
        prop_assert!(taken.clone().filter(|(_, serving)| *serving != Clean).count() <= 1);
        prop_assert!(pairing.candidate_only + pairing.serving_only + pairing.both <= pairing.pairs);
        let served_all = taken.clone().all(|(_, serving)| *serving == Clean);
        let alone = taken.filter(|(candidate, _)| matches!(candidate, Closed(_))).count();
        prop_assert_eq!(pairing.standing() == Standing::Worse, served_all && alone >= 5);
    }
}
