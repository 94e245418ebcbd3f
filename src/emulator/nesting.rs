//! How deep may JSON be nested?
//!
//! Google's parser gives up at a hundred levels; ours at 128, and what is taken is written again a few levels deeper, into
//! the state file and into answers. So whatever comes in is held to Google's limit, and what was written is read again.

use serde_json::Value;

/// The levels that Google's parser reads.
pub(crate) const DEEPEST: usize = 100;

/// Whether a value has more than so many levels of lists and objects.
pub(crate) fn is_deeper(value: &Value, levels: usize) -> bool {
    let inside = |value: &Value| is_deeper(value, levels - 1);
    match value {
        Value::Array(_) | Value::Object(_) if levels == 0 => true,
        Value::Array(items) => items.iter().any(inside),
        Value::Object(fields) => fields.values().any(inside),
        _ => false,
    }
}
