//! A path to a front end that ends TLS, and the front end: every packet is late, by its path and by its own.
//!
//! One-way delay and a jitter that all packets of an instant share are those of the way; each packet has an exponential
//! delay of its own besides, and stays behind the packet before it. A thread for each direction of each connection
//! sleeps by the kernel's fine timers, since those of tokio are a millisecond wide. From the front end to the server
//! there is no delay.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConnection;
use tokio::time::Instant;

use super::tls;

/// Between two corners of the shared jitter, which is a broken line over time.
const CORNER_EVERY: f64 = 0.01;

/// The way of a packet.
#[derive(Debug, Clone, Copy)]
struct Way {
    epoch: Instant,
    /// Seconds.
    lasts: f64,
    /// Standard deviation of what all packets of an instant share, in seconds.
    shared: f64,
    /// Mean of what each has of its own, in seconds.
    own: f64,
    /// What arrives waits for the next tick of so many seconds; none at zero.
    tick: f64,
}

impl Way {
    /// When a packet that leaves now, behind one that arrives at `before`, arrives.
    fn arrival(self, before: Instant) -> Instant {
        let now = Instant::now();
        let time = now.duration_since(self.epoch).as_secs_f64() / CORNER_EVERY;
        let (corner, between) = (time.floor(), time.fract());
        let shared = normal(corner) * (1.0 - between) + normal(corner + 1.0) * between;
        let own = -self.own * (1.0 - rand::random::<f64>()).ln();
        let late = self.lasts + self.shared * shared + own;
        let arrival = before.max(now + Duration::from_secs_f64(late.max(0.0)));
        if self.tick <= 0.0 {
            return arrival;
        }
        let ticks = (arrival.duration_since(self.epoch).as_secs_f64() / self.tick).ceil();
        self.epoch + Duration::from_secs_f64(ticks * self.tick)
    }
}

/// A normally distributed number (Box and Muller) that depends on the corner alone.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small whole number")]
fn normal(corner: f64) -> f64 {
    let mix = |salt: u64| {
        let mut z = (corner as u64 ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    };
    (-2.0 * (1.0 - mix(1 << 40)).ln()).sqrt() * (std::f64::consts::TAU * mix(1 << 41)).cos()
}

/// Serves to the end of the process: `SERVER FOLDER_OF_CERTIFICATE ONE_WAY_US SHARED_US OWN_US TICK_US`.
pub(crate) fn serve(listener: &TcpListener, arguments: &[String]) {
    let [server, folder, times @ ..] = arguments else { panic!("SERVER FOLDER ONE_WAY SHARED OWN TICK") };
    let server: SocketAddr = server.parse().expect("an address");
    let config = tls::server(Path::new(folder));
    let seconds = |at: usize| times.get(at).and_then(|text| text.parse::<f64>().ok()).expect("a time") / 1e6;
    let way = Way {
        epoch: Instant::now(),
        lasts: seconds(0),
        shared: seconds(1),
        own: seconds(2),
        tick: seconds(3),
    };
    for client in listener.incoming().flatten() {
        let _ = client.set_nodelay(true);
        let session = ServerConnection::new(Arc::clone(&config)).expect("a session");
        std::thread::spawn(move || carry(&client, server, session, way));
    }
}

type Packet = (Instant, Vec<u8>);

/// Carries one connection in both directions, to its end.
fn carry(client: &TcpStream, server: SocketAddr, session: ServerConnection, way: Way) {
    let Ok(server) = TcpStream::connect(server) else { return };
    let _ = server.set_nodelay(true);
    let session = Mutex::new(session);
    let (up, coming) = channel::<Packet>();
    let (down, going) = channel::<Packet>();
    let down = Mutex::new((Instant::now(), down));
    std::thread::scope(|scope| {
        // Owned by its thread, so that the other end hears of its end.
        scope.spawn(move || read(client, &up, way));
        scope.spawn(move || deliver(client, &going));
        scope.spawn(|| {
            answer(&server, &session, &down, way);
            // What was sent last still has its way to go.
            down.lock().expect("no panic").1 = channel().0;
        });
        receive(&coming, &server, &session, &down, way);
        let _ = server.shutdown(Shutdown::Both);
    });
}

/// Reads the client's packets and stamps them.
fn read(mut client: &TcpStream, up: &Sender<Packet>, way: Way) {
    let mut buffer = [0; 16 * 1024];
    let mut last = Instant::now();
    while let Ok(bytes @ 1..) = client.read(&mut buffer) {
        last = way.arrival(last);
        if up.send((last, buffer[..bytes].to_vec())).is_err() {
            return;
        }
    }
}

/// At the front end: takes each packet when it is due, decrypts, and hands on.
fn receive(
    coming: &Receiver<Packet>,
    mut server: &TcpStream,
    session: &Mutex<ServerConnection>,
    down: &Mutex<(Instant, Sender<Packet>)>,
    way: Way,
) {
    while let Some(bytes) = next(coming) {
        let mut rest = bytes.as_slice();
        let mut text = Vec::new();
        while !rest.is_empty() {
            let mut session = session.lock().expect("no panic");
            if session.read_tls(&mut rest).is_err() || session.process_new_packets().is_err() {
                return;
            }
            let mut piece = [0; 16 * 1024];
            while let Ok(bytes @ 1..) = session.reader().read(&mut piece) {
                text.extend_from_slice(&piece[..bytes]);
            }
            send(&mut session, down, way);
        }
        if !text.is_empty() && server.write_all(&text).is_err() {
            return;
        }
    }
}

/// Encrypts what the server says.
fn answer(
    mut server: &TcpStream,
    session: &Mutex<ServerConnection>,
    down: &Mutex<(Instant, Sender<Packet>)>,
    way: Way,
) {
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = server.read(&mut buffer);
        let mut session = session.lock().expect("no panic");
        match read {
            Ok(bytes @ 1..) => drop(session.writer().write_all(&buffer[..bytes])),
            _ => session.send_close_notify(),
        }
        send(&mut session, down, way);
        if !matches!(read, Ok(1..)) {
            return;
        }
    }
}

/// Puts what the session has to say on its way.
fn send(session: &mut ServerConnection, down: &Mutex<(Instant, Sender<Packet>)>, way: Way) {
    let mut bytes = Vec::new();
    while session.wants_write() && session.write_tls(&mut bytes).is_ok() {}
    if !bytes.is_empty() {
        let mut down = down.lock().expect("no panic");
        down.0 = way.arrival(down.0);
        let _ = down.1.send((down.0, bytes));
    }
}

/// Back at the client.
fn deliver(mut client: &TcpStream, going: &Receiver<Packet>) {
    while let Some(bytes) = next(going) {
        if client.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// The next packet, when it is due.
fn next(packets: &Receiver<Packet>) -> Option<Vec<u8>> {
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    let (due, bytes) = packets.recv().ok()?;
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
    Some(bytes)
}
