//! The API's errors, in Google's words.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use serde_json::{Value, json};

use super::form::Form;
use crate::emulator::change::Refusal;

/// What Google's APIs have under these paths, and the emulator does not.
const ELSEWHERE: [&str; 14] = [
    "authorizeddomains",
    "buckets",
    "builds",
    "configurations",
    "domainmappings",
    "executions",
    "instances",
    "jobs",
    "metrics",
    "routes",
    "sinks",
    "tasks",
    "workerPools",
    "workerpools",
];

/// An answer that is an error.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApiError {
    /// The HTTP status.
    pub(crate) code: u16,
    /// The name of the `google.rpc.Code`.
    pub(crate) status: &'static str,
    /// The message.
    pub(crate) message: String,
    /// `details`, where there are any.
    pub(crate) details: Option<Value>,
}

impl ApiError {
    /// An error without details.
    pub(crate) fn new(code: u16, status: &'static str, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into(), details: None }
    }

    /// 400.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "INVALID_ARGUMENT", message)
    }

    /// 404 for a resource of a kind.
    pub(crate) fn not_found(kind: &str, name: &str, (project, region): (&str, &str)) -> Self {
        let message = format!(
            "Resource '{name}' of kind '{kind}' in region '{region}' in project '{project}' does not exist."
        );
        Self::new(404, "NOT_FOUND", message)
    }

    /// A path that the emulator does not serve: 404, as of any path that is none, but 400 for one that is the real API's.
    /// gcloud makes of a 404 that there is no such job, which nobody has looked for.
    pub(crate) fn no_route(method: &str, path: &str) -> Self {
        let message = format!("The emulator does not serve {method} {path}.");
        let is_elsewhere = path.split(['/', ':']).any(|word| ELSEWHERE.contains(&word));
        if is_elsewhere {
            Self::new(400, "FAILED_PRECONDITION", message)
        } else {
            Self::new(404, "NOT_FOUND", message)
        }
    }

    /// 409 for a stale etag.
    pub(crate) fn conflict(name: &str, specified: &str, current: i64) -> Self {
        let message = format!(
            "Conflict for resource '{name}': version '{specified}' was specified but current version is '{current}'."
        );
        Self::new(409, "ABORTED", message)
    }

    /// A write that is refused at once.
    pub(crate) fn refused(service: &str, refusal: Refusal) -> Self {
        match refusal {
            Refusal::Stale { specified, current } => Self::conflict(service, &specified, current),
            Refusal::Different(revision) => {
                let message =
                    format!("Revision named '{revision}' with different configuration already exists.");
                Self::new(409, "ALREADY_EXISTS", message)
            }
            Refusal::Invalid(message) => Self::invalid(message),
            Refusal::Deleting => {
                Self::new(409, "ABORTED", format!("Service '{service}' is in the process of being deleted."))
            }
            Refusal::Workload(error) => Self::invalid(error.to_string()),
        }
    }

    /// 403.
    pub(crate) fn denied(permission: &str, resource: &str) -> Self {
        let message =
            format!("Permission '{permission}' denied on resource '{resource}' (or resource may not exist).");
        Self::new(403, "PERMISSION_DENIED", message)
    }

    /// 401.
    pub(crate) fn unauthenticated() -> Self {
        Self::new(
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other \
             valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        )
    }

    /// What a status fault answers.
    pub(crate) fn fault(status: u16, permission: &str, resource: &str) -> Self {
        match status {
            400 => Self::invalid("Request contains an invalid argument."),
            401 => Self::unauthenticated(),
            403 => Self::denied(permission, resource),
            404 => Self::new(404, "NOT_FOUND", "Requested entity was not found."),
            409 => Self::new(409, "ABORTED", "The operation was aborted."),
            429 => Self::quota(),
            503 => Self::new(503, "UNAVAILABLE", "The service is currently unavailable."),
            _ => Self::new(500, "INTERNAL", "Internal error encountered."),
        }
    }

    fn quota() -> Self {
        let message = "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute per region' \
            of service 'run.googleapis.com' for consumer 'project_number:123456789012'. To see usage, go to \
            https://console.cloud.google.com/iam-admin/quotas?project=123456789012. To request a quota increase, see \
            https://cloud.google.com/run/quotas.";
        let details = json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "RATE_LIMIT_EXCEEDED",
            "domain": "googleapis.com",
            "metadata": {
                "quota_metric": "run.googleapis.com/read_regional",
                "quota_limit": "ReadPerMinutePerProjectRegion",
                "service": "run.googleapis.com",
                "consumer": "projects/123456789012",
            },
        }]);
        Self { details: Some(details), ..Self::new(429, "RESOURCE_EXHAUSTED", message) }
    }

    fn body(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message, "status": self.status});
        if let Some(details) = &self.details {
            error["details"] = details.clone();
        }
        json!({"error": error})
    }
}

/// An answer as HTTP, with the headers of Google's API servers.
pub(crate) fn respond(answer: Result<Value, ApiError>, form: &Form) -> Response<Body> {
    let (code, body) = match answer {
        Ok(body) => (200, body),
        Err(error) => (error.code, error.body()),
    };
    let text = if form.compact { body.to_string() } else { format!("{body:#}\n") };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
    headers.insert(header::SERVER, HeaderValue::from_static("ESF"));
    if code == 401 {
        let challenge = HeaderValue::from_static(
            "Bearer realm=\"https://accounts.google.com/\", error=\"invalid_token\"",
        );
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}
