use super::*;
use crate::probe::{Declared, End, Observation, Opening, Phase, Timeline};
use crate::trust::Excerpt;

const SENDS: Declared = Declared { send: false, expect: false, greeting: false };

fn seen(request_timeout_ms: Option<u64>, heartbeat_every_ms: Option<u64>) -> HoldSeen {
    HoldSeen {
        declared: SENDS,
        closes: vec![1001],
        time_ms: 60_000,
        ping_every_ms: 20_000,
        patience_ms: 10_000,
        heartbeat_every_ms,
        own_heartbeat_every_ms: None,
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
            shape: Excerpt::new("welcome"),
            text: Excerpt::new("welcome"),
            ..crate::probe::Frame::default()
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
        own_heartbeats: 0,
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
fn a_server_that_ends_a_session_with_its_token_is_not_to_blame() {
    let seen = seen(None, None);
    let refused = EndKind::CloseFrame { code: Some(4401), reason: Excerpt::new("token expired") };
    let mut socket = held(40_000, Some(refused));
    assert!(matches!(fate_of(&socket, &seen), Fate::Wrong(_)), "its token is good");
    socket.observation.timeline.expired = Some(40_000_000);
    let fate = fate_of(&socket, &seen);
    assert!(matches!(&fate, Fate::Void(words, LET_LIVE) if words.contains("token expired")), "{fate:?}");
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

#[test]
fn what_is_due_is_due_until_the_request_time_out_too() {
    let ended = held(30_000, Some(EndKind::NoCloseFrame));
    let pongless = HeldSocket { pings: 5, pongs: 0, ..ended.clone() };
    assert!(
        matches!(fate_of(&pongless, &seen(Some(30_000), None)), Fate::Wrong(words) if words.contains("5 of 5"))
    );
    let cut_off = HeldSocket { pings: 5, pongs: 4, ..ended.clone() };
    assert_eq!(fate_of(&cut_off, &seen(Some(30_000), None)), Fate::TimedOut);
    let too_short = fate_of(&ended, &seen(Some(30_000), Some(30_000)));
    assert!(
        matches!(too_short, Fate::Void(words, _) if words.contains("30 s are too short")),
        "no heartbeat could be missing"
    );
    let young = fate_of(&held(900, Some(EndKind::NoCloseFrame)), &seen(Some(30_000), None));
    assert!(matches!(young, Fate::Wrong(words) if words.starts_with("lost after 0 s")));
}

#[test]
fn an_error_frame_on_a_held_socket_is_no_peace() {
    let mut failing = held(60_000, None);
    failing.observation.frames[0].error = true;
    let fate = fate_of(&failing, &seen(None, None));
    assert!(matches!(fate, Fate::Wrong(words) if words == "error frame \"welcome\" while it was held"));
}

#[test]
fn a_limit_of_the_services_own_is_no_failure_and_no_pass() {
    let reason = Excerpt::new("rate limit exceeded");
    let closed = held(12_000, Some(EndKind::CloseFrame { code: Some(1008), reason }));
    assert!(matches!(fate_of(&closed, &seen(None, None)), Fate::Void(_, help) if help.contains("limits")));
}

#[test]
fn a_hold_without_a_ping_shows_nothing_and_a_loss_says_what_may_be_asked_instead() {
    let silent = HeldSocket { pings: 0, pongs: 0, ..held(60_000, None) };
    let mut seen = HoldSeen { sockets: vec![silent.clone(), silent], ..seen(None, None) };
    let judged = |seen: &HoldSeen| {
        let fates: Vec<Fate> = seen.sockets.iter().map(|socket| fate_of(socket, seen)).collect();
        decide(seen, &fates)
    };
    let check = judged(&seen);
    assert_eq!(check.outcome, Outcome::Inconclusive);
    assert!(check.summary.contains("no ping was due while they were held"), "{check:?}");
    seen.sockets[1] = held(60_000, None);
    assert_eq!(judged(&seen).outcome, Outcome::Pass, "one that was pinged is enough");
    let reason = Excerpt::new("session over");
    seen.sockets[1] = held(30_400, Some(EndKind::CloseFrame { code: Some(1000), reason }));
    let check = judged(&seen);
    assert!(check.summary.starts_with("lost after 30 s: close 1000 \"session over\""), "{check:?}");
    assert!(check.help[0].ends_with("hold: { for: 29s }") && check.help[1].contains("heartbeat: { send:"));
    assert_eq!(judged(&HoldSeen { sockets: Vec::new(), ..seen }).outcome, Outcome::Inconclusive);
}

#[test]
fn a_socket_that_was_there_to_the_end_counts_as_held_whatever_was_missing_on_it() {
    let mut seen = seen(None, Some(1000));
    let gone = held(2000, Some(EndKind::NoCloseFrame));
    seen.sockets = vec![held(60_000, None), held(60_000, None), gone];
    let fates: Vec<Fate> = seen.sockets.iter().map(|socket| fate_of(socket, &seen)).collect();
    let check = decide(&seen, &fates);
    let due = "heartbeat never sent in 60 s, and 2 more; 2 of 3 sockets held 60 s; ";
    assert!(check.outcome == Outcome::Fail && check.summary.starts_with(due), "{}", check.summary);
}
