//! Whatever the means: every byte arrives once, in order, and the streams go on.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use proptest::prelude::*;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::either::Either;

use super::*;
use crate::probe::transport::Wire;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n";

/// One offer for each means that there can be.
const OFFERS: [Offer; 6] = [
    Offer::ALL,
    Offer { io_uring: false, ..Offer::ALL },
    Offer { priority: false, ..Offer::ALL },
    Offer { pair: true, ..Offer::NONE },
    Offer { io_uring: true, ..Offer::NONE },
    Offer::NONE,
];

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A certificate for `localhost`, and both sides' use of it.
fn tls() -> (TlsAcceptor, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = CertificateDer::from(made.cert.der().to_vec());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = rustls::ServerConfig::builder().with_no_client_auth();
    let server = server.with_single_cert(vec![certificate.clone()], key).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)))
}

/// A connection over loopback with small buffers on our side.
async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(4096).unwrap();
    let near = socket.connect(listener.local_addr().unwrap()).await.unwrap();
    near.set_nodelay(true).unwrap();
    (near, listener.accept().await.unwrap().0)
}

/// A wire and its far end.
async fn wire(secure: Option<&(TlsAcceptor, TlsConnector)>) -> (Wire, Box<dyn Stream>) {
    let (near, far) = tcp().await;
    let Some((acceptor, connector)) = secure else { return (Either::Left(near), Box::new(far)) };
    let name = ServerName::try_from("localhost").unwrap();
    let (near, far) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
    (Either::Right(Box::new(near.unwrap())), Box::new(far.unwrap()))
}

/// A wire on which `REQUEST` was written but for its last byte.
async fn armed(secure: Option<&(TlsAcceptor, TlsConnector)>) -> ((Wire, u8), Box<dyn Stream>) {
    let (mut near, far) = wire(secure).await;
    let (last, head) = REQUEST.split_last().unwrap();
    near.write_all(head).await.unwrap();
    near.flush().await.unwrap();
    ((near, *last), far)
}

