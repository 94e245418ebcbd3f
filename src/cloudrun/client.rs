//! The one client of the Cloud Run Admin API (v2).
//!
//! Takes names and gives what the API says of them; writes traffic, and nothing but traffic. It never decides what to
//! write. The surprising rule: reads are repeated while the failure may pass, a write never is: whoever wrote reads
//! back before writing again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::answers::{Operation, Policy, RevisionPage};
use super::credentials::{Identity, is_loopback};
use super::error::{About, ApiError};
use super::http::{self, Call};
use super::retry::Backoff;
use super::wire::{Revision, Service};
use crate::config::{ApiAccess, ServiceName};
use crate::trust::{Excerpt, Redactor};

/// Google's own endpoint.
const GOOGLE: &str = "https://run.googleapis.com";
/// How long a read may take with all its repetitions.
pub(super) const READ: Duration = Duration::from_mins(1);
/// How often a connection is tried that cannot be made: a wrong address should not take a minute to be told.
const CONNECTIONS: u32 = 4;
/// Revisions on one page.
const PAGE: &str = "100";
/// A service has at most 1000 revisions; a server that never ends its pages is cut off here.
const PAGES: usize = 100;

/// A client of the control plane. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    endpoint: Url,
    identity: Identity,
    redactor: Redactor,
}

/// Why a write was not confirmed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PatchError {
    /// Nothing was written.
    #[error(transparent)]
    Refused(ApiError),
    /// The answer was lost: it may have been written.
    #[error(transparent)]
    Ambiguous(ApiError),
}

/// Who may send requests to the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invokers {
    /// Everybody, by the service's own policy.
    Everybody,
    /// Not everybody by the service's own policy; a policy of the project is not looked at.
    Some,
    /// We may not know.
    Unknown {
        /// Why not.
        reason: String,
    },
}

impl Client {
    /// A client for this access. Tokens are found at the first call.
    ///
    /// # Errors
    /// There are no root certificates, or the endpoint's scheme is neither https nor http.
    pub fn new(access: &ApiAccess, redactor: &Redactor) -> Result<Self, ApiError> {
        let endpoint = match access {
            ApiAccess::Google => Url::parse(GOOGLE),
            ApiAccess::Other { endpoint, .. } => Ok(endpoint.clone()),
        };
        let setup = |cause: String| ApiError::Setup { cause: Excerpt::new(&cause) };
        let endpoint = endpoint.map_err(|error| setup(error.to_string()))?;
        if !["http", "https"].contains(&endpoint.scheme()) || endpoint.cannot_be_a_base() {
            return Err(setup(format!("{endpoint} is no http or https address")));
        }
        let http = http::client(&endpoint, redactor)?;
        let identity = Identity::new(access, redactor);
        Ok(Self { inner: Arc::new(Inner { http, endpoint, identity, redactor: redactor.clone() }) })
    }

    /// True when the endpoint is this very machine, as an emulator's is.
    pub fn is_local(&self) -> bool {
        is_loopback(&self.inner.endpoint)
    }

    /// The service. Takes `run.services.get`.
    pub async fn get_service(&self, service: &ServiceName) -> Result<Service, ApiError> {
        let about = about(service, "read the service", "run.services.get");
        self.read(about, self.url(service, &[]), READ).await
    }

    /// All revisions of the service, in no order. Takes `run.revisions.list`.
    pub async fn list_revisions(&self, service: &ServiceName) -> Result<Vec<Revision>, ApiError> {
        let about = about(service, "list the revisions", "run.revisions.list");
        let mut all = Vec::new();
        let (mut token, mut seen) = (String::new(), HashSet::new());
        for _ in 0..PAGES {
            let mut url = self.url(service, &["revisions"]);
            url.query_pairs_mut().append_pair("pageSize", PAGE);
            if !token.is_empty() {
                url.query_pairs_mut().append_pair("pageToken", &token);
            }
            let page: RevisionPage = self.read(about.clone(), url, READ).await?;
            all.extend(page.revisions);
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            if !seen.insert(page.next_page_token.clone()) {
                return Err(self.unexpected(about, "the same page token twice"));
            }
            token = page.next_page_token;
        }
        Err(self.unexpected(about, "pages without end"))
    }

