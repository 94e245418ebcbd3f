use super::*;
use crate::probe::{Declared, Frame, FrameKind, Observation, Timeline};
use crate::trust::Excerpt;

const RULES: Rules<'static> = Rules {
    declared: Declared { send: true, expect: false },
    learned: None,
    closes: &[],
    platform_counts: false,
};

fn closed(kind: BadFrame, code: Option<u16>) -> Fate {
    of_end(kind, &EndKind::CloseFrame { code, reason: Excerpt::default() }, &RULES)
}

#[test]
fn a_server_may_close_with_a_proper_code_and_with_no_other() {
    for code in [None, Some(1000), Some(1003), Some(1007), Some(1008), Some(1009), Some(3000), Some(4999)] {
        assert!(matches!(closed(BadFrame::Binary, code), Fate::Right(_)), "{code:?}");
        assert!(matches!(closed(BadFrame::Fragments, code), Fate::Wrong(_)), "a legal message is answered");
    }
    for code in [1004, 1006, 1011, 1012, 1014, 1015, 2000] {
        assert!(matches!(closed(BadFrame::Binary, Some(code)), Fate::Wrong(_)), "{code}");
    }
    assert!(matches!(closed(BadFrame::PingFlood, Some(1013)), Fate::Right(_)), "try again later");
    assert!(matches!(closed(BadFrame::MalformedJson, Some(1013)), Fate::Wrong(_)));
}

#[test]
fn a_reset_is_a_crash_but_where_the_server_may_stop_reading() {
    for (kind, end, right) in [
        (BadFrame::FarOver, EndKind::Reset, true),
        (BadFrame::FarOver, EndKind::NoCloseFrame, false),
        (BadFrame::HalfClose, EndKind::Reset, true),
        (BadFrame::HalfClose, EndKind::NoCloseFrame, true),
        (BadFrame::Binary, EndKind::Reset, false),
        (BadFrame::Empty, EndKind::NoCloseFrame, false),
    ] {
        let fate = of_end(kind, &end, &RULES);
        assert_eq!(matches!(fate, Fate::Right(_)), right, "{kind} {end:?}");
        assert_eq!(matches!(fate, Fate::Wrong(_)), !right, "{kind} {end:?}");
    }
}

/// A socket that was served, and how it ended.
fn observation(user: &str, end: Option<EndKind>) -> Observation {
    let (kind, phase) = end.map_or((EndKind::CutByUs, Phase::Closing), |kind| (kind, Phase::Hold));
    let text = Excerpt::new("welcome");
    let frame = Frame {
        at: 0,
        kind: FrameKind::Text,
        size: 7,
        shape: text.clone(),
        error: false,
        expected: None,
        text,
    };
    Observation {
        socket: 1,
        user: Some(user.to_owned()),
        opening: Opening::Opened { subprotocol: None },
        frames: vec![frame],
        frames_total: 1,
        sent_after: None,
        knew_greeting: false,
        end: Some(End { kind, phase }),
        echo: None,
        instance: None,
        timeline: Timeline::default(),
    }
}

/// Answered tries of these kinds, one each ten microseconds.
fn seen(tries: u32, kinds: &[BadFrame]) -> FramesSeen {
    let bad = kinds.iter().zip(1..).map(|(kind, number)| BadFrameSeen {
        kind: *kind,
        sent: true,
        reacted: true,
        answered: true,
        pongs: 0,
        began: number * 10,
        ended: number * 10 + 5,
        observation: observation("u1", None),
    });
    let declared = Declared { send: false, expect: false };
    let good = observation("u1", None);
    let (closes, bystanders, left_out) = (Vec::new(), vec![bystander("u2", None, None)], Vec::new());
    let bad = bad.collect();
    FramesSeen {
        declared,
        closes,
        patience_ms: 3000,
        largest: Some(9),
        tries,
        good,
        answers_again: false,
        bad,
        bystanders,
        left_out,
    }
}

fn bystander(user: &str, lost: Option<(u64, EndKind)>, deaf: Option<u64>) -> Bystander {
    let (lost, end) = lost.unzip();
    let pong = lost.is_none().then_some(deaf.is_none());
    Bystander { served: true, lost, deaf, pong, answered: None, observation: observation(user, end) }
}

fn check_of(seen: &FramesSeen) -> Check {
    let rules = Rules { declared: seen.declared, platform_counts: true, ..RULES };
    let bystanders: Vec<Fate> = seen.bystanders.iter().map(|one| of_bystander(one, seen, &rules)).collect();
    decide(seen, &tried(seen, &rules), &bystanders, &rules)
}

#[test]
fn a_pass_says_what_so_many_tries_cannot_exclude() {
    let passed = |tries: u32| {
        let check = check_of(&seen(tries, &vec![BadFrame::Binary; tries as usize]));
        assert_eq!(check.outcome, Outcome::Pass);
        check.summary
    };
    for (tries, words) in [
        (
            1,
            "1 of 1 bad frames answered properly, 1 of 1 sockets of other users alive; 1 try of each kind cannot exclude one that does harm in \
             up to 95 % of tries",
        ),
        (5, "5 tries of each kind cannot exclude one that does harm in up to 45 % of tries"),
        (8, "in up to 31 % of tries"),
    ] {
        assert!(passed(tries).ends_with(words), "{}", passed(tries));
    }
    let once = check_of(&seen(2, &[BadFrame::Binary, BadFrame::Binary, BadFrame::HalfClose]));
    assert!(once.summary.ends_with("in up to 78 % of tries (half-close once)"), "{}", once.summary);
}

#[test]
fn one_try_that_fails_fails_with_its_number_and_its_kind() {
    let kinds = [BadFrame::Empty, BadFrame::Empty, BadFrame::Binary, BadFrame::Binary];
    let mut wrong = seen(2, &kinds);
    wrong.bad[3].answered = false;
    wrong.bad[3].observation = observation("u1", Some(EndKind::NoCloseFrame));
    let check = check_of(&wrong);
    let due =
        "binary (try 2 of 2): TCP ended without a close frame (1006); 3 of 4 bad frames answered properly";
    assert!(check.outcome == Outcome::Fail && check.summary.starts_with(due), "{}", check.summary);
    let huge = EndKind::TooLarge { limit: 16 << 20 };
    let larger = "another user's socket was lost (u2): a message larger than the 16 MiB that are read";
    let lost = |at| bystander("u2", Some((at, huge.clone())), None);
    for (bystander, due) in [
        (lost(5), format!("before any bad frame: {larger}")),
        (lost(29), format!("empty (try 2 of 2): {larger}")),
        (lost(30), format!("binary (try 1 of 2): {larger}")),
        (
            bystander("u2", None, Some(47)),
            "binary (try 2 of 2): another user's socket no longer answers pings (u2)".to_owned(),
        ),
    ] {
        let mut seen = seen(2, &kinds);
        seen.bystanders = vec![bystander];
        let check = check_of(&seen);
        assert!(check.outcome == Outcome::Fail && check.summary.starts_with(&due), "{}", check.summary);
    }
}
