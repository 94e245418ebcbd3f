//! What JSON does a message carry, and in which wrapping of a common protocol?
//!
//! Takes the bytes of one message; gives the JSON values in it and the packet type before them. It knows Engine.IO and
//! Socket.IO (digits, a namespace and an acknowledgement before the JSON) and `SignalR` (JSON that ends with a record
//! separator, several of them in one message). The surprising rule: of the digits before the JSON only the packet type is
//! kept, since the number of an acknowledgement differs from socket to socket.

use serde_json::Value;

/// Ends a `SignalR` message (the record separator of ASCII).
const SEPARATOR: char = '\u{1e}';
/// Digits before the JSON that are looked at: packet types, attachments, acknowledgement.
const LONGEST_PREFIX: usize = 24;
/// What the JSON of one message may take in memory, in bytes: two million numbers, or 160 000 small objects.
const LARGEST: usize = 128 * 1024 * 1024;

/// The JSON of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    /// The packet type of Engine.IO and, where it is a message, of Socket.IO: `0`, `40`, `44`; empty without one.
    pub(super) packet: String,
    /// The values, at least one.
    pub(super) messages: Vec<Value>,
}

impl Envelope {
    /// The JSON of a payload; `None` when it carries none, or more than is read.
    pub(super) fn open(payload: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(payload).ok()?;
        if memory(text) > LARGEST {
            return None;
        }
        if let Ok(value) = serde_json::from_str(text) {
            return Some(Self { packet: String::new(), messages: vec![value] });
        }
        if text.ends_with(SEPARATOR) {
            let parts = text.split(SEPARATOR).filter(|part| !part.trim().is_empty());
            let messages: Result<Vec<Value>, _> = parts.map(serde_json::from_str).collect();
            let messages = messages.ok().filter(|messages| !messages.is_empty())?;
            return Some(Self { packet: String::new(), messages });
        }
        let (packet, json) = packet(text)?;
        Some(Self { packet: packet.to_owned(), messages: vec![serde_json::from_str(json).ok()?] })
    }

    /// True for Socket.IO's refusal of a connection: `CONNECT_ERROR`, `ERROR` before its version 5 (packet type 4 of a message).
    pub(super) fn is_refusal(&self) -> bool {
        self.packet == "44"
    }
}

/// What the values of a JSON text take at most, roughly, in bytes. An object of seven bytes takes a node of a tree, and a
/// message of 16 MiB that is full of them two gigabytes.
fn memory(text: &str) -> usize {
    let (mut bytes, mut quoted, mut escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' if !quoted => bytes += 640,
            b':' if !quoted => bytes += 100,
            b',' | b'[' if !quoted => bytes += 64,
            _ => {}
        }
    }
    bytes
}

/// The packet type of Engine.IO and Socket.IO, and the JSON behind it.
fn packet(text: &str) -> Option<(&str, &str)> {
    let digits =
        text.find(|c: char| !c.is_ascii_digit()).filter(|digits| (1..=LONGEST_PREFIX).contains(digits))?;
    // A message (4) has a type of its own in its second digit; what follows are attachments or an acknowledgement.
    let kind = if text.starts_with('4') { digits.min(2) } else { 1 };
    let mut rest = &text[digits..];
    rest = rest.strip_prefix('-').unwrap_or(rest);
    if rest.starts_with('/') {
        rest = rest.split_once(',')?.1;
    }
    let json = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    json.starts_with(['{', '[', '"']).then(|| (&text[..kind], json))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn open(text: &str) -> Option<(String, Vec<Value>)> {
        Envelope::open(text.as_bytes()).map(|envelope| (envelope.packet, envelope.messages))
    }

    #[test]
    fn finds_the_json_of_common_protocols() {
        for (text, packet, messages) in [
            (r#"{"a":1}"#, "", vec![json!({"a":1})]),
            (r#"0{"sid":"x"}"#, "0", vec![json!({"sid":"x"})]),
            (r#"40/admin,{"sid":"x"}"#, "40", vec![json!({"sid":"x"})]),
            (r#"44{"message":"no"}"#, "44", vec![json!({"message":"no"})]),
            (r#"44"Invalid namespace""#, "44", vec![json!("Invalid namespace")]),
            (r#"4312["pong"]"#, "43", vec![json!(["pong"])]),
            (r#"42/chat,7["pong"]"#, "42", vec![json!(["pong"])]),
            (r#"451-["b",{"_placeholder":true}]"#, "45", vec![json!(["b", {"_placeholder":true}])]),
            ("{\"type\":6}\u{1e}{}\u{1e}", "", vec![json!({"type":6}), json!({})]),
        ] {
            assert_eq!(open(text), Some((packet.to_owned(), messages)), "{text}");
        }
        for text in ["pong", "40 users", "\u{1e}", "12{no", "17:30 {\"a\":1}", ""] {
            assert_eq!(open(text), None, "{text}");
        }
    }

    #[test]
    fn json_that_would_fill_the_memory_is_not_read() {
        let list = |item: &str, times: usize| format!("[{}]", vec![item; times].join(","));
        assert_eq!(open(&list(r#"{"a":1}"#, 200_000)), None);
        assert_eq!(open(&format!("42{}", list(r#"{"a":1}"#, 200_000))), None);
        assert!(open(&list("-0.125", 1_000_000)).is_some());
        assert!(open(&list(r#"{"a":1}"#, 100_000)).is_some());
        let quoted = format!(r#"{{"code":"\"{}"}}"#, "{,:[".repeat(1_000_000));
        assert!(open(&quoted).is_some(), "what stands in a text takes no more than the text");
    }
}
