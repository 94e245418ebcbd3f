//! What the Cloud Run Admin API (v2) says, as far as revgate reads it.
//!
//! Takes JSON of the public API and gives typed values: absent fields are their defaults, unknown fields are ignored,
//! an unknown word of an enumeration is kept as `Other`. Pure: it never asks anything. The surprising rule: a traffic
//! entry keeps the JSON it came from and is written back as that, since an entry that somebody else made may hold
//! fields that did not exist when this was written.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::container::{Container, ContainerStatus};
use super::lenient;
use super::scaling::Scaling;
use crate::config::ServiceName;
use crate::trust::Excerpt;

/// A service. Source: `google.cloud.run.v2.Service`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "they are the API's own, each about another thing")]
pub struct Service {
    /// `projects/P/locations/L/services/S`.
    #[serde(deserialize_with = "lenient::name")]
    pub name: String,
    /// Another one after the service was deleted and made again.
    #[serde(deserialize_with = "lenient::name")]
    pub uid: String,
    /// Moves by one with each change that somebody asks for.
    #[serde(deserialize_with = "lenient::integer")]
    pub generation: i64,
    /// The generation that has been acted upon.
    #[serde(deserialize_with = "lenient::integer")]
    pub observed_generation: i64,
    /// For the next write; the API may ignore it.
    pub etag: String,
    /// True while a change is being acted upon; until then the statuses and addresses are transient.
    pub reconciling: bool,
    /// The sum of the conditions.
    pub terminal_condition: Option<Condition>,
    /// Conditions of the parts.
    pub conditions: Vec<Condition>,
    /// Full name of the revision that was made last.
    #[serde(deserialize_with = "lenient::name")]
    pub latest_created_revision: String,
    /// Full name of the last revision that became ready (and was meant for traffic).
    #[serde(deserialize_with = "lenient::name")]
    pub latest_ready_revision: String,
    /// What was asked for.
    pub traffic: Vec<TrafficTarget>,
    /// What is in effect.
    pub traffic_statuses: Vec<TrafficTargetStatus>,
    /// The default address.
    #[serde(deserialize_with = "lenient::optional_address")]
    pub uri: Option<String>,
    /// All addresses.
    pub urls: Vec<String>,
    /// Where requests may come from.
    pub ingress: Ingress,
    /// True when the run.app addresses are switched off.
    pub default_uri_disabled: bool,
    /// True when nobody needs the permission to invoke.
    pub invoker_iam_disabled: bool,
    /// True when Identity-Aware Proxy stands in front.
    pub iap_enabled: bool,
    /// Further audiences that ID tokens may be made for.
    pub custom_audiences: Vec<String>,
    /// The template of the next revision, kept only to be compared.
    pub template: Value,
    /// Who wrote last.
    #[serde(deserialize_with = "lenient::name")]
    pub last_modifier: String,
    /// When it was written last.
    #[serde(deserialize_with = "lenient::timestamp")]
    pub update_time: Option<Timestamp>,
}

impl Service {
    /// The parts of the service's full name; empty parts where the name has another shape.
    pub fn service_name(&self) -> ServiceName {
        let part = |index: usize| self.name.split('/').nth(index).unwrap_or_default().to_owned();
        ServiceName { project: part(1), region: part(3), service: part(5) }
    }

    /// Short name of the revision that a LATEST entry means; `None` when no revision is ready.
    pub fn latest_ready(&self) -> Option<&str> {
        Some(short_name(&self.latest_ready_revision)).filter(|name| !name.is_empty())
    }

    /// True when the last change has been acted upon, successfully or not.
    pub fn is_settled(&self) -> bool {
        !self.reconciling && self.observed_generation >= self.generation
    }

    /// The traffic entries as they came, ready to be written back.
    pub fn traffic_entries(&self) -> Vec<Value> {
        self.traffic.iter().map(|target| target.raw.clone()).collect()
    }
}

/// The last part of a full name.
pub fn short_name(full: &str) -> &str {
    full.rsplit('/').next().unwrap_or(full)
}

