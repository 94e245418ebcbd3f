//! The check `auth`: is every bad token refused properly, and does a good one still work afterwards?
//!
//! Takes the evidence and gives the check. The surprising rule: a socket that was greeted before its close counts as
//! refused where one without any token is greeted as well, since such a greeting says nothing about a token; but one that
//! was answered was served, whatever came after.

use serde_json::{Value, json};

use super::agent::not_run;
use super::check::{Check, Outcome};
use super::classify::{Class, Finding, Kind, Rules, WITHOUT_CODE, close_words};
use super::evidence::Evidence;
use super::seen::classify;
use crate::config::{BadToken, CheckName, Refusals};
use crate::probe::{
    AuthSeen, BadTokenSeen, EndKind, Observation, Opening, Phase, Standing, has_greeting, is_answered,
    standing,
};

/// What became of a bad token.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// Refused, so.
    Refused(String),
    /// Not refused properly.
    Wrong(String),
    /// Nothing was said to an oversized one, nor to a good one beside a header as large: what reads headers below the
    /// application gives up. Nobody was let in, and no handler failed.
    Unread(String),
    /// A socket without any token, where tokens go in the first message: not served, and not refused as long as was waited.
    Waiting(String),
    /// It never reached the application, or was cut: nothing is known.
    Void(String),
}

/// The check.
pub(super) fn auth(evidence: &Evidence) -> Check {
    let name = CheckName::Auth;
    let Some(seen) = &evidence.configured.auth else {
        return not_run(name, evidence);
    };
    let rules = rules(evidence, seen);
    let greets_all = seen.bad.iter().any(|bad| {
        matches!(bad.kind, BadToken::Missing | BadToken::Malformed) && is_greeted(&bad.observation, &rules)
    });
    let fates: Vec<(BadToken, Fate)> =
        seen.bad.iter().map(|bad| (bad.kind, fate(bad, seen, &rules, greets_all))).collect();
    let before = classify(&seen.before, &rules);
    let after = seen.after.as_ref().map(|after| classify(after, &rules));
    let numbers = numbers(seen, &fates, &before, after.as_ref());
    decide(seen, &fates, &before, after.as_ref()).with_evidence(numbers)
}

fn decide(seen: &AuthSeen, fates: &[(BadToken, Fate)], before: &Finding, after: Option<&Finding>) -> Check {
    let bare = |outcome, summary: String| Check::bare(CheckName::Auth, outcome, summary);
    let counts = counts(seen, fates);
    let wrong: Vec<(BadToken, &String)> = fates
        .iter()
        .filter_map(|(kind, fate)| if let Fate::Wrong(words) = fate { Some((*kind, words)) } else { None })
        .collect();
    if before.class != Class::Ok {
        let summary = format!("a good token is not served to begin with: {}; {counts}", before.words);
        return bare(Outcome::Inconclusive, summary)
            .with_help("see serves: what bad tokens do shows little where a good one is not served");
    }
    if let Some((kind, words)) = wrong.first() {
        let more = match wrong.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let check = bare(Outcome::Fail, format!("{kind}: {words}{more}; {counts}"));
        return advice(words, seen).into_iter().fold(check, Check::with_help);
    }
    if let Some(check) = afterwards(after, &counts) {
        return check;
    }
    let void = fates.iter().find_map(|(kind, fate)| match fate {
        Fate::Void(words) => Some(format!("{kind}: {words}")),
        _ => None,
    });
    let waiting = fates.iter().find_map(|(kind, fate)| match fate {
        Fate::Waiting(words) => Some(format!("{kind}: {words}")),
        _ => None,
    });
    if let (None, Some(waiting)) = (&void, waiting) {
        return bare(Outcome::Inconclusive, format!("{counts}; {waiting}"))
            .with_help(longer(seen))
            .with_help("or leave it out, where the server never ends such a socket: auth: { kinds: [malformed, expired] }");
    }
    match void {
        Some(void) => bare(Outcome::Inconclusive, format!("{counts}; {void}"))
            .with_help("nothing is known of a token that never reached the application: run the check again"),
        None if fates.is_empty() => {
            bare(Outcome::Inconclusive, format!("no bad token was tried{}", left_out(seen)))
                .with_help("name kinds that can be made: auth: { kinds: [missing, malformed] }")
        }
        None => bare(Outcome::Pass, format!("{counts}; a good one was served before and after")),
    }
}

/// How many were refused, and what became of those that could be neither refused nor served.
fn counts(seen: &AuthSeen, fates: &[(BadToken, Fate)]) -> String {
    let refused = fates.iter().filter(|(_, fate)| matches!(fate, Fate::Refused(_))).count();
    let unread = fates.iter().filter(|(_, fate)| matches!(fate, Fate::Unread(_))).count();
    let mut counts = format!("{refused} of {} bad tokens refused", fates.len());
    if unread > 0 {
        let which =
            if unread == 1 { "an oversized one".to_owned() } else { format!("{unread} oversized ones") };
        counts =
            format!("{counts}; {which} got no answer, and neither did a good token with a header as large");
    }
    counts.push_str(&left_out(seen));
    counts
}

