use super::*;
use crate::config::{BadToken, Refusals};
use crate::config::{CheckName, FileConfig, Lookup, Purpose, Typed, merge};
use crate::judge::{
    AddressKind, ConfiguredEvidence, EVIDENCE_VERSION, IdentityEvidence, Probing, ReadyEvidence, Target,
    Window,
};
use crate::probe::{
    Answer, Answered, ApiSeen, AuthSeen, BadTokenSeen, Capacity, Company, Declared, End, EndKind,
    EndpointSeen, Observation, Opening, Phase, Plan, Round, Stage, StopReason, Timeline,
};
use crate::trust::Excerpt;

fn target() -> Target {
    Target {
        service: Some(crate::config::ServiceName {
            project: "p".into(),
            region: "r".into(),
            service: "s".into(),
        }),
        revision: Some("s-2".to_owned()),
        revision_uid: None,
        rule: String::new(),
        serving_percent: 0,
        previous: None,
        address: None,
        path: "/".to_owned(),
        rehearsed: false,
        behind_front_end: true,
        notes: Vec::new(),
    }
}

/// A minute of a run that asked for `logs` and saw these entries.
fn evidence(entries: Vec<Logged>) -> Evidence {
    let file = FileConfig::parse("t", b"logs: {}\nsend: x\n").unwrap();
    let settings =
        merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Rehearsal).unwrap().settings;
    let read = LogsRead {
        severity: "ERROR".to_owned(),
        allow: vec!["known".to_owned()],
        ended: 60_000,
        waited: 4200,
        entries,
        more: false,
        starts: Vec::new(),
    };
    Evidence {
        version: EVIDENCE_VERSION,
        recorded_by: "test".to_owned(),
        started_at: "2026-11-23T20:28:12Z".parse().unwrap(),
        took_ms: 70_000,
        target: target(),
        selection: settings.checks.clone(),
        dry_run: false,
        asked: crate::config::Asked::default(),
        ready: ReadyEvidence::Unknown,
        identity: IdentityEvidence {
            address: AddressKind::Url,
            echo: None,
            instance_echo: None,
            before: None,
            after: None,
            log: None,
        },
        local: None,
        probing: Some(Probing {
            plan: Plan::new(&settings, Capacity::default(), 7),
            calibration: None,
            learned: None,
            round_trip: None,
            rounds: Vec::new(),
            stopped: StopReason::Decided,
            cold: None,
        }),
        configured: ConfiguredEvidence { logs: Some(LogsSeen::Read(read)), ..ConfiguredEvidence::default() },
        baseline: None,
        watch: None,
        times: Vec::new(),
        interrupted: None,
        tag_loss: None,
    }
}

fn entry(at: u64, kind: LoggedKind) -> Logged {
    let text = Excerpt::new("it went wrong");
    Logged { at, kind, severity: "ERROR".to_owned(), text, socket: None, allowed: None }
}

fn window(check: CheckName, began: u64, ended: u64) -> Window {
    Window { check, began, ended }
}

/// A socket of this number, and how it ended.
fn seen(socket: u32, end: EndKind) -> Observation {
    Observation {
        socket,
        user: None,
        opening: Opening::Opened { subprotocol: None },
        frames: Vec::new(),
        frames_total: 0,
        sent_after: None,
        knew_greeting: false,
        end: Some(End { kind: end, phase: Phase::Closing }),
        echo: None,
        instance: None,
        timeline: Timeline::default(),
    }
}

/// From 10 to 20 s clients vanish, one of them with the seventh socket; the eighth comes back and stays.
fn vanishing(evidence: &mut Evidence) {
    let round = Round {
        stage: Stage::Reconnect,
        number: 1,
        company: Company::Quiet,
        delay: None,
        started: 10_000_000,
        ended: 20_000_000,
        frozen: None,
        means: None,
        release_spread: None,
        late: None,
        observations: vec![seen(7, EndKind::CutByUs), seen(8, EndKind::NoCloseFrame)],
    };
    evidence.probing.as_mut().unwrap().rounds.push(round);
}

#[test]
fn a_clean_log_passes_with_its_numbers() {
    let check = logs(&evidence(Vec::new()));
    assert_eq!(check.outcome, Outcome::Pass);
    assert_eq!(
        check.summary,
        "no crash and no 5xx in 60.0 s, no error of the application at ERROR or above in 60.0 s of these; the log showed our \
         own request after 4.2 s"
    );
}

