//! The check `frames`: are bad frames answered properly, and does nobody else suffer from them?
//!
//! Takes the evidence and gives the check. The surprising rule: a connection that is reset counts as a proper end where a
//! message was too large or we had said that nothing more comes, since a server that stops reading resets what is under way;
//! everywhere else it is a crash.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::agent::not_run;
use super::check::{Check, Outcome};
use super::classify::{Class, Kind, Rules, WITHOUT_CODE, close_words};
use super::evidence::Evidence;
use super::hold;
use super::seen::{classify, is_of_refusal};
use super::statistics::clopper_pearson_upper;
use crate::config::{BadFrame, CheckName};
use crate::probe::{BadFrameSeen, Bystander, End, EndKind, FramesSeen, Observation, Opening, Phase};

/// What became of a bad frame.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// Answered, ignored or closed as may be.
    Right(String),
    /// A crash, a hang, or another's loss.
    Wrong(String),
    /// Nothing is known.
    Void(String),
}

/// The check.
pub(super) fn frames(evidence: &Evidence) -> Check {
    let name = CheckName::Frames;
    let Some(seen) = &evidence.configured.frames else {
        return not_run(name, evidence);
    };
    let learned = evidence.probing.as_ref().and_then(|probing| probing.learned.as_ref());
    let platform_counts = evidence.target.behind_front_end;
    let rules = Rules { declared: seen.declared, learned, closes: &seen.closes, platform_counts };
    let tried = tried(seen, &rules);
    let bystanders: Vec<Fate> = seen.bystanders.iter().map(|one| of_bystander(one, seen, &rules)).collect();
    let numbers = numbers(seen, &tried, &bystanders);
    decide(seen, &tried, &bystanders, &rules).with_evidence(numbers)
}

/// One bad frame, and what became of it.
struct Tried {
    kind: BadFrame,
    /// Of its kind, from 1 on.
    number: u32,
    fate: Fate,
}

fn tried(seen: &FramesSeen, rules: &Rules<'_>) -> Vec<Tried> {
    let mut numbers: BTreeMap<BadFrame, u32> = BTreeMap::new();
    let tried = seen.bad.iter().map(|bad| {
        let number = numbers.entry(bad.kind).and_modify(|number| *number += 1).or_insert(1);
        Tried { kind: bad.kind, number: *number, fate: of_frame(bad, seen, rules) }
    });
    tried.collect()
}

/// A bad frame as a report names it.
fn name_of(kind: BadFrame, number: u32, seen: &FramesSeen) -> String {
    match seen.tries {
        0 | 1 => kind.name().to_owned(),
        tries => format!("{kind} (try {number} of {tries})"),
    }
}

fn decide(seen: &FramesSeen, tried: &[Tried], bystanders: &[Fate], rules: &Rules<'_>) -> Check {
    let bare = |outcome, summary: String| Check::bare(CheckName::Frames, outcome, summary);
    let counts = counts(seen, tried, bystanders);
    let good = classify(&seen.good, rules);
    if good.class != Class::Ok {
        let summary = format!("a socket is not served to begin with: {}; {counts}", good.words);
        return bare(Outcome::Inconclusive, summary)
            .with_help("see serves: what bad frames do shows little where a good one is not served");
    }
    let wrong = |fate: &Fate| if let Fate::Wrong(words) = fate { Some(words.clone()) } else { None };
    let mut failures: Vec<String> = bystanders.iter().filter_map(wrong).collect();
    let lost = !failures.is_empty();
    let of_frames = tried
        .iter()
        .filter_map(|one| Some(format!("{}: {}", name_of(one.kind, one.number, seen), wrong(&one.fate)?)));
    failures.extend(of_frames);
    if let Some(first) = failures.first() {
        let more = match failures.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        return failed_help(bare(Outcome::Fail, format!("{first}{more}; {counts}")), lost);
    }
    match void(seen, tried, bystanders) {
        Some(void) => bare(Outcome::Inconclusive, format!("{counts}; {void}"))
            .with_help("run the check again; see serves where single sockets fail too"),
        None if tried.is_empty() || bystanders.is_empty() => {
            bare(Outcome::Inconclusive, format!("too little was sent: {counts}"))
                .with_help("name more kinds: frames: { kinds: [malformed-json, binary] }")
        }
        None => bare(Outcome::Pass, format!("{counts}; {}", not_excluded(seen, tried))),
    }
}

