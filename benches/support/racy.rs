//! Servers with a same-user race: they check whether a user has a session, wait, and make it; who finds it made
//! meanwhile is closed with 1011.
//!
//! The window is in the query, `/?user=U&us=W`, in microseconds, and really that short: no timer is involved, since
//! timers round it up to a millisecond.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::backends;
use super::children::{Server, this};

/// A running server.
pub(crate) struct Racy {
    /// What it is.
    pub(crate) name: &'static str,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    _process: Option<Server>,
}

/// The answer to whatever a client says, which can only be a close.
const GOODBYE: &[u8] = b"\x88\x02\x03\xe8";

/// Who has a session.
type Users = Arc<Mutex<HashSet<String>>>;

/// A thread for each connection.
pub(crate) fn threads() -> Racy {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    std::thread::spawn(move || serve_on_threads(&listener, false));
    Racy { name: "Rust, a thread a socket", address, _process: None }
}

/// The same in this very thread; with `spins`, the window is spent computing and not waiting.
pub(crate) fn serve_on_threads(listener: &TcpListener, spins: bool) {
    let users = Users::default();
    for stream in listener.incoming().flatten() {
        let users = Arc::clone(&users);
        std::thread::spawn(move || serve_on_thread(stream, &users, spins));
    }
}

fn serve_on_thread(mut stream: TcpStream, users: &Users, spins: bool) {
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
            if spins {
                std::hint::spin_loop();
            } else {
                // As if it waited for somebody: who wants this core may have it.
                std::thread::yield_now();
            }
        }
        lost = !users.lock().expect("no panic").insert(request.user.clone());
    }
    let _ = stream.write_all(&request.answer(lost));
    if !lost && matches!(stream.read(&mut buffer), Ok(1..)) {
        let _ = stream.write_all(GOODBYE);
    }
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
    Racy { name: "Rust, an event loop", address: told.recv().expect("a server"), _process: None }
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
    if !lost && matches!(stream.read_buf(&mut head).await, Ok(1..)) {
        let _ = stream.write_all(GOODBYE).await;
    }
}

/// `FastAPI` under uvicorn.
///
/// # Panics
/// When there is no Python, or its packages cannot be installed.
pub(crate) fn fastapi() -> Racy {
    started("FastAPI, uvicorn", &fastapi_command())
}

/// Node with `ws`.
///
/// # Panics
/// When it cannot be installed.
pub(crate) fn node() -> Racy {
    started("Node, ws", &node_command())
}

/// The words that start it; the port is to follow.
pub(crate) fn fastapi_command() -> Vec<String> {
    [text(&backends::python()), script("racy.py")].to_vec()
}

/// The same of Python's own threads.
pub(crate) fn python_threads_command() -> Vec<String> {
    [text(&backends::python()), script("racy_threads.py")].to_vec()
}

/// The same of Node.
pub(crate) fn node_command() -> Vec<String> {
    let (node, folder) = backends::node();
    let modules = format!("NODE_PATH={}", text(&folder.join("node_modules")));
    ["env".to_owned(), modules, text(&node), script("racy.cjs")].to_vec()
}

/// The same of this program, with a thread a socket.
pub(crate) fn rust_threads_command() -> Vec<String> {
    [text(&this()), "--serve".to_owned(), "threads".to_owned()].to_vec()
}

fn script(name: &str) -> String {
    text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/support").join(name))
}

fn text(path: &Path) -> String {
    path.to_str().expect("paths are UTF-8").to_owned()
}

fn started(name: &'static str, words: &[String]) -> Racy {
    let server = Server::start(Command::new(&words[0]).args(&words[1..]).arg("0"));
    Racy { name, address: server.address, _process: Some(server) }
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
