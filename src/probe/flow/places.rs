//! Captured values that are no words of their own, such as the number of a run, looked for where such a value stands.
//!
//! Takes what was captured under one name, who holds which value, and the frames of sockets; gives the values of others, or
//! `None` where nobody can tell whose a value is. Pure. The surprising rule: what is shown there must be somebody's captured
//! value on every socket, or nothing is looked for: a count shows numbers that nobody captured, and gives all the same ones.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::incoming::Incoming;
use crate::config::text_of;

/// A value that stands at one of the places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// The frame, by its position among those that were looked at.
    pub(super) frame: usize,
    /// The value, as a text.
    pub(super) value: String,
}

/// What one socket shows at the places of a captured value.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Under the key that it was taken from, wherever that stands.
    keyed: Vec<Shown>,
    /// At the very pointers that it was taken from.
    pointed: Vec<Shown>,
}

impl Places {
    /// Looks at the next frame of the socket; `pointers` are those that the value was taken from.
    pub(super) fn add(&mut self, frame: usize, incoming: &Incoming<'_>, pointers: &[String]) {
        let keys: BTreeSet<String> = pointers.iter().filter_map(|pointer| key_of(pointer)).collect();
        let mut keyed = Vec::new();
        let mut pointed: Vec<String> = Vec::new();
        for message in incoming.messages() {
            under_keys(message, &keys, &mut keyed);
            pointed.extend(at_pointers(message, pointers));
            for item in message.as_array().into_iter().flatten() {
                pointed.extend(at_pointers(item, pointers));
            }
        }
        let shown = |value: String| Shown { frame, value };
        self.keyed.extend(keyed.into_iter().map(shown));
        self.pointed.extend(pointed.into_iter().map(shown));
    }
}

/// The values that are another's, each with the index of its socket. `sockets` are users and what theirs show, `owners`
/// has for each captured value the user whose it is. `None` where they mark nobody.
pub(super) fn foreign<'s>(
    sockets: &'s [(&str, Places)],
    owners: &BTreeMap<&str, &str>,
) -> Option<Vec<(usize, &'s Shown)>> {
    let ways: [fn(&Places) -> &[Shown]; 2] = [|places| &places.keyed, |places| &places.pointed];
    let marks = |way: &fn(&Places) -> &[Shown]| {
        let mut all = sockets.iter().flat_map(|(_, places)| way(places)).peekable();
        all.peek().is_some() && all.all(|shown| owners.contains_key(shown.value.as_str()))
    };
    let way = ways.into_iter().find(marks)?;
    let mut foreign = Vec::new();
    for (index, (user, places)) in sockets.iter().enumerate() {
        let others = |shown: &&Shown| owners.get(shown.value.as_str()).is_some_and(|owner| owner != user);
        foreign.extend(way(places).iter().filter(others).map(|shown| (index, shown)));
    }
    Some(foreign)
}

/// The key at the end of a pointer (RFC 6901); none where it is a position in a list.
fn key_of(pointer: &str) -> Option<String> {
    let (_, key) = pointer.rsplit_once('/')?;
    let is_position = key.is_empty() || key.bytes().all(|byte| byte.is_ascii_digit());
    (!is_position).then(|| key.replace("~1", "/").replace("~0", "~"))
}

/// A number or a text.
fn scalar(value: &Value) -> Option<String> {
    (value.is_number() || value.is_string()).then(|| text_of(value).into_owned())
}

fn at_pointers(message: &Value, pointers: &[String]) -> impl Iterator<Item = String> {
    pointers.iter().filter_map(|pointer| scalar(message.pointer(pointer)?))
}

fn under_keys(value: &Value, keys: &BTreeSet<String>, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| under_keys(item, keys, found)),
        Value::Object(members) => {
            for (key, member) in members {
                found.extend(scalar(member).filter(|_| keys.contains(key)));
                under_keys(member, keys, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found on sockets of `anna` and `bert`, who captured 7 and 8 at these pointers.
    fn found(pointers: &[&str], anna: &[&str], bert: &[&str]) -> Option<Vec<(usize, String)>> {
        let pointers: Vec<String> = pointers.iter().map(|&pointer| pointer.to_owned()).collect();
        let places = |frames: &[&str]| {
            let mut places = Places::default();
            for (index, frame) in frames.iter().enumerate() {
                places.add(index, &Incoming::new(frame.as_bytes()), &pointers);
            }
            places
        };
        let sockets = [("anna", places(anna)), ("bert", places(bert))];
        let owners = BTreeMap::from([("7", "anna"), ("8", "bert")]);
        let found = foreign(&sockets, &owners)?;
        Some(found.into_iter().map(|(socket, shown)| (socket, shown.value.clone())).collect())
    }

    const RUN: &[&str] = &["/data/run_id"];

    #[test]
    fn a_number_under_its_key_is_another_s_and_elsewhere_it_is_a_number() {
        let anna = [r#"{"data":{"run_id":7}}"#, r#"{"seq":8,"left":"8"}"#];
        let bert = r#"{"data":{"run_id":8}}"#;
        assert_eq!(found(RUN, &anna, &[bert, r#"{"seq":7,"n":[7]}"#]), Some(vec![]));
        for leak in [
            r#"{"data":{"run_id":7}}"#,
            r#"{"payload":{"of":[{"run_id":"7"}]}}"#,
            r#"[{"data":{"run_id":"7"}}]"#,
            r#"42["done",{"run_id":7}]"#,
        ] {
            assert_eq!(found(RUN, &anna, &[bert, leak]), Some(vec![(1, "7".to_owned())]), "{leak}");
        }
        for own in
            [r#"{"data":{"run_id":"8"}}"#, r#"{"data":{"run_id":{"of":7}}}"#, r#"{"data":{"runid":7}}"#, "7"]
        {
            assert_eq!(found(RUN, &anna, &[bert, own]), Some(vec![]), "{own}");
        }
    }

    #[test]
    fn a_key_of_many_things_is_looked_at_only_where_the_value_was_taken_from() {
        let anna = [r#"{"id":7,"items":[{"id":1},{"id":8}]}"#];
        let bert = [r#"{"id":8,"items":[{"id":1},{"id":7}]}"#];
        assert_eq!(found(&["/id"], &anna, &bert), Some(vec![]));
        assert_eq!(found(&["/id"], &anna, &[bert[0], r#"{"id":7}"#]), Some(vec![(1, "7".to_owned())]));
    }

    #[test]
    fn a_count_marks_nobody() {
        let counts = |to: u32| (1..=to).map(|seq| format!(r#"{{"seq":{seq}}}"#)).collect::<Vec<_>>();
        let (anna, bert) = (counts(7), counts(8));
        let (anna, bert): (Vec<&str>, Vec<&str>) =
            (anna.iter().map(String::as_str).collect(), bert.iter().map(String::as_str).collect());
        assert_eq!(found(&["/seq"], &anna, &bert), None);
        assert_eq!(found(&["/0"], &[r#"{"a":7}"#], &[r#"{"a":8}"#]), None, "it stands nowhere");
    }
}
