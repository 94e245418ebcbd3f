use super::*;
use crate::config::{FileConfig, Lookup, Purpose, Typed, merge};
use crate::probe::{Capacity, Company, End, EndKind, Observation, Opening, Phase, Timeline};
use crate::trust::Excerpt;

fn closed(code: u16) -> Observation {
    Observation {
        socket: 1,
        user: None,
        opening: Opening::Opened { subprotocol: None },
        frames: Vec::new(),
        frames_total: 0,
        sent_after: Some(0),
        knew_greeting: false,
        end: Some(End {
            kind: EndKind::CloseFrame { code: Some(code), reason: Excerpt::default() },
            phase: Phase::Answer,
        }),
        echo: None,
        instance: None,
        timeline: Timeline::default(),
    }
}

fn round(stage: Stage, number: u32, code: u16) -> Round {
    let at = u64::from(number) * 1000;
    let timeline = Timeline { began: at, ended: at + 10, ..Timeline::default() };
    Round {
        stage,
        number,
        company: Company::Alone,
        delay: None,
        started: at,
        ended: at + 10,
        frozen: None,
        means: None,
        release_spread: None,
        late: None,
        observations: vec![Observation { timeline, ..closed(code) }; 2],
    }
}

/// Answered, and closed by us.
fn healthy() -> Observation {
    let frames = vec![crate::probe::Frame::default()];
    Observation { frames, end: Some(End { kind: EndKind::CutByUs, phase: Phase::Closing }), ..closed(1000) }
}

fn served(stage: Stage, number: u32) -> Round {
    Round { observations: vec![healthy(); 2], ..round(stage, number, 1000) }
}

fn plan() -> Plan {
    let file = FileConfig::parse("t", b"path: /{{user}}\nsend: x\nusers: [a, b, c]\n").unwrap();
    let merged = merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Rehearsal).unwrap();
    Plan::new(&merged.settings, Capacity::default(), 1)
}

#[test]
fn where_nothing_is_to_be_compared_single_sockets_have_an_end() {
    let file = FileConfig::parse("t", b"send: x\n").unwrap();
    let merged = merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Rehearsal).unwrap();
    let mut plan = Plan::new(&merged.settings, Capacity::default(), 1);
    plan.strata.retain(|stratum| stratum.pattern == Pattern::Control);
    let mut tests = Tests::new(&plan, false).unwrap();
    (1..=50).for_each(|number| tests.add(&round(Stage::Control, number, 4429), None));
    assert!(tests.has_failed() && tests.wants(Stage::Control, 0) && !tests.wants(Stage::Control, 150));
    (51..=200).for_each(|number| tests.add(&round(Stage::Control, number, 4429), None));
    assert!(!tests.wants(Stage::Control, 0));
}

#[test]
fn the_time_that_is_missing_follows_from_the_clean_rounds_that_there_was_time_for() {
    let mut plan = plan();
    plan.strata.retain(|stratum| matches!(stratum.pattern, Pattern::Users | Pattern::SameUser));
    let mut tests = Tests::new(&plan, false).unwrap();
    let minute = Duration::from_mins(1);
    assert_eq!(tests.time_missing(minute), None);
    let least = tests.patterns[&Pattern::Users].least();
    let mut clean = |stage, numbers: std::ops::RangeInclusive<u32>| {
        numbers.for_each(|number| tests.add(&served(stage, number), None));
        tests.time_missing(minute)
    };
    assert_eq!(clean(Stage::Users, 1..=least), None, "nothing is known of the other one");
    let missing = clean(Stage::SameUser, 1..=least / 4).unwrap();
    assert!((3 * minute..4 * minute).contains(&missing), "{missing:?} for {least} rounds");
    assert_eq!(clean(Stage::SameUser, 1..=least), None);
    let mut failing = Tests::new(&plan, false).unwrap();
    (1..=least / 2).for_each(|number| failing.add(&served(Stage::Users, number), None));
    (1..=least / 2).for_each(|number| failing.add(&served(Stage::SameUser, number), None));
    assert!(failing.time_missing(minute).is_some());
    failing.add(&round(Stage::Users, least, 4000), None);
    assert_eq!(failing.time_missing(minute), None);
}

#[test]
fn a_first_contact_that_failed_is_measured_by_its_own_sockets() {
    let mut tests = Tests::new(&plan(), false).unwrap();
    let mut contact = served(Stage::FirstContact, 1);
    contact.observations = vec![closed(1011); 6];
    contact.observations.extend(vec![healthy(); 4]);
    tests.add(&contact, None);
    let mut after = |stage, rounds| (1..=rounds).for_each(|number| tests.add(&served(stage, number), None));
    after(Stage::Users, 20);
    after(Stage::Control, 60);
    let words = tests.labelling.as_ref().unwrap().labelled().words().unwrap();
    assert_eq!(words, "only then: afterwards 0 of 20 rounds of users fail, and 0 of 60 single sockets");
    assert!(!tests.wants(Stage::Control, 0));
    tests.add(&round(Stage::Held, 1, 1011), None);
    let words = tests.labelling.as_ref().unwrap().labelled().words().unwrap();
    assert!(words.starts_with("labelled FLAKY") && words.ends_with("1 of 61 single sockets"), "{words}");
}

#[test]
fn a_failure_is_named_rather_than_a_limit_that_was_reached_before_it() {
    let mut tests = Tests::new(&plan(), false).unwrap();
    (1..=20).for_each(|number| tests.add(&round(Stage::Users, number, 4429), None));
    assert!(
        tests.failed(None).is_some_and(|(pattern, bench)| pattern == Pattern::Users && bench.is_limited())
    );
    tests.add(&round(Stage::SameUser, 21, 1011), None);
    assert!(tests.failed(None).is_some_and(|(pattern, _)| pattern == Pattern::SameUser));
    assert!(tests.failed(Some(Pattern::SameUser)).is_some_and(|(pattern, _)| pattern == Pattern::Users));
}
