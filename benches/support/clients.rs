//! The ways of opening sockets that are compared: ours, and what people write first. All hold their sockets.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use revgate::probe::{Released, Releaser, Wire};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_util::either::Either;

use super::{backends, tls};

/// How long a socket may take until it is greeted.
pub(crate) const DECIDED_WITHIN: Duration = Duration::from_secs(10);

/// What is to be opened.
#[derive(Clone)]
pub(crate) struct Order {
    /// Where.
    pub(crate) server: SocketAddr,
    /// The path, and a query.
    pub(crate) path: String,
    /// How many.
    pub(crate) sockets: usize,
    /// Whether a socket must be greeted, or has failed.
    pub(crate) greeted: bool,
    /// With TLS, and whom to trust.
    pub(crate) tls: Option<TlsConnector>,
}

impl Order {
    /// Two sockets that must be greeted.
    pub(crate) fn pair(server: SocketAddr, path: String) -> Self {
        Self { server, path, sockets: 2, greeted: true, tls: None }
    }

    async fn connect(&self) -> Option<Wire> {
        let stream = TcpStream::connect(self.server).await.ok()?;
        let Some(connector) = &self.tls else { return Some(Either::Left(stream)) };
        connector.connect(tls::name(), stream).await.map(|stream| Either::Right(Box::new(stream))).ok()
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "wss" } else { "ws" }
    }
}

/// What came of it.
pub(crate) struct Opened {
    /// The sockets, kept open until they are dropped.
    _held: Box<dyn std::any::Any + Send>,
    /// How many failed.
    pub(crate) failed: usize,
    /// Ours only: from the first send to the last by its own stamps.
    pub(crate) own_spread: Option<Duration>,
}

impl Opened {
    fn new<S: Send + 'static>(sockets: Vec<Option<S>>, own_spread: Option<Duration>) -> Self {
        let failed = sockets.iter().filter(|socket| socket.is_none()).count();
        Self { _held: Box::new(sockets), failed, own_spread }
    }
}

/// A way of opening sockets together.
pub(crate) enum Client {
    /// This crate's.
    Ours(Arc<Releaser>),
    /// `join_all` over tasks that connect and send their whole request.
    JoinAll,
    /// Python's `websockets` in one `gather`.
    Gather(Box<Python>),
}

impl Client {
    /// Opens what is ordered, and waits until every socket is decided.
    pub(crate) fn open(&mut self, runtime: &Runtime, order: &Order) -> Opened {
        let order = order.clone();
        match self {
            Self::Ours(releaser) => {
                let releaser = Arc::clone(releaser);
                let round = runtime.spawn(async move { ours(&releaser, &order).await });
                runtime.block_on(round).expect("a round")
            }
            Self::JoinAll => {
                let round = runtime.spawn(async move {
                    let tasks = (0..order.sockets).map(|_| tokio::spawn(naive(order.clone())));
                    let sockets = join_all(tasks).await.into_iter().map(|socket| socket.expect("a task"));
                    Opened::new(sockets.collect(), None)
                });
                runtime.block_on(round).expect("a round")
            }
            Self::Gather(python) => python.open(&order),
        }
    }

    /// Lets go of the sockets of the last round.
    pub(crate) fn close(&mut self, opened: Opened) {
        drop(opened);
        if let Self::Gather(python) = self {
            writeln!(python.orders).expect("Python runs");
        }
    }
}

async fn ours(releaser: &Releaser, order: &Order) -> Opened {
    let mut wires: Vec<(Wire, u8)> = join_all((0..order.sockets).map(|_| arm(order))).await;
    // The server has read the heads and sleeps, as it does when a round is armed over a longer path.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let Released { stamps, .. } = releaser.release(&mut wires).await;
    let stamps = stamps.iter().flatten();
    let own = stamps.clone().min().zip(stamps.max()).map(|(first, last)| *last - *first);
    if !order.greeted {
        return Opened::new(wires.into_iter().map(Some).collect(), own);
    }
    let reading = wires.into_iter().map(|(wire, _)| timeout(DECIDED_WITHIN, greeted(wire)));
    Opened::new(join_all(reading).await.into_iter().map(|wire| wire.ok().flatten()).collect(), own)
}

/// Connects, and writes the request but for its last byte.
pub(crate) async fn arm(order: &Order) -> (Wire, u8) {
    let mut wire = order.connect().await.expect("a connection");
    let stream = match &wire {
        Either::Left(stream) => stream,
        Either::Right(stream) => stream.get_ref().0,
    };
    stream.set_nodelay(true).expect("a TCP socket");
    let (Order { server, path, .. }, key) = (order, generate_key());
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    );
    let (last, head) = request.as_bytes().split_last().expect("a request");
    wire.write_all(head).await.expect("the head of a request");
    wire.flush().await.expect("the head of a request");
    (wire, *last)
}

/// Reads to the greeting; `None` when something else comes.
pub(crate) async fn greeted(mut wire: Wire) -> Option<Wire> {
    let mut answer = Vec::new();
    while wire.read_buf(&mut answer).await.ok()? > 0 {
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        match end.and_then(|end| answer.get(end + 4)) {
            Some(0x81) if answer.starts_with(b"HTTP/1.1 101") => return Some(wire),
            Some(_) => return None,
            None => {}
        }
    }
    None
}

async fn naive(order: Order) -> Option<impl Send> {
    connected(&order).await
}

/// A socket of tokio-tungstenite; `None` when it failed.
pub(crate) async fn connected(order: &Order) -> Option<WebSocketStream<Wire>> {
    let wire = order.connect().await?;
    let address = format!("{}://{}{}", order.scheme(), order.server, order.path);
    let (mut socket, _) = tokio_tungstenite::client_async(address, wire).await.ok()?;
    if order.greeted {
        let first = timeout(DECIDED_WITHIN, socket.next()).await.ok()?;
        first.and_then(Result::ok).filter(Message::is_text)?;
    }
    Some(socket)
}

/// A Python that opens sockets.
pub(crate) struct Python {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    /// Starts it; `greeted` is that of every order, and `certificate` is whom it trusts.
    ///
    /// # Panics
    /// When there is no Python, or its packages cannot be installed.
    pub(crate) fn start(greeted: bool, certificate: Option<&Path>) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/support/gather.py");
        let mut process = Command::new(backends::python())
            .arg(script)
            .arg(if greeted { "greeted" } else { "opened" })
            .args(certificate)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("an installed Python starts");
        let orders = process.stdin.take().expect("a pipe");
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        Self { process, orders, answers }
    }

    fn open(&mut self, order: &Order) -> Opened {
        let Order { server, path, sockets, .. } = order;
        writeln!(self.orders, "{sockets} {}://{server}{path}", order.scheme()).expect("Python runs");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("Python answers");
        let failed = answer.trim().parse().expect("Python tells how many failed");
        Opened { _held: Box::new(()), failed, own_spread: None }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The naive clients; and, where Python cannot be had, why. `certificate` is whom Python trusts.
pub(crate) fn baselines(
    greeted: bool,
    certificate: Option<&Path>,
) -> (Vec<(&'static str, Client)>, Option<String>) {
    let mut clients = vec![("tokio join_all, 2 threads", Client::JoinAll)];
    match std::panic::catch_unwind(|| Python::start(greeted, certificate)) {
        Ok(python) => {
            clients.push(("Python websockets, gather", Client::Gather(Box::new(python))));
            (clients, None)
        }
        Err(panic) => {
            let reason = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            (clients, Some(format!("\nERROR: the Python client is missing: {reason}\n")))
        }
    }
}