#[test]
fn one_error_fails_and_is_quoted_with_its_time() {
    let check = logs(&evidence(vec![entry(9000, LoggedKind::Error), entry(3200, LoggedKind::Traceback)]));
    assert_eq!(check.outcome, Outcome::Fail);
    assert_eq!(
        check.summary,
        "1 error of the application, 1 traceback; first at 3.2 s, ERROR: \"it went wrong\""
    );
    assert!(check.help[0].starts_with("also at 9.0 s") && check.help[1].contains("gcloud logging read"));
}

#[test]
fn what_a_healthy_application_says_of_bad_clients_does_not_count() {
    for check in [CheckName::Auth, CheckName::Frames] {
        let mut evidence =
            evidence(vec![entry(28_500, LoggedKind::Error), entry(41_900, LoggedKind::Traceback)]);
        evidence.configured.windows = vec![window(check, 30_000, 40_000)];
        let judged = logs(&evidence);
        assert_eq!(judged.outcome, Outcome::Pass, "{judged:?}");
        assert!(
            judged
                .summary
                .contains("in 46.0 s of these; 2 entries not counted, written while this run sent bad"),
            "{judged:?}"
        );
        evidence.configured.windows = vec![window(CheckName::Hold, 30_000, 40_000)];
        assert_eq!(logs(&evidence).outcome, Outcome::Fail, "well-behaved clients");
    }
    let mut vanished = evidence(vec![entry(8500, LoggedKind::Error)]);
    vanishing(&mut vanished);
    assert_eq!(logs(&vanished).outcome, Outcome::Pass);
}

#[test]
fn crashes_memory_and_5xx_count_whoever_was_there() {
    for kind in [LoggedKind::Crash, LoggedKind::Memory, LoggedKind::ServerError, LoggedKind::BrokenRequest] {
        let mut evidence = evidence(vec![entry(35_000, kind)]);
        evidence.configured.windows = vec![window(CheckName::Auth, 30_000, 40_000)];
        assert_eq!(logs(&evidence).outcome, Outcome::Fail, "{kind:?}");
    }
}

#[test]
fn a_connection_that_we_broke_ourselves_is_no_failure_of_the_revision() {
    let own = |socket, kind| Logged { socket: Some(socket), ..entry(15_000, kind) };
    let mut broken = evidence(vec![own(7, LoggedKind::BrokenRequest)]);
    assert_eq!(logs(&broken).outcome, Outcome::Fail, "nobody vanished");
    vanishing(&mut broken);
    let check = logs(&broken);
    assert_eq!(check.outcome, Outcome::Pass);
    assert!(check.summary.contains("judge them: 1 request broken off by the instance"), "{check:?}");
    let mut another = evidence(vec![entry(15_000, LoggedKind::BrokenRequest)]);
    vanishing(&mut another);
    assert_eq!(logs(&another).outcome, Outcome::Fail, "somebody else's");
    let mut beside = evidence(vec![own(8, LoggedKind::BrokenRequest)]);
    vanishing(&mut beside);
    assert_eq!(logs(&beside).outcome, Outcome::Fail, "a well-behaved one, at the same time");
    let mut answered = evidence(vec![own(7, LoggedKind::ServerError)]);
    vanishing(&mut answered);
    assert_eq!(logs(&answered).outcome, Outcome::Fail, "the application itself said 5xx");
    assert_eq!(logs(&evidence(vec![own(7, LoggedKind::TimedOut)])).outcome, Outcome::Pass, "hold judges it");
}

#[test]
fn an_oversized_token_whose_connection_was_dropped_is_judged_by_auth_and_a_good_one_counts() {
    let of =
        |socket| evidence(vec![Logged { socket: Some(socket), ..entry(35_000, LoggedKind::BrokenRequest) }]);
    let auth = AuthSeen {
        declared: Declared { send: true, expect: false, greeting: false },
        closes: Vec::new(),
        refusals: vec![Refusals { from: 401, to: 401 }],
        patience_ms: 10_000,
        first_message: false,
        before: seen(20, EndKind::CutByUs),
        bad: vec![BadTokenSeen {
            kind: BadToken::Oversized,
            observation: seen(21, EndKind::CutByUs),
            control: Some(seen(22, EndKind::CutByUs)),
        }],
        after: Some(seen(23, EndKind::CutByUs)),
        left_out: Vec::new(),
    };
    for (socket, due) in [(20, Outcome::Fail), (21, Outcome::Pass), (22, Outcome::Pass), (23, Outcome::Fail)]
    {
        let mut evidence = of(socket);
        evidence.configured.windows = vec![window(CheckName::Auth, 30_000, 40_000)];
        evidence.configured.auth = Some(auth.clone());
        assert_eq!(logs(&evidence).outcome, due, "socket {socket}");
    }
}

