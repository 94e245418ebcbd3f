//! The frames and bodies of the sample backend.

use serde_json::{Value, json};

use super::{settings::Behaviour, state::Sample};
use crate::emulator::front::Head;

/// What a hostile server says: escape sequences, bidi controls, and a line that is a workflow command. Short enough for a close reason.
pub(crate) const HOSTILE: &str = "\u{1b}[31mred\u{1b}]0;title\u{7} \u{202e}txet\u{2066} \u{9b}2J\r\n::error::injected\n::set-output name=x::y";

/// What a healthy server sends unasked, in order.
pub(crate) fn welcome(sample: &Sample, behaviour: Behaviour, user: &str) -> Vec<Value> {
    let mut ready = json!({
        "type": "system_message",
        "data": {"event": "connection_established", "startup_complete": true, "user_id": user},
    });
    if behaviour == Behaviour::DegradedWelcome {
        ready["data"]["degraded_mode"] = json!(true);
        ready["data"]["service_info"] = json!({"missing": ["supervisor"]});
    }
    if sample.settings.echo_revision {
        ready["revision"] = json!(sample.revision());
    }
    if sample.settings.echo_instance {
        ready["instance"] = json!(sample.instance());
    }
    vec![
        json!({"type": "handshake_validation", "data": {"status": "accepted", "user_id": user}}),
        json!({"type": "ping", "data": {"timestamp": sample.now().to_string()}}),
        ready,
    ]
}

/// The one answer to a message, where it is one.
pub(crate) fn answer(text: &str) -> Value {
    let message: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    if message.get("type").and_then(Value::as_str) != Some("ping") {
        return json!({"type": "echo", "text": text});
    }
    let mut pong = json!({"type": "pong"});
    for key in ["nonce", "message_id", "thread_id", "payload"] {
        if let Some(value) = message.get(key) {
            pong[key] = value.clone();
        }
    }
    pong
}

/// The user request of a `start_agent`, and the message's other marks; `None` for any other message.
pub(crate) fn agent_request(text: &str) -> Option<(Value, Option<String>)> {
    let message: Value = serde_json::from_str(text).ok()?;
    if message.get("type")?.as_str()? != "start_agent" {
        return None;
    }
    let request = message.pointer("/payload/user_request").and_then(Value::as_str).map(str::to_owned);
    Some((message, request))
}

/// An error frame.
pub(crate) fn error(message: &str) -> Value {
    json!({"type": "error", "error": {"message": message}})
}

/// The secrets of a request, said back.
pub(crate) fn secrets(head: &Head) -> Value {
    json!({
        "type": "debug",
        "authorization": head.field("authorization"),
        "x_serverless_authorization": head.field("x-serverless-authorization"),
        "subprotocols": head.subprotocols().collect::<Vec<_>>(),
        "cookie": head.field("cookie"),
        "target": head.target,
    })
}

/// Status, content type and body of a plain request.
pub(crate) fn plain(sample: &Sample, head: &Head) -> (u16, &'static str, String) {
    let json = "application/json";
    match (sample.settings.behaviour, head.path()) {
        (Behaviour::Always503, _) => (503, "text/plain", "Service Unavailable".to_owned()),
        (Behaviour::HostileText, "/refuse") => (403, "text/plain; charset=utf-8", HOSTILE.to_owned()),
        (Behaviour::HostileText, _) => (200, "text/plain; charset=utf-8", HOSTILE.to_owned()),
        (Behaviour::EchoSecrets, "/refuse") => (403, json, secrets(head).to_string()),
        (_, "/refuse") => (403, json, json!({"detail": "refused"}).to_string()),
        (_, "/health" | "/health/ready") if !sample.is_set_up() => {
            (503, json, json!({"status": "starting", "phase": "services"}).to_string())
        }
        (_, "/health" | "/health/ready") => (200, json, json!({"status": "healthy"}).to_string()),
        (_, "/") => (200, json, json!({"service": "sample agent backend"}).to_string()),
        _ => (404, json, json!({"detail": "Not Found"}).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_says_the_nonce_back() {
        assert_eq!(answer(r#"{"type":"ping","nonce":"n1"}"#), json!({"type": "pong", "nonce": "n1"}));
        assert_eq!(answer("hello"), json!({"type": "echo", "text": "hello"}));
    }

    #[test]
    fn the_hostile_text_fits_a_close_reason() {
        assert!(HOSTILE.len() <= 123);
    }
}