/// The first of which nothing is known.
fn void(seen: &FramesSeen, tried: &[Tried], bystanders: &[Fate]) -> Option<String> {
    let frame = tried.iter().find_map(|one| match &one.fate {
        Fate::Void(words) => Some(format!("{}: {words}", name_of(one.kind, one.number, seen))),
        _ => None,
    });
    let other = || {
        bystanders.iter().find_map(|fate| match fate {
            Fate::Void(words) => Some(format!("another user's socket: {words}")),
            _ => None,
        })
    };
    frame.or_else(other).or_else(|| seen.cut.then(|| "the run was over before all were sent".to_owned()))
}

fn failed_help(check: Check, lost: bool) -> Check {
    let check = if lost {
        check.with_help(
            "one user's frame must not end another's socket; if a healthy server closes sockets that say nothing for so long, let \
             them say the client's heartbeat (hold: { heartbeat: { send: ping } }), or declare it: closes: [1000]",
        )
    } else {
        check.with_help(
            "catch what the handler raises: answer with an error, or close with 1003, 1007 or 1008",
        )
    };
    check.with_help("what it means: revgate explain frames")
}

fn counts(seen: &FramesSeen, tried: &[Tried], bystanders: &[Fate]) -> String {
    let right = tried.iter().filter(|one| matches!(one.fate, Fate::Right(_))).count();
    let alive = bystanders.iter().filter(|fate| matches!(fate, Fate::Right(_))).count();
    format!(
        "{right} of {} bad frames answered properly, {alive} of {} sockets of other users alive{}",
        tried.len(),
        bystanders.len(),
        left_out(seen)
    )
}

/// What so many tries cannot show, where all went well.
fn not_excluded(seen: &FramesSeen, tried: &[Tried]) -> String {
    let sent = if seen.tries == 1 { "1 try".to_owned() } else { format!("{} tries", seen.tries) };
    // A bound is rounded up.
    let most = (clopper_pearson_upper(0, seen.tries, 0.95) * 100.0 - 1e-6).ceil();
    let words =
        format!("{sent} of each kind cannot exclude one that does harm in up to {most:.0} % of tries");
    // Only a socket that the front end keeps open is right and not tried again.
    let kept = tried.iter().filter(|one| one.kind == BadFrame::HalfClose).count();
    if kept == 1 && seen.tries > 1 { format!("{words} ({} once)", BadFrame::HalfClose) } else { words }
}

fn left_out(seen: &FramesSeen) -> String {
    let mut words = String::new();
    if seen.largest.is_none() {
        words.push_str("; none too large, since frames.largest is not stated");
    }
    if !seen.left_out.is_empty() {
        let names: Vec<&str> = seen.left_out.iter().map(|kind| kind.name()).collect();
        words.push_str("; without a text to `send` there is no ");
        words.push_str(&names.join(", "));
    }
    words
}

fn numbers(seen: &FramesSeen, tried: &[Tried], bystanders: &[Fate]) -> Value {
    let told = |fate: &Fate| match fate {
        Fate::Right(words) => ("right", words.clone()),
        Fate::Wrong(words) => ("wrong", words.clone()),
        Fate::Void(words) => ("void", words.clone()),
    };
    let frames: Vec<Value> = tried
        .iter()
        .zip(&seen.bad)
        .map(|(one, bad)| {
            let (word, words) = told(&one.fate);
            json!({ "kind": one.kind, "try": one.number, "fate": word, "words": words, "pongs": bad.pongs })
        })
        .collect();
    let others: Vec<Value> = bystanders
        .iter()
        .map(|fate| {
            let (word, words) = told(fate);
            json!({ "fate": word, "words": words })
        })
        .collect();
    json!({ "frames": frames, "bystanders": others, "largest": seen.largest, "tries": seen.tries,
        "answers_again": seen.answers_again, "left_out": seen.left_out })
}

