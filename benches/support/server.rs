//! A server that only looks at when requests arrive, by the kernel's own stamps of the packets.
//!
//! One thread accepts the sockets of a round, reads each to the end of its request, and answers only then, so that no
//! answer is in the way of a request. A request's arrival is the kernel's stamp of the packet that completed it, which
//! does not depend on when this thread ran.

use std::io::{IoSliceMut, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use nix::sys::socket::{
    Backlog, ControlMessageOwned, MsgFlags, listen, recvmsg, setsockopt, sockopt::Linger,
    sockopt::ReceiveTimestampns,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The server, seen from the bench.
pub(crate) struct StampServer {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    rounds: Sender<usize>,
    arrivals: Receiver<Vec<Duration>>,
}

impl StampServer {
    /// Starts it.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        // N sockets at once need a backlog of N.
        listen(&listener, Backlog::new(4096).expect("a backlog")).expect("a longer backlog");
        setsockopt(&listener, ReceiveTimestampns, &true).expect("kernel stamps");
        let address = listener.local_addr().expect("a bound socket");
        let (rounds, due) = channel();
        let (tell, arrivals) = channel();
        std::thread::spawn(move || serve(&listener, &due, &tell));
        Self { address, rounds, arrivals }
    }

    /// Tells it how many sockets come next; the sockets of the round before are reset.
    pub(crate) fn expect(&self, sockets: usize) {
        self.rounds.send(sockets).expect("the server runs");
    }

    /// When the requests of the round arrived, since 1970.
    pub(crate) fn arrivals(&self) -> Vec<Duration> {
        self.arrivals.recv_timeout(Duration::from_mins(1)).expect("every request of a round arrives")
    }
}

fn serve(listener: &TcpListener, due: &Receiver<usize>, tell: &Sender<Vec<Duration>>) {
    let mut held: Vec<TcpStream> = Vec::new();
    for sockets in due {
        // Reset rather than closed, so that no port waits for a minute.
        for socket in held.drain(..) {
            let reset = nix::libc::linger { l_onoff: 1, l_linger: 0 };
            let _ = setsockopt(&socket, Linger, &reset);
        }
        held.extend((0..sockets).map(|_| listener.accept().expect("a connection").0));
        let requests: Vec<_> = held.iter().map(read_request).collect();
        for (mut socket, (_, key)) in held.iter().zip(&requests) {
            let accept = derive_accept_key(key.as_bytes());
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            let _ = socket.write_all(answer.as_bytes());
        }
        if tell.send(requests.into_iter().map(|(arrived, _)| arrived).collect()).is_err() {
            return;
        }
    }
}

/// Reads to the end of a request; gives when its last packet arrived, and its key.
fn read_request(socket: &TcpStream) -> (Duration, String) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    loop {
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::empty())
            .expect("a request");
        let stamp = message.cmsgs().expect("whole control messages").find_map(|part| match part {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
            _ => None,
        });
        let bytes = message.bytes;
        assert!(bytes > 0, "a connection ended before its request was whole");
        request.extend_from_slice(&buffer[..bytes]);
        if request.ends_with(b"\r\n\r\n") {
            return (stamp.expect("the kernel stamps every packet"), key(&request));
        }
    }
}

/// The `Sec-WebSocket-Key` of a request.
fn key(request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request).into_owned();
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let mut keys = lines.filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    keys.next().map(|(_, key)| key.trim().to_owned()).unwrap_or_default()
}
