//! A client's connection, plain or inside TLS, as everything behind the front end sees it.
//!
//! Takes a stream and gives a stream, and besides what a request's log entry says: how many bytes went which way, and the
//! status of the answer. It can give back what was read too early, add one header field to the answer, and reset the
//! connection. The surprising rule: the field is added behind the first line of whatever is written first, so that the
//! instance's other bytes stay as they are.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

/// A connection that a client opened.
#[derive(Debug)]
pub(crate) struct Client {
    stream: Stream,
    /// Bytes that were read and given back, and how many of them were read again.
    early: (Vec<u8>, usize),
    field: Option<String>,
    /// Bytes of the first line and the field that are still to be written.
    held: Vec<u8>,
    /// The status of the answer, once its first line was written.
    status: Option<u16>,
    received: u64,
    sent: u64,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Client {
    /// A connection without TLS.
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self::new(Stream::Plain(stream))
    }

    /// A connection whose TLS handshake is over.
    pub(crate) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self::new(Stream::Tls(Box::new(stream)))
    }

    fn new(stream: Stream) -> Self {
        let early = (Vec::new(), 0);
        Self { stream, early, field: None, held: Vec::new(), status: None, received: 0, sent: 0 }
    }

    /// True when it is inside TLS.
    pub(crate) fn is_secure(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// Gives back what was read, to be read again.
    pub(crate) fn unread(&mut self, bytes: Vec<u8>) {
        self.early = (bytes, 0);
    }

    /// The connection without TLS, with nothing of it read ahead.
    pub(crate) fn into_plain(self) -> Option<TcpStream> {
        match self.stream {
            Stream::Plain(stream) if self.early.1 == self.early.0.len() => Some(stream),
            _ => None,
        }
    }

    /// A header field for the answer, without its line's end.
    pub(crate) fn add_field(&mut self, field: String) {
        self.field = Some(field);
    }

    /// The status of the answer; `None` when there was none.
    pub(crate) fn status(&self) -> Option<u16> {
        self.status
    }

    /// How many bytes came, and how many went.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.received, self.sent)
    }

    /// Makes its end a reset.
    pub(crate) fn reset(&self) {
        let stream = match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
        };
        let _ = stream.set_zero_linger();
    }

    /// Writes to the stream itself.
    fn poll_stream(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    /// Writes what is held.
    fn poll_held(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            let written = self.poll_stream(context, &held);
            self.held = held;
            let count = ready!(written)?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.drain(..count);
        }
        Poll::Ready(Ok(()))
    }

    /// Looks at the first bytes of an answer; holds them where a field is to be added, and says whether it does.
    fn begin_answer(&mut self, bytes: &[u8]) -> bool {
        self.status = status(bytes);
        let Some(field) = self.field.take() else { return false };
        let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return false };
        let (line, rest) = bytes.split_at(end + 2);
        self.held = [line, field.as_bytes(), b"\r\n", rest].concat();
        true
    }
}

/// The status in the first bytes of an answer.
fn status(bytes: &[u8]) -> Option<u16> {
    let line = bytes.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(line).ok()?.parse().ok()
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (bytes, at) = &mut self.early;
        if *at < bytes.len() {
            let count = (bytes.len() - *at).min(buffer.remaining());
            buffer.put_slice(&bytes[*at..*at + count]);
            *at += count;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        })?;
        self.received += (buffer.filled().len() - before) as u64;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_held(context))?;
        if self.sent == 0 && !bytes.is_empty() && self.begin_answer(bytes) {
            self.sent += bytes.len() as u64;
            // They are taken; what does not go at once goes with the next write or flush.
            if let Poll::Ready(Err(error)) = self.poll_held(context) {
                return Poll::Ready(Err(error));
            }
            return Poll::Ready(Ok(bytes.len()));
        }
        let count = ready!(self.poll_stream(context, bytes))?;
        self.sent += count as u64;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_held(context))?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_held(context))?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn one_field_is_added_and_every_other_byte_stays() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut client = Client::plain(listener.accept().await.unwrap().0);
        peer.write_all(b"GET").await.unwrap();
        client.unread(b"early ".to_vec());
        client.add_field("set-cookie: a=b".to_owned());
        for part in ["HTTP/1.1 101 X\r\nA: 1\r\n", "\r\n", "body"] {
            client.write_all(part.as_bytes()).await.unwrap();
        }
        let mut read = vec![0; 9];
        client.read_exact(&mut read).await.unwrap();
        assert_eq!(read, b"early GET");
        assert_eq!((client.status(), client.counts()), (Some(101), (3, 28)));
        drop(client);
        let mut answer = String::new();
        peer.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "HTTP/1.1 101 X\r\nset-cookie: a=b\r\nA: 1\r\n\r\nbody");
    }
}
