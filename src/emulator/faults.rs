//! What goes wrong in the control plane and in the routing, when somebody wants it to.
//!
//! A plain struct of values: set at the start, replaced at run time through the handle or `POST /__emulator/faults`.
//! Everything off is the default. Counts are used up (`lost_reply: 1` is the next reply only), states last until the
//! faults are replaced. Faults of what a revision *does* are behaviours of the sample backend instead.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::wait;

/// The faults in force.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own, under its name in a file")]
pub struct Faults {
    /// Calls that are answered with an error; the first entry that matches a call is used.
    pub api_status: Vec<ApiStatus>,
    /// The answer to each API call is held back for so long; what it asks for is done before.
    #[serde(with = "wait")]
    pub api_latency: Duration,
    /// Reads show a service and its revisions as they were before its last write, until so long after that write.
    #[serde(with = "wait")]
    pub stale_reads_for: Duration,
    /// No write is refused for a stale etag or `resourceVersion`, as v2 may do.
    pub etag_ignored: bool,
    /// When set, every API call needs `Authorization: Bearer` with exactly this token; else 401.
    pub api_token: Option<String>,
    /// Permissions that `testIamPermissions` leaves out and whose calls are answered with 403.
    pub denied_permissions: Vec<String>,
    /// Revisions deployed from now on stay pending for this long before they are ready; `never` is possible.
    #[serde(with = "wait")]
    pub pending_for: Duration,
    /// Revisions deployed from now on fail with this message in their Ready condition.
    pub fail_revision: Option<String>,
    /// Revisions deployed from now on are ready, and have failed so long after that; zero is off.
    #[serde(with = "wait")]
    pub ready_then_failed_after: Duration,
    /// So long after the next revision was made, another writer deploys a newer one; zero is off, and it happens once.
    #[serde(with = "wait")]
    pub newer_revision_after: Duration,
    /// A tag that moves to another revision is in `trafficStatuses` at once, but requests reach the old revision for this long.
    #[serde(with = "wait")]
    pub old_revision_behind_tag_for: Duration,
    /// The URL of a tag never seen before answers the platform's 404 for this long.
    #[serde(with = "wait")]
    pub new_tag_404_for: Duration,
    /// Another writer moves traffic right *before* this many of the next traffic writes, whose etag is then stale.
    pub foreign_writer: u32,
    /// Another writer moves traffic right *after* this many of the next traffic writes were applied.
    pub foreign_writer_after: u32,
    /// This many of the next PATCH calls are applied, and the connection is dropped without a reply.
    pub lost_reply: u32,
    /// Tags that appear from now on are removed by another writer after this long; zero is off.
    #[serde(with = "wait")]
    pub tag_removed_under_us: Duration,
    /// `internal`, `internal-and-cloud-load-balancing` or `none`: the front end then answers the ingress 404.
    pub ingress: Ingress,
    /// Identity-Aware Proxy is on: the front end answers in its place.
    pub iap: bool,
    /// The default URL is disabled: no `uri` in the Service, and the front end answers 404.
    pub default_uri_disabled: bool,
    /// No `allUsers` invoker: the front end asks for an ID token.
    pub private: bool,
    /// The one ID token that a private service accepts.
    pub id_token: Option<String>,
    /// The front end answers 429, 500, 503 or 504 in the instance's place.
    pub front_status: Option<u16>,
    /// The share of requests, 0.0 to 1.0, to which `front_status` applies; 1.0 when absent.
    pub front_rate: Option<f64>,
    /// The front end holds each request up for this long.
    #[serde(with = "wait")]
    pub front_delay: Duration,
    /// The share of requests, 0.0 to 1.0, whose connection the front end ends without an answer.
    pub front_drop: f64,
    /// The share of requests, 0.0 to 1.0, whose connection the front end resets.
    pub front_reset: f64,
    /// The share of requests, 0.0 to 1.0, that reach another ready revision than the one that they are for.
    pub wrong_revision: f64,
    /// How a socket ends that has lasted longer than the request time-out: `close` or `reset`.
    pub timeout_cut: Cut,
    /// The share of log entries, 0.0 to 1.0, that are never to be seen.
    pub log_missing: f64,
    /// Log entries are seen only so long after they were written; `never` is possible.
    #[serde(with = "wait")]
    pub log_lag: Duration,
}

