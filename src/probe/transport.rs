//! From an address to a byte stream: name, TCP, TLS.
//!
//! Takes an [`Address`] and gives a stream that the handshake can use, or the [`Opening`] that says which step failed.
//! It never retries and knows no proxy. The surprising rule: `TCP_NODELAY` is set before the first byte, since the
//! last byte of an upgrade request must leave alone and at once.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;
use url::Url;

use super::observation::{Opening, TcpFailure};
use super::tickets::Tickets;
use crate::trust::Excerpt;

/// The stream below a WebSocket.
pub type Wire = Either<TcpStream, Box<tokio_rustls::client::TlsStream<TcpStream>>>;

/// Where sockets are opened.
#[derive(Debug, Clone)]
pub struct Address {
    host: String,
    port: u16,
    tls: Option<Tls>,
    /// Connections that are there already; each is used once.
    opened: Arc<Mutex<Vec<std::net::TcpStream>>>,
}

#[derive(Clone)]
struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tls({:?})", self.name)
    }
}

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Not an address of a WebSocket server.
    #[error("{0} is not an address that sockets can be opened at (ws://HOST, wss://HOST)")]
    Unusable(String),
    /// There is nothing to verify a server's certificate with.
    #[error("no root certificates were found on this machine ({0})")]
    NoRoots(String),
}

impl AddressError {
    /// The next thing to do.
    pub fn help(&self) -> String {
        match self {
            Self::Unusable(_) => "give the address as --url wss://HOST".to_owned(),
            Self::NoRoots(_) => {
                "install them (Debian: apt-get install ca-certificates) or set SSL_CERT_FILE".to_owned()
            }
        }
    }
}

impl Address {
    /// Reads an `http`, `https`, `ws` or `wss` address; its path is not used.
    pub fn new(url: &Url) -> Result<Self, AddressError> {
        let unusable = || AddressError::Unusable(url.to_string());
        let host = url.host_str().ok_or_else(unusable)?.to_owned();
        let secure = match url.scheme() {
            "http" | "ws" => false,
            "https" | "wss" => true,
            _ => return Err(unusable()),
        };
        let port = url.port().unwrap_or(if secure { 443 } else { 80 });
        let tls = if secure {
            Some(Tls::new(&host).map_err(|error| error.unwrap_or_else(unusable))?)
        } else {
            None
        };
        Ok(Self { host, port, tls, opened: Arc::default() })
    }

    /// The same address, with connections to it that are there already and are used before others are made.
    #[must_use]
    pub(crate) fn with_opened(self, streams: Vec<std::net::TcpStream>) -> Self {
        Self { opened: Arc::new(Mutex::new(streams)), ..self }
    }

    /// What stands in the `Host` header.
    pub fn host_header(&self) -> String {
        let standard = if self.tls.is_some() { 443 } else { 80 };
        if self.port == standard { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    /// The address as a person would write it.
    pub fn display(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "wss" } else { "ws" }, self.host_header())
    }

    /// True where TLS is spoken.
    pub(super) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// The address of HTTP requests to the same host, without a path.
    pub(super) fn base(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.host_header())
    }

    /// True for a host that only Google's front end answers for.
    pub fn is_google_host(&self) -> bool {
        self.host.ends_with(".run.app")
    }

    /// Resolves the name.
    pub(super) async fn resolve(&self) -> Result<Vec<SocketAddr>, Opening> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let failed = |text: &str| Opening::Dns { error: Excerpt::new(text) };
        match tokio::net::lookup_host((host, self.port)).await {
            Ok(addresses) => {
                let addresses: Vec<SocketAddr> = addresses.collect();
                if addresses.is_empty() { Err(failed("the name has no address")) } else { Ok(addresses) }
            }
            Err(error) => Err(failed(&error.to_string())),
        }
    }

    /// Connects TCP to the first address that answers.
    pub(super) async fn connect(&self, addresses: &[SocketAddr]) -> Result<TcpStream, Opening> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(stream) = opened.and_then(|stream| TcpStream::from_std(stream).ok()) {
            return Ok(stream);
        }
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(tcp_failed(&last))
    }

    /// Adds TLS where the address asks for it.
    pub(super) async fn secure(&self, stream: TcpStream) -> Result<Wire, Opening> {
        let Some(tls) = &self.tls else { return Ok(Either::Left(stream)) };
        match tls.connector.connect(tls.name.clone(), stream).await {
            Ok(stream) => Ok(Either::Right(Box::new(stream))),
            Err(error) => Err(Opening::Tls { error: Excerpt::new(&error.to_string()) }),
        }
    }
}

impl Tls {
    /// `Err(None)` when the host is not a name that a certificate can bear.
    fn new(host: &str) -> Result<Self, Option<AddressError>> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| None)?;
        let found = rustls_native_certs::load_native_certs();
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let cause = found.errors.first().map_or_else(|| "none installed".to_owned(), ToString::to_string);
            return Err(Some(AddressError::NoRoots(cause)));
        }
        let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        // Without a protocol of its own a front end may choose HTTP/2, over which there is no upgrade.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::store(Arc::new(Tickets::new()));
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }
}

fn tcp_failed(error: &io::Error) -> Opening {
    let text = Excerpt::new(&error.to_string());
    // EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL: this machine's own limits.
    if matches!(error.raw_os_error(), Some(24 | 23 | 105 | 12 | 99)) {
        return Opening::Local { error: text };
    }
    let failure = match error.kind() {
        io::ErrorKind::ConnectionRefused => TcpFailure::Refused,
        io::ErrorKind::TimedOut => TcpFailure::TimedOut,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            TcpFailure::NoRoute
        }
        _ => TcpFailure::Other,
    };
    Opening::Tcp { failure, error: text }
}