    /// One revision by its short name. Takes `run.revisions.get`.
    pub async fn get_revision(&self, service: &ServiceName, revision: &str) -> Result<Revision, ApiError> {
        let about = about(service, "read the revision", "run.revisions.get");
        self.read(about, self.url(service, &["revisions", revision]), READ).await
    }

    /// Writes these traffic entries, all of them, once. Takes `run.services.update`.
    ///
    /// With `validate_only` the API only says whether it would accept them.
    ///
    /// # Errors
    /// Whether it was written is known only from [`PatchError::Refused`]; after [`PatchError::Ambiguous`] read back.
    pub async fn patch_traffic(
        &self,
        service: &ServiceName,
        etag: &str,
        traffic: &[Value],
        validate_only: bool,
    ) -> Result<Operation, PatchError> {
        let about = about(service, "write the traffic", "run.services.update");
        let mut url = self.url(service, &[]);
        url.query_pairs_mut().append_pair("updateMask", "traffic");
        if validate_only {
            url.query_pairs_mut().append_pair("validateOnly", "true");
        }
        let body = json!({"name": service.resource(), "etag": etag, "traffic": traffic});
        let call = Call { about: about.clone(), method: Method::PATCH, url, body: Some(body) };
        let answer = self.send(&call).await.map_err(|failure| {
            let ambiguous = failure.ambiguous && !validate_only;
            if ambiguous { PatchError::Ambiguous(failure.error) } else { PatchError::Refused(failure.error) }
        })?;
        self.parse(about, answer).map_err(PatchError::Ambiguous)
    }

    /// One operation by its full name. Takes `run.operations.get`.
    pub async fn get_operation(&self, service: &ServiceName, name: &str) -> Result<Operation, ApiError> {
        let about = about(service, "read the operation", "run.operations.get");
        let parts: Vec<&str> = name.split('/').collect();
        let ["projects", _, "locations", _, "operations", _] = parts.as_slice() else {
            return Err(self.unexpected(about, &format!("an operation named {name:?}")));
        };
        self.read(about, self.address(&parts), READ).await
    }