/// A revision. Source: `google.cloud.run.v2.Revision`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Revision {
    /// `projects/P/locations/L/services/S/revisions/R`.
    #[serde(deserialize_with = "lenient::name")]
    pub name: String,
    /// Unique in all time.
    #[serde(deserialize_with = "lenient::name")]
    pub uid: String,
    /// When it was made; `None` where the API does not say.
    #[serde(deserialize_with = "lenient::timestamp")]
    pub create_time: Option<Timestamp>,
    /// When it was deleted; such a revision is still listed for a while.
    #[serde(deserialize_with = "lenient::timestamp")]
    pub delete_time: Option<Timestamp>,
    /// The deployment's own labels.
    #[serde(deserialize_with = "lenient::labels")]
    pub labels: BTreeMap<String, String>,
    /// The containers as they were asked for.
    pub containers: Vec<Container>,
    /// The containers as they are.
    pub container_statuses: Vec<ContainerStatus>,
    /// How many requests, and so how many sockets, one instance takes at once; 0: not said.
    #[serde(deserialize_with = "lenient::integer")]
    pub max_instance_request_concurrency: i64,
    /// How many instances it may have.
    pub scaling: Scaling,
    /// How long a request, and so a socket, may last: seconds with an `s`, such as `300s`.
    #[serde(deserialize_with = "lenient::name")]
    pub timeout: String,
    /// True when a client is sent to the same instance again.
    pub session_affinity: bool,
    /// Whether it is ready, and why not.
    pub conditions: Vec<Condition>,
    /// True while it is being made.
    pub reconciling: bool,
    /// Moves with each change.
    #[serde(deserialize_with = "lenient::integer")]
    pub generation: i64,
    /// The generation that has been acted upon.
    #[serde(deserialize_with = "lenient::integer")]
    pub observed_generation: i64,
    /// Its log in the console.
    #[serde(deserialize_with = "lenient::optional_address")]
    pub log_uri: Option<String>,
}

impl Revision {
    /// The short name.
    pub fn short_name(&self) -> &str {
        short_name(&self.name)
    }

    /// How long a request, and so a socket, may last; `None` where it is not said.
    pub fn request_timeout(&self) -> Option<Duration> {
        let seconds = self.timeout.strip_suffix('s')?.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero())
    }

    /// The condition of this type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// The digests (`sha256:…`) of all its images, without repetition.
    pub fn digests(&self) -> Vec<&str> {
        let reported = self.container_statuses.iter().map(|status| status.image_digest.as_str());
        let asked = self.containers.iter().map(|container| container.image.as_str());
        let mut digests: Vec<&str> =
            reported.chain(asked).filter_map(|image| image.find("sha256:").map(|at| &image[at..])).collect();
        digests.sort_unstable();
        digests.dedup();
        digests
    }
}

/// One entry of the traffic that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct TrafficTarget {
    /// The entry as it came.
    pub raw: Value,
    /// What revgate understands of it.
    pub view: TrafficTargetStatus,
}

impl<'de> Deserialize<'de> for TrafficTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

impl TryFrom<Value> for TrafficTarget {
    type Error = serde_json::Error;

    fn try_from(raw: Value) -> Result<Self, Self::Error> {
        let view = TrafficTargetStatus::deserialize(&raw)?;
        Ok(Self { raw, view })
    }
}

/// One entry of the traffic that is in effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TrafficTargetStatus {
    /// Whether it means a revision by name or the latest ready one.
    #[serde(rename = "type")]
    pub kind: AllocationType,
    /// Short name of the revision; `None` for LATEST.
    #[serde(deserialize_with = "lenient::optional_name")]
    pub revision: Option<String>,
    /// Its share of the requests, 0 to 100.
    #[serde(deserialize_with = "lenient::integer")]
    pub percent: i64,
    /// Its tag.
    #[serde(deserialize_with = "lenient::optional_name")]
    pub tag: Option<String>,
    /// The tag's address; only in statuses.
    #[serde(deserialize_with = "lenient::optional_address")]
    pub uri: Option<String>,
}

/// What a traffic entry means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AllocationType {
    /// Not said; then a revision where one is named, else the latest.
    #[default]
    Unspecified,
    /// The latest ready revision.
    Latest,
    /// A revision by name.
    Revision,
    /// A word that was unknown when this was written.
    Other(String),
}

impl<'de> Deserialize<'de> for AllocationType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const PREFIX: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_";
        let word = lenient::enumeration(deserializer, &["", "LATEST", "REVISION"])?;
        Ok(match word.strip_prefix(PREFIX).unwrap_or(&word) {
            "" | "UNSPECIFIED" => Self::Unspecified,
            "LATEST" => Self::Latest,
            "REVISION" => Self::Revision,
            _ => Self::Other(word),
        })
    }
}

