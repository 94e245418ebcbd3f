//! A frame as it is remembered: what kind, what shape, is it an error, is it the declared answer?
//!
//! Takes the bytes of one message and gives a small value. It never keeps the bytes. The surprising rule: two frames
//! are alike when their *shape* is, not their text, since greetings carry times and ids.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::trust::{Excerpt, Redactor};

/// How many frames of a socket are kept; the others are counted.
const KEPT: usize = 48;
/// Keys whose text says what a JSON frame is about, at the top or one level below.
const DISCRIMINATORS: [&str; 8] = ["type", "event", "kind", "op", "action", "method", "topic", "msg"];
/// Keys whose text may say that a frame reports an error.
const VERDICTS: [&str; 7] = ["type", "event", "kind", "op", "action", "status", "level"];
/// Longest text whose words make its shape.
const SHAPED: usize = 80;

/// One frame that came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Microseconds since the start of the run.
    pub at: u64,
    /// Its kind.
    pub kind: FrameKind,
    /// Bytes of its payload.
    pub size: usize,
    /// What it is about; equal for frames that mean the same.
    pub shape: Excerpt,
    /// True when it reports an error.
    pub error: bool,
    /// Whether it is what `--expect` declares; `None` when nothing is declared.
    pub expected: Option<bool>,
    /// Its text, shortened.
    pub text: Excerpt,
}

/// The kinds of frames that are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrameKind {
    /// Text.
    Text,
    /// Binary.
    Binary,
}

/// What a socket puts into its frames, and so must not make their shapes differ.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    /// The user's name.
    pub(super) user: &'a str,
    /// The socket's nonce.
    pub(super) nonce: &'a str,
}

/// Remembers one message.
pub(super) fn remember(
    at: u64,
    kind: FrameKind,
    payload: &[u8],
    own: Own<'_>,
    expected: Option<bool>,
    redactor: &Redactor,
) -> Frame {
    let text = String::from_utf8_lossy(&payload[..payload.len().min(64 * 1024)]);
    let json = serde_json::from_slice::<Value>(payload).ok();
    Frame {
        at,
        kind,
        size: payload.len(),
        shape: Excerpt::new(&redactor.redact(&shape(kind, &text, json.as_ref(), own))),
        error: expected != Some(true) && is_error(&text, json.as_ref()),
        expected,
        text: Excerpt::new(&redactor.redact_cut(&text)),
    }
}

/// The text at a JSON pointer (RFC 6901) of a payload, if it is JSON and has one there.
pub(super) fn pointed(payload: &[u8], pointer: &str) -> Option<String> {
    let value = serde_json::from_slice::<Value>(payload).ok()?;
    match value.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// What a frame is about: its discriminators, else its keys, else its words without whatever varies.
fn shape(kind: FrameKind, text: &str, json: Option<&Value>, own: Own<'_>) -> String {
    match json {
        Some(Value::Object(object)) => {
            let mut named: Vec<String> = discriminators("", object).collect();
            for (key, value) in object {
                if let Value::Object(inner) = value {
                    named.extend(discriminators(&format!("{key}."), inner));
                }
            }
            if named.is_empty() {
                let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
                keys.sort_unstable();
                return format!("json {{{}}}", keys.join(", "));
            }
            format!("json {}", named.join(" "))
        }
        Some(Value::Array(items)) => match items.first() {
            Some(Value::String(name)) => format!("json [{name}, …]"),
            _ => "json […]".to_owned(),
        },
        Some(Value::Number(_)) => "number".to_owned(),
        _ if kind == FrameKind::Binary => "binary".to_owned(),
        _ => format!("text {}", words(text, own)),
    }
}

fn discriminators(prefix: &str, object: &serde_json::Map<String, Value>) -> impl Iterator<Item = String> {
    DISCRIMINATORS.iter().filter_map(move |key| {
        let value = object.get(*key)?.as_str()?;
        (value.len() <= SHAPED).then(|| format!("{prefix}{key}={value}"))
    })
}

/// The words of a text; a word with a digit in it, and what the socket itself brought, become `#`.
fn words(text: &str, own: Own<'_>) -> String {
    let mut text = text.to_owned();
    for brought in [own.nonce, own.user] {
        if brought.len() >= 3 {
            text = text.replace(brought, "#");
        }
    }
    let shaped: Vec<String> = text
        .split_whitespace()
        .map(
            |word| if word.contains(|c: char| c.is_ascii_digit()) { "#".to_owned() } else { word.to_owned() },
        )
        .collect();
    shaped.join(" ").chars().take(SHAPED).collect()
}

/// True for a frame that reports an error: a discriminating text such as `error` or `agent_error`, a filled `error`
/// member, or a plain text that begins with "error".
fn is_error(text: &str, json: Option<&Value>) -> bool {
    match json {
        Some(Value::Object(object)) => {
            reports_error(object)
                || ["data", "payload"]
                    .iter()
                    .filter_map(|key| object.get(*key).and_then(Value::as_object))
                    .any(reports_error)
        }
        Some(_) => false,
        None => text.trim_start().get(..5).is_some_and(|head| head.eq_ignore_ascii_case("error")),
    }
}

fn reports_error(object: &serde_json::Map<String, Value>) -> bool {
    let named = VERDICTS.iter().filter_map(|key| object.get(*key)?.as_str()).any(names_an_error);
    let filled = ["error", "errors"].iter().filter_map(|key| object.get(*key)).any(|value| match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
    });
    named || filled
}

