//! Servers with a same-user race: they check whether a user has a session, wait, and make it; who finds it made
//! meanwhile is closed with 1011.
//!
//! The window is in the query, `/?user=U&us=W`, in microseconds, and really that short: no timer is involved, since
//! timers round it up to a millisecond.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::backends;

/// A running server.
pub(crate) struct Racy {
    /// What it is.
    pub(crate) name: &'static str,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    process: Option<Child>,
}

impl Drop for Racy {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Who has a session.
type Users = Arc<Mutex<HashSet<String>>>;

/// A thread for each connection.
pub(crate) fn threads() -> Racy {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let users = Users::default();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let users = Arc::clone(&users);
            std::thread::spawn(move || serve_on_thread(stream, &users));
        }
    });
    Racy { name: "Rust, a thread a socket", address, process: None }
}

fn serve_on_thread(mut stream: TcpStream, users: &Users) {
    let mut head = Vec::new();
    let mut buffer = [0; 2048];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(bytes) if bytes > 0 => head.extend_from_slice(&buffer[..bytes]),
            _ => return,
        }
    }
    let request = Request::parse(&head);
    let mut lost = false;
    if !has(users, &request.user) {
        let began = Instant::now();
        while began.elapsed() < request.window {
            // As if it waited for somebody: who wants this core may have it.
            std::thread::yield_now();
        }
        lost = !users.lock().expect("no panic").insert(request.user.clone());
    }
    let _ = stream.write_all(&request.answer(lost));
    while !lost && matches!(stream.read(&mut buffer), Ok(1..)) {}
}

/// One thread that serves all connections in turn.
pub(crate) fn event_loop() -> Racy {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            tell.send(listener.local_addr().expect("a bound socket")).expect("somebody waits");
            let users = Users::default();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve_on_loop(stream, Arc::clone(&users)));
            }
        });
    });
    Racy { name: "Rust, an event loop", address: told.recv().expect("a server"), process: None }
}

async fn serve_on_loop(mut stream: tokio::net::TcpStream, users: Users) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut head).await, Ok(1..)) {
            return;
        }
    }
    let request = Request::parse(&head);
    let mut lost = false;
    if !has(&users, &request.user) {
        let began = Instant::now();
        while began.elapsed() < request.window {
            std::thread::yield_now();
            tokio::task::yield_now().await;
        }
        lost = !users.lock().expect("no panic").insert(request.user.clone());
    }
    let _ = stream.write_all(&request.answer(lost)).await;
    while !lost && matches!(stream.read_buf(&mut head).await, Ok(1..)) {}
}

/// `FastAPI` under uvicorn.
///
/// # Panics
/// When there is no Python, or its packages cannot be installed.
pub(crate) fn fastapi() -> Racy {
    started("FastAPI, uvicorn", Command::new(backends::python()).arg(script("racy.py")))
}

/// Node with `ws`.
///
/// # Panics
/// When it cannot be installed.
pub(crate) fn node() -> Racy {
    let (node, folder) = backends::node();
    let modules = folder.join("node_modules");
    started("Node, ws", Command::new(node).arg(script("racy.cjs")).env("NODE_PATH", modules))
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/support").join(name)
}

fn started(name: &'static str, command: &mut Command) -> Racy {
    let mut process = command.stdout(Stdio::piped()).spawn().expect("an installed program starts");
    let mut port = String::new();
    let output = process.stdout.take().expect("a pipe");
    BufReader::new(output).read_line(&mut port).expect("the server prints its port");
    let port: u16 = port.trim().parse().expect("a port");
    Racy { name, address: (Ipv4Addr::LOCALHOST, port).into(), process: Some(process) }
}

fn has(users: &Users, user: &str) -> bool {
    users.lock().expect("no panic").contains(user)
}

/// What is asked for.
struct Request {
    user: String,
    window: Duration,
    key: String,
}

impl Request {
    fn parse(head: &[u8]) -> Self {
        let text = String::from_utf8_lossy(head);
        let between = |start: &str, ends: &[char]| {
            let rest = text.split_once(start).map_or("", |(_, rest)| rest);
            rest.split(ends).next().unwrap_or_default().trim().to_owned()
        };
        let window = between("us=", &[' ', '&']).parse().unwrap_or_default();
        Self {
            user: between("user=", &[' ', '&']),
            window: Duration::from_micros(window),
            key: between("Sec-WebSocket-Key:", &['\r']),
        }
    }

    fn answer(&self, lost: bool) -> Vec<u8> {
        let accept = derive_accept_key(self.key.as_bytes());
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        let frame: &[u8] = if lost { b"\x88\x02\x03\xf3" } else { b"\x81\x07welcome" };
        [head.as_bytes(), frame].concat()
    }
}
