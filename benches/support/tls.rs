//! A certificate for 127.0.0.1 that lives as long as a bench, and both sides' use of it.
//!
//! The prober trusts what the machine trusts, so a bench that uses TLS runs itself once more, with `SSL_CERT_FILE`
//! naming that certificate.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The name that the certificate bears.
pub(crate) const NAME: &str = "127.0.0.1";

/// Runs `bench` in a process that trusts a fresh certificate; it is told the folder that holds it.
pub(crate) fn trusting(bench: impl FnOnce(&Path)) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    if let [first, folder, ..] = arguments.as_slice()
        && first == "--trusting"
    {
        bench(Path::new(folder));
        return ExitCode::SUCCESS;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
    fs::write(certificate(folder.path()), made.cert.pem()).expect("a file");
    fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).expect("a file");
    let mut inside = Command::new(super::children::this());
    inside.arg("--trusting").arg(folder.path()).args(arguments);
    inside.env("SSL_CERT_FILE", certificate(folder.path())).env_remove("SSL_CERT_DIR");
    let status = inside.status().expect("this program starts");
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The file of the certificate.
pub(crate) fn certificate(folder: &Path) -> PathBuf {
    folder.join("certificate.pem")
}

/// The server's side.
pub(crate) fn server(folder: &Path) -> Arc<rustls::ServerConfig> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let chain = vec![CertificateDer::from_pem_file(certificate(folder)).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).expect("a key");
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let mut config = config.expect("a key and its certificate");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// The same for tokio.
pub(crate) fn acceptor(folder: &Path) -> TlsAcceptor {
    TlsAcceptor::from(server(folder))
}

/// The client's side.
pub(crate) fn connector(folder: &Path) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(certificate(folder)).expect("a certificate");
    roots.add(certificate).expect("a certificate");
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Whom a client expects.
pub(crate) fn name() -> ServerName<'static> {
    ServerName::try_from(NAME).expect("an address")
}