/// What the good token's socket afterwards makes of the check; `None` where it was served.
fn afterwards(after: Option<&Finding>, counts: &str) -> Option<Check> {
    let bare = |outcome, summary: String| Check::bare(CheckName::Auth, outcome, summary);
    match after {
        Some(after) if after.class == Class::Ok => None,
        // A server that slows down whoever fails to log in does so to us.
        Some(after) if after.class == Class::AppFail && after.kind != Kind::LimitReached => {
            let words = &after.words;
            let summary = format!("a good token is no longer served after the bad ones: {words}; {counts}");
            Some(bare(Outcome::Fail, summary).with_help(
                "one user's bad token must not cost another's session: look what the refusal tears down",
            ))
        }
        _ => {
            let why = after.map_or("it was not tried", |after| after.words.as_str());
            let summary = format!("whether a good token still works is not known: {why}; {counts}");
            Some(bare(Outcome::Inconclusive, summary).with_help(
                "run the check again; where a limit was reached, state it (`limits:`) or try fewer kinds: \
                 auth: { kinds: [missing, expired] }",
            ))
        }
    }
}

fn left_out(seen: &AuthSeen) -> String {
    if seen.left_out.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = seen.left_out.iter().map(|(kind, _)| kind.name()).collect();
    format!("; {} could not be made", names.join(", "))
}

/// How to wait longer than was waited.
fn longer(seen: &AuthSeen) -> String {
    let twice = (seen.patience_ms / 1000).max(5) * 2;
    format!("if the server refuses later than that, wait longer: auth: {{ patience: {twice}s }}")
}

fn advice(words: &str, seen: &AuthSeen) -> Vec<String> {
    let mut help = Vec::new();
    if words.contains(NOT_AMONG) {
        help.push(
            "if a healthy server refuses so, say it in revgate.yaml: auth: { refusals: [400, 401, 403, 413, 431, \
             1008, 4000-4999, …] }"
                .to_owned(),
        );
    }
    if words.contains("close within") {
        help.push(longer(seen));
    }
    help.push("refuse with 401 or 403 before the upgrade, or with close 1008 after it".to_owned());
    help.push("what it means: revgate explain auth".to_owned());
    help
}

const NOT_AMONG: &str = "is not among the refusals";

fn rules<'a>(evidence: &'a Evidence, seen: &'a AuthSeen) -> Rules<'a> {
    let learned = evidence.probing.as_ref().and_then(|probing| probing.learned.as_ref());
    let platform_counts = evidence.target.behind_front_end;
    Rules { declared: seen.declared, learned, closes: &seen.closes, platform_counts }
}

fn numbers(seen: &AuthSeen, fates: &[(BadToken, Fate)], before: &Finding, after: Option<&Finding>) -> Value {
    let tokens: Vec<Value> = fates
        .iter()
        .map(|(kind, fate)| {
            let (word, words) = match fate {
                Fate::Refused(words) => ("refused", words),
                Fate::Wrong(words) => ("wrong", words),
                Fate::Unread(words) => ("unread", words),
                Fate::Waiting(words) => ("waiting", words),
                Fate::Void(words) => ("void", words),
            };
            json!({ "kind": kind, "fate": word, "words": words })
        })
        .collect();
    json!({ "tokens": tokens, "before": before, "after": after, "left_out": seen.left_out })
}

/// True when all that comes to a good socket unasked came to this one, and no error.
fn is_greeted(observation: &Observation, rules: &Rules<'_>) -> bool {
    let failed = observation.frames.iter().any(|frame| frame.error);
    let (frames, before) = (&observation.frames, observation.sent_after);
    let declared = !rules.declared.greeting || has_greeting(frames, before, rules.learned);
    !failed && declared && rules.learned.is_some_and(|known| known.greets(frames, before))
}

/// True when it was given what only a served socket is given.
fn is_served(observation: &Observation, rules: &Rules<'_>) -> bool {
    if !rules.declared.send {
        let state = standing(&observation.frames, None, rules.declared, rules.learned);
        return state == Standing::Satisfied;
    }
    let before = observation.sent_after;
    before.is_some_and(|before| is_served_after(observation, before, rules))
}

fn is_served_after(observation: &Observation, before: u32, rules: &Rules<'_>) -> bool {
    // Where nothing is known of answers, an error frame is not taken for one.
    let after = observation.frames.iter().skip(before as usize);
    let frames_are_errors = rules.learned.is_none() && after.clone().any(|frame| frame.error);
    !frames_are_errors && is_answered(&observation.frames, before, rules.learned)
}

