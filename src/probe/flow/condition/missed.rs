//! Which condition does a frame miss that is else of the type that is due?
//!
//! Takes a test and a frame that did not fulfil it; gives the first condition that it misses, in words. Pure. The surprising
//! rule: without a type to tell it by no frame comes near, since any other frame misses every condition.

use serde_json::Value;

use super::super::super::matcher::holds;
use super::super::incoming::Incoming;
use super::{Condition, KEYS, Pointed, has_type};
use crate::trust::Redactor;

/// How many characters of a value are told.
const SHOWN: usize = 80;

impl Condition {
    /// What a frame of the right type misses; `None` for one of another type, and for one that misses nothing. The words
    /// quote the frame, redacted and not escaped.
    pub(in super::super) fn missed(&self, incoming: &Incoming<'_>, redactor: &Redactor) -> Option<String> {
        let teller = Teller { redactor };
        let message = incoming.messages().find(|message| self.is_of_type(message))?;
        if let Some(regex) = self.regex.as_ref().filter(|regex| !regex.is_match(&incoming.text)) {
            return Some(format!("its text does not match {}", teller.cut(regex.as_str())));
        }
        let difference = self.json.as_ref().and_then(|wanted| teller.difference(message, wanted, ""));
        difference.or_else(|| self.missed_place(message, teller))
    }

    fn is_of_type(&self, message: &Value) -> bool {
        if !self.types.is_empty() {
            return self.types.iter().any(|due| has_type(message, due));
        }
        let Some(json) = &self.json else { return false };
        let key = KEYS.into_iter().find(|key| json.get(key).is_some_and(Value::is_string));
        key.is_some_and(|key| message.get(key) == json.get(key))
    }

    /// What is not as it should be at the pointers.
    fn missed_place(&self, message: &Value, teller: Teller<'_>) -> Option<String> {
        let (pointers, test) = self.pointed.as_ref()?;
        let Some((place, found)) = pointers.iter().find_map(|place| Some((place, message.pointer(place)?)))
        else {
            return Some(format!("there is no {}", pointers.join(" or ")));
        };
        match test {
            Pointed::Anything => None,
            Pointed::Json(wanted) if holds(found, wanted) && holds(wanted, found) => None,
            Pointed::Json(wanted) => {
                Some(format!("{place} is {} and not {}", teller.shown(found), teller.shown(wanted)))
            }
            Pointed::Regex(regex) => {
                let value = crate::config::text_of(found);
                let unlike = || {
                    format!(
                        "{place} is {} and does not match {}",
                        teller.shown(found),
                        teller.cut(regex.as_str())
                    )
                };
                (!regex.is_match(&value)).then(unlike)
            }
        }
    }
}

/// Puts values into words, without the secrets in them.
#[derive(Clone, Copy)]
struct Teller<'a> {
    redactor: &'a Redactor,
}

impl Teller<'_> {
    /// The first place at which a value does not hold what is wanted.
    fn difference(self, value: &Value, wanted: &Value, place: &str) -> Option<String> {
        match (value, wanted) {
            (Value::Object(value), Value::Object(wanted)) => wanted.iter().find_map(|(key, wanted)| {
                let place = format!("{place}/{key}");
                match value.get(key) {
                    None => Some(format!("there is no {}", self.cut(&place))),
                    Some(value) => self.difference(value, wanted, &place),
                }
            }),
            (Value::Array(value), Value::Array(wanted)) if value.len() == wanted.len() => {
                let mut pairs = value.iter().zip(wanted).enumerate();
                pairs.find_map(|(at, (value, wanted))| {
                    self.difference(value, wanted, &format!("{place}/{at}"))
                })
            }
            (value, wanted) if holds(value, wanted) => None,
            (value, wanted) => {
                let place = if place.is_empty() { "it".to_owned() } else { self.cut(place) };
                Some(format!("{place} is {} and not {}", self.shown(value), self.shown(wanted)))
            }
        }
    }

    fn shown(self, value: &Value) -> String {
        self.cut(&value.to_string())
    }

    /// A secret that the cut goes through would be none any more that could be told.
    fn cut(self, text: &str) -> String {
        let text = self.redactor.redact(text);
        if text.chars().count() <= SHOWN { text } else { text.chars().take(SHOWN).chain(['…']).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Captured, FramePattern, Holds, Pointed as Place, Template, Values};

    fn missed(pattern: &FramePattern, text: &str) -> Option<String> {
        let values = Values { user: "u", nonce: "n", round: 1 };
        let condition = Condition::new(pattern, values, &Captured::new()).unwrap();
        condition.missed(&Incoming::new(text.as_bytes()), &Redactor::default())
    }

    fn template(text: &str) -> Template {
        Template::in_flow(text).unwrap()
    }

    #[test]
    fn the_condition_that_a_frame_misses_is_told() {
        let pointed = |holds| Some(Place { pointers: vec!["/data/ok".to_owned(), "/ok".to_owned()], holds });
        let end = |pointed, regex| FramePattern { types: vec![template("end")], regex, pointed, json: None };
        for (pattern, words) in [
            (end(pointed(Holds::Json(template("true"))), None), "/data/ok is \"no\" and not true"),
            (end(pointed(Holds::Regex(template("^y"))), None), "/data/ok is \"no\" and does not match ^y"),
            (end(None, Some(template("x{3}"))), "its text does not match x{3}"),
        ] {
            assert_eq!(missed(&pattern, r#"{"type":"end","data":{"ok":"no"}}"#).as_deref(), Some(words));
            assert_eq!(missed(&pattern, r#"{"type":"begin","data":{"ok":"no"}}"#), None);
        }
        let nowhere = end(pointed(Holds::Anything), None);
        assert_eq!(missed(&nowhere, r#"{"type":"end"}"#).unwrap(), "there is no /data/ok or /ok");
        let json = template(r#"{"type":"next","a":{"b":[1,2]},"id":"{{nonce}}"}"#);
        let pattern = FramePattern { json: Some(json), ..FramePattern::default() };
        for (text, words) in [
            (r#"{"type":"next","a":{"b":[1,3]}}"#, Some("/a/b/1 is 3 and not 2")),
            (r#"{"type":"next","a":{"b":[1,2]}}"#, Some("there is no /id")),
            (r#"{"type":"next","a":{"b":[1]}}"#, Some("/a/b is [1] and not [1,2]")),
            (r#"{"type":"next","a":{"b":[1,2]},"id":"n"}"#, None),
            (r#"{"type":"other"}"#, None),
        ] {
            assert_eq!(missed(&pattern, text).as_deref(), words, "{text}");
        }
    }
}
