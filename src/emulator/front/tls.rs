//! How does a name of run.app prove itself on loopback?
//!
//! Makes a certificate authority and one certificate of it, for the names of run.app in a region and for loopback, and
//! takes TLS handshakes with it. It reads and writes no file. The surprising rule: the authority's key is forgotten at
//! once, so that whoever trusts the authority trusts this one emulator and nobody else.

use std::{io, sync::Arc};

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The certificate of an emulator, and its authority's.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    authority: String,
}

/// Why there is no certificate: a defect, since nothing of it is the user's.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate could not be made.
    #[error("a certificate could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A certificate could not be used.
    #[error("a certificate could not be used: {0}")]
    Config(#[from] rustls::Error),
}

impl Tls {
    /// Makes a certificate for the names of run.app in `region`, valid from the day before `now` for a year.
    ///
    /// # Errors
    /// The cryptography refuses, which it does not.
    pub fn new(region: &str, now: Timestamp) -> Result<Self, TlsError> {
        let (issuer, authority) = authority(now)?;
        let names = ["*.a.run.app", &format!("*.{region}.run.app"), "localhost", "127.0.0.1", "::1"];
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "revgate emulator");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        limit(&mut params, now);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), authority })
    }

    /// The authority's certificate as PEM, for clients to trust.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Takes a handshake.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(Arc::clone(&self.config)).accept(stream).await
    }
}

/// An authority that can sign, and its certificate as PEM.
fn authority(now: Timestamp) -> Result<(Issuer<'static, KeyPair>, String), TlsError> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.distinguished_name.push(DnType::CommonName, "revgate emulator, of this run only");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    limit(&mut params, now);
    let key = KeyPair::generate()?;
    let pem = params.self_signed(&key)?.pem();
    Ok((Issuer::new(params, key), pem))
}

/// Some clients refuse a certificate that is valid for more than 825 days.
fn limit(params: &mut CertificateParams, now: Timestamp) {
    let today = now.to_zoned(TimeZone::UTC).date();
    let time = |date: Date| {
        date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = time(today.saturating_sub(1.day()));
    params.not_after = time(today.saturating_add(1.year()));
}
