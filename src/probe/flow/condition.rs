//! Does a frame fulfil the conditions of a pattern?
//!
//! Takes a pattern and one socket's values, and gives a test for frames. Pure. The surprising rule: conditions on JSON must
//! hold in one and the same message, where an envelope carries several.

mod missed;

use regex::Regex;
use serde_json::Value;

use super::super::matcher::holds;
use super::incoming::Incoming;
use crate::config::{Captured, Escaping, FramePattern, Holds, Values};

/// Where a message may have its type: the three envelopes of an agent's events.
const PLACES: [&str; 3] = ["", "/data", "/payload"];
/// Under which keys.
const KEYS: [&str; 2] = ["type", "event"];
/// Under which keys what is forbidden may have its type, at any depth.
const FORBIDDEN_KEYS: [&str; 7] = ["type", "event", "event_type", "kind", "name", "op", "action"];

/// A test for frames.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    types: Vec<String>,
    json: Option<Value>,
    regex: Option<Regex>,
    pointed: Option<(Vec<String>, Pointed)>,
    /// What is forbidden is so wherever it stands.
    forbids: bool,
}

#[derive(Debug, Clone)]
enum Pointed {
    Anything,
    Json(Value),
    Regex(Regex),
}

impl Condition {
    /// The test of one socket; `None` while something that the pattern names was not captured.
    pub(super) fn new(pattern: &FramePattern, values: Values<'_>, captured: &Captured) -> Option<Self> {
        let filled =
            |template: &crate::config::Template, escaping| template.fill_captured(values, captured, escaping);
        let json_of = |template| serde_json::from_str::<Value>(&filled(template, Escaping::Json)?).ok();
        let regex_of = |template| Regex::new(&filled(template, Escaping::Regex)?).ok();
        let types: Option<Vec<String>> =
            pattern.types.iter().map(|template| filled(template, Escaping::None)).collect();
        let json = match &pattern.json {
            Some(template) => Some(json_of(template)?),
            None => None,
        };
        let regex = match &pattern.regex {
            Some(template) => Some(regex_of(template)?),
            None => None,
        };
        let pointed = match &pattern.pointed {
            Some(pointed) => {
                let test = match &pointed.holds {
                    Holds::Anything => Pointed::Anything,
                    Holds::Json(template) => Pointed::Json(json_of(template)?),
                    Holds::Regex(template) => Pointed::Regex(regex_of(template)?),
                };
                Some((pointed.pointers.clone(), test))
            }
            None => None,
        };
        Some(Self { types: types?, json, regex, pointed, forbids: false })
    }

    /// The same for what is forbidden: a type counts wherever in a message it stands.
    pub(super) fn forbidding(self) -> Self {
        Self { forbids: true, ..self }
    }

    /// Whether a frame fulfils them all.
    pub(super) fn matches(&self, incoming: &Incoming<'_>) -> bool {
        if self.regex.as_ref().is_some_and(|regex| !regex.is_match(&incoming.text)) {
            return false;
        }
        let needs_json = !self.types.is_empty() || self.json.is_some() || self.pointed.is_some();
        !needs_json || incoming.messages().any(|message| self.holds_in(message))
    }

    fn holds_in(&self, message: &Value) -> bool {
        let is_of = if self.forbids { has_type_somewhere } else { has_type };
        (self.types.is_empty() || self.types.iter().any(|due| is_of(message, due)))
            && self.json.as_ref().is_none_or(|wanted| holds(message, wanted))
            && self.pointed.as_ref().is_none_or(|(pointers, test)| {
                let found = pointers.iter().find_map(|pointer| message.pointer(pointer));
                found.is_some_and(|value| match test {
                    Pointed::Anything => true,
                    Pointed::Json(wanted) => holds(value, wanted) && holds(wanted, value),
                    Pointed::Regex(regex) => match value {
                        Value::String(text) => regex.is_match(text),
                        other => regex.is_match(&other.to_string()),
                    },
                })
            })
    }
}

/// Whether an object of that type stands anywhere in a message.
fn has_type_somewhere(message: &Value, due: &str) -> bool {
    match message {
        Value::Array(items) => items.iter().any(|item| has_type_somewhere(item, due)),
        Value::Object(members) => {
            let named = |key: &&str| members.get(*key).and_then(Value::as_str) == Some(due);
            FORBIDDEN_KEYS.iter().any(named) || members.values().any(|member| has_type_somewhere(member, due))
        }
        _ => false,
    }
}