/// Arms `n`, releases them, and expects the request and a conversation behind it on each.
async fn exactly_the_request(releaser: &Releaser, n: usize, secure: Option<&(TlsAcceptor, TlsConnector)>) {
    let (mut ours, theirs): (Vec<_>, Vec<_>) =
        join_all((0..n).map(|_| armed(secure))).await.into_iter().unzip();
    let Released { stamps, .. } = releaser.release(&mut ours).await;
    assert_eq!(stamps.len(), n);
    assert!(stamps.iter().all(Option::is_some), "{stamps:?}");
    for ((mut near, _), mut far) in ours.into_iter().zip(theirs) {
        near.write_all(b"and on").await.unwrap();
        near.flush().await.unwrap();
        far.write_all(b"and back").await.unwrap();
        far.flush().await.unwrap();
        let mut back = [0; 8];
        near.read_exact(&mut back).await.unwrap();
        assert_eq!(back, *b"and back");
        near.shutdown().await.unwrap();
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [REQUEST, b"and on"].concat());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_receives_exactly_the_request_by_every_means() {
    let secure = tls();
    for offer in OFFERS {
        let releaser = Releaser::within(offer);
        for n in [0, 1, 2, 3, 10] {
            exactly_the_request(&releaser, n, None).await;
            exactly_the_request(&releaser, n, Some(&secure)).await;
        }
    }
}

#[tokio::test]
async fn one_thread_suffices() {
    exactly_the_request(&Releaser::detect(), 2, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_that_release_at_the_same_time_do_not_disturb_each_other() {
    let releaser = Arc::new(Releaser::detect());
    let lanes = (0..16).map(|lane| {
        let releaser = Arc::clone(&releaser);
        tokio::spawn(async move {
            for _ in 0..10 {
                exactly_the_request(&releaser, 2 + lane % 3, None).await;
            }
        })
    });
    for lane in join_all(lanes).await {
        lane.unwrap();
    }
}

/// Fills a socket's buffers, and those of its unread far end, and gives how many bytes that took.
async fn fill(socket: &TcpStream) -> usize {
    let (mut filled, mut full) = (0, 0);
    // What is still under way to the far end makes room when it has arrived, which may take a busy machine a while.
    while full < 10 {
        full += 1;
        while let Ok(more) = socket.try_write(&[b'.'; 1000]) {
            filled += more;
            full = 0;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    filled
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_socket_is_finished_afterwards_and_a_broken_one_holds_nobody_up() {
    for offer in OFFERS {
        let (full, mut far) = tcp().await;
        let filled = fill(&full).await;
        let (mut broken, _) = tcp().await;
        broken.shutdown().await.unwrap();
        let (free, mut kept) = tcp().await;
        let mut wires =
            [(Either::Left(full), b'a'), (Either::Left(broken), b'b'), (Either::Left(free), b'c')];
        let releaser = Releaser::within(offer);
        let (Released { stamps, .. }, received) = tokio::join!(releaser.release(&mut wires), async {
            // The free socket's byte is there while the full one still waits for room.
            let third = kept.read_u8().await.unwrap();
            let mut bytes = vec![0; filled + 1];
            far.read_exact(&mut bytes).await.unwrap();
            (third, bytes.pop())
        });
        assert_eq!(received, (b'c', Some(b'a')), "{offer:?}");
        assert_eq!(stamps[1], None, "{offer:?}");
        // No order of these two: a thread may be put aside between its send and its stamp.
        assert!(stamps[0].is_some() && stamps[2].is_some(), "{offer:?} {stamps:?}");
    }
}

#[test]
fn what_is_not_allowed_is_not_offered() {
    assert_eq!(Releaser::within(Offer::NONE).offer(), Offer::NONE);
    let found = Releaser::detect();
    assert_eq!(found.means(1), Means::TightLoop);
    assert_eq!(found.means(7), found.offer().means(7));
}

#[cfg(target_os = "linux")]
mod shots {
    use std::os::fd::AsRawFd as _;
    use std::os::unix::net::UnixStream;

    use super::super::{pair::Pair, ring::Ring, shot::Shot, tail::Outcome};
    use super::*;

    /// Sends `tails` on socket pairs with tiny buffers that hold `before` already, finishes what is left over while
    /// the other side reads, and gives what was read.
    fn sent(
        tails: &[Vec<u8>],
        before: usize,
        fire: impl FnOnce(Vec<Shot>) -> Vec<Option<Outcome>>,
    ) -> Vec<Vec<u8>> {
        let mut near = Vec::new();
        let mut far = Vec::new();
        let mut filled = Vec::new();
        for _ in tails {
            let (ours, theirs) = UnixStream::pair().unwrap();
            rustix::net::sockopt::set_socket_send_buffer_size(&ours, 2048).unwrap();
            ours.set_nonblocking(true).unwrap();
            filled.push((&ours).write(&vec![b'.'; before]).unwrap_or(0));
            near.push(ours);
            far.push(theirs);
        }
        // SAFETY: `near` lives to the end of this function.
        #[expect(unsafe_code, reason = "the descriptors outlive the shots")]
        let shot =
            |(near, tail): (&UnixStream, &Vec<u8>)| unsafe { Shot::new(near.as_raw_fd(), tail.clone()) };
        let outcomes = fire(near.iter().zip(tails).map(shot).collect());
        let read = |mut far: UnixStream| {
            let mut bytes = Vec::new();
            far.read_to_end(&mut bytes).unwrap();
            bytes
        };
        let readers: Vec<_> = far.into_iter().map(|far| std::thread::spawn(move || read(far))).collect();
        for ((mut near, tail), outcome) in near.into_iter().zip(tails).zip(outcomes) {
            near.set_nonblocking(false).unwrap();
            near.write_all(&tail[outcome.unwrap().sent.unwrap()..]).unwrap();
        }
        let all = readers.into_iter().map(|reader| reader.join().unwrap());
        all.zip(filled).map(|(mut bytes, filled)| bytes.split_off(filled)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn no_byte_is_lost_or_sent_twice(
            tails in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..9000), 1..6),
            before in 0..9000_usize,
        ) {
            prop_assert_eq!(&sent(&tails, before, |shots| shots.iter().map(|s| Some(s.fire())).collect()), &tails);
            if let Some(pair) = Pair::start(false, true) {
                for rings in [false, true] {
                    prop_assert_eq!(&sent(&tails, before, |shots| pair.fire(shots, rings).unwrap()), &tails);
                }
            }
            if let Some(mut ring) = Ring::new() {
                let fired = sent(&tails, before, |shots| ring.fire(&shots, || {}).into_iter().map(Some).collect());
                prop_assert_eq!(&fired, &tails);
            }
        }
    }

    #[test]
    fn a_ring_takes_more_than_fit_into_one_call() {
        let Some(mut ring) = Ring::of(4) else { return };
        let tails: Vec<Vec<u8>> = (0..30_u32).map(|index| index.to_be_bytes().to_vec()).collect();
        let fired = sent(&tails, 0, |shots| ring.fire(&shots, || {}).into_iter().map(Some).collect());
        assert_eq!(fired, tails);
    }

    #[test]
    fn a_pair_is_free_again_after_each_round_and_ends_when_dropped() {
        let Some(pair) = Pair::start(true, true) else { return };
        for round in 0..200_u8 {
            // Some have more than one thread takes at once.
            let tails = vec![vec![round]; if round < 190 { usize::from(round % 5) } else { 90 }];
            assert_eq!(sent(&tails, 0, |shots| pair.fire(shots, round % 2 == 0).unwrap()), tails);
        }
        // Joins both threads: this test ends only if they do.
        drop(pair);
    }
}
