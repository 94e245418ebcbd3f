//! Whose is a frame: the socket's own, or another's of the same run?
//!
//! Takes the JSON or the text of one message and what the socket brought; says whom it names. Pure. The surprising rule: a
//! user is looked for only where messages name the one they are for (`user`, `data.user_id`, `you.name`), since a room's host
//! or a list of who is there names others in good health.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::envelope::Envelope;

/// Whom a frame names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// What the socket itself brought, whoever is named besides.
    Own,
    /// Only what another socket of the run brought.
    Another,
}

/// Keys that name a user, without case, `_` and `-`.
const USER_KEYS: [&str; 14] = [
    "user",
    "userid",
    "username",
    "useremail",
    "uid",
    "sub",
    "subject",
    "email",
    "login",
    "account",
    "accountid",
    "principal",
    "you",
    "me",
];
/// Keys of an object that stands for a user.
const OF_USER_KEYS: [&str; 2] = ["id", "name"];
/// Keys that only wrap what a message says.
const WRAPPERS: [&str; 8] = ["data", "payload", "body", "params", "result", "session", "auth", "profile"];
/// Objects within objects that are looked into.
const DEPTH: u32 = 3;

/// Which user of the run the JSON of a message names.
pub(super) fn of_user(envelope: &Envelope, own: &str, users: &[String]) -> Option<Whose> {
    let mut named = Vec::new();
    for message in &envelope.messages {
        match message {
            Value::Array(items) => items.iter().for_each(|item| collect(item, false, DEPTH, &mut named)),
            message => collect(message, false, DEPTH, &mut named),
        }
    }
    if named.iter().any(|name| name.eq_ignore_ascii_case(own)) {
        return Some(Whose::Own);
    }
    named.iter().any(|name| users.contains(name)).then_some(Whose::Another)
}

/// The names at the places of users.
fn collect(value: &Value, is_user: bool, depth: u32, named: &mut Vec<String>) {
    let Value::Object(object) = value else { return };
    for (key, value) in object {
        let key: String = key.chars().filter(|c| !matches!(c, '_' | '-')).collect();
        let key = key.to_ascii_lowercase();
        let of_user = USER_KEYS.contains(&key.as_str());
        match value {
            Value::Object(_) if depth > 1 && (of_user || WRAPPERS.contains(&key.as_str())) => {
                collect(value, of_user, depth - 1, named);
            }
            Value::String(text) if of_user || (is_user && OF_USER_KEYS.contains(&key.as_str())) => {
                named.push(text.clone());
            }
            Value::Number(number) if of_user || (is_user && OF_USER_KEYS.contains(&key.as_str())) => {
                named.push(number.to_string());
            }
            _ => {}
        }
    }
}

/// Whose nonce a message holds. The nonces of a run's rounds differ in their last part alone.
pub(super) fn of_nonce(text: &str, own: &str) -> Option<Whose> {
    let (run, own) = own.rsplit_once('-')?;
    let mut seen = None;
    for (at, _) in text.match_indices(run) {
        let Some(rest) = text[at + run.len()..].strip_prefix('-') else { continue };
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        if &rest[..end] == own {
            return Some(Whose::Own);
        }
        if end > 0 {
            seen = Some(Whose::Another);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_where_messages_name_whom_they_are_for() {
        let users = ["alice", "bob", "7"].map(str::to_owned);
        let named = |text: &str| of_user(&Envelope::open(text.as_bytes()).unwrap(), "alice", &users);
        for text in [
            r#"{"type":"welcome","user":"alice"}"#,
            r#"{"type":"welcome","data":{"user_id":"Alice"}}"#,
            r#"42["welcome",{"you":{"name":"alice"}}]"#,
            r#"{"user":"bob","payload":{"user":{"id":"alice"}}}"#,
        ] {
            assert_eq!(named(text), Some(Whose::Own), "{text}");
        }
        for text in [r#"{"type":"welcome","userId":"bob"}"#, r#"{"data":{"user":{"id":7}}}"#] {
            assert_eq!(named(text), Some(Whose::Another), "{text}");
        }
        for text in [
            r#"{"type":"welcome","host":"bob","online":["bob"]}"#,
            r#"{"type":"welcome","user":null}"#,
            r#"{"type":"welcome","user":"carol"}"#, // nobody of this run
            r#"{"name":"bob"}"#,
        ] {
            assert_eq!(named(text), None, "{text}");
        }
    }

    #[test]
    fn a_nonce_is_another_sockets_only_where_its_own_is_missing() {
        assert_eq!(of_nonce("pong abc-1", "abc-1"), Some(Whose::Own));
        assert_eq!(of_nonce("pong abc-12", "abc-1"), Some(Whose::Another));
        assert_eq!(of_nonce(r#"["abc-2","abc-1"]"#, "abc-1"), Some(Whose::Own));
        for text in ["pong", "abc-", "abd-2", "abc 1"] {
            assert_eq!(of_nonce(text, "abc-1"), None, "{text}");
        }
        // What belongs to no round ends in a part of its own.
        assert_eq!(of_nonce("abc-3-0a1b", "abc-3-0a1b"), Some(Whose::Own));
        assert_eq!(of_nonce("abc-4", "abc-3-0a1b"), None);
    }
}
