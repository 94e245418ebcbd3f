//! A frame that came: its text, and the events that it carries.
//!
//! Takes the bytes of one frame and gives what conditions look at. Pure. The surprising rule: a frame that is a list of
//! objects carries as many events, in their order, since servers that stream put together what is ready at the same time.

use std::borrow::Cow;

use serde_json::Value;

use super::super::envelope::Envelope;
use crate::config::text_of;

/// The longest text that is captured, in bytes: an id is short.
const LONGEST_CAPTURE: usize = 4096;
/// How many events of one frame are looked at.
const MOST_EVENTS: usize = 1000;

/// A frame that came.
pub(super) struct Incoming<'a> {
    /// Its text; of a binary frame, as far as it is one.
    pub(super) text: Cow<'a, str>,
    /// Its JSON.
    envelope: Option<Envelope>,
}

impl<'a> Incoming<'a> {
    /// A frame of this payload.
    pub(super) fn new(payload: &'a [u8]) -> Self {
        Self { text: String::from_utf8_lossy(payload), envelope: Envelope::open(payload) }
    }

    /// Its JSON, and what wraps it.
    pub(super) fn envelope(&self) -> Option<&Envelope> {
        self.envelope.as_ref()
    }

    /// Its messages.
    pub(super) fn messages(&self) -> impl Iterator<Item = &Value> {
        self.envelope.iter().flat_map(|envelope| &envelope.messages)
    }

    /// The events in it, each as a frame of its own, where it carries several: the objects of a list, and the messages of
    /// an envelope. Nothing where it is one event by itself.
    pub(super) fn events(&self) -> Vec<Incoming<'static>> {
        let Some(Envelope { packet, messages }) = &self.envelope else { return Vec::new() };
        let alone = messages.len() == 1;
        let listed = messages.iter().flat_map(|message| match message {
            Value::Array(items) => items.iter().filter(|item| item.is_object()).collect(),
            message if !alone => vec![message],
            _ => Vec::new(),
        });
        let event = |message: &Value| Incoming {
            text: Cow::Owned(message.to_string()),
            envelope: Some(Envelope { packet: packet.clone(), messages: vec![message.clone()] }),
        };
        listed.take(MOST_EVENTS).map(event).collect()
    }

    /// The value at the first of the pointers that exists.
    pub(super) fn captured(&self, pointers: &[String]) -> Option<Value> {
        let found = pointers.iter().find_map(|pointer| self.messages().find_map(|m| m.pointer(pointer)))?;
        let text = text_of(found);
        (!text.is_empty() && text.len() <= LONGEST_CAPTURE && !found.is_null()).then(|| found.clone())
    }

    /// All texts of its JSON with their escapes read, a line each, where it has any escape.
    pub(super) fn unescaped(&self) -> Option<String> {
        let mut texts = String::new();
        if self.text.contains('\\') {
            self.messages().for_each(|message| add_texts(message, &mut texts));
        }
        (!texts.is_empty()).then_some(texts)
    }
}

/// Keys and texts of a value, a line each.
fn add_texts(value: &Value, texts: &mut String) {
    match value {
        Value::String(text) => texts.extend([text, "\n"]),
        Value::Array(items) => items.iter().for_each(|item| add_texts(item, texts)),
        Value::Object(members) => {
            for (key, item) in members {
                texts.extend([key.as_str(), "\n"]);
                add_texts(item, texts);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<String> {
        Incoming::new(text.as_bytes()).events().iter().map(|event| event.text.to_string()).collect()
    }

    #[test]
    fn a_list_carries_an_event_in_each_object() {
        assert_eq!(events(r#"[{"b":1,"a":[{}]}, 7, {"c":2}]"#), [r#"{"b":1,"a":[{}]}"#, r#"{"c":2}"#]);
        assert_eq!(events(r#"42["reply",{"a":1}]"#), [r#"{"a":1}"#]);
        assert_eq!(events("{\"a\":1}\u{1e}{\"b\":2}\u{1e}"), [r#"{"a":1}"#, r#"{"b":2}"#]);
        for alone in [r#"{"a":[{"b":1}]}"#, "[1,2]", "{\"a\":1}\u{1e}", "text", "[]"] {
            assert!(events(alone).is_empty(), "{alone}");
        }
    }

    #[test]
    fn escapes_are_read() {
        let incoming = Incoming::new(br#"{"d":"the answer:\n1234-5","t":{"u":"a\tb"}}"#);
        let text = incoming.unescaped().unwrap();
        assert!(text.contains("the answer:\n1234-5\n") && text.contains("a\tb"), "{text:?}");
        assert_eq!(Incoming::new(br#"{"d":"x"}"#).unescaped(), None);
    }
}
