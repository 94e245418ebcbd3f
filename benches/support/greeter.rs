//! A server that costs little: it answers every upgrade, greets, and answers a close; with TLS and a delay, if asked.
//!
//! With a delay of D it behaves as if it were D of round trip away: what it says comes D after what it answers, and the
//! 101 one more D after the connection was made, which such a path would have taken to open.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::tls;

/// Serves to the end of the process: `ROUND_TRIP_US [FOLDER_OF_CERTIFICATE]`.
pub(crate) fn serve(listener: TcpListener, arguments: &[String]) {
    let delay =
        arguments.first().and_then(|text| text.parse().ok()).map_or(Duration::ZERO, Duration::from_micros);
    let acceptor = arguments.get(1).map(|folder| tls::acceptor(Path::new(folder)));
    listener.set_nonblocking(true).expect("a listener");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(meet(stream, acceptor.clone(), delay));
        }
    });
}

async fn meet(stream: tokio::net::TcpStream, acceptor: Option<TlsAcceptor>, delay: Duration) {
    let accepted = Instant::now();
    match acceptor {
        None => talk(stream, accepted, delay).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                talk(stream, accepted, delay).await;
            }
        }
    }
}

async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, accepted: Instant, delay: Duration) {
    let mut head = Vec::with_capacity(512);
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut head).await, Ok(1..)) {
            return;
        }
    }
    let answer = answer(&head);
    drop(head);
    wait(delay, accepted + 2 * delay).await;
    if stream.write_all(&answer).await.is_err() || stream.flush().await.is_err() {
        return;
    }
    drop(answer);
    let mut frame = [0; 64];
    if matches!(stream.read(&mut frame).await, Ok(1..)) {
        // Whatever it is: nobody sends us anything but a close.
        wait(delay, accepted).await;
        let _ = stream.write_all(b"\x88\x02\x03\xe8").await;
        let _ = stream.shutdown().await;
    }
}

/// Waits that long, and at least to that instant. Not at all is not even a turn of the loop.
async fn wait(delay: Duration, at_least: Instant) {
    if delay > Duration::ZERO {
        sleep_until(at_least.max(Instant::now() + delay)).await;
    }
}

/// A 101, and a text behind it.
fn answer(head: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(head);
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let mut keys = lines.filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    let accept = derive_accept_key(keys.next().map_or("", |(_, key)| key.trim()).as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    [head.as_bytes(), b"\x81\x07welcome"].concat()
}
