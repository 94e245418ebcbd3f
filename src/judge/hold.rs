//! The check `hold`: do sockets last, with their pongs and heartbeats?
//!
//! Takes the evidence and gives the check. The surprising rule: an end at the age at which the revision ends every request
//! is nobody's failure, however it looks, since the front end makes it; it is said, and no more. What had to come until then
//! had to come all the same.

use serde_json::{Value, json};

use super::advice::LET_LIVE;
use super::agent::not_run;
use super::check::{Check, Outcome};
use super::classify::{Class, Finding, Kind, Rules};
use super::evidence::Evidence;
use super::seen::classify;
use crate::config::CheckName;
use crate::probe::{EndKind, HeldSocket, HoldSeen, Observation};

/// How far from the request time-out an end may lie that it made, in milliseconds: before and after.
const AROUND: (u64, u64) = (1000, 5000);

/// What became of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// It lasted.
    Held,
    /// The revision's own request time-out ended it.
    TimedOut,
    /// It was lost, or something due did not come.
    Wrong(String),
    /// Nothing is known, and what to do about it.
    Void(String, &'static str),
}

/// What to do about a socket of which nothing is known.
const AGAIN: &str = "nothing is known of a socket that was not kept to the end: run the check again";
/// What to do about a limit of the service's own.
const STATE_IT: &str =
    "state the limit (`limits:`), or stay within it: hold: { sockets: 2, for: 30s, ping-every: 15s }";
/// What to do about a hold that ends before a heartbeat can be missing.
const LAST_LONGER: &str =
    "let requests last longer: gcloud run services update SERVICE --timeout=300; or leave the heartbeat out";

/// The check.
pub(super) fn hold(evidence: &Evidence) -> Check {
    let name = CheckName::Hold;
    let Some(seen) = &evidence.configured.hold else {
        return not_run(name, evidence);
    };
    let learned = evidence.probing.as_ref().and_then(|probing| probing.learned.as_ref());
    let platform_counts = evidence.target.behind_front_end;
    let rules = Rules { declared: seen.declared, learned, closes: &seen.closes, platform_counts };
    let fates: Vec<Fate> = seen.sockets.iter().map(|socket| fate(socket, seen, &rules)).collect();
    decide(seen, &fates).with_evidence(numbers(seen, &fates))
}

fn decide(seen: &HoldSeen, fates: &[Fate]) -> Check {
    let bare = |outcome, summary: String| Check::bare(CheckName::Hold, outcome, summary);
    let held = seen.sockets.iter().zip(fates).filter(|(socket, fate)| is_held(socket, fate)).count();
    let timed_out = fates.iter().filter(|fate| **fate == Fate::TimedOut).count();
    let mut counts = format!("{held} of {} sockets held {} s", fates.len(), seen.time_ms / 1000);
    if timed_out > 0 {
        let limit = seen.request_timeout_ms.unwrap_or_default() / 1000;
        counts = format!("{counts}, {timed_out} until the revision's own request time-out of {limit} s");
    }
    let sum = |count: fn(&HeldSocket) -> u32| seen.sockets.iter().map(count).sum::<u32>();
    counts = format!("{counts}; {} of {} pongs", sum(|socket| socket.pongs), sum(|socket| socket.pings));
    if seen.heartbeat_every_ms.is_some() {
        counts = format!("{counts}; {} heartbeats", sum(|socket| socket.heartbeats));
    }
    if seen.own_heartbeat_every_ms.is_some() {
        counts = format!("{counts}; {} heartbeats of ours", sum(|socket| socket.own_heartbeats));
    }
    let wrong: Vec<&String> = fates
        .iter()
        .filter_map(|fate| if let Fate::Wrong(words) = fate { Some(words) } else { None })
        .collect();
    if let Some(first) = wrong.first() {
        let more = match wrong.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let check = bare(Outcome::Fail, format!("{first}{more}; {counts}"));
        return advice(seen).into_iter().fold(check, Check::with_help);
    }
    let void = fates.iter().find_map(|fate| match fate {
        Fate::Void(words, next) => Some((words, next)),
        _ => None,
    });
    match void {
        Some((void, next)) => bare(Outcome::Inconclusive, format!("{counts}; {void}")).with_help(next),
        None if seen.sockets.iter().all(|socket| socket.pings == 0) && !fates.is_empty() => {
            bare(Outcome::Inconclusive, format!("{counts}; no ping was due while they were held"))
                .with_help("hold them for longer, or ping more often: hold: { for: 60s, ping-every: 5s }")
        }
        None if fates.is_empty() => bare(Outcome::Inconclusive, "no socket was held".to_owned())
            .with_help("name more users, or raise limits.sockets-at-once"),
        None => bare(Outcome::Pass, counts),
    }
}

/// True for a socket that was there to the end, whatever did not come on it.
fn is_held(socket: &HeldSocket, fate: &Fate) -> bool {
    match fate {
        Fate::Held => true,
        Fate::Wrong(_) => socket.served && !socket.lost,
        Fate::TimedOut | Fate::Void(..) => false,
    }
}

/// What may have been asked for that a healthy server does not give.
fn advice(seen: &HoldSeen) -> Vec<String> {
    let lost = seen.sockets.iter().filter(|socket| socket.served && socket.lost);
    let mut help = Vec::new();
    if let Some(first) = lost.map(|socket| socket.age_ms).min() {
        // A whole number of seconds that a healthy socket is sure to reach.
        let (age, safe) = (first / 1000, (first / 1000).saturating_sub(1).max(1));
        help.push(format!(
            "if a healthy server ends every socket at the age of {age} s, hold them for less: hold: {{ for: {safe}s }}"
        ));
        if seen.own_heartbeat_every_ms.is_none() {
            help.push(
                "if it ends those of clients that send no heartbeat of their own, let this one send it: hold: { heartbeat: \
                 { send: { type: heartbeat }, every: 20s } }"
                    .to_owned(),
            );
        }
    }
    if seen.heartbeat_every_ms.is_some() {
        let words =
            "if its heartbeat looks otherwise or comes less often, describe it: hold: { heartbeat: { … } }";
        help.push(words.to_owned());
    }
    help.push("what it means: revgate explain hold".to_owned());
    help
}

