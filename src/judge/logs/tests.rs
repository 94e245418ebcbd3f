use super::*;
use crate::config::{CheckName, FileConfig, Lookup, Purpose, Typed, merge};
use crate::judge::{
    AddressKind, ConfiguredEvidence, EVIDENCE_VERSION, IdentityEvidence, Probing, ReadyEvidence, Target,
    Window,
};
use crate::probe::{Capacity, Company, Plan, Round, Stage, StopReason};
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
    }
}

fn entry(at: u64, kind: LoggedKind) -> Logged {
    let text = Excerpt::new("it went wrong");
    Logged { at, kind, severity: "ERROR".to_owned(), text, socket: None, allowed: None }
}

fn window(check: CheckName, began: u64, ended: u64) -> Window {
    Window { check, began, ended }
}

/// From 10 to 20 s clients vanish.
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
        observations: Vec::new(),
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
            judged.summary.contains("in 46.0 s of these; 2 while badly behaved clients were there"),
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
    let own = |at, kind| Logged { socket: Some(7), ..entry(at, kind) };
    let mut broken = evidence(vec![own(15_000, LoggedKind::BrokenRequest)]);
    assert_eq!(logs(&broken).outcome, Outcome::Fail, "nobody vanished");
    vanishing(&mut broken);
    let check = logs(&broken);
    assert_eq!(check.outcome, Outcome::Pass);
    assert!(check.summary.contains("not counted: 1 request broken off by the instance"), "{check:?}");
    let mut another = evidence(vec![entry(15_000, LoggedKind::BrokenRequest)]);
    vanishing(&mut another);
    assert_eq!(logs(&another).outcome, Outcome::Fail, "somebody else's");
    assert_eq!(
        logs(&evidence(vec![own(15_000, LoggedKind::TimedOut)])).outcome,
        Outcome::Pass,
        "hold judges it"
    );
    assert_eq!(logs(&evidence(vec![own(15_000, LoggedKind::ServerError)])).outcome, Outcome::Fail);
}

#[test]
fn clients_that_leave_and_requests_without_an_instance_are_shown_and_do_not_count() {
    let check =
        logs(&evidence(vec![entry(5000, LoggedKind::Departure), entry(6000, LoggedKind::NoInstance)]));
    assert_eq!(check.outcome, Outcome::Pass);
    let words = "not counted: 1 traceback of a client's leaving, 1 request without an instance";
    assert!(check.summary.contains(words), "{check:?}");
}

#[test]
fn what_is_allowed_is_counted_and_said() {
    let known = Logged { allowed: Some(0), ..entry(5000, LoggedKind::Error) };
    let evidence = evidence(vec![known]);
    let check = logs(&evidence);
    assert_eq!((check.outcome, excused(&evidence)), (Outcome::Pass, 1));
    assert!(check.summary.contains("1 excused by logs.allow"), "{check:?}");
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
