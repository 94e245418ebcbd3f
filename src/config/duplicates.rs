//! Is any key of the file written twice, and does it stay of a reasonable size when its aliases are followed?
//!
//! Takes the text and gives nothing, or the parser's error at the second of two equal keys. It judges nothing else. The
//! surprising rule: it compares keys at every depth, also where the user's own keys stand, since a duplicate claim or
//! header would be lost as silently as a duplicate option.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// What the error says, followed by the key.
pub(crate) const TWICE: &str = "the same key is written twice: ";

/// What the error says of a file with more values than are read.
pub(crate) const TOO_MANY: &str = "the file holds too many values";

/// What the error says of a number that no JSON can hold.
pub(crate) const NO_NUMBER: &str = "infinity and what is not a number are no values here";

/// So many brackets may be open: the parser takes time for each of them at every word, and gives up at 128 anyway. More
/// are counted than are there where texts hold brackets, and so the number is a larger one.
const MOST_OPEN: usize = 500;

/// Line and column (both from 1) of the bracket that opens too many, before the text is parsed.
pub(crate) fn too_deep(text: &str) -> Option<(usize, usize)> {
    let mut open = 0_usize;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#')) {
        for (column, character) in line.chars().enumerate() {
            match character {
                '[' | '{' => open += 1,
                ']' | '}' => open = open.saturating_sub(1),
                _ => {}
            }
            if open > MOST_OPEN {
                return Some((index + 1, column + 1));
            }
        }
    }
    None
}

/// So many values are enough for any configuration; a few lines of aliases can stand for billions.
const MOST_VALUES: u32 = 100_000;

/// Refuses a text with a duplicate key.
pub(crate) fn refuse(text: &str) -> Result<(), serde_yaml::Error> {
    let left = Cell::new(MOST_VALUES);
    Walk { left: &left }.deserialize(serde_yaml::Deserializer::from_str(text))
}

/// A value, and how many more there may be.
#[derive(Clone, Copy)]
struct Walk<'c> {
    left: &'c Cell<u32>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Some(left) = self.left.get().checked_sub(1) else {
            return Err(D::Error::custom(TOO_MANY));
        };
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        if number.is_finite() { Ok(()) } else { Err(E::custom(NO_NUMBER)) }
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    /// An empty file.
    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while map.next_key_seed(Key { seen: &mut seen })?.is_some() {
            map.next_value_seed(self)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self)?.is_some() {}
        Ok(())
    }
}

/// A key, which must not be among those seen before.
struct Key<'s> {
    seen: &'s mut HashSet<String>,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key that is a text")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        if self.seen.insert(key.to_owned()) { Ok(()) } else { Err(E::custom(format!("{TWICE}{key}"))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_at_the_second_key() {
        let at = |text: &str| {
            let location = refuse(text).unwrap_err().location().unwrap();
            (location.line(), location.column())
        };
        assert_eq!(at("a: 1\nb: 2\na: 3\n"), (3, 1));
        assert_eq!(at("race:\n  seed: 1\n  'seed': 2\n"), (3, 3));
        assert_eq!(at("token: {claims: {a: [{x: 1, x: 2}]}}"), (1, 29));
        assert!(refuse("a: {b: 1}\nc: {b: 1}\n1: x\n").is_ok());
        assert!(refuse("a: .nan").is_err() && refuse("a: 1e5").is_ok());
    }

    #[test]
    fn brackets_are_counted_before_anything_is_parsed() {
        assert_eq!(too_deep(&format!("a: 1\nb: {}", "[".repeat(501))), Some((2, 504)));
        assert_eq!(too_deep(&format!("# {}\nb: {}", "[".repeat(501), "[1], ".repeat(9000))), None);
    }
}
