//! The report for programs.

use std::fmt::Write as _;

use super::document::Document;
use crate::trust::is_unsafe;

/// The whole document as JSON, with a newline at the end. It reads as the same values, and holds nothing that a
/// terminal or a CI system would obey: that is written as `\uXXXX`.
pub fn render(document: &Document<'_>) -> Result<String, serde_json::Error> {
    Ok(harmless(&serde_json::to_string_pretty(document)?) + "\n")
}

/// Outside of its strings JSON has none of these characters, so each stands where `\uXXXX` is understood.
fn harmless(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        let orders = character == '[' && out.ends_with("##");
        if orders || (character != '\n' && is_unsafe(character)) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn says_the_same_and_gives_no_orders(text in "(\\PC|[\u{80}-\u{9f}\u{202e}\u{e0001}\n\u{1b}]|##\\[)*") {
            let value = serde_json::json!({ "a": [[text.clone()], text] });
            let json = harmless(&serde_json::to_string_pretty(&value).unwrap());
            prop_assert!(!json.chars().any(|c| c != '\n' && is_unsafe(c)) && !json.contains("##["));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
        }
    }
}