    /// Waits until the operation has ended, asking after 250 ms, later every 1 s to 10 s. `None` when we may not see
    /// operations or this one is forgotten: then only the service tells.
    ///
    /// # Errors
    /// It failed, or did not end before `deadline`.
    pub async fn wait_operation(
        &self,
        service: &ServiceName,
        operation: Operation,
        deadline: Instant,
    ) -> Result<Option<Operation>, ApiError> {
        let begun = Instant::now();
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(10));
        let mut now = operation;
        while !now.done && !now.name.is_empty() {
            if !backoff.sleep(None, deadline).await {
                return Err(self.timed_out(about(service, "see the write end", ""), begun.elapsed()));
            }
            now = match self.get_operation(service, &now.name).await {
                Ok(operation) => operation,
                Err(ApiError::NotFound { .. } | ApiError::PermissionDenied { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
        }
        match &now.error {
            None => Ok(Some(now)),
            Some(status) => Err(ApiError::OperationFailed {
                about: Box::new(about(service, "write the traffic", "run.services.update")),
                code: status.code,
                message: status.excerpt(),
            }),
        }
    }

    /// Who may send requests, by the service's own IAM policy. Takes `run.services.getIamPolicy`.
    ///
    /// # Errors
    /// The API cannot be asked; that we may not know is no error.
    pub async fn invoker_policy(&self, service: &ServiceName) -> Result<Invokers, ApiError> {
        let about = about(service, "read the IAM policy", "run.services.getIamPolicy");
        let verb = format!("{}:getIamPolicy", service.service);
        let mut url =
            self.address(&["projects", &service.project, "locations", &service.region, "services", &verb]);
        url.query_pairs_mut().append_pair("options.requestedPolicyVersion", "3");
        match self.read::<Policy>(about, url, READ).await {
            Ok(policy) if policy.is_public() => Ok(Invokers::Everybody),
            Ok(_) => Ok(Invokers::Some),
            Err(error @ (ApiError::PermissionDenied { .. } | ApiError::NotFound { .. })) => {
                Ok(Invokers::Unknown { reason: error.to_string() })
            }
            Err(error) => Err(error),
        }
    }

    /// An error that says that `what` took too long.
    pub(super) fn timed_out(&self, about: About, after: Duration) -> ApiError {
        let host = self.inner.endpoint.origin().ascii_serialization();
        ApiError::TimedOut { about: Box::new(about), host, after }
    }

    /// An error that says that an answer is none of this API's.
    pub(super) fn unexpected(&self, about: About, what: &str) -> ApiError {
        let place = crate::trust::escape(self.inner.endpoint.as_str());
        ApiError::UnexpectedAnswer { about: Box::new(about), place, what: Excerpt::new(what) }
    }

    /// The address of something that belongs to the service.
    fn url(&self, service: &ServiceName, below: &[&str]) -> Url {
        let ServiceName { project, region, service } = service;
        let mut parts = vec!["projects", project, "locations", region, "services", service];
        parts.extend(below);
        self.address(&parts)
    }

    fn address(&self, parts: &[&str]) -> Url {
        self.address_at(None, parts)
    }

    /// The endpoint that was asked for.
    pub(super) fn endpoint(&self) -> &Url {
        &self.inner.endpoint
    }

    /// True for Google's own API.
    pub(super) fn is_google(&self) -> bool {
        matches!(self.inner.identity, Identity::Google(_))
    }

    /// The address of something at another endpoint, where one is named.
    pub(super) fn address_at(&self, endpoint: Option<Url>, parts: &[&str]) -> Url {
        let mut url = endpoint.unwrap_or_else(|| self.inner.endpoint.clone());
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v2").extend(parts);
        }
        url
    }

    async fn send(&self, call: &Call) -> Result<Value, http::Failure> {
        http::send(&self.inner.http, &self.inner.identity, &self.inner.redactor, call).await
    }

    /// Reads, again and again while the failure may pass, for at most `patience`.
    async fn read<T: DeserializeOwned>(
        &self,
        about: About,
        url: Url,
        patience: Duration,
    ) -> Result<T, ApiError> {
        self.repeat(Call { about, method: Method::GET, url, body: None }, patience).await
    }

    /// Makes a call that only reads, again and again while the failure may pass, for at most `patience`.
    pub(super) async fn repeat<T: DeserializeOwned>(
        &self,
        call: Call,
        patience: Duration,
    ) -> Result<T, ApiError> {
        let about = call.about.clone();
        let deadline = Instant::now() + patience;
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
        for tried in 1_u32.. {
            match self.send(&call).await {
                Ok(answer) => return self.parse(about, answer),
                Err(failure) if failure.repeatable => {
                    let unreachable = matches!(failure.error, ApiError::Unreachable { .. });
                    if unreachable && tried >= CONNECTIONS {
                        return Err(failure.error);
                    }
                    if !backoff.sleep(failure.retry_after, deadline).await {
                        return Err(failure.error);
                    }
                }
                Err(failure) => return Err(failure.error),
            }
        }
        Err(self.timed_out(about, patience))
    }

    fn parse<T: DeserializeOwned>(&self, about: About, answer: Value) -> Result<T, ApiError> {
        serde_json::from_value(answer).map_err(|error| {
            // The parser's words may repeat what they are about.
            let error = if about.is_secret() { "(not shown)".to_owned() } else { error.to_string() };
            self.unexpected(about, &format!("JSON of another shape: {error}"))
        })
    }
}

fn about(service: &ServiceName, what: &'static str, permission: &'static str) -> About {
    About { service: service.clone(), what, permission }
}
