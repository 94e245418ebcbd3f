//! What the YAML parser complains of, in our words and at the line it speaks of.
//!
//! Takes the file's text and the parser's error; gives an error with its place and what to write instead. It parses
//! nothing. The surprising rule: nothing that the parser repeats of a value is repeated here, since it may be a
//! credential.

use super::duplicates;
use super::error::{ConfigError, Place};
use super::suggest::did_you_mean;
use super::values::quoted;
use crate::trust::escape;

/// The error of a file that is no UTF-8 from byte `valid` on.
pub(crate) fn not_utf8(name: &str, bytes: &[u8], valid: usize) -> ConfigError {
    let before = String::from_utf8_lossy(&bytes[..valid]);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let text = String::from_utf8_lossy(bytes);
    ConfigError::new("the file is not UTF-8 text", Some(Place::line(name, &text, line, column)))
}

/// The parser's error in our words, with the line it speaks of.
pub(crate) fn located(name: &str, text: &str, error: &serde_yaml::Error) -> ConfigError {
    let full = error.to_string();
    let at = unreadable_at(text, &full)
        .or_else(|| error.location().map(|location| (location.line(), location.column())))
        .or_else(|| if full.contains(REPEATED) { first_alias(text) } else { second_document(text) });
    let place = match at {
        Some((line, column)) => {
            let (line, column) = inside(text, line, column);
            Place::line(name, text, line, column)
        }
        None => Place::File(name.to_owned()),
    };
    // The place says the line; the parser's own mention of it goes.
    let message = full.split(" at line ").next().unwrap_or_default();
    let message = message.split(" at position ").next().unwrap_or_default();
    let begins_with = at.and_then(|at| character(text, at));
    let (message, help) = match at.filter(|at| is_bare_place(text, *at)) {
        Some(_) => (BARE_PLACE.0.to_owned(), Some(BARE_PLACE.1.to_owned())),
        None => in_our_words(message, begins_with),
    };
    let error = ConfigError::new(message, Some(place));
    match help {
        Some(help) => error.with_help(help),
        None => error,
    }
}

/// Line and column of a character that the parser's reader refuses: it names the byte and puts its place at the start.
fn unreadable_at(text: &str, message: &str) -> Option<(usize, usize)> {
    let (_, position) = message.split_once(" at position ")?;
    let digits = position.find(|c: char| !c.is_ascii_digit()).unwrap_or(position.len());
    let before = text.get(..position[..digits].parse().ok()?)?;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Some((before.matches('\n').count() + 1, column))
}

/// The place itself, or the end of the last line where it is beyond: that is where something is missing.
fn inside(text: &str, line: usize, column: usize) -> (usize, usize) {
    let last = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).last();
    match last {
        Some((index, last)) if line > index + 1 => (index + 1, last.chars().count() + 1),
        _ => (line, column),
    }
}

/// The character at a place.
fn character(text: &str, (line, column): (usize, usize)) -> Option<char> {
    text.lines().nth(line.checked_sub(1)?)?.chars().nth(column.checked_sub(1)?)
}

/// What is said of a place that stands outside quotes: YAML takes its braces for keys in keys.
const BARE_PLACE: (&str, &str) = (
    "a place {{…}} stands outside quotes, where YAML reads braces as keys",
    "put the text in quotes: \"{{user}}\"",
);

/// True where two braces that are opened outside quotes begin at this place, or just before it.
fn is_bare_place(text: &str, (line, column): (usize, usize)) -> bool {
    let Some(line) = line.checked_sub(1).and_then(|index| text.lines().nth(index)) else { return false };
    let before: String = line.chars().take(column.saturating_sub(1)).collect();
    let open = before.trim_end_matches('{');
    let behind: String = line.chars().skip(open.chars().count()).collect();
    behind.starts_with("{{") && open.matches(['"', '\'']).count().is_multiple_of(2)
}

/// Where the first alias is used: the parser gives up on what they stand for without a place.
fn first_alias(text: &str) -> Option<(usize, usize)> {
    let is_alias = |before: Option<char>, after: Option<char>| {
        before.is_none_or(|c| " [{,:-".contains(c)) && after.is_some_and(|c| c.is_ascii_alphanumeric())
    };
    text.lines().enumerate().find_map(|(index, line)| {
        let characters: Vec<char> = line.chars().collect();
        let at = (0..characters.len()).find(|&at| {
            let before = at.checked_sub(1).and_then(|at| characters.get(at).copied());
            characters[at] == '*' && is_alias(before, characters.get(at + 1).copied())
        })?;
        Some((index + 1, at + 1))
    })
}

/// What the parser says of aliases that stand for too much.
const REPEATED: &str = "repetition limit exceeded";

