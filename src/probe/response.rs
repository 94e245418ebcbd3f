//! The answer to an upgrade request: 101 or a refusal with its body.
//!
//! Takes a stream whose request was sent, over any `AsyncRead`, and gives the head of the answer and whatever came
//! behind it. It knows nothing of WebSocket. The surprising rule: interim answers (1xx but 101) are skipped, as RFC 9110
//! asks, and a refusal's body is read within a cap and a time, because it says why.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// Longest head that is read.
const HEAD: usize = 64 * 1024;
/// Longest body that is read.
const BODY: usize = 64 * 1024;
/// How long a refusal's body may take.
const BODY_TIME: Duration = Duration::from_secs(2);

/// The head of an answer, and the bytes that came behind it.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) rest: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoResponse {
    /// The connection ended after so many bytes.
    Ended { reset: bool, bytes: usize },
    /// The bytes are not HTTP.
    Malformed(String),
}

impl Response {
    /// The values of a header, in order.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// True when a comma-separated header holds `token`, whatever its case.
    pub(super) fn has_token(&self, name: &str, token: &str) -> bool {
        self.values(name)
            .flat_map(|value| value.split(','))
            .any(|part| part.trim().eq_ignore_ascii_case(token))
    }
}

/// Reads the head of the final answer.
pub(super) async fn read_response<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Response, NoResponse> {
    let mut bytes = Vec::with_capacity(1024);
    let mut seen = 0;
    loop {
        while let Some(response) = parse(&bytes)? {
            if (100..200).contains(&response.status) && response.status != 101 {
                bytes = response.rest;
                continue;
            }
            return Ok(response);
        }
        if bytes.len() > HEAD {
            return Err(NoResponse::Malformed("its head is longer than 64 KiB".to_owned()));
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) => return Err(NoResponse::Ended { reset: false, bytes: seen }),
            Ok(count) => seen += count,
            Err(_) => return Err(NoResponse::Ended { reset: true, bytes: seen }),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Option<Response>, NoResponse> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(length)) => Ok(Some(Response {
            status: response.code.unwrap_or_default(),
            headers: response
                .headers
                .iter()
                .map(|h| (h.name.to_owned(), String::from_utf8_lossy(h.value).into_owned()))
                .collect(),
            rest: bytes[length..].to_vec(),
        })),
        Err(error) => {
            let start = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
            Err(NoResponse::Malformed(format!("{error}: {start}")))
        }
    }
}

/// Reads a refusal's body as far as it comes in time.
pub(super) async fn read_body<S: AsyncRead + Unpin>(stream: &mut S, response: &mut Response) -> String {
    let length =
        response.values("content-length").next().and_then(|value| value.trim().parse::<usize>().ok());
    let chunked = response.has_token("transfer-encoding", "chunked");
    let mut bytes = std::mem::take(&mut response.rest);
    let _ = timeout(BODY_TIME, async {
        while !is_whole(&bytes, length, chunked) && bytes.len() < BODY {
            if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
                break;
            }
        }
    })
    .await;
    let body = if chunked { unchunk(&bytes) } else { bytes };
    let end = body.len().min(length.unwrap_or(BODY)).min(BODY);
    String::from_utf8_lossy(&body[..end]).into_owned()
}

fn is_whole(bytes: &[u8], length: Option<usize>, chunked: bool) -> bool {
    if chunked { bytes.ends_with(b"0\r\n\r\n") } else { length.is_some_and(|length| bytes.len() >= length) }
}

/// The contents of chunks, as far as they are well formed.
fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(bytes) {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let end = start.saturating_add(size).min(bytes.len());
        body.extend_from_slice(&bytes[start..end]);
        if size == 0 || end + 2 > bytes.len() {
            break;
        }
        bytes = &bytes[end + 2..];
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> (u16, String) {
        let mut stream = bytes;
        let mut response = read_response(&mut stream).await.unwrap();
        let body = read_body(&mut stream, &mut response).await;
        (response.status, body)
    }

    #[tokio::test]
    async fn reads_bodies_of_each_kind_and_skips_interim_answers() {
        let plain =
            b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusyXX";
        assert_eq!(read(plain).await, (503, "busy".to_owned()));
        let chunked =
            b"HTTP/1.1 429 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nslow\r\n5\r\n down\r\n0\r\n\r\n";
        assert_eq!(read(chunked).await, (429, "slow down".to_owned()));
        assert_eq!(read(b"HTTP/1.1 403 No\r\n\r\nto the end").await, (403, "to the end".to_owned()));
    }

    #[tokio::test]
    async fn says_how_far_an_answer_came() {
        let mut cut: &[u8] = b"HTTP/1.1 10";
        assert!(matches!(read_response(&mut cut).await, Err(NoResponse::Ended { reset: false, bytes: 11 })));
        let mut rubbish: &[u8] = b"SSH-2.0-OpenSSH\r\n\r\n";
        assert!(matches!(read_response(&mut rubbish).await, Err(NoResponse::Malformed(_))));
    }
}
