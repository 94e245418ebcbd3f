//! The reports of runs that a signal ended, and that none of them is an approval.

use revgate::config::CheckName;
use revgate::judge::{Evidence, Interruption, Outcome, Part, Signal, Verdict, judge};
use revgate::probe::StopReason;
use revgate::report::{Document, Style, render_markdown, render_text};

use crate::configured;
use crate::documents::{approved, blocked_by_race};
use crate::reports::assert_reports;

/// A signal that came during a part, when so many of the others were over.
pub(crate) fn interruption(during: Option<Part>, over: usize, left: &str) -> Interruption {
    let asked = [Part::Ready, Part::Rounds, Part::Agent, Part::Hold, Part::Api, Part::Auth, Part::Logs];
    Interruption {
        signal: Signal::Terminate,
        after_ms: 41_234,
        during,
        ran: asked[..over].to_vec(),
        asked: asked.to_vec(),
        left: if left.is_empty() { Vec::new() } else { vec![left.to_owned()] },
    }
}

/// Everything that had been over by then passed, and one of two sockets was kept when the signal came.
fn during_hold() -> Evidence {
    let mut evidence = configured::passing();
    evidence.configured.api = None;
    evidence.configured.auth = None;
    evidence.configured.frames = None;
    evidence.configured.logs = None;
    evidence.identity.after = None;
    evidence.selection.configured.retain(|check| *check != CheckName::Frames);
    let hold = evidence.configured.hold.as_mut().unwrap();
    hold.sockets[0].observation.timeline.cut = Some(41_234_000);
    let interrupted = Some(interruption(Some(Part::Hold), 3, ""));
    Evidence { interrupted, ..evidence }
}

/// A race was proven before the signal came, and the tag could not be taken away.
fn with_a_failure() -> Evidence {
    let mut evidence = blocked_by_race();
    evidence.probing.as_mut().unwrap().stopped = StopReason::Interrupted;
    let left = "the tag gate-2m91f0 was not removed: the service answered 503; remove it: gcloud run services update-traffic \
                checkout --remove-tags gate-2m91f0";
    Evidence { interrupted: Some(interruption(Some(Part::Rounds), 1, left)), ..evidence }
}

#[test]
fn that_it_was_interrupted_stands_first() {
    for (name, evidence, verdict) in [
        ("interrupted", during_hold(), Verdict::Inconclusive),
        ("interrupted_failing", with_a_failure(), Verdict::Blocked),
    ] {
        assert_reports(name, &evidence);
        let judgement = judge(&evidence).unwrap();
        assert_eq!(judgement.verdict, verdict, "{name}");
        let document = Document::new(&evidence, &judgement);
        let first = format!("INTERRUPTED  {}\n", document.interrupted.unwrap().words());
        assert!(render_text(&document, Style::default()).starts_with(&first), "{name}");
        assert!(render_markdown(&document).starts_with("## revgate: INTERRUPTED, "), "{name}");
    }
}

#[test]
fn what_a_signal_came_before_is_not_passed() {
    let judgement = judge(&during_hold()).unwrap();
    for check in judgement.checks {
        let due = match check.name {
            CheckName::Frames => Outcome::NotAsked,
            CheckName::Ready
            | CheckName::Serves
            | CheckName::Race
            | CheckName::Agent
            | CheckName::Isolation => Outcome::Pass,
            _ => Outcome::Inconclusive,
        };
        assert_eq!(check.outcome, due, "{check:?}");
    }
}

#[test]
fn rounds_that_would_be_enough_are_not_before_their_end() {
    let interrupted = Some(interruption(Some(Part::Rounds), 1, ""));
    let judgement = judge(&Evidence { interrupted, ..approved() }).unwrap();
    for check in judgement.checks.iter().filter(|check| check.name.is_built_in()) {
        let due = if check.name == CheckName::Ready { Outcome::Pass } else { Outcome::Inconclusive };
        assert_eq!(check.outcome, due, "{check:?}");
    }
}

#[test]
fn a_run_that_only_its_clean_up_was_missing_of_is_no_approval_either() {
    assert_eq!(judge(&approved()).unwrap().verdict, Verdict::Approved);
    let interrupted = Some(interruption(None, 7, ""));
    let judgement = judge(&Evidence { interrupted, ..approved() }).unwrap();
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert!(judgement.checks.iter().all(|check| check.outcome != Outcome::Inconclusive), "{judgement:?}");
}
