//! What is a frame about, and does it report an error?
//!
//! Takes the text and the JSON of one message; gives a short text that is equal for frames that mean the same, and a yes or
//! no. Pure. The surprising rule: whatever varies from socket to socket (numbers, ids, the socket's own user and nonce,
//! sentences) is left out of a shape, since a greeting with a count in it is due on every socket whatever it counts.

use serde_json::{Map, Value};

use super::envelope::Envelope;
use super::frame::FrameKind;

/// Keys whose text says what a JSON frame is about, at the top or one level below.
const DISCRIMINATORS: [&str; 8] = ["type", "event", "kind", "op", "action", "method", "topic", "msg"];
/// Those of them that are for people as often as for programs: a sentence there says nothing of the kind of frame.
const PROSE: [&str; 2] = ["topic", "msg"];
/// Keys whose text may say that a frame reports an error. Not `level`: that is what a frame of a log tells of others.
const VERDICTS: [&str; 6] = ["type", "event", "kind", "op", "action", "status"];
/// Longest text whose words make its shape.
const SHAPED: usize = 80;
/// Longest text in an array that names something.
const NAME: usize = 40;
/// Elements of an array that are looked at.
const ELEMENTS: usize = 8;
/// Where Phoenix has the event of its arrays: join reference, reference, topic, event, payload.
const PHOENIX_EVENT: usize = 3;

/// What a socket puts into its frames, and so must not make their shapes differ.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    /// The user's name.
    pub(super) user: &'a str,
    /// The socket's nonce.
    pub(super) nonce: &'a str,
}

/// What a frame is about: its discriminators, else its keys, else its words without whatever varies.
pub(super) fn shape(kind: FrameKind, text: &str, envelope: Option<&Envelope>, own: Own<'_>) -> String {
    let shapes = envelope.map(|envelope| {
        let mut shapes: Vec<String> =
            envelope.messages.iter().filter_map(|message| shape_of(message, own)).collect();
        shapes.dedup();
        (envelope.packet.as_str(), shapes.join(" + "))
    });
    match shapes {
        Some(("", shapes)) if !shapes.is_empty() => shapes,
        Some((packet, shapes)) if !packet.is_empty() => {
            format!("packet {packet} {shapes}").trim_end().to_owned()
        }
        _ if kind == FrameKind::Binary => "binary".to_owned(),
        _ => format!("text {}", words(text, own)),
    }
}

/// What a JSON value is about; `None` for a text and what says nothing.
fn shape_of(value: &Value, own: Own<'_>) -> Option<String> {
    match value {
        Value::Object(object) => {
            let mut named: Vec<String> = discriminators("", object, own).collect();
            for (key, value) in object {
                if let Value::Object(inner) = value {
                    named.extend(discriminators(&format!("{key}."), inner, own));
                }
            }
            if named.is_empty() {
                let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
                keys.sort_unstable();
                return Some(format!("json {{{}}}", keys.join(", ")));
            }
            Some(format!("json {}", named.join(" ")))
        }
        Value::Array(items) => {
            let mut named: Vec<String> =
                items.iter().take(ELEMENTS).filter_map(|item| name(item, own)).collect();
            let objects = items.iter().take(ELEMENTS).filter_map(Value::as_object);
            named.extend(objects.flat_map(|object| discriminators("", object, own)));
            named.push("…".to_owned());
            Some(format!("json [{}]", named.join(", ")))
        }
        Value::Number(_) => Some("number".to_owned()),
        Value::String(_) | Value::Bool(_) | Value::Null => None,
    }
}

fn discriminators(prefix: &str, object: &Map<String, Value>, own: Own<'_>) -> impl Iterator<Item = String> {
    DISCRIMINATORS.iter().filter_map(move |key| {
        let value = match object.get(*key)? {
            Value::String(value) if value.len() > SHAPED => return None,
            Value::String(value) if PROSE.contains(key) && value.contains(char::is_whitespace) => {
                return None;
            }
            Value::String(value) => without_ids(value, own),
            // Numbered types and operations: SignalR, Discord's gateway.
            Value::Number(number) => number.as_u64().filter(|number| *number < 100)?.to_string(),
            _ => return None,
        };
        Some(format!("{prefix}{key}={value}"))
    })
}

/// A short text of an array that is one word.
fn name(item: &Value, own: Own<'_>) -> Option<String> {
    let text = item.as_str().filter(|text| !text.is_empty() && text.len() <= NAME)?;
    (!text.contains(char::is_whitespace)).then(|| without_ids(text, own))
}

/// The words of a text; a word with a digit in it, and what the socket itself brought, become `#`.
fn words(text: &str, own: Own<'_>) -> String {
    let text = without_own(text, own);
    let numbered = |word: &str| word.contains(|c: char| c.is_ascii_digit());
    let shaped: Vec<&str> =
        text.split_whitespace().map(|word| if numbered(word) { "#" } else { word }).collect();
    shaped.join(" ").chars().take(SHAPED).collect()
}

