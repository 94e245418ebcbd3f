//! One request to the control plane and what became of it.
//!
//! Takes a call and gives JSON, or an error that says whether the same call may be repeated and whether the server may
//! have acted all the same. It follows no redirects and repeats nothing itself. The surprising rule: an answer that
//! looks like success but is no JSON is an error, since it comes from another server.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::answers::ErrorBody;
use super::cause::deepest;
use super::credentials::{Identity, has_certificates, is_loopback};
use super::error::{About, ApiError};
use super::lenient;
use crate::trust::{Excerpt, Redactor};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long one request may take, from the first packet to the last byte.
pub(super) const TOTAL: Duration = Duration::from_secs(30);
/// How many bytes of an answer are read.
const LARGEST: usize = 32 << 20;

/// One request.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) about: About,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) body: Option<Value>,
}

/// A request that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: ApiError,
    /// The same call may succeed a little later.
    pub(super) repeatable: bool,
    /// The server may have acted all the same.
    pub(super) ambiguous: bool,
    /// What the server asked to wait.
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    fn plain(error: ApiError) -> Self {
        Self { error, repeatable: false, ambiguous: false, retry_after: None }
    }
}

/// An HTTP client for `endpoint`.
pub(super) fn client(endpoint: &Url, redactor: &Redactor) -> Result<reqwest::Client, ApiError> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .timeout(TOTAL)
        .user_agent(concat!("revgate/", env!("CARGO_PKG_VERSION")));
    if endpoint.scheme() == "http" {
        // No TLS, so that an image without certificates can do without them.
        builder = builder.tls_certs_only([]);
    } else {
        has_certificates()?;
    }
    if is_loopback(endpoint) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| ApiError::Setup { cause: deepest(&error, redactor) })
}

