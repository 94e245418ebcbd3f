//! Who we are: access tokens for Google's API and ID tokens for a private service.
//!
//! Takes the kind of access that was asked for and gives tokens, which the redactor learns at once. It never sends a
//! Google token anywhere but to an https host of googleapis.com. The surprising rule: root certificates are looked for
//! first, since the credentials library panics where there are none.

use std::time::Duration;

use google_cloud_auth::credentials::{AccessTokenCredentials, Builder, idtoken};
use google_cloud_auth::errors::CredentialsError;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use url::{Host, Url};

use super::cause::deepest;
use super::retry::Backoff;
use crate::config::ApiAccess;
use crate::revision::command;
use crate::trust::{Excerpt, Redactor, Secret};

/// How long one try to get a token may take.
const TRY: Duration = Duration::from_secs(12);
/// How long all tries may take; the library itself asks again 10 s after a failure that may pass.
const ALL_TRIES: Duration = Duration::from_secs(15);
/// What an access token may do; the roles of its owner narrow it down.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Why there is no token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CredentialError {
    /// The machine, often a container, has no root certificates.
    #[error("there are no root certificates here, so no TLS connection can be trusted")]
    NoCertificates,
    /// There are no application default credentials, or they cannot be used.
    #[error("no access token from the application default credentials: {cause}")]
    NoAccessToken {
        /// The deepest links of the library's error.
        cause: Excerpt,
    },
    /// These credentials cannot make ID tokens, or were refused.
    #[error("no ID token for {audience} from the application default credentials: {cause}")]
    NoIdToken {
        /// For whom.
        audience: String,
        /// The deepest links of the library's error.
        cause: Excerpt,
    },
    /// The token did not come in time.
    #[error("no {what} from the application default credentials within {} s", after.as_secs())]
    TimedOut {
        /// Which token.
        what: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// A token would have left over plain http, or to somebody else.
    #[error("a token is not sent to {url}")]
    NotSentThere {
        /// Where to.
        url: String,
        /// Why not, and where to instead.
        instead: &'static str,
    },
}

impl CredentialError {
    /// What to do, with the command to type.
    pub fn help(&self) -> String {
        match self {
            Self::NoCertificates => "install them: apt-get install ca-certificates; or name a file: export \
                                     SSL_CERT_FILE=/path/to/ca-certificates.crt"
                .to_owned(),
            Self::NoAccessToken { .. } => {
                "sign in: gcloud auth application-default login; in a pipeline, let its own sign-in step set \
                 GOOGLE_APPLICATION_CREDENTIALS"
                    .to_owned()
            }
            Self::NoIdToken { audience, .. } => {
                let audience = format!("--audiences={audience}");
                format!(
                    "only service accounts can make ID tokens: gcloud auth application-default login \
                     --impersonate-service-account=NAME@PROJECT.iam.gserviceaccount.com; or give one with \
                     --id-token-file: {} > token",
                    command::line(&["gcloud", "auth", "print-identity-token", &audience])
                )
            }
            Self::TimedOut { .. } => "see whether the metadata server or the token server can be reached, and leave \
                                      it out of any proxy: export NO_PROXY=metadata.google.internal,169.254.169.254"
                .to_owned(),
            Self::NotSentThere { instead, .. } => (*instead).to_owned(),
        }
    }
}

/// Who we are towards the control plane.
#[derive(Debug)]
pub(super) enum Identity {
    /// Whoever the application default credentials say, found at the first call.
    Google(OnceCell<AccessTokenCredentials>),
    /// The bearer of this token.
    Bearer(Secret),
    /// Nobody.
    Anonymous,
}

impl Identity {
    /// Who to be at this endpoint.
    pub(super) fn new(access: &ApiAccess, redactor: &Redactor) -> Self {
        match access {
            ApiAccess::Google => Self::Google(OnceCell::new()),
            ApiAccess::Other { token: Some(token), .. } => {
                redactor.learn(token);
                Self::Bearer(token.clone())
            }
            ApiAccess::Other { token: None, .. } => Self::Anonymous,
        }
    }

    /// The token for a request to `url`; `None` when it goes without one.
    ///
    /// # Errors
    /// There is no token, or this is no address to send it to.
    pub(super) async fn token_for(
        &self,
        url: &Url,
        redactor: &Redactor,
    ) -> Result<Option<Secret>, CredentialError> {
        match self {
            Self::Anonymous => Ok(None),
            Self::Bearer(token) if is_private_channel(url) => Ok(Some(token.clone())),
            Self::Bearer(_) => {
                Err(refused(url, "give --api-endpoint an https address, or leave --api-token-file out"))
            }
            Self::Google(_) if !is_google_api(url) => {
                Err(refused(url, "Google credentials go to https hosts of googleapis.com only"))
            }
            Self::Google(credentials) => access_token(credentials, redactor).await.map(Some),
        }
    }
}