/// A text in which what the socket itself brought became `#`: short names only where they stand as words.
fn without_own(text: &str, own: Own<'_>) -> String {
    let mut text = text.to_owned();
    for brought in [own.nonce, own.user] {
        if brought.len() >= 3 {
            text = text.replace(brought, "#");
        } else if !brought.is_empty() {
            text = by_runs(&text, |run| (run == brought).then(|| "#".to_owned()));
        }
    }
    text
}

/// A text in which numbers, ids and what the socket itself brought became `#`, and the rest stays.
fn without_ids(text: &str, own: Own<'_>) -> String {
    let text = without_uuids(&without_own(text, own));
    by_runs(&text, |run| {
        let digit = |c: char| c.is_ascii_digit();
        let groups = run.split(|c| !digit(c)).filter(|group| !group.is_empty()).count();
        let is_hex = run.len() >= 6 && run.chars().all(|c| c.is_ascii_hexdigit());
        match groups {
            0 => None,
            1 if !is_hex => {
                let before = run.find(digit).unwrap_or(0);
                let behind = run.rfind(digit).map_or(run.len(), |last| last + 1);
                Some(format!("{}#{}", &run[..before], &run[behind..]))
            }
            _ => Some("#".to_owned()),
        }
    })
}

/// A text whose runs of letters and digits were replaced where `replaced` says so.
fn by_runs(text: &str, replaced: impl Fn(&str) -> Option<String>) -> String {
    let mut shaped = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        shaped.push_str(&replaced(run).unwrap_or_else(|| run.to_owned()));
        let gap = behind.find(|c: char| c.is_ascii_alphanumeric()).unwrap_or(behind.len());
        shaped.push_str(&behind[..gap]);
        rest = &behind[gap..];
    }
    shaped
}

/// Lengths of the groups of a UUID (RFC 9562).
const UUID: [usize; 5] = [8, 4, 4, 4, 12];

/// A text whose UUIDs became `#`: a group of one may have no digit.
fn without_uuids(text: &str) -> String {
    let mut shaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (kept, length) = if is_uuid(rest) { ('#', 36) } else { (first, first.len_utf8()) };
        shaped.push(kept);
        rest = &rest[length..];
    }
    shaped
}

fn is_uuid(text: &str) -> bool {
    let Some(head) = text.get(..36) else { return false };
    let groups: Vec<&str> = head.split('-').collect();
    groups.len() == UUID.len()
        && groups
            .iter()
            .zip(UUID)
            .all(|(group, length)| group.len() == length && group.chars().all(|c| c.is_ascii_hexdigit()))
}

/// True for a frame that reports an error: a discriminating text such as `error` or `agent_error`, a filled `error`
/// member, Socket.IO's refusal, or a plain text that begins with "error".
pub(super) fn is_error(text: &str, envelope: Option<&Envelope>) -> bool {
    match envelope {
        Some(envelope) => envelope.is_refusal() || envelope.messages.iter().any(value_reports_error),
        None => text.trim_start().get(..5).is_some_and(|head| head.eq_ignore_ascii_case("error")),
    }
}

fn value_reports_error(value: &Value) -> bool {
    match value {
        Value::Object(object) => object_reports_error(object),
        Value::Array(items) => array_reports_error(items),
        _ => false,
    }
}

fn object_reports_error(object: &Map<String, Value>) -> bool {
    let inner = ["data", "payload"].iter().filter_map(|key| object.get(*key).and_then(Value::as_object));
    reports_error(object) || inner.into_iter().any(reports_error)
}

/// An array that wraps a message has a name or a number beside it: the name may be an error's, and so may the message. An
/// array of objects alone is a list of things, whose states are their own: only a filled `error` member counts.
fn array_reports_error(items: &[Value]) -> bool {
    let named = [0, PHOENIX_EVENT].iter().filter_map(|&index| items.get(index)?.as_str()).any(names_an_error);
    let wraps = items.iter().any(|item| item.is_string() || item.is_number());
    let mut objects = items.iter().take(ELEMENTS).filter_map(Value::as_object);
    named || objects.any(|object| if wraps { object_reports_error(object) } else { has_error(object) })
}

fn reports_error(object: &Map<String, Value>) -> bool {
    VERDICTS.iter().filter_map(|key| object.get(*key)?.as_str()).any(names_an_error) || has_error(object)
}

/// True when an `error` member says something; counters that stand at zero, or a code 0 without words, do not.
fn has_error(object: &Map<String, Value>) -> bool {
    ["error", "errors"].iter().filter_map(|key| object.get(*key)).any(|value| match value {
        Value::Object(members) => members.values().any(says_something),
        other => says_something(other),
    })
}

/// False for what a healthy server writes where an error would stand: nothing, zero, or "none". What is nested says something.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::String(text) => !text.is_empty() && !text.eq_ignore_ascii_case("none"),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
    }
}

