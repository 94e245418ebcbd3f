//! What an HTTP answer must be: statuses, and values at places of its JSON.
//!
//! Takes what was written and gives conditions that an answer can be held against. It asks nobody. The surprising rule: a
//! mapping with the one key `regex` or `contains` says how to compare, and every other value is the value itself and whole,
//! so that `true` is never met by the text "true", nor `{a: 1}` by an object that has more.

use std::fmt;

use serde_json::Value;

use super::pointer;
use super::values::{Flaw, quoted};
use crate::trust::escape;

/// Longest excerpt of a value in words, in characters.
const SHOWN: usize = 80;
/// The most of a value that is cleaned before it is cut, in characters.
const SEARCHED: usize = 64 * 1024;

/// Statuses that are due: one, or a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statuses {
    first: u16,
    last: u16,
}

impl Statuses {
    /// 200 to 299.
    pub const SUCCESS: Self = Self { first: 200, last: 299 };
    /// Every one.
    pub(crate) const ANY: Self = Self { first: 0, last: u16::MAX };

    /// `200`, or `2xx` for a class.
    pub(crate) fn parse(text: &str) -> Result<Self, Flaw> {
        let flaw = || {
            Flaw::new(format!("{} is not a status: write it as 200, or 2xx for a class", quoted(text)))
                .help("statuses of final answers are 200 to 599")
        };
        if let Some(class) = text.strip_suffix("xx") {
            let class: u16 = class.parse().map_err(|_| flaw())?;
            let range =
                Self { first: class.saturating_mul(100), last: class.saturating_mul(100).saturating_add(99) };
            return Some(range).filter(|range| (200..600).contains(&range.first)).ok_or_else(flaw);
        }
        let plain = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        let status: u16 = if plain { text.parse().map_err(|_| flaw())? } else { return Err(flaw()) };
        if !(200..600).contains(&status) {
            return Err(flaw());
        }
        Ok(Self { first: status, last: status })
    }

    /// True when this status is among them.
    pub fn holds(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}xx", self.first / 100)
        }
    }
}

/// What is due at one place of an answer's JSON.
#[derive(Debug, Clone)]
pub struct Condition {
    pointer: String,
    due: Due,
}

#[derive(Debug, Clone)]
enum Due {
    Equal(Value),
    Contains(Value),
    Matches(regex::Regex),
}

/// A condition at a JSON pointer.
pub(crate) fn condition(pointer: &str, due: &Value) -> Result<Condition, Flaw> {
    // The empty pointer is the whole answer.
    let pointer = if pointer.is_empty() { String::new() } else { pointer::parse(pointer)? };
    let only = |key: &str| due.as_object().filter(|map| map.len() == 1).and_then(|map| map.get(key));
    let due = match (only("regex"), only("contains")) {
        (None, None) => Due::Equal(due.clone()),
        (None, Some(part)) if is_empty(part) => {
            return Err(Flaw::new("what it must contain is empty, which everything contains"));
        }
        (None, Some(part)) => Due::Contains(part.clone()),
        (Some(Value::String(pattern)), _) if !pattern.is_empty() => match regex::Regex::new(pattern) {
            Ok(pattern) => Due::Matches(pattern),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
                return Err(Flaw::new(format!(
                    "the pattern is not a regular expression: {}",
                    escape(reason)
                )));
            }
        },
        (Some(_), _) => {
            return Err(Flaw::new("the pattern is not a text, or is empty, which everything matches"));
        }
    };
    Ok(Condition { pointer, due })
}

impl Condition {
    /// What is wrong about the answer, as a fragment; `None` where the condition holds. The words quote the answer:
    /// what they quote is `clean`ed before it is cut, and not escaped.
    pub fn unmet(&self, answer: &Value, clean: impl Fn(&str) -> String) -> Option<String> {
        let shown = |value: &Value| shown(&clean(&beginning(value)));
        let place = if self.pointer.is_empty() { "the answer" } else { self.pointer.as_str() };
        let Some(found) = answer.pointer(&self.pointer) else {
            return Some(format!("there is no {place} in its JSON"));
        };
        match &self.due {
            Due::Equal(due) if equal(due, found) => None,
            Due::Equal(due) => Some(format!("{place} is {} and not {}", shown(found), shown(due))),
            Due::Contains(due) if contains(found, due) => None,
            Due::Contains(due) => {
                Some(format!("{place} is {} and does not contain {}", shown(found), shown(due)))
            }
            Due::Matches(pattern) => {
                let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
                (!pattern.is_match(&text))
                    .then(|| format!("{place} is {} and does not match {}", shown(found), pattern.as_str()))
            }
        }
    }
}

