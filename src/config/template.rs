//! Texts with places for values: `{{user}}`, `{{nonce}}`, `{{round}}`, and in flows more.
//!
//! Takes a text once, when the configuration is read, and gives the filled text for each socket. It knows no other
//! names and no logic. The surprising rule: values are escaped for where they go (a URL, a JSON text), since a user's
//! name may hold a quote or a slash.

mod places;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

pub use self::places::BadPlace;
use self::places::Outside;

/// What a conversation has taken out of frames so far, by name.
pub type Captured = BTreeMap<String, Value>;

/// A captured value as text: a text itself, of anything else its JSON.
pub fn text_of(value: &Value) -> Cow<'_, str> {
    value.as_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed)
}

/// The values of one socket.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// The user whose token the socket carries.
    pub user: &'a str,
    /// A text that no other socket of any run has.
    pub nonce: &'a str,
    /// The number of the round inside its pattern, from 1.
    pub round: u32,
}

/// How a value is written into the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escaping {
    /// As it is.
    None,
    /// For a URL: everything but letters, digits and `-_.~` as `%XX`.
    Url,
    /// For the inside of a JSON string.
    Json,
    /// For a regular expression.
    Regex,
}

/// A text with places for values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    User,
    Nonce,
    Round,
    Capture(String),
    /// A secret of a flow.
    Outside(Outside),
    /// Two opening braces that are no place's.
    Braces,
}

/// A place whose name is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown place {{{{{0}}}}}: the places are {{{{user}}}}, {{{{nonce}}}} and {{{{round}}}}")]
pub struct TemplateError(pub String);

impl Template {
    /// Reads the places; `{{` without a word and `}}` behind it is ordinary text (JSON is full of braces).
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(start) = rest.find("{{") {
            let Some((word, after)) = word_at(&rest[start..]) else {
                text.push_str(&rest[..=start]);
                rest = &rest[start + 1..];
                continue;
            };
            text.push_str(&rest[..start]);
            let part = part_named(word).ok_or_else(|| TemplateError(word.to_owned()))?;
            parts.extend([Part::Text(std::mem::take(&mut text)), part]);
            rest = after;
        }
        text.push_str(rest);
        parts.push(Part::Text(text));
        Ok(Self { source: source.to_owned(), parts })
    }

    /// The text with its values. A place for what is captured stays empty: only texts of flows have one.
    pub fn fill(&self, values: Values<'_>, escaping: Escaping) -> String {
        self.written(values, &Captured::new(), escaping)
    }

    /// The text with its values and with what was captured; `None` while it names something that was not.
    pub fn fill_captured(
        &self,
        values: Values<'_>,
        captured: &Captured,
        escaping: Escaping,
    ) -> Option<String> {
        let whole = self.captures().all(|name| captured.contains_key(name));
        whole.then(|| self.written(values, captured, escaping))
    }

    fn written(&self, values: Values<'_>, captured: &Captured, escaping: Escaping) -> String {
        let mut filled = String::with_capacity(self.source.len());
        let mut unquoted = false;
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                // The quote behind a value that is no text.
                Part::Text(text) if std::mem::take(&mut unquoted) => filled.push_str(&text[1..]),
                Part::Text(text) => filled.push_str(text),
                Part::User => filled.push_str(&escaped(values.user, escaping)),
                Part::Nonce => filled.push_str(&escaped(values.nonce, escaping)),
                Part::Round => {
                    let _ = write!(filled, "{}", values.round);
                }
                Part::Capture(name) => match captured.get(name) {
                    None => {}
                    Some(value)
                        if escaping == Escaping::Json && !value.is_string() && self.is_whole(index) =>
                    {
                        filled.pop();
                        let _ = write!(filled, "{value}");
                        unquoted = true;
                    }
                    Some(value) => filled.push_str(&escaped(&text_of(value), escaping)),
                },
                Part::Outside(outside) => filled.push_str(&escaped(outside.text(), escaping)),
                Part::Braces => filled.push_str(&escaped("{{", escaping)),
            }
        }
        filled
    }

    /// True for a place that stands alone as a text of JSON, which is no key: it is replaced by a value of any type.
    fn is_whole(&self, index: usize) -> bool {
        let text = |index: Option<usize>| match index.and_then(|index| self.parts.get(index)) {
            Some(Part::Text(text)) => text.as_str(),
            _ => "",
        };
        let (before, behind) = (text(index.checked_sub(1)), text(index.checked_add(1)));
        let Some(head) = before.strip_suffix('"') else { return false };
        let backslashes = head.len() - head.trim_end_matches('\\').len();
        let rest = behind.strip_prefix('"');
        backslashes % 2 == 0 && rest.is_some_and(|rest| !rest.trim_start().starts_with(':'))
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// True when the text differs from user to user.
    pub fn names_user(&self) -> bool {
        self.parts.contains(&Part::User)
    }

    /// True when the text differs from socket to socket.
    pub fn names_nonce(&self) -> bool {
        self.parts.contains(&Part::Nonce)
    }

    /// The names of what must have been captured before the text can be filled.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Capture(name) => Some(name.as_str()),
            _ => None,
        })
    }
}

fn word_at(text: &str) -> Option<(&str, &str)> {
    let (word, after) = text.strip_prefix("{{")?.split_once("}}")?;
    let word = word.trim();
    let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    is_word.then_some((word, after))
}

fn part_named(word: &str) -> Option<Part> {
    match word {
        "user" => Some(Part::User),
        "nonce" => Some(Part::Nonce),
        "round" => Some(Part::Round),
        _ => None,
    }
}

fn escaped(value: &str, escaping: Escaping) -> String {
    match escaping {
        Escaping::None => value.to_owned(),
        Escaping::Regex => regex::escape(value),
        Escaping::Json => {
            let quoted = serde_json::to_string(value).unwrap_or_default();
            quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default().to_owned()
        }
        Escaping::Url => value.bytes().fold(String::new(), |mut url, byte| {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                url.push(char::from(byte));
            } else {
                let _ = write!(url, "%{byte:02X}");
            }
            url
        }),
    }
}

#[cfg(test)]
mod tests;
