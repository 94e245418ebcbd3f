//! Text from outside, made safe to show: which bytes may reach a terminal, a log or a report?
//!
//! Takes any text and gives one line of printable text, capped. It never keeps the original. The surprising rule:
//! `::` and `##[` are broken up as well, since a CI system takes commands from any line that a program prints.

use std::fmt;
use std::fmt::Write as _;

use serde::{Deserialize, Deserializer, Serialize};

/// How many characters of a text are kept before it is cut.
const KEPT: usize = 400;

/// One line of text that came from outside: escaped, capped, safe to show anywhere but at the start of a line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Default)]
#[serde(transparent)]
pub struct Excerpt(String);

impl Excerpt {
    /// Escapes `text` and cuts it after 400 characters, saying how many were cut.
    pub fn new(text: &str) -> Self {
        let escaped = escape(text);
        let total = escaped.chars().count();
        if total <= KEPT + 40 {
            return Self(escaped);
        }
        let head: String = escaped.chars().take(KEPT).collect();
        Self(format!("{head}… ({} more characters)", total - KEPT))
    }

    /// The safe text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when the text was empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Excerpt {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for Excerpt {
    /// A recorded run is a file that anyone may have edited: its texts are escaped again (which changes nothing in
    /// a text that was escaped before).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(escape(&String::deserialize(deserializer)?)))
    }
}

/// One line of printable text: control characters (C0, C1, DEL), bidirectional and invisible formatting characters and
/// line separators become `\u{…}`; workflow commands of CI systems (`::`, `##[`) are broken up. Idempotent.
pub fn escape(text: &str) -> String {
    escaped(text, true)
}

/// The same, but `::` is broken up at the start only, where it gives orders: for a whole line that may hold an IPv6
/// address. Idempotent.
pub fn one_line(text: &str) -> String {
    escaped(text, false)
}

fn escaped(text: &str, breaks_colons: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_unsafe(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            ':' if out.ends_with(':') && (breaks_colons || out.trim_start() == ":") => {
                out.push_str("\\u{3a}");
            }
            '[' if out.ends_with("##") => out.push_str("\\u{5b}"),
            c => out.push(c),
        }
    }
    out
}

/// Characters that move the cursor, reorder what is read, or cannot be seen.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn breaks_up_what_a_terminal_or_a_ci_system_would_obey() {
        let hostile = "\u{1b}[31mred\u{202e}\n::error::injected ##[error]x\u{9b}2J";
        assert_eq!(
            escape(hostile),
            "\\u{1b}[31mred\\u{202e}\\n:\\u{3a}error:\\u{3a}injected ##\\u{5b}error]x\\u{9b}2J"
        );
    }

    #[test]
    fn a_line_keeps_an_address() {
        assert_eq!(one_line(" ::error::x"), " :\\u{3a}error::x");
        assert_eq!(one_line("at ws://[::1]:8080\n::error::x"), "at ws://[::1]:8080\\n::error::x");
    }

    #[test]
    fn says_how_much_was_cut() {
        let excerpt = Excerpt::new(&"x".repeat(1000));
        assert!(excerpt.as_str().ends_with("… (600 more characters)"));
    }

    proptest! {
        #[test]
        fn is_idempotent_and_leaves_no_control_character(text in any::<String>()) {
            let once = escape(&text);
            prop_assert_eq!(&escape(&once), &once);
            prop_assert!(!once.chars().any(is_unsafe));
            prop_assert!(!once.contains("::") && !once.contains("##["));
            let line = one_line(&text);
            prop_assert_eq!(&one_line(&line), &line);
            prop_assert!(!line.chars().any(is_unsafe) && !line.contains("##["));
            prop_assert!(!line.trim_start().starts_with("::"));
            prop_assert_eq!(escape(&line), once);
        }
    }
}