/// The end that the server made of a socket.
fn end_of(bad: &BadFrameSeen) -> Option<&End> {
    bad.observation.end.as_ref().filter(|end| end.phase != Phase::Closing)
}

fn of_frame(bad: &BadFrameSeen, seen: &FramesSeen, rules: &Rules<'_>) -> Fate {
    if bad.observation.timeline.cut.is_some() {
        return Fate::Void("cut by us: the run was over".to_owned());
    }
    if !bad.sent {
        let finding = classify(&bad.observation, rules);
        return match finding.class {
            // A limit that the configuration does not state is met by us, not by a user.
            _ if finding.kind == Kind::LimitReached => Fate::Void(finding.words),
            Class::AppFail => {
                Fate::Wrong(format!("a new socket was not served before it: {}", finding.words))
            }
            Class::Infra => Fate::Void(finding.words),
            Class::Ok => Fate::Wrong(format!(
                "a new socket was not greeted within {} s before it",
                seen.patience_ms / 1000
            )),
        };
    }
    match end_of(bad) {
        Some(end) => of_end(bad.kind, &end.kind, rules),
        None if bad.kind == BadFrame::HalfClose => kept_open(seen, rules),
        None if bad.answered => {
            let how = if bad.reacted { "answered" } else { "ignored" };
            Fate::Right(format!("{how}, and the next message was served"))
        }
        None => {
            let what = if seen.declared.send { "the next proper message" } else { "a ping" };
            let patience = seen.patience_ms / 1000;
            Fate::Wrong(match bad.kind {
                BadFrame::Fragments => format!("no answer to a message in fragments within {patience} s"),
                _ => format!("hangs: no answer to {what} within {patience} s"),
            })
        }
    }
}

/// Behind a front end it is the front end whose side stays open.
fn kept_open(seen: &FramesSeen, rules: &Rules<'_>) -> Fate {
    let patience = seen.patience_ms / 1000;
    let words = format!("the socket was still open {patience} s after we said that nothing more comes");
    if rules.platform_counts {
        Fate::Right(format!("{words}, as the front end keeps it"))
    } else {
        Fate::Wrong(words)
    }
}

fn of_end(kind: BadFrame, end: &EndKind, rules: &Rules<'_>) -> Fate {
    let forgiven = kind.is_over() || kind == BadFrame::HalfClose;
    match end {
        EndKind::CloseFrame { code, reason } => {
            let known = code.unwrap_or(WITHOUT_CODE);
            let words = close_words(*code, reason.as_str());
            if kind == BadFrame::Fragments {
                return Fate::Wrong(format!("{words} for a legal message in fragments"));
            }
            if is_proper(kind, known) || rules.closes.contains(&known) {
                return Fate::Right(words);
            }
            Fate::Wrong(words)
        }
        EndKind::NoCloseFrame if kind == BadFrame::HalfClose => Fate::Right("ended".to_owned()),
        EndKind::Reset if forgiven => Fate::Right("cut while we were sending".to_owned()),
        EndKind::CutByUs => Fate::Void(end_words(end)),
        _ => Fate::Wrong(end_words(end)),
    }
}

/// Codes that a server may rightly choose: normal, going away, protocol error, unsupported, invalid, policy, too big, the
/// applications' own. Going away and "try again later" are a proper answer to a flood only where they are meant for one.
fn is_proper(kind: BadFrame, code: u16) -> bool {
    match code {
        1000 | 1001 | 1003 | 1005 | 1007..=1010 | 3000..=4999 => true,
        1002 => kind != BadFrame::PingFlood,
        1013 => kind == BadFrame::PingFlood,
        _ => false,
    }
}