fn numbers(seen: &HoldSeen, fates: &[Fate]) -> Value {
    let sockets: Vec<Value> = seen
        .sockets
        .iter()
        .zip(fates)
        .map(|(socket, fate)| {
            let (word, words) = match fate {
                Fate::Held => ("held", None),
                Fate::TimedOut => ("request-timeout", None),
                Fate::Wrong(words) => ("lost", Some(words)),
                Fate::Void(words, _) => ("void", Some(words)),
            };
            json!({ "fate": word, "words": words, "age_ms": socket.age_ms, "pings": socket.pings,
                "pongs": socket.pongs, "slowest_pong_ms": socket.slowest_pong_ms,
                "heartbeats": socket.heartbeats, "longest_gap_ms": socket.longest_gap_ms,
                "own_heartbeats": socket.own_heartbeats })
        })
        .collect();
    json!({ "time_ms": seen.time_ms, "ping_every_ms": seen.ping_every_ms,
        "heartbeat_every_ms": seen.heartbeat_every_ms, "own_heartbeat_every_ms": seen.own_heartbeat_every_ms,
        "request_timeout_ms": seen.request_timeout_ms,
        "sockets": sockets })
}

fn fate(socket: &HeldSocket, seen: &HoldSeen, rules: &Rules<'_>) -> Fate {
    let finding = classify(&socket.observation, rules);
    if finding.class == Class::Infra {
        let next = if finding.kind == Kind::ExpiredToken { LET_LIVE } else { AGAIN };
        return Fate::Void(finding.words, next);
    }
    // A limit of the service's own that the configuration does not state is met by us, not by a user.
    if finding.kind == Kind::LimitReached && (socket.lost || !socket.served) {
        return Fate::Void(finding.words, STATE_IT);
    }
    if !socket.served {
        if finding.class == Class::Ok {
            let patience = seen.patience_ms / 1000;
            return Fate::Wrong(format!("no answer within {patience} s before a socket could be held"));
        }
        return Fate::Wrong(format!("a socket was not served before it could be held: {}", finding.words));
    }
    if socket.lost && !is_timed_out(socket, seen) {
        return Fate::Wrong(lost(socket, &finding));
    }
    if finding.kind == Kind::ErrorFrame {
        return Fate::Wrong(format!("{} while it was held", finding.words));
    }
    if let Some(words) = quiet(socket, seen) {
        return Fate::Wrong(words);
    }
    if seen.heartbeat_every_ms.is_some() && socket.heartbeats == 0 {
        let age = socket.age_ms / 1000;
        return Fate::Void(format!("{age} s are too short to show that a heartbeat is missing"), LAST_LONGER);
    }
    if socket.lost { Fate::TimedOut } else { Fate::Held }
}

fn lost(socket: &HeldSocket, finding: &Finding) -> String {
    let age = socket.age_ms / 1000;
    let words =
        if finding.class == Class::Ok { "closed with a code that is declared" } else { &finding.words };
    format!("lost after {age} s: {words}")
}

fn is_timed_out(socket: &HeldSocket, seen: &HoldSeen) -> bool {
    is_of_time_out(socket.age_ms, seen.request_timeout_ms, &socket.observation)
}

/// True for an end that the front end makes of a request that has lasted as long as it may; ages in milliseconds.
pub(super) fn is_of_time_out(age: u64, limit: Option<u64>, observation: &Observation) -> bool {
    let Some(limit) = limit else { return false };
    let at_the_age = (limit.saturating_sub(AROUND.0)..=limit.saturating_add(AROUND.1)).contains(&age);
    let end = observation.end.as_ref().map(|end| &end.kind);
    at_the_age
        && match end {
            Some(EndKind::NoCloseFrame | EndKind::Reset) => true,
            Some(EndKind::CloseFrame { code, .. }) => matches!(code, None | Some(1000 | 1001 | 1006)),
            _ => false,
        }
}

/// What did not come of a socket that was there; a stall of our own is taken off.
fn quiet(socket: &HeldSocket, seen: &HoldSeen) -> Option<String> {
    let stalled = socket.observation.timeline.stalled.unwrap_or_default() / 1000;
    if let Some(every) = seen.heartbeat_every_ms {
        let most = every.saturating_add(every / 2);
        let gap = socket.longest_gap_ms.saturating_sub(stalled);
        if gap > most && socket.heartbeats == 0 {
            return Some(format!("heartbeat never sent in {} s", socket.longest_gap_ms / 1000));
        }
        if gap > most {
            let (gap, every) = (socket.longest_gap_ms / 1000, every / 1000);
            return Some(format!("no heartbeat for {gap} s, where one is due every {every} s"));
        }
    }
    let missing = socket.pings.saturating_sub(socket.pongs);
    // A stall as long as the patience itself explains one pong that we did not see in time, and an end one that it cut off.
    let forgiven = u32::from(stalled.saturating_mul(2) >= seen.patience_ms) + u32::from(socket.lost);
    (missing > forgiven).then(|| {
        let patience = seen.patience_ms / 1000;
        format!("{missing} of {} pings got no pong within {patience} s", socket.pings)
    })
}

#[cfg(test)]
mod tests;
