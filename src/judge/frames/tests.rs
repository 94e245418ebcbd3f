use super::*;
use crate::probe::{Declared, Frame, Observation, Timeline};
use crate::trust::Excerpt;

const RULES: Rules<'static> = Rules {
    declared: Declared { send: true, expect: false, greeting: false },
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
    let frame = Frame { shape: text.clone(), text, ..Frame::default() };
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
        bad_at: None,
        ended: number * 10 + 5,
        observation: observation("u1", None),
    });
    let declared = Declared { send: false, expect: false, greeting: false };
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
        request_timeout_ms: None,
        cut: false,
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
        (5, "5 tries of each kind cannot exclude one that does harm in up to 46 % of tries"),
        (8, "in up to 32 % of tries"),
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

fn close(code: u16) -> EndKind {
    EndKind::CloseFrame { code: Some(code), reason: Excerpt::default() }
}

/// The check where one bystander came to this, and with which words it begins to say so.
fn with_bystander(bystander: Bystander) -> (Outcome, String) {
    let mut seen = seen(2, &[BadFrame::Binary, BadFrame::Binary]);
    seen.request_timeout_ms = Some(30_000);
    seen.bystanders = vec![bystander];
    let check = check_of(&seen);
    let words = check.summary.split("another user's socket: ").nth(1).unwrap_or_default().to_owned();
    (check.outcome, words)
}

#[test]
fn what_another_cause_may_have_ended_is_blamed_on_no_frame() {
    let second = 1_000_000;
    let lost = |at: u64, kind| bystander("u2", Some((at, kind)), None);
    let expired = |kind| {
        let mut bystander = lost(second, kind);
        bystander.observation.timeline.expired = Some(second);
        bystander
    };
    for (bystander, words) in [
        (lost(5, EndKind::Reset), "lost before any bad frame was sent (u2): TCP reset (1006)"),
        (lost(second, close(1013)), "limit reached: close 1013"),
        (lost(29 * second, EndKind::NoCloseFrame), "ended by the revision's own request time-out of 30 s"),
        (lost(34 * second, close(1001)), "ended by the revision's own request time-out of 30 s"),
        (expired(close(4401)), "close 4401 after it was served, while held, and the token that it carried"),
    ] {
        let (outcome, due) = with_bystander(bystander);
        assert!(outcome == Outcome::Inconclusive && due.starts_with(words), "{due}");
    }
    for bystander in [
        lost(second, close(4401)),
        expired(close(1011)),
        lost(28 * second, EndKind::NoCloseFrame),
        lost(30 * second, close(1011)),
    ] {
        assert_eq!(with_bystander(bystander.clone()).0, Outcome::Fail, "{bystander:?}");
    }
}

#[test]
fn a_pong_that_is_late_while_our_machine_stands_still_is_no_failure() {
    for (stalled, due) in [(1_499_000, Outcome::Fail), (1_500_000, Outcome::Inconclusive)] {
        let deaf = bystander("u2", None, Some(20));
        let mute = Bystander { deaf: None, pong: Some(true), answered: Some(false), ..deaf.clone() };
        for mut bystander in [deaf, mute] {
            bystander.observation.timeline.stalled = Some(stalled);
            assert_eq!(with_bystander(bystander.clone()).0, due, "{bystander:?}");
        }
    }
}

#[test]
fn a_frame_that_was_not_sent_yet_is_not_to_blame() {
    let mut seen = seen(3, &[BadFrame::Binary, BadFrame::Binary, BadFrame::Binary]);
    seen.bad[1].bad_at = Some(25);
    seen.bad[2].sent = false;
    for (at, number) in [(24, 1), (25, 2), (39, 2)] {
        seen.bystanders = vec![bystander("u2", Some((at, EndKind::Reset)), None)];
        let due = format!("binary (try {number} of 3): another user's socket was lost (u2): ");
        let summary = check_of(&seen).summary;
        assert!(summary.starts_with(&due), "{at}: {summary}");
    }
}

#[test]
fn tries_that_were_not_all_made_pass_nothing() {
    let cut = FramesSeen { cut: true, ..seen(5, &[BadFrame::Binary, BadFrame::Binary]) };
    let check = check_of(&cut);
    let due = "2 of 2 bad frames answered properly, 1 of 1 sockets of other users alive; the run was over before all were sent";
    assert_eq!((check.outcome, &*check.summary), (Outcome::Inconclusive, due));
}
