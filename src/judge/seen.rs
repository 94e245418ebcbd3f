//! What one socket came to, with what our own clock and the server's pings add to it.
//!
//! Takes an observation and what is known of a healthy socket; gives the finding that every test and every report uses.
//! It opens nothing. The surprising rule: a socket that we cut, since the time of the run was over, is nobody's failure and
//! nobody's success: its round is void, unless an error had come on it before.

use super::classify::{self, Class, Finding, Kind, Rules};
use crate::probe::Observation;

/// Says what one socket came to.
pub fn classify(observation: &Observation, rules: &Rules<'_>) -> Finding {
    let mut finding = classify::classify(observation, rules);
    let times = &observation.timeline;
    if times.cut.is_some() && !matches!(finding.kind, Kind::ErrorFrame | Kind::LateClose) {
        let kind = if finding.kind == Kind::Ok { Kind::NoAnswer } else { finding.kind };
        let words = "undecided: cut by us, for the time of the run was over".to_owned();
        return Finding { class: Class::Infra, kind, words, ..finding };
    }
    if times.pinged.is_some() && finding.kind == Kind::Silent {
        "open, and silent but for pings: no frame of the application's ever came"
            .clone_into(&mut finding.words);
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{Declared, End, EndKind, Opening, Phase, Timeline};
    use crate::trust::Excerpt;

    fn seen(timeline: Timeline, end: EndKind, phase: Phase) -> Finding {
        let observation = Observation {
            socket: 1,
            user: None,
            opening: Opening::Opened { subprotocol: None },
            frames: Vec::new(),
            frames_total: 0,
            sent_after: Some(0),
            knew_greeting: false,
            end: Some(End { kind: end, phase }),
            echo: None,
            instance: None,
            timeline,
        };
        let declared = Declared { send: true, expect: false };
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
    fn a_server_that_only_pings_is_said_to_ping() {
        let pinged = Timeline { pinged: Some(3), ..Timeline::default() };
        let finding = seen(pinged, EndKind::CutByUs, Phase::Closing);
        assert!(finding.kind == Kind::Silent && finding.words.contains("but for pings"), "{finding:?}");
    }
}
