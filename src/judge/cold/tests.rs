use super::*;
use crate::judge::Kind;
use crate::probe::{Company, Phase, Timeline};

/// A socket that waited so long for its 101 at this instance.
fn socket(number: u32, instance: Option<&str>, waited: u64) -> Observation {
    Observation {
        socket: number,
        user: None,
        opening: Opening::Opened { subprotocol: None },
        frames: Vec::new(),
        frames_total: 0,
        sent_after: None,
        knew_greeting: true,
        end: None,
        echo: None,
        instance: instance.map(Excerpt::new),
        timeline: Timeline { released: Some(1000), answered: Some(1000 + waited), ..Timeline::default() },
    }
}

fn round(stage: Stage, observations: Vec<Observation>) -> Round {
    Round {
        stage,
        number: 1,
        company: Company::Quiet,
        delay: None,
        started: 0,
        ended: 0,
        frozen: None,
        means: None,
        release_spread: None,
        late: None,
        observations,
    }
}

fn finding(class: Class) -> Finding {
    let kind = if class == Class::Ok { Kind::Ok } else { Kind::Close };
    Finding {
        class,
        kind,
        phase: Phase::Greeting,
        status: None,
        code: None,
        words: String::new(),
        keepalive: false,
    }
}

/// The outcomes of a cold round whose sockets were judged so.
fn outcomes(starts: &mut ColdStarts, sockets: Vec<Observation>, classes: &[Class]) -> Vec<TrialOutcome> {
    let findings: Vec<Finding> = classes.iter().copied().map(finding).collect();
    let trials = starts.trials(&round(Stage::Cold, sockets), &findings);
    trials.iter().map(|trial| trial.outcome).collect()
}

/// After single sockets that waited 5 ms at most, at the instance `a`.
fn warmed(log: Option<&LogProof>) -> ColdStarts {
    let mut starts = ColdStarts::new(log);
    starts.note(&round(Stage::FirstContact, vec![socket(1, Some("a"), 900_000)]));
    starts.note(&round(Stage::Control, vec![socket(2, Some("a"), 3000)]));
    starts.note(&round(Stage::Control, vec![socket(3, Some("a"), 5000)]));
    starts
}

const OK: [Class; 2] = [Class::Ok, Class::Ok];

#[test]
fn a_fresh_instance_is_a_trial_however_many_sockets_it_took() {
    let mut starts = warmed(None);
    let pair = |first, instance| {
        vec![socket(first, Some(instance), 800_000), socket(first + 1, Some(instance), 700_000)]
    };
    assert_eq!(outcomes(&mut starts, pair(4, "b"), &OK), [TrialOutcome::Clean]);
    assert_eq!(outcomes(&mut starts, pair(6, "c"), &[Class::Ok, Class::AppFail]), [TrialOutcome::Failing]);
    assert_eq!(outcomes(&mut starts, pair(8, "c"), &OK), [], "it is warm now");
    assert_eq!((starts.fresh, starts.doubtful), (2, 0));
}

#[test]
fn an_instance_that_answers_at_once_was_warm_before_we_met_it() {
    let mut starts = warmed(None);
    let quick = vec![socket(4, Some("b"), 104_000), socket(5, Some("a"), 4000)];
    assert_eq!(outcomes(&mut starts, quick, &OK), []);
    assert_eq!((starts.fresh, starts.doubtful), (0, 1));
    let mut nothing_to_compare = ColdStarts::new(None);
    assert_eq!(outcomes(&mut nothing_to_compare, vec![socket(1, Some("b"), 900_000)], &OK[..1]), []);
}

#[test]
fn without_a_name_nothing_passes_and_everything_fails() {
    let mut starts = warmed(None);
    let nameless = || vec![socket(4, None, 900_000), socket(5, None, 900_000)];
    assert_eq!(outcomes(&mut starts, nameless(), &OK), []);
    assert_eq!(starts.nameless, 2);
    assert_eq!(outcomes(&mut starts, nameless(), &[Class::Ok, Class::AppFail]), [TrialOutcome::Failing]);
    assert_eq!(outcomes(&mut starts, nameless(), &[Class::Infra, Class::Infra]), [TrialOutcome::Void]);
    let warm = vec![socket(6, Some("a"), 3000)];
    assert_eq!(outcomes(&mut starts, warm, &[Class::AppFail]), [TrialOutcome::Failing]);
}

#[test]
fn the_log_tells_which_instance_started() {
    let own = str::to_owned;
    let instances = vec![(1, own("x")), (4, own("x")), (5, own("y")), (6, own("z"))];
    let log = LogProof::Read { instances, started: vec![(own("x"), 0), (own("y"), 0)] };
    let mut starts = warmed(Some(&log));
    let sockets = (4..=6).map(|number| socket(number, Some("b"), 100)).collect();
    assert_eq!(outcomes(&mut starts, sockets, &[Class::Ok; 3]), [TrialOutcome::Clean]);
    assert_eq!((starts.fresh, starts.doubtful, starts.nameless), (1, 1, 0));
    let early = LogProof::Read { instances: vec![(9, own("y"))], started: vec![(own("y"), 7)] };
    let mut late = socket(9, None, 100);
    late.timeline.released = Some(9_000_000);
    assert_eq!(outcomes(&mut warmed(Some(&early)), vec![late], &OK[..1]), [], "nobody waited for it");
    let unread = LogProof::Unread { why: own("denied") };
    let mut starts = warmed(Some(&unread));
    let slow = vec![socket(4, Some("b"), 900_000)];
    assert_eq!(outcomes(&mut starts, slow, &OK[..1]), [TrialOutcome::Clean], "the echo is left");
}
