//! How the file's values are read: texts, texts or mappings, headers, pairs.
//!
//! Takes what the YAML parser found and gives values as they were written, still unjudged. It never guesses: `1.10` and
//! `no` are refused where a text is due, since YAML has read a number and a word where a person may have meant something
//! else. The surprising rule: all of these are visitors, as an error raised anywhere else has no line.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};

/// A text or a whole number, as text.
#[derive(Clone)]
pub(crate) struct Text(pub(crate) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Text, E> {
        Err(E::custom(
            "this is a bare number with a point: write it with its unit, as in 1% or 2.5s, or in quotes",
        ))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Text, E> {
        Err(E::custom("this is true or false, where a text is due: write it in quotes"))
    }
}

/// A text, or a mapping or list that stands for its JSON.
#[derive(Clone)]
pub(crate) enum TextOrJson {
    Text(String),
    Json(serde_json::Value),
}

impl TextOrJson {
    /// The text itself or the JSON as text.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Json(value) => value.to_string(),
        }
    }

    /// The JSON, where it was written as such.
    pub(crate) fn json(&self) -> Option<&serde_json::Value> {
        match self {
            Self::Text(_) => None,
            Self::Json(value) => Some(value),
        }
    }
}

impl<'de> Deserialize<'de> for TextOrJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrJsonVisitor)
    }
}

struct TextOrJsonVisitor;

impl<'de> Visitor<'de> for TextOrJsonVisitor {
    type Value = TextOrJson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a mapping")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<TextOrJson, E> {
        Ok(TextOrJson::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TextOrJson, A::Error> {
        serde_json::Value::deserialize(MapAccessDeserializer::new(map)).map(TextOrJson::Json)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<TextOrJson, A::Error> {
        serde_json::Value::deserialize(SeqAccessDeserializer::new(list)).map(TextOrJson::Json)
    }
}

/// A header's value: a text, or where it is read from.
#[derive(Clone)]
pub(crate) enum HeaderText {
    Literal(String),
    Environment(String),
    File(String),
}

impl<'de> Deserialize<'de> for HeaderText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = HeaderText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, {env: NAME} or {file: PATH}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<HeaderText, E> {
        Ok(HeaderText::Literal(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<HeaderText, E> {
        Ok(HeaderText::Literal(number.to_string()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderText, A::Error> {
        let due = "a header's value is a text, {env: NAME} or {file: PATH}";
        let source = match map.next_entry::<String, Text>()? {
            Some((key, Text(name))) if key == "env" => HeaderText::Environment(name),
            Some((key, Text(path))) if key == "file" => HeaderText::File(path),
            _ => return Err(A::Error::custom(due)),
        };
        match map.next_key::<String>()? {
            None => Ok(source),
            Some(_) => Err(A::Error::custom(due)),
        }
    }
}

/// A mapping with keys of the user's own, in the order of the file.
#[derive(Clone)]
pub(crate) struct Pairs<V>(pub(crate) Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

struct PairsVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<V> {
    type Value = Pairs<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of names and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<V>, A::Error> {
        let mut pairs = Vec::new();
        while let Some(Text(key)) = map.next_key()? {
            pairs.push((key, map.next_value()?));
        }
        Ok(Pairs(pairs))
    }
}

/// One value, or a list of them.
#[derive(Clone)]
pub(crate) struct Several<V> {
    pub(crate) values: Vec<V>,
    /// Whether it was written as a list, so that a place in it has a number.
    pub(crate) listed: bool,
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Several<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SeveralVisitor(PhantomData))
    }
}

struct SeveralVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> SeveralVisitor<V> {
    fn one<E: Error>(value: impl IntoDeserializer<'de, E>) -> Result<Several<V>, E> {
        V::deserialize(value.into_deserializer()).map(|value| Several { values: vec![value], listed: false })
    }
}

impl<'de, V: Deserialize<'de>> Visitor<'de> for SeveralVisitor<V> {
    type Value = Several<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one or a list")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Several<V>, E> {
        Self::one(text)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Several<V>, E> {
        Self::one(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Several<V>, E> {
        Self::one(number)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Several<V>, E> {
        Self::one(number)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Several<V>, E> {
        Self::one(value)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Several<V>, A::Error> {
        let value = V::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Several { values: vec![value], listed: false })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Several<V>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Several { values, listed: true })
    }
}
