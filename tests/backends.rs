//! The third-party backends start, greet and answer: what a gate says about them is worth something only then.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/backends.rs"]
pub mod backends;

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// How long a start, and any one answer, may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a calm client waits before it speaks; longer than the window of `early-message`.
const CALM: Duration = Duration::from_millis(300);
/// The revision that the backends are told they are.
const REVISION: &str = "demo-00007-abc";

/// A backend process; dropping it ends the process.
struct Backend {
    /// The process.
    child: Child,
    /// Its port on loopback.
    port: u16,
    /// What it has said on standard error.
    log: File,
}

impl Backend {
    /// Starts `line` on a free port and waits until the port is open.
    async fn start(line: &str) -> Self {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let words = shlex::split(&line.replace("$PORT", &port.to_string())).unwrap();
        let log = tempfile::tempfile().unwrap();
        let child = Command::new(&words[0])
            .args(&words[1..])
            .env("PORT", port.to_string())
            .env("K_REVISION", REVISION)
            .stdout(Stdio::null())
            .stderr(log.try_clone().unwrap())
            .spawn()
            .unwrap();
        let mut backend = Self { child, port, log };
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            let ended = backend.child.try_wait().unwrap();
            let late = tokio::time::Instant::now() > deadline;
            assert!(ended.is_none() && !late, "{line}\ndoes not listen: {ended:?}\n{}", backend.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        backend
    }

    /// What the process has said on standard error.
    fn said(&mut self) -> String {
        let mut text = String::new();
        self.log.rewind().unwrap();
        self.log.read_to_string(&mut text).unwrap();
        text
    }

    /// Opens a socket; the handshake must name the revision.
    async fn open(&self) -> WebSocketStream<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let (socket, response) =
            client_async(format!("ws://127.0.0.1:{}/ws", self.port), stream).await.unwrap();
        assert_eq!(response.headers()["x-revision"], REVISION);
        socket
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next message, as JSON.
async fn next(socket: &mut WebSocketStream<TcpStream>) -> Value {
    let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("an answer in time");
    serde_json::from_str(message.unwrap().unwrap().to_text().unwrap()).unwrap()
}

/// A lone, calm client is welcomed, and its ping is answered with its nonce.
async fn assert_greets_and_pongs(line: &str) {
    let backend = Backend::start(line).await;
    let mut socket = backend.open().await;
    let welcome = next(&mut socket).await;
    assert_eq!((&welcome["type"], &welcome["revision"]), (&json!("welcome"), &json!(REVISION)), "{line}");
    tokio::time::sleep(CALM).await;
    socket.send(Message::text(json!({"type": "ping", "nonce": "n-1"}).to_string())).await.unwrap();
    assert_eq!(next(&mut socket).await, json!({"type": "pong", "nonce": "n-1"}), "{line}");
    socket.close(None).await.unwrap();
}

/// A client is accepted and told nothing.
async fn assert_silent(line: &str) {
    let backend = Backend::start(line).await;
    let mut socket = backend.open().await;
    socket.send(Message::text(json!({"type": "ping", "nonce": "n-1"}).to_string())).await.unwrap();
    assert!(tokio::time::timeout(CALM, socket.next()).await.is_err(), "{line}");
}

/// A client is accepted and closed with 1011.
async fn assert_closes_with_1011(line: &str) {
    let backend = Backend::start(line).await;
    let mut socket = backend.open().await;
    let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("a close in time");
    let Message::Close(Some(frame)) = message.unwrap().unwrap() else { panic!("{line}: no close frame") };
    assert_eq!(u16::from(frame.code), 1011, "{line}");
}

#[tokio::test]
async fn fastapi_greets_and_pongs_a_calm_client() {
    for mode in ["fixed", "fixed-singleton", "check-then-act", "singleton", "early-message"] {
        assert_greets_and_pongs(&backends::fastapi_command(mode)).await;
    }
}

#[tokio::test]
async fn fastapi_shows_the_defects_that_need_no_haste() {
    assert_silent(&backends::fastapi_command("silent")).await;
    for mode in ["health-ok-sockets-die", "startup-race", "lazy-start"] {
        // A window as long as the patience: no start is so slow that the defect has healed.
        let line = format!("env BACKEND_WINDOW_MS=30000 {}", backends::fastapi_command(mode));
        assert_closes_with_1011(&line).await;
    }
}

#[tokio::test]
async fn threads_greet_and_pong_a_calm_client() {
    for mode in ["fixed", "fixed-singleton", "check-then-act", "singleton"] {
        assert_greets_and_pongs(&backends::threads_command(mode)).await;
    }
    let line = format!("env BACKEND_WINDOW_MS=30000 {}", backends::threads_command("startup-race"));
    assert_closes_with_1011(&line).await;
}

#[tokio::test]
async fn node_greets_and_pongs_a_calm_client() {
    for mode in ["fixed", "fixed-singleton", "check-then-act", "singleton", "early-message"] {
        assert_greets_and_pongs(&backends::node_command(mode)).await;
    }
}

#[tokio::test]
async fn node_shows_the_defects_that_need_no_haste() {
    assert_silent(&backends::node_command("silent")).await;
    let line = format!("env BACKEND_WINDOW_MS=30000 {}", backends::node_command("startup-race"));
    assert_closes_with_1011(&line).await;
}
