//! The smaller answers of the API: pages, operations, policies and errors.
//!
//! Takes JSON of the public API and gives typed values, as tolerant as [`super::wire`]. Pure. The surprising rule: an
//! answer of an operation holds the whole service, and its generation is the one thing that tells whose write it was.

use serde::Deserialize;
use serde_json::Value;

use super::lenient;
use super::wire::{Revision, Service};
use crate::trust::Excerpt;

/// One page of revisions.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RevisionPage {
    pub(super) revisions: Vec<Revision>,
    pub(super) next_page_token: String,
}

/// A write under way. Source: `google.longrunning.Operation`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Operation {
    /// `projects/P/locations/L/operations/ID`; empty when the write was only validated.
    #[serde(deserialize_with = "lenient::name")]
    pub name: String,
    /// True when it has ended.
    pub done: bool,
    /// Why it failed.
    pub error: Option<Status>,
    metadata: Value,
    response: Value,
}

impl Operation {
    /// The service's generation as of this write; `None` where the answer does not say.
    pub fn generation(&self) -> Option<i64> {
        [&self.response, &self.metadata]
            .into_iter()
            .filter_map(|value| Service::deserialize(value).ok())
            .map(|service| service.generation)
            .find(|&generation| generation > 0)
    }
}

/// A status by code and words. Source: `google.rpc.Status`, also the body of an error.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    /// An HTTP status in the body of an error, a `google.rpc.Code` in an operation.
    #[serde(deserialize_with = "lenient::integer")]
    pub code: i64,
    /// In the API's own words.
    pub message: String,
    /// One word, such as `NOT_FOUND`; only in the body of an error.
    #[serde(deserialize_with = "lenient::name")]
    pub status: String,
    /// Further objects, such as `google.rpc.ErrorInfo`.
    pub details: Vec<Value>,
}

impl Status {
    /// The words, escaped and capped.
    pub fn excerpt(&self) -> Excerpt {
        Excerpt::new(&self.message)
    }

    /// True when a detail gives this reason.
    pub(super) fn has_reason(&self, reason: &str) -> bool {
        self.details.iter().any(|detail| detail["reason"] == reason)
    }
}

/// The body of an error.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct ErrorBody {
    pub(super) error: Status,
}

/// Who may do what. Source: `google.iam.v1.Policy`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Policy {
    bindings: Vec<Binding>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Binding {
    role: String,
    members: Vec<String>,
    condition: Option<Value>,
}

