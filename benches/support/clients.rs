//! The ways of opening sockets that are compared: ours, and what people write first.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use revgate::probe::{Released, Releaser, Wire};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_util::either::Either;

use super::backends;

/// Sockets of a round, kept open until they are dropped.
pub(crate) type Held = Box<dyn std::any::Any + Send>;

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
    /// Opens `sockets`; for ours also the distance of the first and the last send by its own stamps.
    pub(crate) fn open(
        &mut self,
        runtime: &Runtime,
        server: SocketAddr,
        sockets: usize,
    ) -> (Held, Option<Duration>) {
        match self {
            Self::Ours(releaser) => {
                let releaser = Arc::clone(releaser);
                let round = runtime.spawn(async move { ours(&releaser, server, sockets).await });
                runtime.block_on(round).expect("a round")
            }
            Self::JoinAll => {
                let round = runtime.spawn(async move {
                    let tasks = (0..sockets).map(|_| tokio::spawn(naive(server)));
                    join_all(tasks).await.into_iter().map(|held| held.expect("a socket")).collect::<Vec<_>>()
                });
                (Box::new(runtime.block_on(round).expect("a round")), None)
            }
            Self::Gather(python) => {
                python.open(sockets);
                (Box::new(()), None)
            }
        }
    }

    /// Lets go of the sockets of the last round.
    pub(crate) fn close(&mut self) {
        if let Self::Gather(python) = self {
            python.close();
        }
    }
}

fn request(server: SocketAddr) -> String {
    let key = generate_key();
    format!(
        "GET / HTTP/1.1\r\nHost: {server}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    )
}

async fn ours(releaser: &Releaser, server: SocketAddr, sockets: usize) -> (Held, Option<Duration>) {
    let arm = async || {
        let mut stream = TcpStream::connect(server).await.expect("a connection");
        stream.set_nodelay(true).expect("a TCP socket");
        let request = request(server);
        let (last, head) = request.as_bytes().split_last().expect("a request");
        stream.write_all(head).await.expect("the head of a request");
        (Either::Left(stream), *last)
    };
    let mut wires: Vec<(Wire, u8)> = join_all((0..sockets).map(|_| arm())).await;
    // What a real round does meanwhile on a server: it has read the heads and sleeps.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let Released { stamps, .. } = releaser.release(&mut wires).await;
    let stamps = stamps.iter().flatten();
    let (first, last) = (stamps.clone().min(), stamps.max());
    (Box::new(wires), first.zip(last).map(|(first, last)| *last - *first))
}

async fn naive(server: SocketAddr) -> Held {
    let stream = TcpStream::connect(server).await.expect("a connection");
    let address = format!("ws://{server}/");
    Box::new(tokio_tungstenite::client_async(address, stream).await.expect("a WebSocket"))
}

/// A Python that opens sockets.
pub(crate) struct Python {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    /// Starts it.
    ///
    /// # Panics
    /// When there is no Python, or its packages cannot be installed.
    pub(crate) fn start(server: SocketAddr) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/support/gather.py");
        let mut process = Command::new(backends::python())
            .arg(script)
            .arg(format!("ws://{server}/"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("an installed Python starts");
        let orders = process.stdin.take().expect("a pipe");
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        Self { process, orders, answers }
    }

    fn open(&mut self, sockets: usize) {
        writeln!(self.orders, "{sockets}").expect("Python runs");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("Python answers");
        assert_eq!(answer, "open\n", "Python could not open {sockets} sockets");
    }

    fn close(&mut self) {
        writeln!(self.orders).expect("Python runs");
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