fn has_type(message: &Value, due: &str) -> bool {
    PLACES.iter().filter_map(|place| message.pointer(place)).any(|object| {
        KEYS.iter().any(|key| object.get(*key).and_then(Value::as_str).is_some_and(|kind| kind == due))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Pointed as Place, Template};

    const VALUES: Values<'static> = Values { user: "u", nonce: "n.1", round: 1 };

    fn template(text: &str) -> Template {
        Template::in_flow(text).unwrap()
    }

    fn matches(pattern: &FramePattern, text: &str) -> bool {
        let condition = Condition::new(pattern, VALUES, &Captured::new()).unwrap();
        condition.matches(&Incoming::new(text.as_bytes()))
    }

    #[test]
    fn a_type_is_found_in_the_three_envelopes() {
        let pattern = FramePattern { types: vec![template("agent_started")], ..FramePattern::default() };
        for text in [
            r#"{"type":"agent_started"}"#,
            r#"{"event":"agent_started","run_id":"1"}"#,
            r#"{"type":"agent_event","data":{"event":"agent_started"}}"#,
            r#"{"type":"agent_event","payload":{"type":"agent_started"}}"#,
            r#"42["x"]"#,
            r#"{"result":"agent_started"}"#,
            r#"{"other":{"type":"agent_started"}}"#,
            "agent_started",
        ] {
            let due = text.contains("\"agent_started") && !text.contains("result") && !text.contains("other");
            assert_eq!(matches(&pattern, text), due, "{text}");
        }
    }

    #[test]
    fn all_conditions_must_hold_in_one_message() {
        let pointers = vec!["/data/done".to_owned(), "/done".to_owned()];
        let pointed = Some(Place { pointers, holds: Holds::Json(template("true")) });
        let pattern = FramePattern { types: vec![template("end")], pointed, ..FramePattern::default() };
        assert!(matches(&pattern, r#"{"type":"end","done":true}"#));
        assert!(matches(&pattern, r#"{"type":"end","data":{"done":true}}"#));
        assert!(
            !matches(&pattern, r#"{"type":"end","data":{"done":false},"done":true}"#),
            "the first that exists"
        );
        assert!(!matches(&pattern, "{\"type\":\"end\"}\u{1e}{\"done\":true}\u{1e}"), "two messages");
        let pattern = FramePattern { regex: Some(template("^pong {{nonce}}$")), ..FramePattern::default() };
        assert!(matches(&pattern, "pong n.1") && !matches(&pattern, "pong nx1"));
    }

    #[test]
    fn a_pattern_waits_for_what_it_names() {
        let pattern =
            FramePattern { json: Some(template(r#"{"id":"{{capture.id}}"}"#)), ..Default::default() };
        assert!(Condition::new(&pattern, VALUES, &Captured::new()).is_none());
        let incoming = Incoming::new(br#"{"payload":{"id":7}}"#);
        let id = incoming.captured(&["/id".to_owned(), "/payload/id".to_owned()]).unwrap();
        assert_eq!(id, 7);
        let captured = Captured::from([("id".to_owned(), id)]);
        let condition = Condition::new(&pattern, VALUES, &captured).unwrap();
        assert!(condition.matches(&Incoming::new(br#"{"id":7,"more":1}"#)));
    }

    #[test]
    fn what_is_forbidden_counts_wherever_it_stands() {
        let types = vec![template("agent_error")];
        let pattern = FramePattern { types, json: None, regex: None, pointed: None };
        for text in [
            r#"{"type":"event","message":{"type":"agent_error"}}"#,
            r#"{"kind":"event","event_type":"agent_error"}"#,
            r#"[{"type":"x"},{"data":{"name":"agent_error"}}]"#,
        ] {
            let condition = Condition::new(&pattern, VALUES, &Captured::new()).unwrap();
            let incoming = Incoming::new(text.as_bytes());
            assert!(!condition.matches(&incoming) && condition.forbidding().matches(&incoming), "{text}");
        }
        assert!(!matches(&pattern, r#"{"type":"said","text":"agent_error"}"#));
    }
}
