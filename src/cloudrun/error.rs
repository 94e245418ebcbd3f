//! What goes wrong with the control plane, and what to type next.
//!
//! Takes the answers and failures of calls and gives one closed set of errors, in the API's own words where it has
//! any. It never retries. The surprising rule: each error knows which call it was about, so that its help is a command
//! with the project, the region and the service filled in.

use std::fmt;
use std::time::Duration;

use super::credentials::CredentialError;
use crate::config::ServiceName;
use crate::revision::command;
use crate::trust::Excerpt;

/// What a call was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The service.
    pub service: ServiceName,
    /// What was to be done, such as `get the service`.
    pub what: &'static str,
    /// The permission that it takes.
    pub permission: &'static str,
}

impl About {
    /// The API that was asked, for people and for gcloud.
    fn api(&self) -> (&'static str, &'static str) {
        if self.permission.starts_with("logging.") {
            ("Cloud Logging API", "logging.googleapis.com")
        } else if self.is_secret() {
            ("Secret Manager API", "secretmanager.googleapis.com")
        } else {
            ("Cloud Run Admin API", "run.googleapis.com")
        }
    }
}

impl About {
    /// True where a secret is read: the name is its own, and nothing of the answer may be shown.
    pub(super) fn is_secret(&self) -> bool {
        self.permission == super::secrets::PERMISSION
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_secret() {
            return write!(
                f,
                "{} projects/{}/secrets/{}",
                self.what, self.service.project, self.service.service
            );
        }
        write!(f, "{} ({})", self.what, self.service)
    }
}

/// Why the control plane gave no useful answer: exit 3, unless something was written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// There is no such thing, or nobody may know of it.
    #[error("could not {about}: {message}")]
    NotFound {
        /// The call.
        about: Box<About>,
        /// The API's words.
        message: Excerpt,
    },
    /// We may not.
    #[error("could not {about}: {permission} is denied: {message}")]
    PermissionDenied {
        /// The call.
        about: Box<About>,
        /// The permission that is missing.
        permission: String,
        /// The API's words.
        message: Excerpt,
    },
    /// The API is not switched on in the project.
    #[error("could not {about}: the {} is not enabled: {message}", about.api().0)]
    ApiDisabled {
        /// The call.
        about: Box<About>,
        /// The API's words.
        message: Excerpt,
    },
    /// Nobody knows who we are.
    #[error("could not {about}: the credentials are not accepted: {message}")]
    Unauthenticated {
        /// The call.
        about: Box<About>,
        /// The API's words.
        message: Excerpt,
    },
    /// Somebody else wrote first.
    #[error("could not {about}: {}{message}", if about.is_secret() { "" } else { "somebody else changed the service: " })]
    Conflict {
        /// The call.
        about: Box<About>,
        /// The API's words.
        message: Excerpt,
    },
    /// Too many calls.
    #[error("could not {about}: too many calls: {message}")]
    QuotaExceeded {
        /// The call.
        about: Box<About>,
        /// The API's words.
        message: Excerpt,
    },
    /// The API does not accept what was asked.
    #[error("could not {about}: {message}")]
    InvalidArgument {
        /// The call.
        about: Box<About>,
        /// The API's words.
        message: Excerpt,
    },
    /// The API is down, tried again in vain.
    #[error("could not {about}: HTTP {status} from the API: {message}")]
    Unavailable {
        /// The call.
        about: Box<About>,
        /// HTTP status, 500 to 599.
        status: u16,
        /// The API's words.
        message: Excerpt,
    },
    /// No connection, or one that broke.
    #[error("could not {about}: no answer from {host}: {cause}")]
    Unreachable {
        /// The call.
        about: Box<About>,
        /// Scheme, host and port.
        host: String,
        /// The deepest links of the failure.
        cause: Excerpt,
    },
    /// No answer, or no end of an operation, in time.
    #[error("could not {about}: nothing from {host} within {} s", after.as_secs())]
    TimedOut {
        /// The call.
        about: Box<About>,
        /// Scheme, host and port.
        host: String,
        /// How long was waited.
        after: Duration,
    },
    /// An answer that this API does not give: another server, or a proxy.
    #[error("could not {about}: {place} answered {what}")]
    UnexpectedAnswer {
        /// The call.
        about: Box<About>,
        /// Address without query.
        place: String,
        /// What came.
        what: Excerpt,
    },
    /// A write was accepted and then failed.
    #[error("could not {about}: the operation failed: {message}")]
    OperationFailed {
        /// The call.
        about: Box<About>,
        /// A `google.rpc.Code`.
        code: i64,
        /// The API's words.
        message: Excerpt,
    },
    /// No token.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// No HTTP client can be made here.
    #[error("no HTTP client can be made here: {cause}")]
    Setup {
        /// The deepest links of the failure.
        cause: Excerpt,
    },
}