/// True for `error`, `ERROR`, `agent_error`, `connection.failed`, `authError`, `reject_subscription`.
fn names_an_error(value: &str) -> bool {
    const LAST: [&str; 11] = [
        "error",
        "exception",
        "failed",
        "failure",
        "fatal",
        "reject",
        "rejected",
        "denied",
        "forbidden",
        "unauthorized",
        "unauthenticated",
    ];
    let lower = value.to_ascii_lowercase();
    let mut parts = lower.split(['_', '.', '-', ':', '/', ' ']);
    let first = parts.next().unwrap_or_default();
    let last = parts.next_back().unwrap_or(first);
    LAST.contains(&last)
        || matches!(first, "reject" | "rejected")
        || value.ends_with("Error")
        || value.ends_with("Exception")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> String {
        let own = Own { user: "user-001", nonce: "abcdef" };
        super::shape(FrameKind::Text, text, Envelope::open(text.as_bytes()).as_ref(), own)
    }

    fn error(text: &str) -> bool {
        is_error(text, Envelope::open(text.as_bytes()).as_ref())
    }

    #[test]
    fn alike_frames_have_one_shape() {
        let one = shape(r#"{"type":"system_message","data":{"event":"ready","at":1}}"#);
        let two = shape(r#"{"data":{"event":"ready","at":2},"type":"system_message","extra":1}"#);
        assert_eq!(one, two);
        assert_eq!(one, "json type=system_message data.event=ready");
        assert_eq!(shape("welcome user-001, client 17"), shape("welcome user-001, client 18"));
        assert_ne!(shape("welcome"), shape("pong"));
        let short = Own { user: "a", nonce: "n" };
        assert_eq!(words("a says banana", short), "# says banana");
    }

    #[test]
    fn what_varies_is_no_part_of_a_shape() {
        for (one, other, due) in [
            (
                r#"{"event":"welcome","msg":"1 online"}"#,
                r#"{"event":"welcome","msg":"2 online"}"#,
                "json event=welcome",
            ),
            (r#"{"topic":"room:17"}"#, r#"{"topic":"room:4"}"#, "json topic=room:#"),
            (r#"{"topic":"user:user-001"}"#, r#"{"topic":"user:9f86d081"}"#, "json topic=user:#"),
            (
                r#"{"type":"v2.ready","topic":"5e3f0b52-abcd-4dcb-8f3a-0c1d2e3f4a5b"}"#,
                r#"{"type":"v3.ready","topic":"abcdef"}"#, // the nonce
                "json type=v#.ready topic=#",
            ),
            (r#"42["joined","alice bob"]"#, r#"42["joined","carol dan"]"#, "packet 42 json [joined, …]"),
            (
                r#"["1","1","room:1","phx_reply",{"status":"ok"}]"#,
                r#"["2","7","room:9","phx_reply",{"status":"ok"}]"#,
                "json [#, #, room:#, phx_reply, …]",
            ),
        ] {
            assert_eq!(shape(one), due);
            assert_eq!(shape(other), due);
        }
        assert_eq!(shape("{\"type\":6}\u{1e}"), "json type=6");
        assert_eq!(shape("{}\u{1e}"), "json {}");
        assert_ne!(shape("40{\"sid\":\"x\"}"), shape("0{\"sid\":\"x\"}"));
        assert_ne!(shape(r#"{"type":"oauth2_ready"}"#), shape(r#"{"type":"oauth2_begun"}"#));
    }

    #[test]
    fn knows_error_frames() {
        for text in [
            r#"{"type":"error","message":"x"}"#,
            r#"{"type":"agent_event","data":{"event":"agent_error"}}"#,
            r#"{"error":{"code":4}}"#,
            r#"{"error":{"code":0,"message":"boom"}}"#,
            r#"{"errors":{"user":{"id":0}}}"#,
            r#"{"status":"failed"}"#,
            r#"{"type":"connection_error","payload":{}}"#,
            r#"{"identifier":"{}","type":"reject_subscription"}"#,
            r#"44{"message":"factory init failed"}"#,
            r#"42["exception",{"message":"x"}]"#,
            r#"["1","1","room:1","phx_reply",{"status":"error","response":{"reason":"x"}}]"#,
            r#"["1",null,"room:1","phx_error",{}]"#,
            "{\"error\":\"init failed\"}\u{1e}",
            "{\"type\":6}\u{1e}{\"type\":3,\"error\":\"x\"}\u{1e}",
            "ERROR no supervisor",
        ] {
            assert!(error(text), "{text}");
        }
        for text in [
            r#"{"type":"pong","error":null}"#,
            r#"{"type":"metrics","errors":{"total":0,"last":null}}"#,
            r#"{"type":"pong","error":{"code":0,"message":""}}"#,
            r#"{"type":"status","error":"None"}"#,
            r#"{"type":"error_reporting"}"#,
            r#"{"level":"error","message":"a line of a log"}"#,
            r#"[{"id":1,"status":"failed"}]"#,
            r#"["1","1","room:1","phx_reply",{"status":"ok","response":{}}]"#,
            r#"40{"sid":"x"}"#,
            "{}\u{1e}",
            "no error",
            "5",
        ] {
            assert!(!error(text), "{text}");
        }
    }
}
