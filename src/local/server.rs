//! One process of the server, from its start to its end.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::io::{Errno, FdFlags};
use rustix::net::{AddressFamily, SocketType};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::child::{Freezer, Process, Sink, free_port};
use crate::probe::{Address, AddressError};

/// Between two looks whether the port is open: a start-up race is over within milliseconds of it.
const LOOK_EVERY: Duration = Duration::from_micros(100);
/// How long after the port has opened a connection still belongs to the burst: later ones would hold all others up, for a
/// second at least where the server's backlog is full, and a start-up race would be over.
const TOGETHER_WITHIN: Duration = Duration::from_millis(2);
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

    /// Waits until it listens, and gives up to `sockets` connections that were open within two milliseconds then; the
    /// others are dropped. None when it ended first, or the time is over.
    pub(crate) async fn open_within(&self, time: Duration, sockets: u32) -> Vec<TcpStream> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let (ended, until) = (self.process.ended().clone(), Instant::now() + time);
        let given_up = CancellationToken::new();
        let _giving_up = given_up.clone().drop_guard();
        let look = move || {
            while !ended.is_cancelled() && !given_up.is_cancelled() && Instant::now() < until {
                if let Some(first) = open(address) {
                    return crowd(first, address, sockets);
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

/// The first connection and as many of the others as are there in time: all are begun before any is waited for.
fn crowd(first: TcpStream, address: SocketAddr, sockets: u32) -> Vec<TcpStream> {
    let until = Instant::now() + TOGETHER_WITHIN;
    let mut missing: Vec<TcpStream> = (1..sockets).map_while(|_| begin(address).ok()).collect();
    let mut opened = vec![first];
    loop {
        let is_there = |stream: &TcpStream| stream.peer_addr().is_ok();
        let (there, not_yet): (Vec<_>, Vec<_>) = missing.into_iter().partition(is_there);
        opened.extend(there);
        missing = not_yet;
        if missing.is_empty() || Instant::now() >= until {
            return opened;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Begins a connection without waiting for it.
fn begin(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    // A process that is started meanwhile must not inherit it.
    rustix::io::fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    match rustix::net::connect(&stream, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(stream),
        Err(error) => Err(error.into()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_beyond_the_backlog_hold_nobody_up() {
        for (backlog, least, most) in [(0, 1, 4), (3, 4, 8), (128, 20, 20)] {
            let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
            rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
            rustix::net::listen(&socket, backlog).unwrap();
            let listener = std::net::TcpListener::from(socket);
            let place = listener.local_addr().unwrap();
            let opened = crowd(open(place).unwrap(), place, 20);
            assert!((least..=most).contains(&opened.len()), "{backlog}: {}", opened.len());
        }
    }
}