/// Sends `call` once and reads the whole answer.
pub(super) async fn send(
    http: &reqwest::Client,
    identity: &Identity,
    redactor: &Redactor,
    call: &Call,
) -> Result<Value, Failure> {
    let token = identity.token_for(&call.url, redactor).await;
    let token = token.map_err(|error| Failure::plain(error.into()))?;
    let mut request = http.request(call.method.clone(), call.url.clone());
    if let Some(token) = token {
        request = request.bearer_auth(token.expose());
    }
    if let Some(body) = &call.body {
        request = request.json(body);
    }
    let response = request.send().await.map_err(|error| broken(call, &error, redactor))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = read(response).await.map_err(|error| broken(call, &error, redactor))?;
    let answer = |body: &str| Answer { status, headers, body: redactor.redact_cut(body) };
    if !status.is_success() {
        return Err(refused(call, &answer(&String::from_utf8_lossy(&body))));
    }
    match serde_json::from_slice::<Value>(&body).ok().filter(Value::is_object) {
        Some(value) => Ok(redact_messages(lenient::without_nulls(value), redactor)),
        // Whatever answered may have said the secret itself.
        None if call.about.is_secret() => Err(unexpected(call, &answer("(not shown)"), status.as_str())),
        None => Err(unexpected(call, &answer(&String::from_utf8_lossy(&body)), status.as_str())),
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

/// The body, up to a limit far above what the API sends; wiped, as it may be a secret's.
async fn read(mut response: reqwest::Response) -> Result<Zeroizing<Vec<u8>>, reqwest::Error> {
    // Room for any secret, so that it seldom moves and leaves a copy behind.
    let mut body = Zeroizing::new(Vec::with_capacity(128 * 1024));
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST {
            break;
        }
    }
    Ok(body)
}

/// No connection, or one that broke.
fn broken(call: &Call, error: &reqwest::Error, redactor: &Redactor) -> Failure {
    let (about, host) = (Box::new(call.about.clone()), call.url.origin().ascii_serialization());
    let error_kind = if error.is_timeout() && !error.is_connect() {
        ApiError::TimedOut { about, host, after: TOTAL }
    } else {
        ApiError::Unreachable { about, host, cause: deepest(error, redactor) }
    };
    let (repeatable, ambiguous) = (true, !error.is_connect() && !error.is_builder());
    Failure { error: error_kind, repeatable, ambiguous, retry_after: None }
}

/// An answer that is not a success.
fn refused(call: &Call, answer: &Answer) -> Failure {
    let status = answer.status.as_u16();
    let Ok(ErrorBody { error }) = serde_json::from_str::<ErrorBody>(&answer.body) else {
        return unexpected(call, answer, answer.status.as_str());
    };
    let (about, message) = (Box::new(call.about.clone()), error.excerpt());
    let disabled = error.has_reason("SERVICE_DISABLED");
    let error = match (status, error.status.as_str()) {
        (401, _) => ApiError::Unauthenticated { about, message },
        (403, _) if disabled => ApiError::ApiDisabled { about, message },
        (403, _) => {
            let permission = named_permission(&error.message).unwrap_or(about.permission).to_owned();
            ApiError::PermissionDenied { about, permission, message }
        }
        (404, _) => ApiError::NotFound { about, message },
        (409 | 412, _) | (400, "FAILED_PRECONDITION") => ApiError::Conflict { about, message },
        (429, _) => ApiError::QuotaExceeded { about, message },
        (500.., _) => ApiError::Unavailable { about, status, message },
        _ => ApiError::InvalidArgument { about, message },
    };
    Failure {
        error,
        repeatable: is_passing(status),
        ambiguous: status >= 500,
        retry_after: retry_after(&answer.headers),
    }
}

/// An answer that this API does not give. Behind a 5xx the API itself may be hidden.
fn unexpected(call: &Call, answer: &Answer, status: &str) -> Failure {
    let kind = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("nothing");
    let location = answer.headers.get("location").and_then(|value| value.to_str().ok());
    let what = match location {
        Some(place) if answer.status.is_redirection() => format!("{status}, a redirect to {place}"),
        _ if answer.body.trim().is_empty() => format!("{status} with an empty body"),
        _ => format!("{status} with {kind} instead of JSON of the API: {}", answer.body.trim()),
    };
    let mut place = call.url.clone();
    place.set_query(None);
    let error = ApiError::UnexpectedAnswer {
        about: Box::new(call.about.clone()),
        place: crate::trust::escape(place.as_str()),
        what: Excerpt::new(&what),
    };
    let status = answer.status;
    Failure {
        error,
        repeatable: is_passing(status.as_u16()),
        ambiguous: status.is_success() || status.is_server_error(),
        retry_after: retry_after(&answer.headers),
    }
}

fn is_passing(status: u16) -> bool {
    matches!(status, 429 | 500 | 502 | 503 | 504)
}

/// Seconds to wait, as this API says it; a date is not read.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The permission in `Permission 'run.services.get' denied on resource …`.
fn named_permission(message: &str) -> Option<&str> {
    let name = message.split('\'').nth(1)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
    (message.starts_with("Permission '") && name.contains('.') && name.chars().all(plain)).then_some(name)
}

/// Takes secrets out of all texts that are shown later: everything named `message` or `textPayload`, and all that an
/// application wrote as JSON.
fn redact_messages(mut value: Value, redactor: &Redactor) -> Value {
    match &mut value {
        Value::Object(members) => {
            for (key, member) in members.iter_mut() {
                *member = match member.take() {
                    Value::String(text) if key == "message" || key == "textPayload" => {
                        Value::String(redactor.redact(&text))
                    }
                    payload if key == "jsonPayload" => redact_texts(payload, redactor),
                    other => redact_messages(other, redactor),
                };
            }
        }
        Value::Array(items) => {
            for item in items.iter_mut() {
                *item = redact_messages(item.take(), redactor);
            }
        }
        _ => {}
    }
    value
}

/// Takes secrets out of every text.
fn redact_texts(value: Value, redactor: &Redactor) -> Value {
    match value {
        Value::String(text) => Value::String(redactor.redact(&text)),
        Value::Array(items) => items.into_iter().map(|item| redact_texts(item, redactor)).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, member)| (key, redact_texts(member, redactor))).collect()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_permission_in_the_words() {
        let words =
            "Permission 'run.services.get' denied on resource 'projects/p' (or resource may not exist).";
        assert_eq!(named_permission(words), Some("run.services.get"));
        assert_eq!(named_permission("Permission 'x; rm' denied"), None);
        assert_eq!(named_permission("The caller's permission is missing"), None);
    }
}
