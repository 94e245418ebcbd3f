//! Texts with places for values: `{{user}}`, `{{nonce}}`, `{{round}}`, and in flows `{{capture.NAME}}`.
//!
//! Takes a text once, when the configuration is read, and gives the filled text for each socket. It knows no other
//! names and no logic. The surprising rule: values are escaped for where they go (a URL, a JSON text), since a user's
//! name may hold a quote or a slash.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

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
}

/// A place whose name is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown place {{{{{0}}}}}: the places are {{{{user}}}}, {{{{nonce}}}} and {{{{round}}}}")]
pub struct TemplateError(pub String);

/// A place of a flow whose name is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown place {{{{{0}}}}}: the places are {{{{user}}}}, {{{{nonce}}}}, {{{{round}}}} and {{{{capture.NAME}}}}"
)]
pub struct UnknownPlace(pub String);

impl Template {
    /// Reads the places; `{{` without a word and `}}` behind it is ordinary text (JSON is full of braces).
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let template = Self::in_flow(source).map_err(|word| TemplateError(word.0))?;
        let captured = template.captures().next().map(|name| TemplateError(format!("capture.{name}")));
        captured.map_or(Ok(template), Err)
    }

    /// The same for a text of a flow, where `{{capture.NAME}}` is a place too.
    pub fn in_flow(source: &str) -> Result<Self, UnknownPlace> {
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
            let part = part_named(word).ok_or_else(|| UnknownPlace(word.to_owned()))?;
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
        _ => word
            .strip_prefix("capture.")
            .filter(|name| !name.is_empty())
            .map(|name| Part::Capture(name.to_owned())),
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
mod tests {
    use super::*;

    const VALUES: Values<'static> = Values { user: "a\"b/c", nonce: "n1", round: 7 };

    #[test]
    fn fills_and_escapes_for_the_place() {
        let template = Template::parse("/ws/{{user}}?n={{ nonce }}&r={{round}}").unwrap();
        assert_eq!(template.fill(VALUES, Escaping::Url), "/ws/a%22b%2Fc?n=n1&r=7");
        let json = Template::parse(r#"{"a":{"user":"{{user}}"}}"#).unwrap();
        assert_eq!(json.fill(VALUES, Escaping::Json), r#"{"a":{"user":"a\"b/c"}}"#);
    }

    #[test]
    fn braces_of_json_are_text_and_unknown_names_are_errors() {
        let text = r#"{{"a":{"b":{}}}"#;
        assert_eq!(Template::parse(text).unwrap().fill(VALUES, Escaping::None), text);
        assert_eq!(Template::parse("{{usr}}"), Err(TemplateError("usr".to_owned())));
    }

    #[test]
    fn what_is_captured_is_a_place_of_flows_only() {
        let text = r#"{"run":"{{capture.run_id}}"}"#;
        assert_eq!(Template::parse(text), Err(TemplateError("capture.run_id".to_owned())));
        let template = Template::in_flow(text).unwrap();
        assert_eq!(template.fill_captured(VALUES, &Captured::new(), Escaping::Json), None);
        let captured = Captured::from([("run_id".to_owned(), Value::from("a\"b"))]);
        let filled = template.fill_captured(VALUES, &captured, Escaping::Json);
        assert_eq!(filled.as_deref(), Some(r#"{"run":"a\"b"}"#));
        assert!(Template::in_flow("{{capture.}}").is_err() && Template::in_flow("{{run_id}}").is_err());
    }

    #[test]
    fn what_is_captured_keeps_its_type_where_it_stands_alone() {
        let captured = Captured::from([
            ("n".to_owned(), serde_json::json!(7)),
            ("o".to_owned(), serde_json::json!({"a": [true, null]})),
            ("t".to_owned(), serde_json::json!("7")),
        ]);
        for (text, filled) in [
            (r#"{"n":"{{capture.n}}","m":["{{ capture.n }}","{{capture.n}}"]}"#, r#"{"n":7,"m":[7,7]}"#),
            (r#"{"o":"{{capture.o}}"}"#, r#"{"o":{"a":[true,null]}}"#),
            (r#"{"t":"{{capture.t}}"}"#, r#"{"t":"7"}"#),
            (r#"{"n":"run {{capture.n}}","m":"{{capture.n}}{{capture.n}}"}"#, r#"{"n":"run 7","m":"77"}"#),
            (r#"{"{{capture.n}}":1,"{{capture.n}}" : 2}"#, r#"{"7":1,"7" : 2}"#),
            (r#"{"n":"\"{{capture.n}}","m":"\\{{capture.n}}"}"#, r#"{"n":"\"7","m":"\\7"}"#),
            (r#"{"o":"{{capture.o}} "}"#, r#"{"o":"{\"a\":[true,null]} "}"#),
        ] {
            let template = Template::in_flow(text).unwrap();
            assert_eq!(template.fill_captured(VALUES, &captured, Escaping::Json).unwrap(), filled, "{text}");
        }
        let template = Template::in_flow(r#"say "{{capture.n}}""#).unwrap();
        let text = template.fill_captured(VALUES, &captured, Escaping::None);
        assert_eq!(text.as_deref(), Some(r#"say "7""#), "no JSON");
    }
}
