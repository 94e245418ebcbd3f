//! What one socket came to, with what our own clock and the server's pings add to it.
//!
//! Takes an observation and what is known of a healthy socket; gives the finding that every test and every report uses.
//! It opens nothing. The surprising rule: a socket that we cut, since the run was over, is nobody's failure and
//! nobody's success: its round is void, unless an error had come on it before.

use super::classify::{self, Class, Finding, Kind, Rules};
use crate::probe::{End, EndKind, Observation, Opening, Phase, Whose};

/// Says what one socket came to.
pub fn classify(observation: &Observation, rules: &Rules<'_>) -> Finding {
    let mut finding = classify::classify(observation, rules);
    let times = &observation.timeline;
    if times.cut.is_some() && !matches!(finding.kind, Kind::ErrorFrame | Kind::LateClose) {
        let kind = if finding.kind == Kind::Ok { Kind::NoAnswer } else { finding.kind };
        let words = "undecided: cut by us: the run was over".to_owned();
        return Finding { class: Class::Infra, kind, words, ..finding };
    }
    if times.expired.is_some() && refuses(observation, &finding) {
        let words = format!("{}, and the token that it carried had expired by then", finding.words);
        return Finding { class: Class::Infra, kind: Kind::ExpiredToken, words, ..finding };
    }
    if let Some(words) = misdirected(observation, rules, finding.kind) {
        return Finding { kind: Kind::Misdirected, words, ..finding };
    }
    if times.pinged.is_some() && finding.kind == Kind::Silent {
        "open, and silent but for pings: no frame of the application's ever came"
            .clone_into(&mut finding.words);
    }
    finding
}

/// What is said where a greeting or an answer is another's, and the socket's own never came.
fn misdirected(observation: &Observation, rules: &Rules<'_>, kind: Kind) -> Option<String> {
    let missing = matches!(kind, Kind::GreetingMissing | Kind::NoAnswer);
    let learned = rules.learned.filter(|_| missing && observation.knew_greeting)?;
    let frame = learned.misdirected(&observation.frames, observation.sent_after)?;
    let whose =
        if frame.user == Some(Whose::Another) { "another user's" } else { "the answer to another socket" };
    Some(format!("what came is {whose}, and its own never did: \"{}\"", frame.text))
}

/// True for what says to a socket that it is not let in, or no longer: 401, 403, or a close with a code of that meaning;
/// before it was served also with any code of the application's own.
fn refuses(observation: &Observation, finding: &Finding) -> bool {
    if finding.class != Class::AppFail {
        return false;
    }
    let means_it = |code| matches!(code, 1008 | 3000 | 3003 | 4001 | 4401 | 4403);
    match (&observation.opening, &observation.end) {
        (Opening::Refused { status, .. }, _) => matches!(status, 401 | 403),
        (_, Some(End { kind: EndKind::CloseFrame { code: Some(code), .. }, phase })) => match phase {
            Phase::Greeting | Phase::Answer => is_of_refusal(*code),
            Phase::Hold => means_it(*code),
            _ => false,
        },
        _ => false,
    }
}