/// True for what everything contains.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// A text contains its parts; a list its elements, one or several in any order; an object its members, also nested ones.
/// Everything else contains what it equals.
fn contains(found: &Value, due: &Value) -> bool {
    match (found, due) {
        (Value::String(found), Value::String(due)) => found.contains(due.as_str()),
        (Value::Array(found), Value::Array(due)) => {
            due.iter().all(|due| found.iter().any(|found| is_like(found, due)))
        }
        (Value::Array(found), due) => found.iter().any(|found| is_like(found, due)),
        (found, due) => is_like(found, due),
    }
}

/// Objects hold at least the members that are due; everything else is equal.
fn is_like(found: &Value, due: &Value) -> bool {
    match (found, due) {
        (Value::Object(found), Value::Object(due)) => {
            due.iter().all(|(key, due)| found.get(key).is_some_and(|found| is_like(found, due)))
        }
        (found, due) => equal(due, found),
    }
}

/// Equal as JSON; numbers by their value, so that 1 is 1.0.
fn equal(due: &Value, found: &Value) -> bool {
    match (due.as_f64(), found.as_f64()) {
        (Some(due), Some(found)) => (due - found).abs() < f64::EPSILON * due.abs().max(1.0),
        _ => due == found,
    }
}

/// As much of a value as is looked through for secrets.
fn beginning(value: &Value) -> String {
    value.to_string().chars().take(SEARCHED).collect()
}

fn shown(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    format!("{}…", text.chars().take(SHOWN).collect::<String>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn statuses_are_numbers_or_classes() {
        assert!(Statuses::parse("2xx").unwrap().holds(204) && !Statuses::parse("2xx").unwrap().holds(301));
        assert!(Statuses::parse("404").unwrap().holds(404) && !Statuses::parse("404").unwrap().holds(405));
        for bad in ["", "2XX", "0xx", "1xx", "6xx", "99", "101", "600", "20", "+200", "200-299", "xx", "0200"]
        {
            assert!(Statuses::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Statuses::SUCCESS.to_string(), "2xx");
    }

    #[test]
    fn what_is_contained_may_have_more_around_it() {
        let answer = json!({"deps": {"db": {"up": true, "ms": 3}, "queue": "up"}, "tags": ["a", "b", {"c": 1, "d": 2}], "s": "ok: 1.4"});
        let unmet = |pointer: &str, due: Value| {
            condition(pointer, &json!({ "contains": due })).unwrap().unmet(&answer, str::to_owned)
        };
        for (pointer, due) in [
            ("", json!({"deps": {"db": {"up": true}}})),
            ("/deps", json!({"queue": "up"})),
            ("/tags", json!("a")),
            ("/tags", json!(["b", "a"])),
            ("/tags", json!({"c": 1})),
            ("/s", json!("1.4")),
            ("/deps/db/ms", json!(3.0)),
        ] {
            assert_eq!(unmet(pointer, due.clone()), None, "{pointer} {due}");
        }
        for (pointer, due) in [
            ("/deps", json!({"queue": "u"})),
            ("/deps", json!({"db": {"up": "true"}})),
            ("/deps", json!({"cache": null})),
            ("/tags", json!(["a", "x"])),
            ("/tags", json!({"c": 2})),
            ("/s", json!(1.4)),
        ] {
            assert!(unmet(pointer, due.clone()).unwrap().contains("does not contain"), "{pointer} {due}");
        }
        let whole = condition("/deps", &json!({"queue": "up"})).unwrap();
        assert!(whole.unmet(&answer, str::to_owned).unwrap().contains("and not"), "a value is whole");
    }

    #[test]
    fn conditions_tell_values_from_patterns_and_texts_from_truths() {
        let answer =
            json!({"status": "healthy", "ready": true, "version": "1.4.2", "n": 1, "deep": {"a": [1, 2]}});
        let unmet =
            |pointer: &str, due: Value| condition(pointer, &due).unwrap().unmet(&answer, str::to_owned);
        assert_eq!(unmet("/status", json!("healthy")), None);
        assert_eq!(unmet("/n", json!(1.0)), None);
        assert_eq!(unmet("/deep", json!({"a": [1, 2]})), None);
        assert_eq!(unmet("/version", json!({"regex": "^1\\."})), None);
        assert_eq!(unmet("/deep/a/1", json!({"regex": "^2$"})), None);
        assert_eq!(unmet("/ready", json!("true")).unwrap(), "/ready is true and not \"true\"");
        assert!(unmet("/version", json!({"regex": "^2"})).unwrap().contains("does not match ^2"));
        assert_eq!(unmet("/stats", json!(1)).unwrap(), "there is no /stats in its JSON");
        for (pointer, due) in [
            ("/deep", json!({"contains": {}})),
            ("/status", json!({"contains": ""})),
            ("status", json!(1)),
            ("/~2", json!(1)),
            ("/a", json!({"regex": "("})),
            ("/a", json!({"regex": ""})),
        ] {
            assert!(condition(pointer, &due).is_err(), "{pointer} {due}");
        }
    }
}
