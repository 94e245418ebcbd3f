//! The WebSocket upgrade (RFC 6455, section 4): what is written, and is the answer one to it?
//!
//! Takes an identity and an address and gives the bytes of a request; takes an answer and says whether the socket is
//! open. It never touches a clock. The surprising rule: a server that chooses none of the offered subprotocols is
//! healthy, as the RFC allows, unless the configuration says otherwise.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use zeroize::Zeroizing;

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
    /// The whole head, with the empty line; wiped, since it holds tokens.
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// What is said on the open socket before anything else, to carry the token.
    pub(super) first: Vec<Secret>,
    /// When the token in it expires, in microseconds since the start of the run; `None` where that is not known.
    pub(super) expires: Option<u64>,
    key: String,
    offered: Vec<Secret>,
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
        let carriers = if identity.token.is_some() { carriers } else { &[] };
        let token = identity.token.clone().unwrap_or_else(|| Secret::new(""));
        let mut offered: Vec<Secret> = conversation.subprotocols.iter().map(Secret::new).collect();
        let mut first = Vec::new();
        for carrier in carriers {
            match carrier {
                Carrier::Subprotocol(template) => offered.push(template.fill(&token, values, Escaping::Url)),
                Carrier::FirstMessage(template) => first.push(template.message(&token, values)),
                _ => {}
            }
        }
        let mut head = Head::default();
        head.push(&["GET ", &conversation.path.fill(values, Escaping::Url)]);
        push_query(&mut head, conversation, carriers, &token);
        head.push(&[" HTTP/1.1\r\nHost: ", &address.host_header(), "\r\nConnection: Upgrade\r\n"]);
        head.push(&["Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ", &key, "\r\n"]);
        // The text of this very socket: a log's request entries hold it.
        head.push(&[concat!("User-Agent: revgate/", env!("CARGO_PKG_VERSION"), " ("), values.nonce, ")\r\n"]);
        if carriers.contains(&Carrier::Authorization) {
            head.push(&["Authorization: Bearer ", token.expose(), "\r\n"]);
        }
        if let Some(token) = &identity.id_token {
            head.push(&["X-Serverless-Authorization: Bearer ", token.expose(), "\r\n"]);
        }
        push_list(&mut head, "Sec-WebSocket-Protocol: ", ", ", offered.iter().map(Secret::expose));
        let is_cookie = |name: &str| name.eq_ignore_ascii_case("cookie");
        for (name, value) in conversation.headers.iter().filter(|(name, _)| !is_cookie(name)) {
            head.push(&[name, ": ", value.expose(), "\r\n"]);
        }
        // One header for all of them (RFC 6265, section 5.4).
        let configured = conversation.headers.iter().filter(|(name, _)| is_cookie(name));
        let carried: Vec<Secret> = carriers.iter().filter_map(|carrier| cookie(carrier, &token)).collect();
        let cookies = configured.map(|(_, value)| value.expose()).chain(carried.iter().map(Secret::expose));
        push_list(&mut head, "Cookie: ", "; ", cookies);
        head.push(&["\r\n"]);
        Self { bytes: head.0, first, key, offered, expires: None }
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
            [one] if self.offered.iter().any(|offer| offer.expose() == *one) => {
                Opening::Opened { subprotocol: Some(Excerpt::new(&redactor.redact(one))) }
            }
            [one] => wrong(format!("{one} was not offered")),
            several => wrong(format!("{} chosen, where one is allowed", several.len())),
        }
    }
}

/// The bytes of a request, wiped also where they had to move to grow.
#[derive(Default)]
struct Head(Zeroizing<Vec<u8>>);

impl Head {
    fn push(&mut self, texts: &[&str]) {
        let length = self.0.len() + texts.iter().map(|text| text.len()).sum::<usize>();
        if length > self.0.capacity() {
            let mut grown = Zeroizing::new(Vec::with_capacity(length * 2));
            grown.extend_from_slice(&self.0);
            self.0 = grown;
        }
        for text in texts {
            self.0.extend_from_slice(text.as_bytes());
        }
    }
}