fn of_bystander(bystander: &Bystander, seen: &FramesSeen, rules: &Rules<'_>) -> Fate {
    let observation = &bystander.observation;
    let user = observation.user.as_deref().unwrap_or_default();
    if let Some(at) = bystander.lost {
        return of_loss(at, observation, seen, rules);
    }
    if observation.timeline.cut.is_some() {
        return Fate::Void("cut by us: the run was over".to_owned());
    }
    if !bystander.served {
        let what = match &observation.opening {
            Opening::Opened { .. } => "not served",
            _ => "not opened",
        };
        return Fate::Void(format!(
            "{what} before anything bad was sent: {}",
            classify(observation, rules).words
        ));
    }
    let during =
        bystander.deaf.and_then(|at| during(at, seen)).map(|during| during + ": ").unwrap_or_default();
    let silent = match (bystander.pong, bystander.answered) {
        (Some(false), _) => format!("{during}another user's socket no longer answers pings ({user})"),
        (_, Some(false)) => format!("another user's socket no longer answers ({user})"),
        _ => return Fate::Right("alive".to_owned()),
    };
    // As long as half of the patience, it explains what we did not see in time.
    let stalled = observation.timeline.stalled.unwrap_or_default() / 1000;
    if stalled.saturating_mul(2) >= seen.patience_ms {
        return Fate::Void(format!("{silent}, but this machine stood still for {stalled} ms"));
    }
    Fate::Wrong(silent)
}

/// What the end of another's socket came to.
fn of_loss(at: u64, observation: &Observation, seen: &FramesSeen, rules: &Rules<'_>) -> Fate {
    let user = observation.user.as_deref().unwrap_or_default();
    if let Some(words) = of_another_cause(at, observation, seen, rules) {
        return Fate::Void(words);
    }
    let how = observation.end.as_ref().map_or_else(String::new, |end| end_words(&end.kind));
    match during(at, seen) {
        Some(during) => Fate::Wrong(format!("{during}: another user's socket was lost ({user}): {how}")),
        None => Fate::Void(format!("lost before any bad frame was sent ({user}): {how}")),
    }
}

/// What else than a bad frame may have ended another's socket.
fn of_another_cause(
    at: u64,
    observation: &Observation,
    seen: &FramesSeen,
    rules: &Rules<'_>,
) -> Option<String> {
    let finding = classify(observation, rules);
    let times = &observation.timeline;
    let age = at.saturating_sub(times.released.unwrap_or(times.began)) / 1000;
    // A limit that the configuration does not state is met by us, not by a user.
    if finding.class == Class::Infra || finding.kind == Kind::LimitReached {
        return Some(finding.words);
    }
    if finding.class == Class::Ok {
        return Some(format!("closed as declared while others were sent: {}", finding.words));
    }
    if times.expired.is_some() && finding.code.is_some_and(is_of_refusal) {
        return Some(format!("{}, and the token that it carried had expired by then", finding.words));
    }
    hold::is_of_time_out(age, seen.request_timeout_ms, observation).then(|| {
        let limit = seen.request_timeout_ms.unwrap_or_default() / 1000;
        format!("ended by the revision's own request time-out of {limit} s: ask for fewer `tries`")
    })
}

/// The bad frame behind which something happened to another's socket at this instant; `None` where none was sent before.
fn during(at: u64, seen: &FramesSeen) -> Option<String> {
    let was_sent = |bad: &BadFrameSeen| bad.sent && bad.bad_at.unwrap_or(bad.began) <= at;
    let last = seen.bad.iter().rposition(was_sent)?;
    let kind = seen.bad[last].kind;
    let number = seen.bad[..=last].iter().filter(|bad| bad.kind == kind).count();
    Some(name_of(kind, u32::try_from(number).unwrap_or(u32::MAX), seen))
}

fn end_words(end: &EndKind) -> String {
    match end {
        EndKind::CloseFrame { code, reason } => close_words(*code, reason.as_str()),
        EndKind::NoCloseFrame => "TCP ended without a close frame (1006)".to_owned(),
        EndKind::Reset => "TCP reset (1006)".to_owned(),
        EndKind::TooLarge { limit } => format!("a message larger than the {} MiB that are read", limit >> 20),
        EndKind::Violation { what } => format!("protocol violation \"{what}\""),
        EndKind::CutByUs => "cut by us".to_owned(),
    }
}

#[cfg(test)]
mod tests;
