//! Is a frame the declared answer, or another that is declared?
//!
//! Takes `--expect` (or `greeting`, `harmless`) and the values of one socket, gives a test for payloads. It never fails: what is not JSON does not
//! match a JSON pattern. The surprising rule: an object need only *hold* what is declared, while an array must have
//! the declared length.

use std::sync::Arc;

use regex::Regex;
use serde_json::Value;

use super::envelope::Envelope;
use crate::config::{Escaping, Expect, Values};

/// What a socket's frames are tested for.
#[derive(Debug, Clone)]
pub(super) struct Matchers {
    /// The declared answer; `None` when nothing is declared.
    pub(super) expect: Option<Matcher>,
    /// The declared greeting; `None` when none is declared.
    pub(super) greeting: Option<Matcher>,
    /// What reports no error, whatever it looks like.
    pub(super) harmless: Option<Matcher>,
}

/// A test for payloads.
#[derive(Debug, Clone)]
pub(super) enum Matcher {
    /// Holds at least this.
    Subset(Value),
    /// Its text matches this.
    Pattern(Arc<Regex>),
    /// The declared pattern cannot be filled with this socket's values: nothing matches.
    Nothing,
}

impl Matcher {
    /// The test of one socket.
    pub(super) fn new(expect: &Expect, values: Values<'_>) -> Self {
        match expect {
            Expect::JsonSubset(template) => serde_json::from_str(&template.fill(values, Escaping::Json))
                .map_or(Self::Nothing, Self::Subset),
            Expect::Regex(template) => Regex::new(&template.fill(values, Escaping::Regex))
                .map_or(Self::Nothing, |regex| Self::Pattern(Arc::new(regex))),
        }
    }

    /// Whether a payload is what was declared.
    pub(super) fn matches(&self, payload: &[u8]) -> bool {
        match self {
            Self::Nothing => false,
            Self::Pattern(regex) => regex.is_match(&String::from_utf8_lossy(payload)),
            Self::Subset(wanted) => {
                let envelope = Envelope::open(payload);
                envelope.is_some_and(|envelope| envelope.messages.iter().any(|value| holds(value, wanted)))
            }
        }
    }
}

/// Whether a value holds at least what is wanted.
pub(super) fn holds(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Object(value), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| value.get(key).is_some_and(|value| holds(value, wanted)))
        }
        (Value::Array(value), Value::Array(wanted)) => {
            value.len() == wanted.len()
                && value.iter().zip(wanted).all(|(value, wanted)| holds(value, wanted))
        }
        (Value::Number(value), Value::Number(wanted)) => value == wanted || value.as_f64() == wanted.as_f64(),
        (value, wanted) => value == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Template;

    fn matcher(expect: &Expect) -> Matcher {
        Matcher::new(expect, Values { user: "u.1", nonce: "n", round: 1 })
    }

    #[test]
    fn an_object_holds_and_an_array_equals() {
        let template = Template::parse(r#"{"type":"pong","data":{"user":"{{user}}","ids":[1,2]}}"#).unwrap();
        let matcher = matcher(&Expect::JsonSubset(template));
        assert!(matcher.matches(br#"{"at":1,"type":"pong","data":{"user":"u.1","ids":[1,2.0],"x":0}}"#));
        assert!(!matcher.matches(br#"{"type":"pong","data":{"user":"u.2","ids":[1,2]}}"#));
        assert!(!matcher.matches(br#"{"type":"pong","data":{"user":"u.1","ids":[1,2,3]}}"#));
        assert!(!matcher.matches(b"not json"));
        assert!(matcher.matches(br#"42{"type":"pong","data":{"user":"u.1","ids":[1,2]}}"#), "in an envelope");
    }

    #[test]
    fn values_in_a_regex_are_literal() {
        let matcher = matcher(&Expect::Regex(Template::parse("^pong {{user}}$").unwrap()));
        assert!(matcher.matches(b"pong u.1"));
        assert!(!matcher.matches(b"pong ux1"));
    }
}
