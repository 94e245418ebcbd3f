//! One process of the server, from its start to its end.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::child::{Freezer, Process, Sink, free_port};
use crate::probe::{Address, AddressError};

/// Between two looks whether the port is open: a start-up race is over within milliseconds of it.
const LOOK_EVERY: Duration = Duration::from_micros(100);
/// Lines of output that are kept.
const KEPT: usize = 10;

/// A process of the server; dropped, it ends.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    process: Process,
    lines: Lines,
    stop: CancellationToken,
    tasks: TaskTracker,
}

type Lines = Arc<Mutex<VecDeque<String>>>;

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Server {
    /// Starts the command on a port of its own; it need not listen yet.
    pub(crate) async fn start(words: &[String]) -> io::Result<Self> {
        let port = free_port().await?;
        let text = port.to_string();
        let variables = [
            ("PORT", text.as_str()),
            ("K_SERVICE", "local"),
            ("K_REVISION", "local"),
            ("K_CONFIGURATION", "local"),
        ];
        let lines = Lines::default();
        let kept = Arc::clone(&lines);
        let sink: Sink = Arc::new(move |_, line| {
            let mut lines = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == KEPT {
                lines.pop_front();
            }
            lines.push_back(line);
        });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let process = Process::start(words, &variables, &sink, &stop, &tasks)?;
        tasks.close();
        Ok(Self { port, process, lines, stop, tasks })
    }

    /// Waits until it listens, and has `sockets` connections open within a fraction of a millisecond then. None when it
    /// ended first, or the time is over.
    pub(crate) async fn open_within(&self, time: Duration, sockets: u32) -> Vec<TcpStream> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let (ended, until) = (self.process.ended().clone(), Instant::now() + time);
        let given_up = CancellationToken::new();
        let _giving_up = given_up.clone().drop_guard();
        let look = move || {
            while !ended.is_cancelled() && !given_up.is_cancelled() && Instant::now() < until {
                if let Some(first) = open(address) {
                    let others = (1..sockets).map_while(|_| open(address));
                    return std::iter::once(first).chain(others).collect();
                }
                std::thread::sleep(LOOK_EVERY);
            }
            Vec::new()
        };
        // On the very thread that looks: handing over to another costs more than all the connections do.
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    /// Where its sockets are opened.
    pub(crate) fn address(&self) -> Result<Address, AddressError> {
        let text = format!("ws://127.0.0.1:{}", self.port);
        Address::new(&text.parse().map_err(|_| AddressError::Unusable(text.clone()))?)
    }

    /// What stops it and lets it go on.
    pub(crate) fn freezer(&self) -> Freezer {
        Freezer::new(Arc::clone(self.process.group()))
    }

    /// The last lines that it wrote.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Ends it, and waits until nothing of it is left.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

/// A connection, ready for tokio.
fn open(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect(address).ok()?;
    // A port that nobody listens on may be given to our own end, which then meets itself.
    let met_itself = stream.local_addr().is_ok_and(|own| own == address);
    stream.set_nodelay(true).ok()?;
    stream.set_nonblocking(true).ok()?;
    (!met_itself).then_some(stream)
}
