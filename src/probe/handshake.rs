//! The WebSocket upgrade (RFC 6455, section 4): what is written, and is the answer one to it?
//!
//! Takes an identity and an address and gives the bytes of a request; takes an answer and says whether the socket is
//! open. It never touches a clock. The surprising rule: a server that chooses none of the offered subprotocols is
//! healthy, as the RFC allows, unless the configuration says otherwise.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::observation::Opening;
use super::response::Response;
use super::transport::Address;
use crate::config::{Carrier, Conversation, Escaping, Values};
use crate::trust::{Excerpt, Redactor, Secret};

/// Who a socket is: what its upgrade request carries besides what is the same for all.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// The application's token.
    pub token: Option<Secret>,
    /// The IAM ID token, for `X-Serverless-Authorization`.
    pub id_token: Option<Secret>,
}

/// A request to upgrade, ready to be written.
#[derive(Debug)]
pub(super) struct UpgradeRequest {
    /// The whole head, with the empty line.
    pub(super) bytes: Vec<u8>,
    key: String,
    offered: Vec<String>,
}

impl UpgradeRequest {
    /// Builds the request of one socket.
    pub(super) fn new(
        address: &Address,
        conversation: &Conversation,
        carriers: &[Carrier],
        identity: &Identity,
        values: Values<'_>,
    ) -> Self {
        let key = STANDARD.encode(rand::random::<[u8; 16]>());
        let carried = |carrier| carriers.contains(&carrier);
        let token = identity.token.as_ref();
        let mut offered = conversation.subprotocols.clone();
        if let Some(token) = token.filter(|_| carried(Carrier::Subprotocol)) {
            offered.push(format!("jwt.{}", URL_SAFE_NO_PAD.encode(token.expose())));
        }
        let path = conversation.path.fill(values, Escaping::Url);
        let mut lines = vec![
            format!("GET {path} HTTP/1.1"),
            format!("Host: {}", address.host_header()),
            "Connection: Upgrade".to_owned(),
            "Upgrade: websocket".to_owned(),
            "Sec-WebSocket-Version: 13".to_owned(),
            format!("Sec-WebSocket-Key: {key}"),
            // The text of this very socket: a log's request entries hold it.
            format!(concat!("User-Agent: revgate/", env!("CARGO_PKG_VERSION"), " ({})"), values.nonce),
        ];
        if let Some(token) = token.filter(|_| carried(Carrier::Authorization)) {
            lines.push(format!("Authorization: Bearer {}", token.expose()));
        }
        if let Some(token) = &identity.id_token {
            lines.push(format!("X-Serverless-Authorization: Bearer {}", token.expose()));
        }
        if !offered.is_empty() {
            lines.push(format!("Sec-WebSocket-Protocol: {}", offered.join(", ")));
        }
        lines.extend(conversation.headers.iter().map(|(name, value)| format!("{name}: {}", value.expose())));
        let bytes = (lines.join("\r\n") + "\r\n\r\n").into_bytes();
        Self { bytes, key, offered }
    }

    /// Whether a 101 is an answer to this request.
    pub(super) fn judge(
        &self,
        response: &Response,
        conversation: &Conversation,
        redactor: &Redactor,
    ) -> Opening {
        let bad = |what: String| Opening::BadAccept { what: Excerpt::new(&redactor.redact(&what)) };
        if !response.has_token("upgrade", "websocket") {
            return bad("no Upgrade: websocket in the answer".to_owned());
        }
        if !response.has_token("connection", "upgrade") {
            return bad("no Connection: Upgrade in the answer".to_owned());
        }
        let accept: Vec<&str> = response.values("sec-websocket-accept").collect();
        if accept != [derive_accept_key(self.key.as_bytes())] {
            return bad(format!("Sec-WebSocket-Accept is {accept:?} and not what our key asks for"));
        }
        if let Some(extension) =
            response.values("sec-websocket-extensions").find(|value| !value.trim().is_empty())
        {
            return bad(format!("an extension that was not offered: {extension}"));
        }
        self.judge_subprotocol(response, conversation, redactor)
    }

    fn judge_subprotocol(
        &self,
        response: &Response,
        conversation: &Conversation,
        redactor: &Redactor,
    ) -> Opening {
        let chosen: Vec<&str> = response.values("sec-websocket-protocol").map(str::trim).collect();
        let wrong = |what: String| Opening::Subprotocol { what: Excerpt::new(&redactor.redact(&what)) };
        match chosen.as_slice() {
            [] if conversation.require_subprotocol => wrong("none chosen, though one is required".to_owned()),
            [] => Opening::Opened { subprotocol: None },
            [one] if self.offered.iter().any(|offer| offer == one) => {
                Opening::Opened { subprotocol: Some(Excerpt::new(&redactor.redact(one))) }
            }
            [one] => wrong(format!("{one} was not offered")),
            several => wrong(format!("{} chosen, where one is allowed", several.len())),
        }
    }
}
