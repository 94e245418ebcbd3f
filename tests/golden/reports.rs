//! Every renderer on the same documents.

use revgate::config::CheckName;
use revgate::judge::{Evidence, Outcome, judge};
use revgate::probe::Opening;
use revgate::report::{Document, Style, outputs, render_json, render_markdown, render_text};
use revgate::trust::Excerpt;

use crate::assert_golden;
use crate::compared;
use crate::configured;
use crate::documents::{self, HOSTILE};
use crate::program::Workplace;

const RECORD: &str = "revgate-run.json";

/// How many sockets a golden JSON report shows; the rest would only repeat them.
const SHOWN: usize = 3;

/// All renderers' reports on this evidence, in one golden file each; what the binary makes of the same evidence as a
/// record is the same.
pub(crate) fn assert_reports(name: &str, evidence: &Evidence) {
    let judgement = judge(evidence).expect("settings that guarantee something");
    let counted = evidence.counted();
    let mut document = Document::new(&counted, &judgement);
    let text = plain(&render_text(&document, Style::default()));
    let (markdown, github) = (render_markdown(&document), outputs(&document, Some(RECORD)));
    assert_golden(&format!("{name}_text"), &text);
    assert_golden(
        &format!("{name}_verbose"),
        &limited(&plain(&render_text(&document, Style { verbose: true }))),
    );
    assert_golden(&format!("{name}_markdown"), &markdown);
    assert_golden(&format!("{name}_github"), &github);
    assert_judged_the_same(evidence, &text, &markdown, document.exit_code);
    document.observations.truncate(SHOWN);
    assert_golden(&format!("{name}_json"), &render_json(&document).unwrap());
}

/// The text without its colours.
pub(crate) fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// The first and last lines of a long text.
fn limited(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() < 120, "a golden file of {} lines is read by nobody", lines.len());
    lines.join("\n")
}

/// Recorded, read again and judged by the binary: the same text, the same summary, the same code.
pub(crate) fn assert_judged_the_same(evidence: &Evidence, text: &str, markdown: &str, code: u8) {
    let place = Workplace::new();
    place.write(RECORD, serde_json::to_vec(evidence).unwrap());
    let (given, summary) = (place.path("output"), place.path("summary.md"));
    let variables = [
        ("GITHUB_OUTPUT", given.to_str().unwrap()),
        ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
        ("NO_COLOR", "1"),
    ];
    let ran = place.run(&["judge", RECORD], &variables);
    assert_eq!((ran.code, ran.err.as_str()), (i32::from(code), ""), "{}", ran.out);
    assert_eq!(ran.out, text);
    assert_eq!(std::fs::read_to_string(&summary).unwrap(), markdown);
}

#[test]
fn approved() {
    assert_reports("approved", &documents::approved());
}

#[test]
fn blocked_by_race() {
    assert_reports("blocked_by_race", &documents::blocked_by_race());
}

#[test]
fn what_was_there_before_is_excused_and_the_rest_is_not() {
    assert_reports("pre_existing", &compared::pre_existing());
}

#[test]
fn an_approval_is_held_back_when_the_serving_revision_began_to_fail() {
    assert_reports("harmed", &compared::harmed());
}

#[test]
fn all_that_is_configured_passes_and_all_of_it_fails() {
    for (name, evidence, outcome) in [
        ("configured_passing", configured::passing(), Outcome::Pass),
        ("configured_failing", configured::failing(), Outcome::Fail),
    ] {
        assert_reports(name, &evidence);
        let judgement = judge(&evidence).unwrap();
        let configured = judgement.checks.iter().filter(|check| !check.name.is_built_in());
        let others: Vec<_> = configured.filter(|check| check.outcome != outcome).collect();
        assert!(others.is_empty(), "{others:?}");
    }
}

#[test]
fn blocked_by_ready() {
    assert_reports("blocked_by_ready", &documents::blocked_by_ready());
}

#[test]
fn nothing_opened_is_inconclusive() {
    assert_reports("nothing_opened", &documents::nothing_opened());
}