/// An API call that is answered with an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiStatus {
    /// `services.get`, `services.list`, `services.update`, `services.create`, `services.delete`, `services.getIamPolicy`,
    /// `services.setIamPolicy`, `services.testIamPermissions`, `revisions.get`, `revisions.list`, `revisions.delete`,
    /// `operations.get`, `operations.wait`, `operations.list`, `operations.delete`, `locations.list`, `projects.get`, `services.usage`, `entries.list`,
    /// `entries.write`, `logs.list`, or `*`.
    #[serde(deserialize_with = "known_method")]
    pub method: String,
    /// 400, 401, 403, 404, 409, 429, 500 or 503; another number is answered as 500.
    pub status: u16,
    /// How many calls; without it, all.
    #[serde(default)]
    pub times: Option<u32>,
}

/// The calls that a status fault can name.
const METHODS: [&str; 22] = [
    "*",
    "services.get",
    "services.list",
    "services.update",
    "services.create",
    "services.delete",
    "services.getIamPolicy",
    "services.setIamPolicy",
    "services.testIamPermissions",
    "revisions.get",
    "revisions.list",
    "revisions.delete",
    "operations.get",
    "operations.wait",
    "operations.list",
    "operations.delete",
    "locations.list",
    "projects.get",
    "services.usage",
    "entries.list",
    "entries.write",
    "logs.list",
];

/// A misspelt name would be a fault that never happens, and a test that proves nothing.
fn known_method<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let method = String::deserialize(deserializer)?;
    if METHODS.contains(&method.as_str()) {
        return Ok(method);
    }
    Err(D::Error::custom(format!("`{method}` is none of the calls {}", METHODS.join(", "))))
}

/// How a connection is cut; there is no close frame in either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    /// It ends.
    #[default]
    Close,
    /// It is reset.
    Reset,
}

/// Who may reach the service at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ingress {
    /// Everybody.
    #[default]
    All,
    /// The project's own networks only.
    Internal,
    /// As `Internal`, and Google's load balancers.
    InternalAndCloudLoadBalancing,
    /// Nobody.
    None,
}

impl Ingress {
    /// The value of the v1 annotation.
    pub(crate) fn as_v1(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Internal => "internal",
            Self::InternalAndCloudLoadBalancing => "internal-and-cloud-load-balancing",
            Self::None => "none",
        }
    }

    /// The value of the v2 enum.
    pub(crate) fn as_v2(self) -> &'static str {
        match self {
            Self::All => "INGRESS_TRAFFIC_ALL",
            Self::Internal => "INGRESS_TRAFFIC_INTERNAL_ONLY",
            Self::InternalAndCloudLoadBalancing => "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
            Self::None => "INGRESS_TRAFFIC_NONE",
        }
    }
}

impl Faults {
    /// The status with which `method` is to be answered; uses up one of its times.
    pub(crate) fn take_status(&mut self, method: &str) -> Option<u16> {
        let fault = self
            .api_status
            .iter_mut()
            .find(|fault| (fault.method == method || fault.method == "*") && fault.times != Some(0))?;
        if let Some(times) = fault.times.as_mut() {
            *times -= 1;
        }
        Some(fault.status)
    }
}

/// Uses up one of a counted fault; true when there was one left.
pub(crate) fn take(count: &mut u32) -> bool {
    let any = *count > 0;
    *count = count.saturating_sub(1);
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_status_is_used_up() {
        let mut faults = Faults {
            api_status: vec![ApiStatus { method: "services.get".into(), status: 503, times: Some(1) }],
            ..Faults::default()
        };
        assert_eq!(faults.take_status("revisions.list"), None);
        assert_eq!(faults.take_status("services.get"), Some(503));
        assert_eq!(faults.take_status("services.get"), None);
    }

    #[test]
    fn faults_survive_their_own_text() {
        let faults = Faults {
            pending_for: wait::NEVER,
            new_tag_404_for: Duration::from_millis(1500),
            ingress: Ingress::Internal,
            ..Faults::default()
        };
        let text = serde_json::to_string(&faults).unwrap();
        assert_eq!(serde_json::from_str::<Faults>(&text).unwrap(), faults);
        assert!(serde_json::from_str::<Faults>(r#"{"lost_replies": 1}"#).is_err());
        let misspelt = r#"{"api_status": [{"method": "services.patch", "status": 503}]}"#;
        assert!(
            serde_json::from_str::<Faults>(misspelt).unwrap_err().to_string().contains("services.update")
        );
    }
}
