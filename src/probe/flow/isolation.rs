//! What conversations show of each other, once all of them are over.
//!
//! Takes what came on every socket and what every conversation is known by; gives the leaks and how much was looked at.
//! Pure. The surprising rule: a captured text that is the same in *every* conversation marks none of them; one that only
//! some conversations of several users have in common is a leak by itself.

use std::collections::{BTreeMap, BTreeSet};

use super::super::observation::EndKind;
use super::super::prober::Prober;
use super::conversation::Held;
use super::marks::{Lookout, Mark, is_short};
use super::seen::{Company, IsolationSeen, Leak};
use super::transcript::Own;
use crate::config::{Flow, IsolationSettings};
use crate::trust::Excerpt;

/// How many leaks are kept.
const KEPT: usize = 16;

/// True when a conversation's nonce reaches the server: only then can it come back.
pub(super) fn nonce_is_sent(prober: &Prober, flow: &Flow) -> bool {
    prober.conversation.path.names_nonce() || flow.messages().any(|message| message.text.names_nonce())
}

/// Looks through everything that came.
pub(super) fn searched(
    prober: &Prober,
    settings: &IsolationSettings,
    held: &[Held],
    nonce_sent: bool,
) -> IsolationSeen {
    let mut seen = IsolationSeen {
        conversations: u32::try_from(held.len()).unwrap_or(u32::MAX),
        at_once: at_once(held),
        ..IsolationSeen::default()
    };
    let users: BTreeSet<&str> = held.iter().map(|held| held.run.user.as_str()).collect();
    seen.users = u32::try_from(users.len()).unwrap_or(u32::MAX);
    let shown = |text: &str| Excerpt::new(&prober.redactor.redact_cut(text));
    let marks = marks(settings, held, nonce_sent, &mut seen, &shown);
    let lookout = Lookout::new(marks);
    seen.marks = u32::try_from(lookout.len()).unwrap_or(u32::MAX);
    for held in held {
        seen.frames += held.transcript.seen;
        seen.shared += held.transcript.shared;
        seen.cut += u32::from(held.transcript.cut);
        let user = held.run.user.as_str();
        let leak = |mark: &Mark, at: u64, (in_close, in_pieces): (bool, bool), text: Excerpt| Leak {
            run: held.run.number,
            user: user.to_owned(),
            of_run: mark.run,
            of_user: mark.user.clone(),
            mark: mark.kind.clone(),
            at,
            in_close,
            in_pieces,
            text,
        };
        for find in held.transcript.foreign(&lookout, Own { user, redactor: &prober.redactor }) {
            add(&mut seen, leak(&find.mark, find.at, (false, find.in_pieces), find.text));
        }
        let end = held.run.observation.end.as_ref().map(|end| &end.kind);
        if let Some(EndKind::CloseFrame { reason, .. }) = end {
            for mark in lookout.foreign(reason.as_str(), user) {
                add(
                    &mut seen,
                    leak(mark, held.run.observation.timeline.ended, (true, false), reason.clone()),
                );
            }
        }
    }
    seen
}

fn add(seen: &mut IsolationSeen, leak: Leak) {
    seen.leaks_total += 1;
    if seen.leaks.len() < KEPT {
        seen.leaks.push(leak);
    }
}

/// The most distinct users of one batch that took their first step together and came to the end.
fn at_once(held: &[Held]) -> u32 {
    let mut batches: BTreeMap<Option<u32>, BTreeSet<&str>> = BTreeMap::new();
    for held in held.iter().filter(|held| held.run.is_whole()) {
        let batch = match held.run.company {
            Company::Alone => continue,
            Company::Together(round) => Some(round),
            Company::Isolation => None,
        };
        batches.entry(batch).or_default().insert(&held.run.user);
    }
    let most = batches.values().map(BTreeSet::len).max().unwrap_or(0);
    u32::try_from(most).unwrap_or(u32::MAX)
}

/// What conversations are known by; what says nothing is counted instead.
fn marks(
    settings: &IsolationSettings,
    held: &[Held],
    nonce_sent: bool,
    seen: &mut IsolationSeen,
    shown: &impl Fn(&str) -> Excerpt,
) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut users = BTreeSet::new();
    for held in held {
        let run = &held.run;
        let mark = |text: &str, kind: &str| Mark {
            text: text.to_owned(),
            run: run.number,
            user: run.user.clone(),
            kind: kind.to_owned(),
        };
        if nonce_sent {
            marks.push(mark(&held.nonce, "nonce"));
        }
        if users.insert(run.user.as_str()) {
            seen.short += u32::from(is_short(&run.user));
            marks.push(mark(&run.user, "user"));
        }
    }
    marks.extend(captures(settings, held, seen, shown));
    marks
}

/// True for a number that a sequence may give: others of that size stand in any frame, and mean something else.
fn is_counted(text: &str) -> bool {
    text.len() < 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The captured texts that mark a conversation. Those of several users that are not everybody's are leaks.
fn captures(
    settings: &IsolationSettings,
    held: &[Held],
    seen: &mut IsolationSeen,
    shown: &impl Fn(&str) -> Excerpt,
) -> Vec<Mark> {
    let wanted = |name: &String| settings.captures.as_ref().is_none_or(|names| names.contains(name));
    let mut of_name: BTreeMap<&str, Vec<(&str, &Held)>> = BTreeMap::new();
    for held in held {
        for (name, text) in held.captured.iter().filter(|(name, _)| wanted(name)) {
            of_name.entry(name).or_default().push((text, held));
        }
    }
    let mut marks = Vec::new();
    for (name, texts) in of_name {
        let values: BTreeSet<&str> = texts.iter().map(|(text, _)| *text).collect();
        let users: BTreeSet<&str> = texts.iter().map(|(_, held)| held.run.user.as_str()).collect();
        if values.len() == 1 && users.len() > 1 {
            seen.constant += 1;
            continue;
        }
        for value in values {
            if is_short(value) || is_counted(value) {
                seen.short += 1;
                continue;
            }
            let mut holders = texts.iter().filter(|(text, _)| *text == value).map(|(_, held)| *held);
            let Some(first) = holders.next() else { continue };
            for other in holders.filter(|other| other.run.user != first.run.user) {
                add(seen, common(name, shown(value), first, other));
            }
            marks.push(Mark {
                text: value.to_owned(),
                run: first.run.number,
                user: first.run.user.clone(),
                kind: name.to_owned(),
            });
        }
    }
    marks
}

/// A captured text that two users have in common.
fn common(name: &str, text: Excerpt, first: &Held, other: &Held) -> Leak {
    Leak {
        run: other.run.number,
        user: other.run.user.clone(),
        of_run: first.run.number,
        of_user: first.run.user.clone(),
        mark: name.to_owned(),
        at: other.run.completed.unwrap_or(other.run.observation.timeline.ended),
        in_close: false,
        in_pieces: false,
        text,
    }
}