#[test]
fn a_refusal_of_expired_tokens_alone_blocks_nobody_and_is_told_as_one() {
    for (expired, outcome, said) in [
        (
            Some(0),
            Outcome::Inconclusive,
            "2 not counted: HTTP 401 instead of 101, and the token that it carried had",
        ),
        (None, Outcome::Fail, "HTTP 401 instead of 101 (learning round 1"),
    ] {
        let mut evidence = documents::nothing_opened();
        let rounds = evidence.probing.iter_mut().flat_map(|probing| &mut probing.rounds);
        for seen in rounds.flat_map(|round| &mut round.observations) {
            let body = Excerpt::default();
            seen.opening = Opening::Refused { status: 401, body, location: None, platform: None };
            seen.timeline.expired = expired;
        }
        let judgement = judge(&evidence).unwrap();
        let serves = judgement.checks.iter().find(|check| check.name == CheckName::Serves).unwrap();
        assert_eq!(serves.outcome, outcome, "{}", serves.summary);
        assert!(serves.summary.contains(said), "{}", serves.summary);
        assert_eq!(serves.help.iter().any(|line| line.contains("let tokens live longer")), expired.is_some());
    }
}

#[test]
fn what_was_skipped_or_weakened_stands_first() {
    for (name, evidence) in [
        ("rehearsed_dry_and_skipped", documents::rehearsed_dry_and_skipped()),
        ("weakened", documents::weakened()),
    ] {
        assert_reports(name, &evidence);
        let judgement = judge(&evidence).unwrap();
        let document = Document::new(&evidence, &judgement);
        assert!(plain(&render_text(&document, Style::default())).starts_with("WEAKENED  "));
        let json: serde_json::Value = serde_json::from_str(&render_json(&document).unwrap()).unwrap();
        assert!(!json["weakened"].as_array().unwrap().is_empty());
    }
}

#[test]
fn captures_that_could_not_be_looked_for_are_said_first_where_no_other_could() {
    for (captures, passed_over, said) in [(0, 2, true), (1, 2, false), (0, 0, false)] {
        let mut evidence = configured::passing();
        let isolation = evidence.configured.agent.as_mut().and_then(|seen| seen.isolation.as_mut()).unwrap();
        (isolation.captures, isolation.passed_over) = (captures, passed_over);
        let is_said = |evidence: &Evidence| {
            let judgement = judge(evidence).unwrap();
            let words = "isolation looked for nothing that was captured";
            Document::new(evidence, &judgement).weakened.iter().any(|line| line.starts_with(words))
        };
        assert_eq!(is_said(&evidence), said, "{captures}, {passed_over}");
        evidence.selection.skip.push(CheckName::Isolation);
        assert!(!is_said(&evidence));
    }
}

#[test]
fn colours_frame_words_and_say_nothing_alone() {
    let evidence = documents::blocked_by_race();
    let judgement = judge(&evidence).unwrap();
    let text = render_text(&Document::new(&evidence, &judgement), Style::default());
    assert_golden("blocked_by_race_coloured", &text.replace('\u{1b}', "␛"));
}

#[test]
fn hostile_text_gives_no_orders() {
    let evidence = documents::hostile();
    assert_reports("hostile", &evidence);
    let judgement = judge(&evidence).unwrap();
    let document = Document::new(&evidence, &judgement);
    let text = plain(&render_text(&document, Style { verbose: true }));
    let reports = [
        text,
        render_markdown(&document),
        outputs(&document, Some(HOSTILE)),
        render_json(&document).unwrap(),
    ];
    for report in reports {
        let unsafe_ones: Vec<char> = report
            .chars()
            .filter(|c| *c != '\n' && (c.is_control() || "\u{202e}\u{200b}".contains(*c)))
            .collect();
        assert!(unsafe_ones.is_empty(), "{unsafe_ones:?} in\n{report}");
        for line in report.lines() {
            let line = line.trim_start();
            assert!(!line.trim_start().starts_with("::") && !line.contains("##["), "{line}");
        }
    }
    let outputs = outputs(&document, Some(HOSTILE));
    assert_eq!(outputs.lines().count(), 5, "a value broke its line\n{outputs}");
}

/// What `revgate check --record` wrote against the emulator, without most of its rounds: made by version 3, in the form of
/// version 4.
const RECORDED: &str = include_str!("recorded-v5.json");

#[test]
fn a_record_stays_readable_and_loses_nothing() {
    let evidence: Evidence = serde_json::from_str(RECORDED).expect("a record of version 4");
    assert_reports("recorded", &evidence);
    let (again, recorded): (serde_json::Value, serde_json::Value) =
        (serde_json::to_value(&evidence).unwrap(), serde_json::from_str(RECORDED).unwrap());
    assert_eq!(again, recorded);
}
