use super::*;
use crate::probe::{Declared, End, Frame, PlatformPage, Timeline};
use crate::trust::Excerpt;

fn frame(text: &str, error: bool) -> Frame {
    let (shape, text) = (Excerpt::new(text), Excerpt::new(text));
    Frame { shape, error, text, ..Frame::default() }
}

fn open(frames: Vec<Frame>, sent_after: Option<u32>, end: Option<EndKind>) -> Observation {
    let (kind, phase) = end.map_or((EndKind::CutByUs, Phase::Closing), |kind| (kind, Phase::Answer));
    Observation {
        socket: 1,
        user: None,
        opening: Opening::Opened { subprotocol: None },
        frames_total: u32::try_from(frames.len()).unwrap(),
        frames,
        sent_after,
        knew_greeting: false,
        end: Some(End { kind, phase }),
        echo: None,
        instance: None,
        timeline: Timeline::default(),
    }
}

fn status(status: u16, platform: Option<PlatformPage>) -> Observation {
    let opening = Opening::Refused { status, body: Excerpt::default(), location: None, platform };
    Observation { opening, end: None, ..open(Vec::new(), None, None) }
}

fn close(code: Option<u16>) -> EndKind {
    EndKind::CloseFrame { code, reason: Excerpt::default() }
}

fn fate_of(kind: BadToken, observation: Observation, control: Option<Observation>) -> Fate {
    fate_in(false, kind, observation, control)
}

fn fate_in(
    first_message: bool,
    kind: BadToken,
    observation: Observation,
    control: Option<Observation>,
) -> Fate {
    let refusals = vec![Refusals { from: 401, to: 401 }, Refusals { from: 1008, to: 1008 }];
    let bad = BadTokenSeen { kind, observation, control };
    let seen = AuthSeen {
        declared: Declared { send: true, expect: false, greeting: false },
        closes: Vec::new(),
        refusals,
        patience_ms: 3000,
        first_message,
        before: open(Vec::new(), None, None),
        bad: Vec::new(),
        after: None,
        left_out: Vec::new(),
    };
    let rules = Rules { declared: seen.declared, learned: None, closes: &[], platform_counts: true };
    fate(&bad, &seen, &rules, false)
}

#[test]
fn a_refusal_is_what_the_configuration_names_and_a_failure_never() {
    let fate = |observation| fate_of(BadToken::Expired, observation, None);
    let error = || vec![frame("error no", true)];
    for refused in [status(401, None), open(error(), None, Some(close(Some(1008))))] {
        assert!(matches!(fate(refused.clone()), Fate::Refused(_)), "{refused:?}");
    }
    for (observation, words) in [
        (status(500, None), "HTTP 500 instead of a refusal"),
        (status(404, None), "HTTP 404, which is not among the refusals"),
        (
            open(error(), None, Some(close(Some(1011)))),
            "close 1011 instead of a refusal behind the error frame \"error no\"",
        ),
        (open(Vec::new(), None, Some(close(Some(1000)))), "close 1000, which is not among the refusals"),
        (open(Vec::new(), None, Some(close(None))), "close without a code, which is not among the refusals"),
        (open(Vec::new(), None, Some(EndKind::NoCloseFrame)), "TCP ended without a close frame (1006)"),
        (open(Vec::new(), None, Some(EndKind::Reset)), "TCP reset (1006)"),
        (
            open(error(), None, None),
            "neither served nor refused: the error frame \"error no\", and no close within 3 s",
        ),
        (
            open(vec![frame("hello", false)], Some(1), None),
            "neither served nor refused: greeted, and no close within 3 s",
        ),
        (open(Vec::new(), Some(0), None), "accepted, and silent: neither a frame nor a close within 3 s"),
        (open(vec![frame("pong", false)], Some(0), None), "accepted, and served like a good one"),
        (
            open(vec![frame("pong", false)], Some(0), Some(close(Some(1008)))),
            "served like a good one, and then close 1008",
        ),
    ] {
        assert_eq!(fate(observation), Fate::Wrong(words.to_owned()));
    }
    for void in [status(429, None), status(401, Some(PlatformPage::NotAllowed))] {
        assert!(matches!(fate(void.clone()), Fate::Void(_)), "{void:?}");
    }
}

#[test]
fn an_oversized_token_that_nobody_reads_is_no_failure_where_a_good_one_is_not_read_either() {
    let unanswered = || Observation {
        opening: Opening::TimedOut { phase: Phase::Opening },
        end: None,
        ..open(Vec::new(), None, None)
    };
    let served = open(vec![frame("pong", false)], Some(0), None);
    let fate = |control| fate_of(BadToken::Oversized, unanswered(), control);
    assert!(matches!(fate(Some(unanswered())), Fate::Unread(_)));
    assert!(matches!(fate(Some(served)), Fate::Wrong(_)), "only the token was not read");
    assert!(matches!(fate(None), Fate::Wrong(words) if words.contains("neither accepted nor refused")));
    // What a front end says for an instance that drops the connection.
    let dropped = |control| fate_of(BadToken::Oversized, status(503, None), control);
    assert!(matches!(dropped(Some(status(503, None))), Fate::Unread(_)));
    assert!(matches!(dropped(Some(open(vec![frame("pong", false)], Some(0), None))), Fate::Wrong(_)));
    assert!(matches!(
        fate_of(BadToken::Oversized, status(500, None), Some(status(500, None))),
        Fate::Wrong(_)
    ));
}

#[test]
fn a_server_that_waits_for_a_first_message_has_served_nothing_and_refused_nothing() {
    let silent = || open(Vec::new(), Some(0), None);
    let asked = || open(vec![frame("log in, please", false)], Some(1), None);
    for observation in [silent(), asked()] {
        let fate = fate_in(true, BadToken::Missing, observation, None);
        assert!(
            matches!(&fate, Fate::Waiting(words) if words.contains("within 3 s; the token goes in")),
            "{fate:?}"
        );
    }
    let served = || open(vec![frame("pong", false)], Some(0), None);
    assert!(matches!(fate_in(true, BadToken::Missing, served(), None), Fate::Wrong(_)));
    assert!(
        matches!(fate_in(true, BadToken::Expired, silent(), None), Fate::Wrong(_)),
        "it was sent a token"
    );
    assert!(
        matches!(fate_in(false, BadToken::Missing, silent(), None), Fate::Wrong(_)),
        "it waits for nothing"
    );
}

#[test]
fn tokens_that_nobody_read_are_counted_apart() {
    let seen = AuthSeen {
        declared: Declared { send: true, expect: false, greeting: false },
        closes: Vec::new(),
        refusals: Vec::new(),
        patience_ms: 3000,
        first_message: false,
        before: open(Vec::new(), None, None),
        bad: Vec::new(),
        after: None,
        left_out: Vec::new(),
    };
    let fates = |unread: usize| {
        let refused = (BadToken::Missing, Fate::Refused(String::new()));
        let none = std::iter::repeat_n((BadToken::Oversized, Fate::Unread(String::new())), unread);
        std::iter::once(refused).chain(none).collect::<Vec<_>>()
    };
    for (unread, due) in [
        (0, "1 of 1 bad tokens refused"),
        (
            1,
            "1 of 2 bad tokens refused; an oversized one got no answer, and neither did a good token with a header as large",
        ),
        (
            2,
            "1 of 3 bad tokens refused; 2 oversized ones got no answer, and neither did a good token with a header as large",
        ),
    ] {
        assert_eq!(counts(&seen, &fates(unread)), due);
    }
}