/// Codes with which a socket is not let in, or shut out.
pub(super) fn is_of_refusal(code: u16) -> bool {
    matches!(code, 1008 | 3000 | 3003 | 4000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{Declared, Frame, Learned, Timeline};
    use crate::trust::Excerpt;

    fn seen_frames(frames: Vec<Frame>) -> Observation {
        let end = Some(End { kind: EndKind::CutByUs, phase: Phase::Closing });
        Observation { frames, sent_after: Some(1), ..observation(Timeline::default(), end) }
    }

    fn observation(timeline: Timeline, end: Option<End>) -> Observation {
        Observation {
            socket: 1,
            user: None,
            opening: Opening::Opened { subprotocol: None },
            frames: Vec::new(),
            frames_total: 0,
            sent_after: Some(0),
            knew_greeting: false,
            end,
            echo: None,
            instance: None,
            timeline,
        }
    }

    fn seen(timeline: Timeline, end: EndKind, phase: Phase) -> Finding {
        let observation = observation(timeline, Some(End { kind: end, phase }));
        let declared = Declared { send: true, expect: false, greeting: false };
        classify(&observation, &Rules { declared, learned: None, platform_counts: false, closes: &[] })
    }

    #[test]
    fn what_was_cut_is_undecided_and_what_had_failed_before_is_not() {
        let cut = Timeline { cut: Some(9), ..Timeline::default() };
        assert_eq!(seen(cut, EndKind::CutByUs, Phase::Closing).class, Class::Infra);
        let late = EndKind::CloseFrame { code: Some(1011), reason: Excerpt::default() };
        assert_eq!(seen(Timeline::default(), late, Phase::Answer).class, Class::AppFail);
        assert_eq!(seen(Timeline::default(), EndKind::CutByUs, Phase::Closing).class, Class::AppFail);
    }

    #[test]
    fn a_refusal_of_an_expired_token_says_nothing_and_any_other_failure_does() {
        let expired = Timeline { expired: Some(9), ..Timeline::default() };
        let close = |code| EndKind::CloseFrame { code: Some(code), reason: Excerpt::default() };
        for code in [1008, 3000, 4001, 4401] {
            let finding = seen(expired, close(code), Phase::Greeting);
            assert_eq!((finding.class, finding.kind), (Class::Infra, Kind::ExpiredToken), "{code}");
            assert!(finding.words.contains("the token that it carried had expired"), "{finding:?}");
            assert_eq!(seen(Timeline::default(), close(code), Phase::Greeting).class, Class::AppFail);
        }
        // A server may end whom it has served, once the token is over; with codes of its own it may say anything.
        for code in [1008, 4401] {
            assert_eq!(seen(expired, close(code), Phase::Hold).kind, Kind::ExpiredToken, "{code}");
            assert_eq!(seen(Timeline::default(), close(code), Phase::Hold).class, Class::AppFail);
        }
        for (end, phase) in [
            (close(1011), Phase::Greeting),
            (EndKind::Reset, Phase::Greeting),
            (close(4500), Phase::Hold),
            (EndKind::NoCloseFrame, Phase::Hold),
        ] {
            assert_eq!(seen(expired, end, phase).class, Class::AppFail, "{phase:?}");
        }
    }

    #[test]
    fn what_is_anothers_is_named_where_the_socket_s_own_is_missing() {
        let frame = |shape, user, nonce| Frame {
            shape: Excerpt::new(shape),
            text: Excerpt::new(shape),
            user,
            nonce,
            ..Frame::default()
        };
        let set = |shape: &str| std::collections::BTreeSet::from([shape.to_owned()]);
        let learned = Learned {
            due: std::collections::BTreeMap::from([("welcome".to_owned(), 1)]),
            answered: Some(set("pong")),
            of_user: set("welcome"),
            of_nonce: set("pong"),
            ..Learned::default()
        };
        let of = |user, nonce| {
            let mut seen = seen_frames(vec![frame("welcome", user, None), frame("pong", None, nonce)]);
            seen.knew_greeting = true;
            let declared = Declared { send: true, expect: false, greeting: false };
            classify(&seen, &Rules { declared, learned: Some(&learned), platform_counts: false, closes: &[] })
        };
        let (own, another) = (Some(Whose::Own), Some(Whose::Another));
        assert_eq!(of(own, own).kind, Kind::Ok);
        for (user, nonce, whose) in
            [(another, own, "another user's"), (own, another, "the answer to another socket")]
        {
            let finding = of(user, nonce);
            assert_eq!((finding.class, finding.kind), (Class::AppFail, Kind::Misdirected));
            assert!(finding.words.starts_with(&format!("what came is {whose}, ")), "{finding:?}");
        }
    }

    #[test]
    fn a_server_that_only_pings_is_said_to_ping() {
        let pinged = Timeline { pinged: Some(3), ..Timeline::default() };
        let finding = seen(pinged, EndKind::CutByUs, Phase::Closing);
        assert!(finding.kind == Kind::Silent && finding.words.contains("but for pings"), "{finding:?}");
    }
}
