//! How a socket opens: the answer to an upgrade, byte by byte.
//!
//! Written by hand, because half of the behaviours are answers that no WebSocket library would give.

use std::fmt::Write as _;

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{
    settings::{Behaviour, JwtRefusal, SubprotocolEcho},
    state::Sample,
    text,
};
use crate::emulator::front::Head;

/// What becomes of an upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opening {
    /// A plain answer instead.
    Refuse(u16, String),
    /// Nothing, for ever.
    Hang,
    /// A reset.
    Reset,
    /// The 101.
    Accept,
}

/// Decides about an upgrade; `user` is the token's user or why it is refused.
pub(crate) fn decide(
    sample: &Sample,
    behaviour: Behaviour,
    head: &Head,
    user: &Result<String, String>,
) -> Opening {
    let refuse = |status, body: &str| Opening::Refuse(status, body.to_owned());
    match (behaviour, user) {
        (Behaviour::Always503 | Behaviour::Refuse503, _) => refuse(503, "Service Unavailable"),
        (Behaviour::Refuse403, _) => refuse(403, "Forbidden"),
        (Behaviour::NotFound, _) => refuse(404, "Not Found"),
        (Behaviour::OkWithoutUpgrade, _) => refuse(200, "<html>a page, not a socket</html>"),
        (Behaviour::NeverAnswers | Behaviour::Hang, _) => Opening::Hang,
        (Behaviour::Reset, _) => Opening::Reset,
        (Behaviour::EchoSecrets, Err(_)) => Opening::Refuse(401, text::secrets(head).to_string()),
        (_, Err(reason)) if sample.settings.jwt_refusal == JwtRefusal::Status401 => refuse(401, reason),
        _ if head.field("sec-websocket-key").is_none() => refuse(400, "missing Sec-WebSocket-Key"),
        _ => Opening::Accept,
    }
}

/// Whether a request asks for a WebSocket.
pub(crate) fn is_upgrade(head: &Head) -> bool {
    head.method == "GET"
        && head.field("upgrade").is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
}

/// The bytes of the 101.
pub(crate) fn accept(sample: &Sample, head: &Head) -> Vec<u8> {
    let key = derive_accept_key(head.field("sec-websocket-key").unwrap_or_default().as_bytes());
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {key}\r\n"
    );
    if let Some(protocol) = echoed(sample.settings.subprotocol_echo, head) {
        let _ = write!(answer, "Sec-WebSocket-Protocol: {protocol}\r\n");
    }
    push_names(&mut answer, sample);
    answer.push_str("\r\n");
    answer.into_bytes()
}

/// The bytes of a plain answer, after which the connection closes.
pub(crate) fn plain(sample: &Sample, (status, content_type, body): (u16, &str, &str)) -> Vec<u8> {
    let length = body.len();
    let mut answer = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n",
        phrase(status)
    );
    push_names(&mut answer, sample);
    answer.push_str("\r\n");
    answer.push_str(body);
    answer.into_bytes()
}

fn push_names(answer: &mut String, sample: &Sample) {
    if sample.settings.echo_revision {
        let _ = write!(answer, "x-revision: {}\r\n", sample.revision());
    }
    if sample.settings.echo_instance {
        let _ = write!(answer, "x-instance: {}\r\n", sample.instance());
    }
}

fn echoed(echo: SubprotocolEcho, head: &Head) -> Option<&str> {
    let mut offered = head.subprotocols();
    match echo {
        SubprotocolEcho::None => None,
        SubprotocolEcho::First => offered.next(),
        SubprotocolEcho::JwtAuth => offered.find(|protocol| *protocol == "jwt-auth"),
        SubprotocolEcho::Token => offered.find(|protocol| protocol.starts_with("jwt.")),
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        _ => "Service Unavailable",
    }
}