fn fate(bad: &BadTokenSeen, seen: &AuthSeen, rules: &Rules<'_>, greets_all: bool) -> Fate {
    let observation = &bad.observation;
    if observation.timeline.cut.is_some() {
        return Fate::Void("cut by us: the run was over".to_owned());
    }
    // Whether so large a header is read may hang on the pieces that it comes in: once unread is enough.
    let unread =
        |bad: &BadTokenSeen| bad.control.as_ref().is_some_and(|good| is_unread(&good.opening, rules));
    if bad.control.is_some()
        && is_unread(&observation.opening, rules)
        && (unread(bad) || seen.bad.iter().any(unread))
    {
        return Fate::Unread(classify(observation, rules).words);
    }
    match &observation.opening {
        Opening::Opened { .. } => opened(bad, seen, rules, greets_all),
        Opening::Refused { status, platform, .. } => {
            let refuses = |status| holds(&seen.refusals, status);
            match platform.filter(|_| rules.platform_counts) {
                Some(page) => Fate::Void(page.words().to_owned()),
                None if refuses(*status) => Fate::Refused(format!("HTTP {status}")),
                None if *status == 429 => {
                    Fate::Void("HTTP 429: too many at once, whoever they are".to_owned())
                }
                None if *status >= 500 => Fate::Wrong(format!("HTTP {status} instead of a refusal")),
                None => Fate::Wrong(format!("HTTP {status}, which {NOT_AMONG}")),
            }
        }
        _ => {
            let finding = classify(observation, rules);
            match finding.class {
                Class::Infra => Fate::Void(finding.words),
                _ if finding.kind == Kind::OpeningTimeout => {
                    Fate::Wrong("no answer at all: the upgrade was neither accepted nor refused".to_owned())
                }
                _ => Fate::Wrong(finding.words),
            }
        }
    }
}

/// True for a request that nobody read: nothing was said to it. Behind a front end that is the front end's own 503, for an
/// instance that ended the connection without an answer.
fn is_unread(opening: &Opening, rules: &Rules<'_>) -> bool {
    let of_front_end = matches!(opening, Opening::Refused { status: 502 | 503, platform: None, .. });
    opening.is_unanswered() || (rules.platform_counts && of_front_end)
}

fn holds(refusals: &[Refusals], number: u16) -> bool {
    refusals.iter().any(|range| range.holds(number))
}

fn opened(bad: &BadTokenSeen, seen: &AuthSeen, rules: &Rules<'_>, greets_all: bool) -> Fate {
    let observation = &bad.observation;
    let served = is_served(observation, rules);
    let end = observation.end.as_ref().filter(|end| end.phase != Phase::Closing);
    let error = observation.frames.iter().find(|frame| frame.error);
    let after = error.map_or_else(String::new, |frame| format!(" behind the error frame \"{}\"", frame.text));
    let Some(end) = end else {
        let patience = seen.patience_ms / 1000;
        // Who was sent no token has nothing to refuse yet, and has served nothing.
        if seen.first_message && bad.kind == BadToken::Missing && !served {
            return Fate::Waiting(format!(
                "neither served nor refused within {patience} s; the token goes in the first message, and the server may still \
                 wait for it"
            ));
        }
        return Fate::Wrong(match (served, error) {
            (true, _) => "accepted, and served like a good one".to_owned(),
            (_, Some(frame)) => format!(
                "neither served nor refused: the error frame \"{}\", and no close within {patience} s",
                frame.text
            ),
            _ if observation.frames.is_empty() => {
                format!("accepted, and silent: neither a frame nor a close within {patience} s")
            }
            _ => format!("neither served nor refused: greeted, and no close within {patience} s"),
        });
    };
    match &end.kind {
        EndKind::CloseFrame { code, reason } => {
            let known = code.unwrap_or(WITHOUT_CODE);
            let words = close_words(*code, reason.as_str());
            if served {
                return Fate::Wrong(format!("served like a good one, and then {words}"));
            }
            if is_greeted(observation, rules) && !greets_all && rules.declared.send {
                return Fate::Wrong(format!("welcomed like a good one, and then {words}"));
            }
            match known {
                _ if holds(&seen.refusals, known) => Fate::Refused(format!("{words}{after}")),
                1013 => Fate::Void(format!("{words}: too many at once, whoever they are{after}")),
                1011..=1014 => Fate::Wrong(format!("{words} instead of a refusal{after}")),
                _ => Fate::Wrong(format!("{words}, which {NOT_AMONG}{after}")),
            }
        }
        EndKind::NoCloseFrame => Fate::Wrong(format!("TCP ended without a close frame (1006){after}")),
        EndKind::Reset => Fate::Wrong(format!("TCP reset (1006){after}")),
        EndKind::TooLarge { .. } | EndKind::Violation { .. } | EndKind::CutByUs => {
            Fate::Wrong(classify(observation, rules).words)
        }
    }
}

#[cfg(test)]
mod tests;
