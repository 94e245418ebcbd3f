//! TLS 1.3 tickets of the one server that is probed: enough of them for all sockets of a round.
//!
//! Keeps what the server gives and hands each ticket out once. It opens nothing. The surprising rule: rustls keeps eight
//! tickets of a server, and each serves a single socket, so that of a hundred sockets at once ninety-two would have to
//! verify the certificate again, each while the others wait for the processor.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;

/// Tickets that are kept; the oldest goes first. A server gives two or more for each socket.
const KEPT: usize = 1024;

/// The tickets of one server, whatever name it is called by.
#[derive(Debug)]
pub(super) struct Tickets {
    kept: Mutex<VecDeque<Tls13ClientSessionValue>>,
    /// Everything else that may be remembered of a server.
    rest: ClientSessionMemoryCache,
}

impl Tickets {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { kept: Mutex::default(), rest: ClientSessionMemoryCache::new(1) }
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Tls13ClientSessionValue>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.rest.set_kx_hint(name, group);
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.rest.kx_hint(name)
    }

    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.rest.set_tls12_session(name, value);
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.rest.tls12_session(name)
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        self.rest.remove_tls12_session(name);
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut kept = self.kept();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(ticket);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.kept().pop_back()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::future::join_all;
    use rustls::HandshakeKind;
    use rustls::client::Resumption;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::io::AsyncReadExt as _;
    use tokio::io::AsyncWriteExt as _;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;

    #[tokio::test]
    async fn a_whole_round_is_resumed() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = CertificateDer::from(made.cert.der().to_vec());
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let server = rustls::ServerConfig::builder().with_no_client_auth();
        let server = Arc::new(server.with_single_cert(vec![certificate.clone()], key).unwrap());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let mut client = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        client.resumption = Resumption::store(Arc::new(Tickets::new()));
        let connector = TlsConnector::from(Arc::new(client));
        let resumed = async || {
            let open = async || {
                let (near, far) = tokio::io::duplex(64 * 1024);
                let name = ServerName::try_from("localhost").unwrap();
                let accepting = TlsAcceptor::from(Arc::clone(&server));
                let (near, far) = tokio::join!(connector.connect(name, near), accepting.accept(far));
                let (mut near, mut far) = (near.unwrap(), far.unwrap());
                // The tickets come with the server's first bytes.
                far.write_all(b"!").await.unwrap();
                far.flush().await.unwrap();
                near.read_u8().await.unwrap();
                near.get_ref().1.handshake_kind()
            };
            let kinds = join_all((0..50).map(|_| open())).await;
            kinds.into_iter().filter(|kind| *kind == Some(HandshakeKind::Resumed)).count()
        };
        assert_eq!(resumed().await, 0, "nothing is known of the server yet");
        assert_eq!(resumed().await, 50);
    }
}
