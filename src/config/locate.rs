//! Where in the file does this value stand?
//!
//! Takes the text and the path of a value, and gives its line and column. It reads the text again, since the values
//! themselves carry no position. The surprising rule: it stops the parser by an error at the value it looks for, as the
//! parser tells positions only with errors.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::trust::escape;

/// One step from a value to a value inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The value of this key.
    Key(String),
    /// The element at this position, from 0.
    Index(usize),
}

/// The way from the root of the file to a value, shown as `race.patterns[2]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct KeyPath(Vec<Step>);

impl KeyPath {
    pub(crate) fn of(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| Step::Key((*key).to_owned())).collect())
    }

    pub(crate) fn key(&self, key: &str) -> Self {
        Self(self.0.iter().cloned().chain([Step::Key(key.to_owned())]).collect())
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        Self(self.0.iter().cloned().chain([Step::Index(index)]).collect())
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => f.write_str(&escape(key))?,
                Step::Key(key) => write!(f, ".{}", escape(key))?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Line and column (both from 1) of the value at `path`; `None` when there is none.
pub(crate) fn locate(text: &str, path: &KeyPath) -> Option<(usize, usize)> {
    let seek = Seek { path: &path.0 };
    let found = seek.deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    if !found.to_string().contains(FOUND) {
        return None;
    }
    found.location().map(|location| (location.line(), location.column()))
}

/// Line and column of the two opening braces of this number, from 0, in the text that begins at `start`; `None` where they
/// are not written as they are read. A text goes on in lines that are indented further than its key.
pub(crate) fn locate_braces(text: &str, start: (usize, usize), number: usize) -> Option<(usize, usize)> {
    let (first, column) = (start.0.checked_sub(1)?, start.1.checked_sub(1)?);
    let mut lines = text.lines().enumerate().skip(first).peekable();
    let key = indentation_of_key(lines.peek()?.1);
    let mut found = lines
        .take_while(|(at, line)| *at == first || line.trim().is_empty() || indentation(line) > key)
        .flat_map(|(at, line)| {
            let begin = line.char_indices().nth(if at == first { column } else { 0 });
            let begin = begin.map_or(line.len(), |(begin, _)| begin);
            let places = line[begin..].match_indices("{{");
            places.map(move |(offset, _)| (at + 1, line[..begin + offset].chars().count() + 1))
        });
    found.nth(number)
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Where the key of a line stands, behind the hyphens of lists.
fn indentation_of_key(line: &str) -> usize {
    let mut key = line.trim_start();
    while let Some(rest) = key.strip_prefix("- ") {
        key = rest.trim_start();
    }
    line.len() - key.len()
}

/// What the error says by which the parser is stopped.
const FOUND: &str = "the value that was looked for";

struct Seek<'p> {
    path: &'p [Step],
}

impl Seek<'_> {
    fn scalar<E: Error>(&self) -> Result<(), E> {
        if self.path.is_empty() { Err(E::custom(FOUND)) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.scalar()
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar()
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.path.split_first() else { return Err(A::Error::custom(FOUND)) };
        while let Some(key) = map.next_key::<String>()? {
            if matches!(step, Step::Key(wanted) if *wanted == key) {
                map.next_value_seed(Seek { path: rest })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.path.split_first() else { return Err(A::Error::custom(FOUND)) };
        if let Step::Index(wanted) = step {
            for _ in 0..*wanted {
                list.next_element::<IgnoredAny>()?;
            }
            list.next_element_seed(Seek { path: rest })?;
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "a: 1\nrace:\n  patterns: [users,\n    same-user]\n  seed: ~\nheaders:\n  'X-A': {env: N}\n";

    #[test]
    fn finds_braces_in_texts_of_several_lines() {
        let text = "steps:\n  - send: |\n      a {{b}}\n\n      ü {{c}} {{d}}\n  - send: '{{e}}'\n";
        let at = |start, number| locate_braces(text, start, number);
        assert_eq!(at((2, 11), 0), Some((3, 9)));
        assert_eq!(at((2, 11), 2), Some((5, 15)));
        assert_eq!(at((2, 11), 3), None, "the next text is another");
        assert_eq!(at((6, 11), 0), Some((6, 12)));
        assert_eq!(at((9, 1), 0), None);
    }

    #[test]
    fn finds_scalars_lists_and_mappings() {
        let at = |path: &KeyPath| locate(TEXT, path);
        assert_eq!(at(&KeyPath::of(&["a"])), Some((1, 4)));
        let patterns = KeyPath::of(&["race", "patterns"]);
        assert_eq!(at(&patterns), Some((3, 13)));
        assert_eq!(at(&patterns.index(1)), Some((4, 5)));
        assert_eq!(patterns.index(1).to_string(), "race.patterns[1]");
        assert_eq!(at(&KeyPath::of(&["race", "seed"])), Some((5, 9)));
        assert_eq!(at(&KeyPath::of(&["headers"]).key("X-A")), Some((7, 10)));
        assert_eq!(at(&KeyPath::of(&["nowhere"])), None);
        assert_eq!(at(&patterns.index(7)), None);
    }
}
