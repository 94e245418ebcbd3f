//! What conversations show of each other, once all of them are over.
//!
//! Takes what came on every socket and what every conversation is known by; gives the leaks and how much was looked at.
//! Pure. The surprising rule: a captured text that is the same in *every* conversation marks none of them; one that only
//! some conversations of several users have in common is a leak by itself, unless a sequence may give its number.

use std::collections::{BTreeMap, BTreeSet};

use super::super::observation::EndKind;
use super::super::prober::Prober;
use super::conversation::Held;
use super::incoming::Incoming;
use super::marks::{Lookout, Mark, is_short};
use super::places::{Places, foreign};
use super::seen::{Company, IsolationSeen, Leak};
use super::transcript::{Own, around};
use crate::config::{Flow, IsolationSettings};
use crate::trust::{Excerpt, Redactor};

/// How many leaks are kept.
const KEPT: usize = 16;

/// True when a conversation's nonce reaches the server: only then can it come back.
fn nonce_is_sent(prober: &Prober, flow: &Flow) -> bool {
    prober.conversation.path.names_nonce() || flow.messages().any(|message| message.text.names_nonce())
}

/// Looks through everything that came in conversations of these flows.
pub(super) fn searched(
    prober: &Prober,
    settings: &IsolationSettings,
    held: &[Held],
    flows: &[&Flow],
) -> IsolationSeen {
    let mut seen = IsolationSeen {
        conversations: count(held.len()),
        at_once: at_once(held),
        ..IsolationSeen::default()
    };
    let users: BTreeSet<&str> = held.iter().map(|held| held.run.user.as_str()).collect();
    seen.users = count(users.len());
    let mut marks = marks(held, flows.iter().all(|flow| nonce_is_sent(prober, flow)), &mut seen);
    marks.extend(captures(settings, held, flows, &prober.redactor, &mut seen));
    let lookout = Lookout::new(marks);
    seen.marks += count(lookout.len());
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
    count(batches.values().map(BTreeSet::len).max().unwrap_or(0))
}

/// Nonces and users; what says nothing is counted instead.
fn marks(held: &[Held], nonce_sent: bool, seen: &mut IsolationSeen) -> Vec<Mark> {
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
    marks
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// True for a number that a sequence may give: others of that size stand in any frame, and mean something else.
fn is_counted(text: &str) -> bool {
    !is_short(text) && text.len() < 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A text without its digits, where a sequence may have given these: `run-#` of `run-0007`.
fn form(text: &str) -> Option<String> {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let words = text.split(|c: char| c.is_ascii_digit()).filter(|word| !word.is_empty());
    (1..12).contains(&digits).then(|| words.collect::<Vec<_>>().join("#"))
}

/// True where these texts, each beside its user, differ in a short number alone, several users were given the same, and
/// none was given one twice: whoever counts for each user apart numbers them so, and then they are nobody's, as numbers are.
fn counts_apart(texts: &[(&str, &str)]) -> bool {
    let forms: BTreeSet<Option<String>> = texts.iter().map(|(text, _)| form(text)).collect();
    let given: BTreeSet<&(&str, &str)> = texts.iter().collect();
    let values: BTreeSet<&str> = texts.iter().map(|(text, _)| *text).collect();
    let never_twice = given.len() == texts.len();
    never_twice && values.len() < given.len() && forms.len() == 1 && !forms.contains(&None)
}

/// The captured texts that mark a conversation wherever they stand. Those of several users that are not everybody's are
/// leaks. Numbers are looked for at once, at their places.
fn captures(
    settings: &IsolationSettings,
    held: &[Held],
    flows: &[&Flow],
    redactor: &Redactor,
    seen: &mut IsolationSeen,
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
        let given: Vec<(&str, &str)> = texts.iter().map(|(text, held)| (*text, &*held.run.user)).collect();
        let counted_apart = counts_apart(&given);
        let short = |value: &&str| is_short(value) || (counted_apart && !is_counted(value));
        let passed_over = count(values.iter().filter(|value| short(value)).count());
        seen.short += passed_over;
        seen.passed_over += passed_over;
        for value in values.into_iter().filter(|value| !short(value) && !is_counted(value)) {
            let mut holders = texts.iter().filter(|(text, _)| *text == value).map(|(_, held)| *held);
            let Some(first) = holders.next() else { continue };
            for other in holders.filter(|other| other.run.user != first.run.user) {
                add(seen, leak_of(name, Excerpt::new(&redactor.redact_cut(value)), first, other));
            }
            seen.captures += 1;
            marks.push(Mark {
                text: value.to_owned(),
                run: first.run.number,
                user: first.run.user.clone(),
                kind: name.to_owned(),
            });
        }
        let pointers = flows.iter().flat_map(|flow| flow.captured_at()).filter(|(other, _)| *other == name);
        let pointers: Vec<String> = pointers.flat_map(|(_, pointers)| pointers.to_vec()).collect();
        at_places(Taken { name, texts: &texts, pointers: &pointers }, held, redactor, seen);
    }
    marks
}

/// What was captured under one name: the texts with their conversations, and the pointers.
#[derive(Clone, Copy)]
struct Taken<'a> {
    name: &'a str,
    texts: &'a [(&'a str, &'a Held)],
    pointers: &'a [String],
}

