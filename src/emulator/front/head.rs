//! Reads the head of an HTTP/1.1 request, and keeps every byte of it.
//!
//! Takes a stream, gives the parsed head together with all bytes read so far, which may hold the start of a body. It
//! is capped, and it never waits for more than the head.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest head that is read; Google's own limit is lower.
const LIMIT: usize = 64 * 1024;
/// The most header fields in a head.
const FIELDS: usize = 128;

/// The parsed head of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// The method as sent.
    pub(crate) method: String,
    /// Path and query as sent.
    pub(crate) target: String,
    fields: Vec<(String, String)>,
}

impl Head {
    /// The first field of this name, in any case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The host that the request is for: of its target, where that names one, else of its `Host` field.
    pub(crate) fn host(&self) -> Option<&str> {
        self.absolute().map(|(host, _)| host).or_else(|| self.field("host"))
    }

    /// Host and origin form of a target that a proxy is sent.
    fn absolute(&self) -> Option<(&str, &str)> {
        let rest = self.target.strip_prefix("http://").or_else(|| self.target.strip_prefix("https://"))?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        Some(rest.split_at(end))
    }

    /// The value of a cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let cookies = self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case("cookie"));
        let mut pairs =
            cookies.flat_map(|(_, value)| value.split(';')).filter_map(|pair| pair.split_once('='));
        pairs.find(|(known, _)| known.trim() == name).map(|(_, value)| value.trim())
    }

    /// The path without its query.
    pub(crate) fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The value of a query parameter, percent-decoded.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?')?.1;
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The token of an `Authorization: Bearer` or like field.
    pub(crate) fn bearer(&self, field: &str) -> Option<&str> {
        let (scheme, token) = self.field(field)?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    }

    /// The trace that the client named: 32 hexadecimal digits.
    pub(crate) fn trace(&self) -> Option<&str> {
        let google = || self.field("x-cloud-trace-context").and_then(|value| value.split('/').next());
        let named = self.field("traceparent").and_then(|value| value.split('-').nth(1)).or_else(google)?;
        (named.len() == 32 && named.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(named)
    }

    /// The subprotocols offered, in order.
    pub(crate) fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.fields
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-protocol"))
            .flat_map(|(_, value)| value.split(','))
            .map(str::trim)
            .filter(|protocol| !protocol.is_empty())
    }
}

/// A head with the bytes that it was read from, and whatever came with them.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// The head.
    pub(crate) head: Head,
    /// All bytes read so far.
    pub(crate) bytes: Vec<u8>,
    /// How many of `bytes` are the head.
    pub(crate) head_length: usize,
}

impl Received {
    /// The request as a server is sent it that is no proxy.
    pub(crate) fn into_origin_form(mut self) -> Self {
        let Some((_, path)) = self.head.absolute() else { return self };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let before = self.head.method.len() + 1;
        let after = before + self.head.target.len();
        self.bytes.splice(before..after, path.bytes());
        self.head_length = self.head_length + path.len() - self.head.target.len();
        self.head.target = path;
        self
    }
}

impl Received {
    /// The bytes as an instance is sent them: with `fields` behind the first line, and with the end of the connection
    /// after the answer, unless the request is for another protocol.
    pub(crate) fn with_fields(&self, fields: &str) -> Vec<u8> {
        let (head, rest) = self.bytes.split_at(self.head_length);
        let stays = self.head.field("upgrade").is_some();
        let is_connection = |line: &[u8]| {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            name.eq_ignore_ascii_case(b"connection")
        };
        let mut bytes = Vec::with_capacity(self.bytes.len() + fields.len() + 32);
        for (at, line) in head.split_inclusive(|byte| *byte == b'\n').enumerate() {
            if stays || !is_connection(line) {
                bytes.extend_from_slice(line);
            }
            if at == 0 {
                bytes.extend_from_slice(fields.as_bytes());
                bytes.extend_from_slice(if stays { b"" } else { b"connection: close\r\n" });
            }
        }
        bytes.extend_from_slice(rest);
        bytes
    }
}

/// Reads one head; `None` when the client left before it was whole.
///
/// # Errors
/// `InvalidData` for what is not HTTP/1.1 or is too long.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Received>> {
    let mut bytes = Vec::with_capacity(2048);
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
        if let Some((head, head_length)) = parse(&bytes)? {
            return Ok(Some(Received { head, bytes, head_length }));
        }
        if bytes.len() > LIMIT {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

fn parse(bytes: &[u8]) -> io::Result<Option<(Head, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let status = request.parse(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let httparse::Status::Complete(length) = status else { return Ok(None) };
    let head = Head {
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
        fields: request
            .headers
            .iter()
            .map(|field| (field.name.to_owned(), String::from_utf8_lossy(field.value).into_owned()))
            .collect(),
    };
    Ok(Some((head, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_byte_is_kept() {
        let sent = b"GET /ws?user=a%20b HTTP/1.1\r\nAuthorization: Bearer x\r\nSec-WebSocket-Protocol: a, b\r\n\r\n\x81";
        let received = read_head(&mut &sent[..]).await.unwrap().unwrap();
        assert_eq!(received.bytes, sent);
        assert_eq!(received.head_length, sent.len() - 1);
        assert_eq!(received.head.path(), "/ws");
        assert_eq!(received.head.query("user").as_deref(), Some("a b"));
        assert_eq!(received.head.bearer("authorization"), Some("x"));
        assert_eq!(received.head.subprotocols().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[tokio::test]
    async fn what_a_proxy_is_sent_becomes_what_a_server_is_sent() {
        let sent =
            b"GET http://demo.run.app:80?a=b HTTP/1.1\r\nHost: other\r\nCookie: x=1; GAESA=v\r\n\r\nbody";
        let received = read_head(&mut &sent[..]).await.unwrap().unwrap();
        assert_eq!(received.head.host(), Some("demo.run.app:80"));
        let origin = received.into_origin_form();
        assert!(
            origin.bytes.starts_with(b"GET /?a=b HTTP/1.1\r\n") && origin.bytes.ends_with(b"\r\n\r\nbody")
        );
        assert_eq!(&origin.bytes[origin.head_length..], b"body");
        assert_eq!((origin.head.path(), origin.head.cookie("GAESA")), ("/", Some("v")));
    }

    #[tokio::test]
    async fn an_instance_is_sent_more_fields_and_told_to_close_unless_it_upgrades() {
        let sent = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\nbody";
        let received = read_head(&mut &sent[..]).await.unwrap().unwrap();
        assert_eq!(
            String::from_utf8(received.with_fields("a: b\r\n")).unwrap(),
            "POST / HTTP/1.1\r\na: b\r\nconnection: close\r\nHost: x\r\n\r\nbody"
        );
        let sent = b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81";
        let received = read_head(&mut &sent[..]).await.unwrap().unwrap();
        assert_eq!(received.with_fields(""), sent);
    }

    #[tokio::test]
    async fn half_a_head_is_no_head() {
        assert!(read_head(&mut &b"GET / HTTP/1.1\r\n\r"[..]).await.unwrap().is_none());
        assert!(read_head(&mut &b"\x16\x03\x01 tls"[..]).await.is_err());
    }
}
