//! Texts that come in pieces over several frames, put together.
//!
//! Takes the frames of one socket in their order; gives, at each text of a frame, the end of what stood at the same place
//! before and the beginning of the text. Pure. The surprising rule: what is put together is only looked at and never shown,
//! since it begins anywhere, also in the middle of a secret.

use std::collections::BTreeMap;

use serde_json::Value;

use super::incoming::Incoming;

/// How many bytes of either side of a seam are kept: more than a nonce has.
const SIDE: usize = 64;
/// How many places of texts one socket may have.
const PLACES: usize = 64;
/// The longest name of a place, in bytes.
const LONGEST_PLACE: usize = 256;

/// The ends of the texts that one socket has said, by the places at which they stand in its messages.
#[derive(Debug, Default)]
pub(super) struct Streams {
    ends: BTreeMap<String, String>,
}

impl Streams {
    /// Takes in a frame; gives its seams with what came before.
    pub(super) fn seams(&mut self, incoming: &Incoming<'_>) -> Vec<String> {
        let mut seams = Vec::new();
        if incoming.envelope().is_none() {
            self.piece("", &incoming.text, &mut seams);
        }
        for message in incoming.messages() {
            self.pieces(message, &mut "/".to_owned(), &mut seams);
        }
        seams
    }

    /// The texts of a value, at their places. Elements of a list share one: they are said one behind the other.
    fn pieces(&mut self, value: &Value, place: &mut String, seams: &mut Vec<String>) {
        match value {
            Value::String(text) => self.piece(place, text, seams),
            Value::Array(items) => {
                for item in items {
                    self.inside("*", item, place, seams);
                }
            }
            Value::Object(members) => {
                for (key, member) in members {
                    self.inside(key, member, place, seams);
                }
            }
            _ => {}
        }
    }

    fn inside(&mut self, key: &str, value: &Value, place: &mut String, seams: &mut Vec<String>) {
        let length = place.len();
        if length + key.len() < LONGEST_PLACE {
            place.push_str(key);
            place.push('/');
            self.pieces(value, place, seams);
            place.truncate(length);
        }
    }

    fn piece(&mut self, place: &str, text: &str, seams: &mut Vec<String>) {
        if text.is_empty() || (!self.ends.contains_key(place) && self.ends.len() >= PLACES) {
            return;
        }
        let end = self.ends.entry(place.to_owned()).or_default();
        let head = &text[..text.floor_char_boundary(SIDE.min(text.len()))];
        if !end.is_empty() {
            seams.push(format!("{end}{head}"));
        }
        end.push_str(&text[text.floor_char_boundary(text.len().saturating_sub(SIDE))..]);
        let surplus = end.floor_char_boundary(end.len().saturating_sub(SIDE));
        end.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seams(frames: &[&str]) -> Vec<String> {
        let mut streams = Streams::default();
        frames.iter().flat_map(|frame| streams.seams(&Incoming::new(frame.as_bytes()))).collect()
    }

    #[test]
    fn pieces_of_the_same_place_are_put_together() {
        let frames = [
            r#"{"type":"token","data":{"text":"ab"}}"#,
            r#"{"type":"token","data":{"text":"cd"}}"#,
            r#"{"data":{"text":"ef","id":"x"}}"#,
        ];
        assert_eq!(seams(&frames), ["tokentoken", "abcd", "abcdef"]);
        assert_eq!(seams(&["ab", "cd"]), ["abcd"]);
        assert_eq!(seams(&[r#"[{"t":"ab"},{"t":"cd"}]"#]), ["abcd"]);
        assert!(seams(&[r#"{"a":"ab"}"#, r#"{"b":"cd"}"#]).is_empty());
    }

    #[test]
    fn long_texts_many_places_and_other_alphabets_are_bounded() {
        let long = "é".repeat(1000);
        let joined = seams(&[&long, &long]);
        assert!(joined.iter().all(|seam| seam.len() <= 2 * SIDE + 4), "{joined:?}");
        let mut streams = Streams::default();
        for number in 0..1000 {
            streams.seams(&Incoming::new(format!(r#"{{"{number}":"x"}}"#).as_bytes()));
        }
        assert_eq!(streams.ends.len(), PLACES);
    }
}