impl Policy {
    /// True when everybody may invoke, without any condition.
    pub(super) fn is_public(&self) -> bool {
        self.bindings.iter().any(|binding| {
            binding.role == "roles/run.invoker"
                && binding.condition.is_none()
                && binding.members.iter().any(|member| member == "allUsers")
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::wire::{AllocationType, ConditionState, Ingress, Revision, Service};
    use super::*;

    fn service() -> Value {
        json!({
            "name": "projects/p/locations/europe-west1/services/checkout", "uid": "u-1",
            "generation": "17", "observedGeneration": "17", "etag": "\"MTc=/Y2hlY2tvdXQ=\"",
            "ingress": "INGRESS_TRAFFIC_ALL", "someFieldOfNextYear": {"a": [1]},
            "traffic": [
                {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100, "futureField": "kept"},
                {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "checkout-00002-new", "tag": "gate"}],
            "trafficStatuses": [
                {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100},
                {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "checkout-00002-new", "tag": "gate",
                 "uri": "http://[::1]:4000"}],
            "latestReadyRevision": "projects/p/locations/europe-west1/services/checkout/revisions/checkout-00001-duz",
            "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"},
            "uri": "https://checkout-abcdefghij-ew.a.run.app"
        })
    }

    #[test]
    fn reads_a_service() {
        let service = Service::deserialize(service()).unwrap();
        assert_eq!((service.generation, service.is_settled()), (17, true));
        assert_eq!(service.service_name().region, "europe-west1");
        assert_eq!(service.latest_ready(), Some("checkout-00001-duz"));
        assert_eq!(service.traffic[0].view.kind, AllocationType::Latest);
        assert_eq!(service.traffic_entries()[0]["futureField"], "kept");
        assert_eq!(service.traffic_statuses[1].uri.as_deref(), Some("http://[::1]:4000"));
        assert!(!service.reconciling && service.traffic[1].view.percent == 0);
    }

    #[test]
    fn reads_numbers_for_words_and_words_of_next_year() {
        let raw = json!({"generation": 3, "ingress": 2, "traffic": [{"type": 2, "revision": "r", "percent": "7"}],
            "terminalCondition": {"type": "Ready", "state": 3, "revisionReason": 3}});
        let service = Service::deserialize(raw).unwrap();
        assert_eq!((service.generation, service.ingress), (3, Ingress::InternalOnly));
        assert_eq!(service.traffic[0].view.kind, AllocationType::Revision);
        assert_eq!(service.traffic[0].view.percent, 7);
        let condition = service.terminal_condition.unwrap();
        assert_eq!((condition.state.clone(), condition.reason()), (ConditionState::Failed, Some("RETIRED")));

        let raw =
            json!({"ingress": "INGRESS_TRAFFIC_LUNAR", "conditions": [{"type": "Ready", "state": "SHINY"}]});
        let service = Service::deserialize(raw).unwrap();
        assert_eq!(service.ingress, Ingress::Other("INGRESS_TRAFFIC_LUNAR".into()));
        assert_eq!(service.conditions[0].state, ConditionState::Other("SHINY".into()));
    }

    #[test]
    fn reads_a_revision_and_escapes_its_words() {
        let raw = json!({
            "name": "projects/p/locations/l/services/s/revisions/s-00002-new", "createTime": "2026-11-23T20:28:12.827715Z",
            "labels": {"commit": "abc"}, "service": "s", "maxInstanceRequestConcurrency": 80, "timeout": "300s",
            "containers": [{"image": "us-docker.pkg.dev/x/hello@sha256:aa"}],
            "containerStatuses": [{"name": "hello-1", "imageDigest": "us-docker.pkg.dev/x/hello@sha256:aa"}],
            "conditions": [{"type": "Ready", "state": "CONDITION_FAILED", "message": "::error::\u{1b}[31m",
                "revisionReason": "HEALTH_CHECK_CONTAINER_ERROR"}]});
        let revision = Revision::deserialize(raw).unwrap();
        assert_eq!(revision.short_name(), "s-00002-new");
        assert_eq!(revision.digests(), ["sha256:aa"]);
        assert_eq!(revision.create_time.unwrap().as_microsecond() % 1_000_000, 827_715);
        let ready = revision.condition("Ready").unwrap();
        assert_eq!(ready.reason(), Some("HEALTH_CHECK_CONTAINER_ERROR"));
        assert_eq!(ready.message.as_str(), ":\\u{3a}error:\\u{3a}\\u{1b}[31m");
    }

    #[test]
    fn reads_an_operation_and_a_policy() {
        let raw = json!({"name": "projects/p/locations/l/operations/o", "metadata": service()});
        let operation = Operation::deserialize(raw).unwrap();
        assert_eq!((operation.done, operation.generation()), (false, Some(17)));
        let raw = json!({"done": true, "error": {"code": 13, "message": "Revision 'x' does not exist."}});
        assert_eq!(Operation::deserialize(raw).unwrap().error.unwrap().code, 13);

        let public = json!({"bindings": [{"role": "roles/run.invoker", "members": ["allUsers"]}]});
        assert!(Policy::deserialize(public).unwrap().is_public());
        assert!(!Policy::deserialize(json!({"etag": "ACAB"})).unwrap().is_public());
        let null = lenient::without_nulls(json!({"uri": null, "traffic": [{"tag": null, "revision": "r"}]}));
        assert_eq!(Service::deserialize(null).unwrap().traffic[0].view.tag, None);
    }
}