/// A header of several values, where there are any.
fn push_list<'a>(head: &mut Head, name: &str, between: &str, values: impl Iterator<Item = &'a str>) {
    let mut before = name;
    for value in values {
        head.push(&[before, value]);
        before = between;
    }
    if before == between {
        head.push(&["\r\n"]);
    }
}

/// The parameters that carry the token, behind those of the path.
fn push_query(head: &mut Head, conversation: &Conversation, carriers: &[Carrier], token: &Secret) {
    let mut before = if conversation.path.source().contains('?') { "&" } else { "?" };
    for carrier in carriers {
        if let Carrier::Query(name) = carrier {
            head.push(&[before, name, "=", percent_encoded(token).expose()]);
            before = "&";
        }
    }
}

/// For a query: everything but letters, digits and `-_.~` as `%XX`.
fn percent_encoded(token: &Secret) -> Secret {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(token.expose().len() * 3);
    for byte in token.expose().bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(DIGITS[usize::from(byte >> 4)]));
            encoded.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    Secret::new(encoded)
}

/// The cookie that carries the token.
fn cookie(carrier: &Carrier, token: &Secret) -> Option<Secret> {
    let Carrier::Cookie(name) = carrier else { return None };
    let mut cookie = String::with_capacity(name.len() + token.expose().len() + 1);
    cookie.push_str(name);
    cookie.push('=');
    cookie.push_str(token.expose());
    Some(Secret::new(cookie))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FileConfig, Lookup, Purpose, SecretSource, Typed, merge};

    fn request(yaml: &str, token: Option<&str>) -> (String, Vec<String>) {
        let file = FileConfig::parse("t", yaml.as_bytes()).unwrap();
        let mut lookup = Lookup::default();
        lookup.insert(SecretSource::Environment("K".to_owned()), Ok(Secret::new("key")));
        let settings = merge(&Typed::default(), Some(&file), &lookup, Purpose::Rehearsal).unwrap().settings;
        let address = Address::new(&url::Url::parse("ws://127.0.0.1:9").unwrap()).unwrap();
        let identity = Identity { token: token.map(Secret::new), id_token: None };
        let carriers = settings.token.map_or_else(Vec::new, |token| token.carriers);
        let values = Values { user: "u", nonce: "n", round: 1 };
        let request = UpgradeRequest::new(&address, &settings.conversation, &carriers, &identity, values);
        let first = request.first.iter().map(|text| text.expose().to_owned()).collect();
        (String::from_utf8(request.bytes.to_vec()).unwrap(), first)
    }

    #[test]
    fn a_token_travels_in_every_way_at_once() {
        let yaml = "path: /ws?u={{user}}\nsubprotocols: [chat]\nheaders: { Cookie: a=b, X-A: c }\ntoken: { secret-env: K, \
                    carry: [authorization, subprotocol, 'query:t', 'cookie:c', first-message] }\n";
        let (head, first) = request(yaml, Some("a.b+c"));
        for line in [
            "GET /ws?u=u&t=a.b%2Bc HTTP/1.1",
            "Authorization: Bearer a.b+c",
            "Sec-WebSocket-Protocol: chat, jwt.YS5iK2M",
            "X-A: c",
            "Cookie: a=b; c=a.b+c",
        ] {
            assert!(head.lines().any(|known| known == line), "{line}\n{head}");
        }
        assert!(head.ends_with("\r\n\r\n") && head.matches("Cookie").count() == 1, "{head}");
        assert_eq!(first, ["a.b+c"]);
    }

    #[test]
    fn without_a_token_nothing_of_it_is_there() {
        let yaml = "token: { secret-env: K, carry: [authorization, subprotocol, 'query:t', 'cookie:c', first-message] }\n";
        let (head, first) = request(yaml, None);
        let names = head.lines().skip(1).filter_map(|line| line.split_once(':')).map(|(name, _)| name);
        let due =
            ["Host", "Connection", "Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Key", "User-Agent"];
        assert_eq!(names.collect::<Vec<_>>(), due);
        assert!(head.starts_with("GET / HTTP/1.1\r\n") && first.is_empty(), "{head}");
    }
}
