//! What counts of a run whose tag was lost, and that its reports say so first.

use revgate::config::CheckName;
use revgate::judge::{Check, Evidence, LogsSeen, Outcome, TagLoss, Verdict, judge};
use revgate::probe::{Round, StopReason};
use revgate::report::{Document, Style, render_markdown, render_text};

use crate::compared;
use crate::configured;
use crate::documents::{SERVING, approved, blocked_by_race};
use crate::reports::{assert_judged_the_same, assert_reports, plain};

/// The tag was seen in its place for so many microseconds, and then at the serving revision.
fn lost(evidence: Evidence, last_seen: u64) -> Evidence {
    let tag = "gate-hn3k20f0a".to_owned();
    let holder = Some(SERVING.to_owned());
    let tag_loss = TagLoss { tag, holder, back: false, last_seen, noticed: last_seen + 7_000_000 };
    Evidence { tag_loss: Some(tag_loss), ..evidence }
}

fn rounds(evidence: &Evidence) -> &[Round] {
    evidence.probing.as_ref().map_or(&[], |probing| &probing.rounds)
}

fn checked(evidence: &Evidence, name: CheckName) -> Check {
    judge(evidence).unwrap().checks.into_iter().find(|check| check.name == name).unwrap()
}

#[test]
fn the_reason_stands_first_also_where_identity_is_left_out() {
    let mut evidence = lost(approved(), 60_000_000);
    evidence.selection.skip = vec![CheckName::Identity];
    assert_reports("tag_lost", &evidence);
    let judgement = judge(&evidence).unwrap();
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    let document = Document::new(&evidence, &judgement);
    let text = render_text(&document, Style::default());
    let words =
        format!("TAG LOST  tag gate-hn3k20f0a was moved to {SERVING} by somebody, seen at 67 s\nWEAKENED");
    assert!(text.starts_with(&words), "{text}");
}

#[test]
fn a_round_counts_that_was_over_when_the_tag_was_last_seen_in_its_place() {
    let whole = blocked_by_race();
    let fourth = rounds(&whole)[3].ended;
    for (last_seen, kept) in [(fourth - 1, 3), (fourth, 4), (u64::MAX - 7_000_000, rounds(&whole).len())] {
        let evidence = lost(whole.clone(), last_seen);
        let counted = evidence.counted();
        assert_eq!(rounds(&counted).len(), kept);
        let stopped = counted.probing.as_ref().unwrap().stopped;
        assert_eq!(stopped == StopReason::TagLost, kept < rounds(&whole).len());
        assert_eq!(*evidence.counted().counted(), *counted, "what counts counts");
    }
    let verdict = |evidence: &Evidence| judge(evidence).unwrap().verdict;
    assert_eq!(verdict(&whole), Verdict::Blocked);
    let last = rounds(&whole).last().unwrap().ended;
    assert_eq!(verdict(&lost(whole.clone(), last)), Verdict::Blocked, "it had failed by then");
    assert_eq!(verdict(&lost(whole, 0)), Verdict::Inconclusive, "nobody knows who failed");
}

#[test]
fn what_was_seen_to_its_end_keeps_its_own_reason() {
    let mut whole = configured::failing();
    whole.configured.agent.as_mut().unwrap().runs.clear();
    let ended = |name| {
        let window = whole.configured.windows.iter().find(|window| window.check == name);
        window.unwrap().ended * 1000
    };
    let evidence = lost(whole.clone(), ended(CheckName::Hold));
    for (name, outcome) in [(CheckName::Agent, Outcome::Inconclusive), (CheckName::Hold, Outcome::Fail)] {
        let check = checked(&evidence, name);
        assert_eq!((check.outcome, &check.summary), (outcome, &checked(&whole, name).summary));
    }
    for name in [CheckName::Api, CheckName::Auth, CheckName::Frames, CheckName::Logs] {
        let check = checked(&evidence, name);
        assert_eq!(check.outcome, Outcome::Inconclusive, "{check:?}");
        assert!(
            check.summary.starts_with("not run to its end: tag gate-hn3k20f0a was moved to "),
            "{check:?}"
        );
    }
    let a_moment_less = lost(whole.clone(), ended(CheckName::Hold) - 1);
    assert_eq!(checked(&a_moment_less, CheckName::Hold).outcome, Outcome::Inconclusive);
}

#[test]
fn pairs_of_which_one_may_be_another_revisions_compare_nothing() {
    let whole = compared::pre_existing();
    let last = whole.baseline.as_ref().unwrap().pairs.last().unwrap().candidate.ended;
    for (last_seen, counts) in [(last - 1, false), (last, true)] {
        let evidence = lost(whole.clone(), last_seen);
        let counted = evidence.counted();
        assert_eq!(counted.baseline.is_some(), counts);
        let judgement = judge(&evidence).unwrap();
        assert_eq!(Document::new(&counted, &judgement).baseline.is_some(), counts);
    }
}

#[test]
fn what_does_not_count_is_nowhere_in_a_report() {
    let mut whole = configured::failing();
    let Some(LogsSeen::Read(read)) = &mut whole.configured.logs else { panic!("the log was read") };
    read.severity = "CRITICAL".to_owned();
    let shown = |evidence: &Evidence| {
        let judgement = judge(evidence).unwrap();
        let counted = evidence.counted();
        let document = Document::new(&counted, &judgement);
        let weakened = document.weakened.iter().any(|line| line.starts_with("log entries below"));
        (document.observations.len(), document.released.len(), weakened)
    };
    let (observations, released, weakened) = shown(&whole);
    assert!(observations > 0 && released > 0 && weakened);
    let evidence = lost(whole, 0);
    assert_eq!(shown(&evidence), (0, 0, false));
    let (counted, judgement) = (evidence.counted(), judge(&evidence).unwrap());
    let document = Document::new(&counted, &judgement);
    let text = plain(&render_text(&document, Style::default()));
    assert_judged_the_same(&evidence, &text, &render_markdown(&document), document.exit_code);
}