impl ApiError {
    /// What to do, with the command to type.
    pub fn help(&self) -> String {
        match self {
            Self::NotFound { about, .. } if about.is_secret() => secret_help(about, "see what there is", &[]),
            Self::NotFound { about, .. } => not_found(&about.service),
            Self::PermissionDenied { about, permission, .. } => permission_denied(about, permission),
            Self::ApiDisabled { about, .. } => {
                let project = about.service.project.as_str();
                let words = ["gcloud", "services", "enable", about.api().1, "--project", project];
                format!("switch it on: {}", command::line(&words))
            }
            Self::Unauthenticated { .. } => {
                "sign in again: gcloud auth application-default login; for another endpoint, give --api-token-file"
                    .to_owned()
            }
            Self::Conflict { about, .. } if !about.is_secret() => {
                format!("see who changed it, then try again: {}", command::describe(&about.service))
            }
            Self::QuotaExceeded { .. } => {
                "wait a minute and try again; ask for more at https://cloud.google.com/run/quotas".to_owned()
            }
            Self::InvalidArgument { about, .. } | Self::OperationFailed { about, .. } if !about.is_secret() => {
                format!("see how the service stands: {}", command::describe(&about.service))
            }
            Self::InvalidArgument { about, .. }
            | Self::OperationFailed { about, .. }
            | Self::Conflict { about, .. } => secret_help(about, "see whether the version is enabled", &[]),
            Self::Unavailable { .. } => {
                "try again; if it stays so, see https://status.cloud.google.com".to_owned()
            }
            Self::Unreachable { host, .. } | Self::TimedOut { host, .. } => {
                format!("see whether it can be reached from here: curl -v {host}/; if not, look at --api-endpoint and HTTPS_PROXY")
            }
            Self::UnexpectedAnswer { place, .. } => {
                format!("see whether --api-endpoint or a proxy leads elsewhere: curl -v {}", command::line(&[place]))
            }
            Self::Credentials(error) => error.help(),
            Self::Setup { .. } => "look at --api-endpoint, and at the root certificates: ls -l \"${SSL_CERT_FILE:-/etc/ssl/certs}\"".to_owned(),
        }
    }

    /// True when the same call may succeed a little later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Conflict { .. }
                | Self::QuotaExceeded { .. }
                | Self::Unavailable { .. }
                | Self::Unreachable { .. }
                | Self::TimedOut { .. }
        )
    }
}

fn not_found(service: &ServiceName) -> String {
    let list =
        ["gcloud", "run", "services", "list", "--project", &service.project, "--region", &service.region];
    format!("see what there is: {}", command::line(&list))
}

/// A command about the versions of a secret.
fn secret_help(about: &About, why: &str, more: &[&str]) -> String {
    let ServiceName { project, service: secret, .. } = &about.service;
    let mut words = vec!["gcloud", "secrets"];
    if more.is_empty() {
        words.extend(["versions", "list", secret]);
    } else {
        words.extend(["add-iam-policy-binding", secret]);
    }
    words.extend(["--project", project]);
    words.extend(more);
    format!("{why}: {}", command::line(&words))
}

/// The role that has the permission, and how to give it.
fn permission_denied(about: &About, permission: &str) -> String {
    if about.is_secret() {
        let why =
            "let somebody who may give the account the role (user:NAME or serviceAccount:NAME as MEMBER)";
        let role = ["--member=MEMBER", "--role", "roles/secretmanager.secretAccessor"];
        return secret_help(about, why, &role);
    }
    let writes = permission.ends_with(".update") || permission.contains("operations");
    let role = if permission == "iam.serviceaccounts.actAs" {
        "roles/iam.serviceAccountUser"
    } else if permission.starts_with("logging.") {
        "roles/logging.viewer"
    } else if writes {
        "roles/run.developer"
    } else {
        "roles/run.viewer"
    };
    let words = [
        "gcloud",
        "projects",
        "add-iam-policy-binding",
        about.service.project.as_str(),
        "--member=MEMBER",
        "--role",
        role,
    ];
    format!(
        "let somebody who may give the account a role that has it (user:NAME or serviceAccount:NAME as MEMBER): {}",
        command::line(&words)
    )
}