#[test]
fn a_5xx_that_an_endpoint_is_declared_to_answer_is_what_was_asked_for() {
    let answer = |number, result| Answer { number, at_once: false, began: 0, took: 9, expired: None, result };
    let endpoint = EndpointSeen {
        name: Excerpt::new("GET /down"),
        is_swallowed: false,
        statuses: vec!["503".to_owned()],
        within: 2000,
        times: 2,
        at_once: 0,
        answers: vec![
            answer(30, Answered::Right { status: 503 }),
            answer(31, Answered::Right { status: 200 }),
        ],
    };
    let api = ApiSeen { endpoints: vec![endpoint], no_client: None };
    let judged = |number, kind| {
        let mut evidence = evidence(vec![Logged { socket: Some(number), ..entry(9000, kind) }]);
        evidence.configured.api = Some(api.clone());
        logs(&evidence).outcome
    };
    assert_eq!(judged(30, LoggedKind::ServerError), Outcome::Pass);
    assert_eq!(judged(31, LoggedKind::ServerError), Outcome::Fail);
    assert_eq!(judged(30, LoggedKind::BrokenRequest), Outcome::Fail, "the instance broke it off");
}

#[test]
fn a_request_without_an_instance_is_capacity_where_it_is_ours_and_an_outage_where_it_is_not() {
    let own = Logged { socket: Some(3), ..entry(6000, LoggedKind::NoInstance) };
    let check = logs(&evidence(vec![entry(5000, LoggedKind::Departure), own]));
    assert_eq!(check.outcome, Outcome::Pass);
    let words = "judge them: 1 traceback of a client's leaving, 1 request without an instance";
    assert!(check.summary.contains(words), "{check:?}");
    assert_eq!(logs(&evidence(vec![entry(6000, LoggedKind::NoInstance)])).outcome, Outcome::Fail);
}

#[test]
fn no_pattern_excuses_a_crash_memory_or_5xx() {
    for kind in [
        LoggedKind::Crash,
        LoggedKind::Memory,
        LoggedKind::ServerError,
        LoggedKind::BrokenRequest,
        LoggedKind::NoInstance,
    ] {
        let evidence = evidence(vec![Logged { allowed: Some(0), ..entry(5000, kind) }]);
        let check = logs(&evidence);
        assert_eq!((check.outcome, excused(&evidence)), (Outcome::Fail, 0), "{kind:?}");
        assert!(
            check.summary.ends_with("logs.allow names 1 of them, and excuses no crash, no memory and no 5xx")
        );
    }
}

#[test]
fn what_is_allowed_is_counted_and_said() {
    let known = Logged { allowed: Some(0), ..entry(5000, LoggedKind::Error) };
    let evidence = evidence(vec![known]);
    let check = logs(&evidence);
    assert_eq!((check.outcome, excused(&evidence)), (Outcome::Pass, 1));
    assert!(check.summary.contains("1 entry excused by logs.allow"), "{check:?}");
}

#[test]
fn what_was_not_read_is_no_pass() {
    let mut unread = evidence(Vec::new());
    let (why, help) = (Excerpt::new("the log did not show our own request in 90 s"), "wait".to_owned());
    unread.configured.logs = Some(LogsSeen::Unread { why, help });
    let check = logs(&unread);
    assert_eq!(
        (check.outcome, check.summary.as_str()),
        (Outcome::Inconclusive, "the log did not show our own request in 90 s")
    );
    unread.configured.logs = None;
    assert_eq!(logs(&unread).outcome, Outcome::Inconclusive);
    let mut cut = evidence(vec![Logged { allowed: Some(0), ..entry(5000, LoggedKind::Error) }]);
    if let Some(LogsSeen::Read(read)) = &mut cut.configured.logs {
        read.more = true;
    }
    assert_eq!(logs(&cut).outcome, Outcome::Inconclusive, "the others are not known");
    let mut never_clean = evidence(Vec::new());
    never_clean.configured.windows = vec![window(CheckName::Auth, 0, 59_500)];
    assert_eq!(logs(&never_clean).outcome, Outcome::Inconclusive);
}

#[test]
fn a_record_keeps_what_was_seen() {
    let evidence = evidence(vec![entry(5000, LoggedKind::NoInstance)]);
    let text = serde_json::to_string(&evidence).unwrap();
    assert_eq!(serde_json::from_str::<Evidence>(&text).unwrap(), evidence);
}
