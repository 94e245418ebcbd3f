use super::*;
use crate::probe::{Frame, Timeline};
use crate::trust::Excerpt;

fn frame(text: &str, error: bool) -> Frame {
    let (shape, text) = (Excerpt::new(text), Excerpt::new(text));
    Frame { shape, error, text, ..Frame::default() }
}

fn closed(code: u16, reason: &str, stalled: Option<u64>) -> Observation {
    Observation {
        socket: 1,
        user: None,
        opening: Opening::Opened { subprotocol: None },
        frames: Vec::new(),
        frames_total: 0,
        sent_after: None,
        knew_greeting: false,
        end: Some(End {
            kind: EndKind::CloseFrame { code: Some(code), reason: Excerpt::new(reason) },
            phase: Phase::Hold,
        }),
        echo: None,
        instance: None,
        timeline: Timeline { stalled, ..Timeline::default() },
    }
}

const RULES: Rules<'static> = Rules {
    declared: Declared { send: false, expect: false, greeting: false },
    learned: None,
    closes: &[1000],
    platform_counts: false,
};

#[test]
fn a_keepalive_that_ran_out_is_ours_only_where_our_pong_was_late() {
    let seen = |reason, stalled| classify(&closed(1011, reason, stalled), &RULES);
    let reason = "keepalive ping timeout";
    assert_eq!(seen(reason, Some(600_000)).class, Class::Infra);
    assert_eq!(seen(reason, Some(120_000)).class, Class::AppFail);
    assert!(seen(reason, None).keepalive);
    assert_eq!(seen("Factory init failed", Some(600_000)).class, Class::AppFail, "no stall excuses that");
}

#[test]
fn a_keepalive_is_what_the_whole_reason_says() {
    let keepalive = |observation: &Observation| classify(observation, &RULES).keepalive;
    assert!(keepalive(&closed(1011, "Ping timeout.", None)));
    for reason in ["redis ping timeout", "keepalive registry is None", "no keepalive timeout set", ""] {
        assert!(!keepalive(&closed(1011, reason, None)), "{reason}");
    }
    let mut told = closed(1011, "", None);
    told.frames.push(frame("keepalive ping timeout", true));
    assert!(!keepalive(&told), "an error frame is no reason");
}

#[test]
fn a_declared_close_ends_a_served_socket_and_no_other() {
    let class = |code, phase| {
        let mut seen = closed(code, "", None);
        seen.end.as_mut().unwrap().phase = phase;
        classify(&seen, &Rules { closes: &[1000, 1011], ..RULES }).class
    };
    assert_eq!(class(1000, Phase::Hold), Class::Ok);
    assert_eq!(class(1000, Phase::Answer), Class::AppFail);
    assert_eq!(class(1001, Phase::Hold), Class::AppFail);
    assert_eq!(class(1011, Phase::Hold), Class::AppFail, "an edited record excuses nothing");
}

#[test]
fn a_message_too_large_is_called_so() {
    let mut seen = closed(1000, "", None);
    seen.end = Some(End { kind: EndKind::TooLarge { limit: 16 << 20 }, phase: Phase::Answer });
    let finding = classify(&seen, &RULES);
    assert_eq!((finding.class, finding.kind), (Class::AppFail, Kind::TooLarge));
    assert_eq!(finding.words, "a message larger than the 16 MiB that are read before the answer");
}

#[test]
fn a_limit_is_named_and_a_1011_never_excused() {
    assert!(closes_at_limit(4429, ""));
    assert!(closes_at_limit(1008, "Too many connections for this user"));
    assert!(!closes_at_limit(1008, "policy violation"));
    assert!(!closes_at_limit(1011, "connection limit"));
}

#[test]
fn an_error_frame_before_a_close_at_a_limit_tells_of_the_limit() {
    let kind = |said, code, reason| {
        let mut told = closed(code, reason, None);
        told.frames.push(frame(said, true));
        classify(&told, &RULES).kind
    };
    let quota = r#"{"type":"error","code":"quota"}"#;
    assert_eq!(kind(quota, 4429, ""), Kind::LimitReached);
    assert_eq!(kind(quota, 1008, "too many connections"), Kind::LimitReached);
    assert_eq!(kind("error: too many sessions", 1013, ""), Kind::LimitReached);
    assert_eq!(kind("error: supervisor is None", 1013, ""), Kind::ErrorFrame, "not started is no limit");
    assert_eq!(kind("error: too many sessions", 1011, "limit reached"), Kind::ErrorFrame, "it failed");
    assert_eq!(kind("error: too many sessions", 1000, ""), Kind::ErrorFrame, "no close at a limit");
}

#[test]
fn whoever_waits_for_a_declared_greeting_says_so() {
    let declared = Declared { send: true, expect: false, greeting: true };
    let rules = Rules { declared, ..RULES };
    let mut seen = closed(1000, "", None);
    seen.end = Some(End { kind: EndKind::CutByUs, phase: Phase::Closing });
    let silent = classify(&seen, &rules);
    assert_eq!(silent.kind, Kind::GreetingMissing);
    assert!(
        silent.words.starts_with("the declared greeting never came, so that nothing was sent; "),
        "{silent:?}"
    );
    seen.frames.push(Frame { greeting: Some(false), ..frame("half a welcome", false) });
    seen.frames.push(frame("an answer", false));
    seen.sent_after = Some(1);
    let answered = classify(&seen, &rules);
    assert_eq!(answered.kind, Kind::GreetingMissing);
    assert!(answered.words.starts_with("the declared greeting never came; "), "{answered:?}");
    seen.frames[0].greeting = Some(true);
    assert_eq!(classify(&seen, &rules).kind, Kind::Ok);
}
