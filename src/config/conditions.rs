//! What an HTTP answer must be: statuses, and values at places of its JSON.
//!
//! Takes what was written and gives conditions that an answer can be held against. It asks nobody. The surprising rule: a
//! mapping with the one key `regex` is a pattern and every other value is the value itself, so that `true` is never met by
//! the text "true".

use std::fmt;

use serde_json::Value;

use super::values::{Flaw, quoted};
use super::wire;
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
    Matches(regex::Regex),
}

/// A condition at a JSON pointer.
pub(crate) fn condition(pointer: &str, due: &Value) -> Result<Condition, Flaw> {
    // The empty pointer is the whole answer.
    let pointer = if pointer.is_empty() { String::new() } else { wire::pointer(pointer)? };
    let pattern = due.as_object().filter(|map| map.len() == 1).and_then(|map| map.get("regex"));
    let due = match pattern {
        None => Due::Equal(due.clone()),
        Some(Value::String(pattern)) if !pattern.is_empty() => match regex::Regex::new(pattern) {
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
        Some(_) => return Err(Flaw::new("the pattern is not a text, or is empty, which everything matches")),
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
            Due::Matches(pattern) => {
                let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
                (!pattern.is_match(&text))
                    .then(|| format!("{place} is {} and does not match {}", shown(found), pattern.as_str()))
            }
        }
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
            ("status", json!(1)),
            ("/~2", json!(1)),
            ("/a", json!({"regex": "("})),
            ("/a", json!({"regex": ""})),
        ] {
            assert!(condition(pointer, &due).is_err(), "{pointer} {due}");
        }
    }
}