/// Where requests may come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ingress {
    /// Not said, which means everywhere.
    #[default]
    Unspecified,
    /// Everywhere.
    All,
    /// The project's own networks.
    InternalOnly,
    /// The project's own networks and its load balancers.
    InternalLoadBalancer,
    /// Nowhere.
    None,
    /// A word that was unknown when this was written.
    Other(String),
}

impl<'de> Deserialize<'de> for Ingress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const NAMES: [&str; 5] = ["", "ALL", "INTERNAL_ONLY", "INTERNAL_LOAD_BALANCER", "NONE"];
        let word = lenient::enumeration(deserializer, &NAMES)?;
        Ok(match word.strip_prefix("INGRESS_TRAFFIC_").unwrap_or(&word) {
            "" | "UNSPECIFIED" => Self::Unspecified,
            "ALL" => Self::All,
            "INTERNAL_ONLY" => Self::InternalOnly,
            "INTERNAL_LOAD_BALANCER" => Self::InternalLoadBalancer,
            "NONE" => Self::None,
            _ => Self::Other(word),
        })
    }
}

/// How one aspect of a service or revision stands.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Which aspect: `Ready`, `ContainerHealthy`, `Active`, …
    #[serde(rename = "type", deserialize_with = "lenient::name")]
    pub kind: String,
    /// How it stands.
    pub state: ConditionState,
    /// In the platform's own words.
    #[serde(deserialize_with = "excerpt")]
    pub message: Excerpt,
    reason: Reason,
    revision_reason: RevisionReason,
    execution_reason: Reason,
}

impl Condition {
    /// The reason, one word; `None` where none is given.
    pub fn reason(&self) -> Option<&str> {
        [&self.reason.0, &self.revision_reason.0, &self.execution_reason.0]
            .into_iter()
            .map(String::as_str)
            .find(|reason| !reason.is_empty() && !reason.ends_with("_UNDEFINED"))
    }
}

/// A text that is shown: escaped and capped.
fn excerpt<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Excerpt, D::Error> {
    Ok(Excerpt::new(&String::deserialize(deserializer)?))
}

/// A reason by its word; an integer stays an integer, since nobody decides by these.
#[derive(Debug, Clone, Default)]
struct Reason(String);

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::enumeration(deserializer, &[""]).map(Self)
    }
}

/// A revision's reason, of which some are tolerated, so that integers have to be known as well.
#[derive(Debug, Clone, Default)]
struct RevisionReason(String);

impl<'de> Deserialize<'de> for RevisionReason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const NAMES: [&str; 13] = [
            "",
            "PENDING",
            "RESERVE",
            "RETIRED",
            "RETIRING",
            "RECREATING",
            "HEALTH_CHECK_CONTAINER_ERROR",
            "CUSTOMIZED_PATH_RESPONSE_PENDING",
            "MIN_INSTANCES_NOT_PROVISIONED",
            "ACTIVE_REVISION_LIMIT_REACHED",
            "NO_DEPLOYMENT",
            "HEALTH_CHECK_SKIPPED",
            "MIN_INSTANCES_WARMING",
        ];
        lenient::enumeration(deserializer, &NAMES).map(Self)
    }
}

/// How a condition stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ConditionState {
    /// Not said.
    #[default]
    Unspecified,
    /// Not begun.
    Pending,
    /// Under way.
    Reconciling,
    /// Ended badly.
    Failed,
    /// Ended well.
    Succeeded,
    /// A word that was unknown when this was written.
    Other(String),
}

impl<'de> Deserialize<'de> for ConditionState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word =
            lenient::enumeration(deserializer, &["", "PENDING", "RECONCILING", "FAILED", "SUCCEEDED"])?;
        Ok(match word.strip_prefix("CONDITION_").unwrap_or(&word) {
            "" | "STATE_UNSPECIFIED" => Self::Unspecified,
            "PENDING" => Self::Pending,
            "RECONCILING" => Self::Reconciling,
            "FAILED" => Self::Failed,
            "SUCCEEDED" => Self::Succeeded,
            _ => Self::Other(word),
        })
    }
}