fn refused(url: &Url, instead: &'static str) -> CredentialError {
    CredentialError::NotSentThere { url: crate::trust::escape(url.as_str()), instead }
}

/// True for https to a host under googleapis.com.
fn is_google_api(url: &Url) -> bool {
    url.scheme() == "https" && url.host_str().is_some_and(|host| host.ends_with(".googleapis.com"))
}

/// True where nobody can listen: https, or http that stays on this machine.
fn is_private_channel(url: &Url) -> bool {
    url.scheme() == "https" || is_loopback(url)
}

/// True for an address of this very machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Whether there are root certificates to trust.
///
/// # Errors
/// There are none.
pub(super) fn has_certificates() -> Result<(), CredentialError> {
    if rustls_native_certs::load_native_certs().certs.is_empty() {
        return Err(CredentialError::NoCertificates);
    }
    Ok(())
}

/// An access token by the application default credentials, kept and renewed by the library.
async fn access_token(
    cell: &OnceCell<AccessTokenCredentials>,
    redactor: &Redactor,
) -> Result<Secret, CredentialError> {
    let failed =
        |error: &dyn std::error::Error| CredentialError::NoAccessToken { cause: deepest(error, redactor) };
    let build = || async {
        has_certificates()?;
        Builder::default()
            .with_scopes([SCOPE])
            .build_access_token_credentials()
            .map_err(|error| failed(&error))
    };
    let credentials = cell.get_or_try_init(build).await?;
    let ask = || async { credentials.access_token().await.map(|token| token.token) };
    patiently("access token", ask, |error| failed(&error), redactor).await
}

/// An ID token of the application default credentials for `audience` (the service's run.app address or one of its
/// custom audiences). The redactor learns it.
///
/// # Errors
/// The credentials cannot make one (those of a person, or federated without a service account), or were refused.
pub async fn id_token(audience: &str, redactor: &Redactor) -> Result<Secret, CredentialError> {
    has_certificates()?;
    let failed = |error: &dyn std::error::Error| CredentialError::NoIdToken {
        audience: crate::trust::escape(audience),
        cause: deepest(error, redactor),
    };
    let credentials =
        idtoken::Builder::new(audience).with_include_email().build().map_err(|error| failed(&error))?;
    patiently("ID token", || credentials.id_token(), |error| failed(&error), redactor).await
}

/// Asks until there is a token, as long as the library calls its failures transient, each time and in all within limits.
async fn patiently<F: Future<Output = Result<String, CredentialsError>>>(
    what: &'static str,
    ask: impl Fn() -> F,
    failed: impl Fn(CredentialsError) -> CredentialError,
    redactor: &Redactor,
) -> Result<Secret, CredentialError> {
    let begun = Instant::now();
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
    loop {
        let (error, transient) = match tokio::time::timeout(TRY, ask()).await {
            Ok(Ok(token)) => {
                let token = Secret::new(token);
                redactor.learn(&token);
                return Ok(token);
            }
            Ok(Err(error)) => {
                let transient = error.is_transient();
                (failed(error), transient)
            }
            Err(_) => (CredentialError::TimedOut { what, after: begun.elapsed() }, true),
        };
        if !transient || !backoff.sleep(None, begun + ALL_TRIES).await {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tokens_go_only_where_nobody_listens() {
        let redactor = Redactor::default();
        let url = |text: &str| Url::parse(text).unwrap();
        let google = Identity::new(&ApiAccess::Google, &redactor);
        for address in
            ["http://run.googleapis.com/", "https://run.googleapis.com.evil.example/", "https://127.0.0.1/"]
        {
            let error = google.token_for(&url(address), &redactor).await.unwrap_err();
            assert!(matches!(error, CredentialError::NotSentThere { .. }), "{address}");
        }
        let token = Secret::new("a-token-of-the-file");
        let endpoint = url("http://127.0.0.1:1");
        let other = Identity::new(&ApiAccess::Other { endpoint, token: Some(token) }, &redactor);
        for address in
            ["http://127.0.0.1:1/", "http://[::1]/", "http://run.localhost/", "https://api.example/"]
        {
            assert!(other.token_for(&url(address), &redactor).await.unwrap().is_some(), "{address}");
        }
        assert!(other.token_for(&url("http://10.0.0.1/"), &redactor).await.is_err());
        assert_eq!(redactor.redact("a-token-of-the-file"), "[redacted]");
    }
}
