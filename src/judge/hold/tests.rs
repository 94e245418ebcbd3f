use super::*;
use crate::probe::{Declared, End, Observation, Opening, Phase, Timeline};
use crate::trust::Excerpt;

const SENDS: Declared = Declared { send: false, expect: false };

fn seen(request_timeout_ms: Option<u64>, heartbeat_every_ms: Option<u64>) -> HoldSeen {
    HoldSeen {
        declared: SENDS,
        closes: vec![1001],
        time_ms: 60_000,
        ping_every_ms: 20_000,
        patience_ms: 10_000,
        heartbeat_every_ms,
        request_timeout_ms,
        sockets: Vec::new(),
    }
}

fn held(age_ms: u64, end: Option<EndKind>) -> HeldSocket {
    let lost = end.is_some();
    let (kind, phase) = end.map_or((EndKind::CutByUs, Phase::Closing), |kind| (kind, Phase::Hold));
    let observation = Observation {
        socket: 1,
        user: None,
        opening: Opening::Opened { subprotocol: None },
        frames: vec![crate::probe::Frame {
            at: 0,
            kind: crate::probe::FrameKind::Text,
            size: 1,
            shape: Excerpt::new("welcome"),
            error: false,
            expected: None,
            text: Excerpt::new("welcome"),
        }],
        frames_total: 1,
        sent_after: None,
        knew_greeting: false,
        end: Some(End { kind, phase }),
        echo: None,
        instance: None,
        timeline: Timeline::default(),
    };
    HeldSocket {
        served: true,
        age_ms,
        lost,
        pings: 2,
        pongs: 2,
        slowest_pong_ms: 3,
        heartbeats: 0,
        longest_gap_ms: age_ms,
        observation,
    }
}

fn fate_of(socket: &HeldSocket, seen: &HoldSeen) -> Fate {
    let rules = Rules { declared: SENDS, learned: None, closes: &seen.closes, platform_counts: true };
    fate(socket, seen, &rules)
}

#[test]
fn the_revisions_own_request_time_out_is_no_failure_and_any_other_end_is() {
    let seen = seen(Some(30_000), None);
    for age in [29_500, 30_200, 34_000] {
        assert_eq!(fate_of(&held(age, Some(EndKind::NoCloseFrame)), &seen), Fate::TimedOut, "{age}");
    }
    for age in [20_000, 28_900, 36_000] {
        let fate = fate_of(&held(age, Some(EndKind::NoCloseFrame)), &seen);
        assert!(matches!(fate, Fate::Wrong(_)), "{age}: {fate:?}");
    }
    let failed = EndKind::CloseFrame { code: Some(1011), reason: Excerpt::default() };
    assert!(matches!(fate_of(&held(30_000, Some(failed)), &seen), Fate::Wrong(_)), "it says that it failed");
    let declared = EndKind::CloseFrame { code: Some(1001), reason: Excerpt::default() };
    let lost = fate_of(&held(10_000, Some(declared)), &seen);
    assert!(matches!(lost, Fate::Wrong(_)), "a declared close is an end all the same: {lost:?}");
    assert_eq!(fate_of(&held(60_000, None), &seen), Fate::Held);
}

#[test]
fn heartbeats_and_pongs_are_due() {
    let every = seen(None, Some(20_000));
    let silent = held(60_000, None);
    assert_eq!(fate_of(&silent, &every), Fate::Wrong("heartbeat never sent in 60 s".to_owned()));
    let rare = HeldSocket { heartbeats: 1, longest_gap_ms: 31_000, ..silent.clone() };
    assert!(
        matches!(fate_of(&rare, &every), Fate::Wrong(words) if words.starts_with("no heartbeat for 31 s"))
    );
    let regular = HeldSocket { heartbeats: 2, longest_gap_ms: 29_000, ..silent.clone() };
    assert_eq!(fate_of(&regular, &every), Fate::Held);
    let mut late = HeldSocket { pongs: 1, ..regular.clone() };
    assert!(
        matches!(fate_of(&late, &every), Fate::Wrong(words) if words.starts_with("1 of 2 pings got no pong"))
    );
    late.observation.timeline.stalled = Some(6_000_000);
    assert_eq!(fate_of(&late, &every), Fate::Held, "our own machine stood still");
}