/// Looks for the numbers among captured values where such values stand; counts those that mark nobody there.
fn at_places(taken: Taken<'_>, held: &[Held], redactor: &Redactor, seen: &mut IsolationSeen) {
    let Taken { name, texts, pointers } = taken;
    let numbers: BTreeSet<&str> =
        texts.iter().map(|(text, _)| *text).filter(|text| is_counted(text)).collect();
    if numbers.is_empty() {
        return;
    }
    let mut first: BTreeMap<&str, &Held> = BTreeMap::new();
    // Whoever counts for each user apart gives several users the same: then a number is nobody's.
    let shared = texts.iter().any(|(text, held)| {
        let of = first.entry(*text).or_insert(held);
        numbers.contains(text) && of.run.user != held.run.user
    });
    let owners: BTreeMap<&str, &str> = first.iter().map(|(text, held)| (*text, &*held.run.user)).collect();
    let sockets: Vec<(&str, Places)> =
        held.iter().map(|held| (&*held.run.user, places(held, pointers))).collect();
    let Some(found) = (!shared).then(|| foreign(&sockets, &owners)).flatten() else {
        seen.short += count(numbers.len());
        seen.passed_over += count(numbers.len());
        return;
    };
    seen.marks += count(numbers.len());
    seen.captures += count(numbers.len());
    let mut known = BTreeSet::new();
    for (socket, shown) in found {
        let (Some(own), Some(of)) = (held.get(socket), first.get(&*shown.value)) else { continue };
        if !numbers.contains(&*shown.value) || !known.insert((socket, &*shown.value)) {
            continue;
        }
        let Some((at, payload)) = own.transcript.kept().get(shown.frame) else { continue };
        let text = around(&String::from_utf8_lossy(payload), &shown.value, redactor);
        add(seen, Leak { at: *at, ..leak_of(name, text, of, own) });
    }
}

/// What a conversation's socket shows at the places of a captured value.
fn places(held: &Held, pointers: &[String]) -> Places {
    let mut places = Places::default();
    for (index, (_, payload)) in held.transcript.kept().iter().enumerate() {
        places.add(index, &Incoming::new(payload), pointers);
    }
    places
}

/// A captured text of the first that the other got too.
fn leak_of(name: &str, text: Excerpt, first: &Held, other: &Held) -> Leak {
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

#[cfg(test)]
mod tests {
    use super::counts_apart;

    #[test]
    fn texts_that_are_numbered_for_each_user_apart_are_nobodys() {
        let apart = [("run-0001", "anna"), ("run-0002", "anna"), ("run-0001", "bert"), ("run-0001", "carl")];
        assert!(counts_apart(&apart));
        assert!(counts_apart(&[("9-17", "anna"), ("9-18", "anna"), ("9-17", "bert")]));
        let all = [("run-0001", "anna"), ("run-0002", "bert"), ("run-0003", "anna")];
        assert!(!counts_apart(&all), "nobody was given another's");
    }

    #[test]
    fn what_is_drawn_or_stays_with_its_user_is_no_count() {
        let drawn = [("run-a1", "anna"), ("run-b2", "bert"), ("run-a1", "bert")];
        assert!(!counts_apart(&drawn));
        let long = [("run-170000000000", "anna"), ("run-170000000001", "bert"), ("run-170000000000", "bert")];
        assert!(!counts_apart(&long), "a time or a drawn number");
        let stays = [("acct-1", "anna"), ("acct-1", "anna"), ("acct-2", "bert"), ("acct-1", "bert")];
        assert!(!counts_apart(&stays), "who counts gives nobody the same twice");
        assert!(!counts_apart(&[("search", "anna"), ("weather", "bert"), ("search", "bert")]));
    }
}