/// True for `error`, `ERROR`, `agent_error`, `connection.failed`, `authError`.
fn names_an_error(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let last = lower.rsplit(['_', '.', '-', ':', '/', ' ']).next().unwrap_or_default();
    matches!(last, "error" | "exception" | "failed" | "failure" | "fatal" | "rejected" | "unauthorized")
        || value.ends_with("Error")
        || value.ends_with("Exception")
}

/// Whether a frame is kept beside those that were: a server that never falls silent must not push its own answer out.
pub(super) fn is_kept(kept: &[Frame], sent_after: Option<usize>, frame: &Frame) -> bool {
    let since = kept.get(sent_after.unwrap_or(0)..).unwrap_or_default();
    let is_new = || !since.iter().any(|other| other.shape == frame.shape);
    let is_first_expected =
        || frame.expected == Some(true) && !since.iter().any(|other| other.expected == Some(true));
    let is_first_error = || frame.error && kept.iter().filter(|other| other.error).count() < KEPT;
    since.len() < KEPT || is_first_error() || is_first_expected() || (since.len() < 2 * KEPT && is_new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Frame {
        let own = Own { user: "user-001", nonce: "abcdef" };
        remember(0, FrameKind::Text, text.as_bytes(), own, None, &Redactor::default())
    }

    #[test]
    fn alike_frames_have_one_shape() {
        let one = frame(r#"{"type":"system_message","data":{"event":"ready","at":1}}"#);
        let two = frame(r#"{"data":{"event":"ready","at":2},"type":"system_message","extra":1}"#);
        assert_eq!(one.shape, two.shape);
        assert_eq!(one.shape.as_str(), "json type=system_message data.event=ready");
        assert_eq!(frame("welcome user-001, client 17").shape, frame("welcome user-001, client 18").shape);
        assert_ne!(frame("welcome").shape, frame("pong").shape);
    }

    #[test]
    fn knows_error_frames() {
        for text in [
            r#"{"type":"error","message":"x"}"#,
            r#"{"type":"agent_event","data":{"event":"agent_error"}}"#,
            r#"{"error":{"code":4}}"#,
            r#"{"status":"failed"}"#,
            "ERROR no supervisor",
        ] {
            assert!(frame(text).error, "{text}");
        }
        for text in [r#"{"type":"pong","error":null}"#, r#"{"type":"error_reporting"}"#, "no error", "5"] {
            assert!(!frame(text).error, "{text}");
        }
    }

    #[test]
    fn a_server_that_never_falls_silent_cannot_push_its_answer_out() {
        let heartbeat = |error, expected, shape: &str| Frame {
            at: 0,
            kind: FrameKind::Text,
            size: 1,
            shape: Excerpt::new(shape),
            error,
            expected,
            text: Excerpt::default(),
        };
        let mut kept: Vec<Frame> = (0..KEPT).map(|_| heartbeat(false, None, "heartbeat")).collect();
        assert!(!is_kept(&kept, None, &heartbeat(false, None, "heartbeat")));
        let sent = Some(kept.len());
        for _ in 0..KEPT {
            assert!(is_kept(&kept, sent, &heartbeat(false, None, "heartbeat")));
            kept.push(heartbeat(false, None, "heartbeat"));
        }
        assert!(!is_kept(&kept, sent, &heartbeat(false, None, "heartbeat")));
        assert!(is_kept(&kept, sent, &heartbeat(false, None, "answer")));
        assert!(is_kept(&kept, sent, &heartbeat(false, Some(true), "heartbeat")));
        assert!(is_kept(&kept, sent, &heartbeat(true, None, "heartbeat")));
    }
}