/// Where a second document begins: the parser does not say.
fn second_document(text: &str) -> Option<(usize, usize)> {
    let mut seen_something = false;
    for (index, line) in text.lines().enumerate() {
        if seen_something && line.starts_with("---") {
            return Some((index + 1, 1));
        }
        seen_something |= !line.trim().is_empty() && !line.starts_with(['#', '%']);
    }
    None
}

/// The parser's words for what can go wrong, ours, and what to do.
const KNOWN: [(&str, &str, &str); 10] = [
    (
        "recursion limit exceeded",
        "it is nested too deeply to be a configuration",
        "leave out what does not belong there",
    ),
    (REPEATED, duplicates::TOO_MANY, "each alias (*name) counts as all that it stands for"),
    (duplicates::TOO_MANY, duplicates::TOO_MANY, "each alias (*name) counts as all that it stands for"),
    (duplicates::NO_NUMBER, duplicates::NO_NUMBER, "write another number, or a text in quotes"),
    (
        "unknown anchor",
        "the alias names nothing: there is no such anchor before it",
        "write the value itself",
    ),
    (
        "more than one document",
        "the file holds more than one YAML document (---)",
        "keep one of them: a line --- may stand before the first key only",
    ),
    (
        "mapping values are not allowed",
        "there is a second `: ` where one key and its value are due",
        "put a text that holds `: ` in quotes, or begin a new line for the next key",
    ),
    ("unexpected end of stream", "the text ends inside quotes", UNCLOSED),
    (
        "could not find expected",
        "the YAML cannot be read: a `:` behind a key, or a closing quote or bracket, is missing",
        UNCLOSED,
    ),
    ("did not find expected", "the YAML cannot be read: something else is due here", UNCLOSED),
];

/// What to look for where the parser lost its way.
const UNCLOSED: &str = "look here and just above: is a quote or bracket open, is the indentation the same as its \
     neighbours', does a text with : # { [ * & ! stand without quotes?";

/// Message and help; `begins_with` is the character at the place.
fn in_our_words(message: &str, begins_with: Option<char>) -> (String, Option<String>) {
    if let Some((path, rest)) = message.split_once("unknown field `") {
        return unknown_key(path, rest);
    }
    if let Some((_, key)) = message.split_once(duplicates::TWICE) {
        let help = "keep one of the two: only one could count".to_owned();
        return (format!("the key {} is written twice", quoted(key)), Some(help));
    }
    if let Some((path, rest)) = message.split_once("invalid type: ") {
        return wrong_kind(path, rest);
    }
    if message.contains("cannot start any token") {
        let (ours, help) = if begins_with == Some('\t') {
            ("there is a tab where only spaces may stand", "indent with spaces")
        } else {
            ("a text without quotes cannot begin with this character", "put it in quotes")
        };
        return (ours.to_owned(), Some(help.to_owned()));
    }
    let known = KNOWN.iter().find(|(theirs, ..)| message.contains(theirs));
    known.map_or_else(
        || (escape(message), None),
        |(_, ours, help)| ((*ours).to_owned(), Some((*help).to_owned())),
    )
}

/// A value of a wrong kind. The value itself is not repeated: it may be a credential.
fn wrong_kind(path: &str, rest: &str) -> (String, Option<String>) {
    if rest.contains("` as u128") || rest.contains("` as i128") {
        let help = "put it in quotes where a text of digits is meant".to_owned();
        return (escape(&format!("{path}the number is too large")), Some(help));
    }
    let found = rest.split([' ', ',']).next().unwrap_or_default();
    let due = rest.rsplit_once("expected ").map_or("something else", |(_, due)| due);
    (escape(&format!("{path}{} where {} is due", kind(found), kind(due))), None)
}

/// What the parser calls a kind of value, in plain words.
fn kind(word: &str) -> &str {
    match word {
        "string" => "a text",
        "integer" | "floating" => "a number",
        "boolean" | "a boolean" => "true or false",
        "map" => "keys and values",
        "sequence" | "a sequence" => "a list",
        "unit" | "null" => "nothing",
        "enum" => "a tag (!…)",
        other => other,
    }
}

fn unknown_key(path: &str, rest: &str) -> (String, Option<String>) {
    let (key, rest) = rest.split_once('`').unwrap_or((rest, ""));
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let guess =
        did_you_mean(key, &known).map_or_else(String::new, |guess| format!(", did you mean {guess}?"));
    if key == "<<" {
        let help = "write the keys themselves".to_owned();
        return (escape(&format!("{path}merge keys (<<) are not read")), Some(help));
    }
    let message = escape(&format!("{path}there is no key \"{key}\"{guess}"));
    (message, Some(format!("the keys here are {}", known.join(", "))))
}
