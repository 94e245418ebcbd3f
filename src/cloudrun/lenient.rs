//! How values of the API's JSON are read: what is a number, a flag, a name, when it may come in several forms?
//!
//! Takes one JSON value and gives the plain value. It never fails on a value that it does not know: such a value
//! becomes its text, or the default. The surprising rule: names and addresses are escaped here already. A legal name
//! is left as it is by that, and a hostile one can no longer reach a terminal.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::trust::escape;

/// An int64, which this API writes as a string, or as a number when asked for compact answers.
pub(super) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_i64().unwrap_or_default(),
        Value::String(text) => text.parse().unwrap_or_default(),
        _ => 0,
    })
}

/// A name, escaped.
pub(super) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(escape(&String::deserialize(deserializer)?))
}

/// A name that may be missing; an empty one is missing.
pub(super) fn optional_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = name(deserializer)?;
    Ok((!text.is_empty()).then_some(text))
}

/// Names of labels with their values, escaped.
pub(super) fn labels<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let map = BTreeMap::<String, String>::deserialize(deserializer)?;
    Ok(map.into_iter().map(|(key, value)| (escape(&key), escape(&value))).collect())
}

/// An address that may be missing. Addresses of printable ASCII stay as they are (`[::1]` would not survive escaping).
pub(super) fn optional_address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    let text = if printable { text } else { escape(&text) };
    Ok((!text.is_empty()).then_some(text))
}

/// A time by RFC 3339; `None` when it is not one.
pub(super) fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(String::deserialize(deserializer)?.parse().ok())
}

/// The name of an enumeration's value. Integers are looked up in `names`; what is not there becomes `CODE_n`.
pub(super) fn enumeration<'de, D: Deserializer<'de>>(
    deserializer: D,
    names: &[&str],
) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => escape(&text),
        Value::Number(number) => number
            .as_u64()
            .and_then(|index| usize::try_from(index).ok())
            .and_then(|index| names.get(index))
            .map_or_else(|| format!("CODE_{number}"), |&name| name.to_owned()),
        _ => String::new(),
    })
}

/// The same object without members that are `null`, which mean "not set" in this API.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(_, member)| !member.is_null())
                .map(|(key, member)| (key, without_nulls(member)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}
