//! What a service is, inside the emulator.
//!
//! Values and questions about them; no JSON, no clock, no network. `traffic` is what was asked for and `routed` what
//! the front end does: they differ while a write is being reconciled, and for good after one that failed.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    faults::Faults,
    front::Zone,
    instance::{Failure, Instances},
    options::Deployment,
    wait,
};

/// A service.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// The short name.
    pub(crate) name: String,
    /// A UUID.
    pub(crate) uid: String,
    /// Grows by one with each write.
    pub(crate) generation: u64,
    /// The last generation that was reconciled.
    pub(crate) observed: u64,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// The last write; its microseconds are the version behind the etag.
    pub(crate) updated: Timestamp,
    /// Who made it.
    pub(crate) creator: String,
    /// Who wrote last.
    pub(crate) last_modifier: String,
    /// The labels that were sent.
    pub(crate) labels: Map<String, Value>,
    /// The annotations that were sent, or that stand for members of v2.
    pub(crate) annotations: Map<String, Value>,
    /// The template as v1 writes it, completed; it has a name only where the client chose one.
    pub(crate) template: Value,
    /// Who may do what with it.
    pub(crate) policy: Policy,
    /// The id of the last write's operation.
    pub(crate) operation: Option<String>,
    /// Since when it is being deleted.
    pub(crate) deleted: Option<Timestamp>,
    /// The traffic that was asked for.
    pub(crate) traffic: Vec<Target>,
    /// The traffic that the front end serves.
    pub(crate) routed: Vec<Target>,
    /// How the last write goes.
    pub(crate) progress: Progress,
    /// Since when.
    pub(crate) progress_since: Timestamp,
    /// In the order of their making.
    pub(crate) revisions: Vec<Revision>,
    /// The short name of the newest.
    pub(crate) latest_created: Option<String>,
    /// The short name of the newest ready one.
    pub(crate) latest_ready: Option<String>,
    /// The revision that LATEST means in `routed`: the newest ready one when that took effect.
    pub(crate) latest_routed: Option<String>,
    /// The project and the region whose names of run.app it says it has; `None`: it says its ports.
    pub(crate) told_names: Option<(String, String)>,
    /// The port that stands in for its run.app name.
    pub(crate) port: u16,
    /// The ports of all tags there ever were.
    pub(crate) tag_ports: BTreeMap<String, u16>,
    /// When each tag last moved, and from where.
    pub(crate) tags: BTreeMap<String, TagMove>,
}

/// An entry of the traffic.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    /// A revision's short name; `None` is the newest ready one.
    pub(crate) revision: Option<String>,
    /// 0 to 100.
    pub(crate) percent: u32,
    /// A tag.
    pub(crate) tag: Option<String>,
}

/// How far a write has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Progress {
    /// On its way.
    Reconciling,
    /// As asked.
    Done,
    /// It will not be as asked.
    Failed(Problem),
}

/// Why a write did not take effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Problem {
    /// The `google.rpc.Code` of the operation.
    pub(crate) code: u32,
    /// The message for people.
    pub(crate) message: String,
    /// The v2 reason of the revision that failed; `None` when the routing did.
    pub(crate) reason: Option<Cow<'static, str>>,
}

/// An IAM policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    /// The bindings, as they were sent.
    pub(crate) bindings: Vec<Value>,
    /// How often it was set.
    pub(crate) writes: u64,
}

/// A tag's last move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagMove {
    /// Where it points.
    pub(crate) revision: String,
    /// Where it pointed before; `None` for a name never seen before.
    pub(crate) previous: Option<String>,
    /// Since when.
    pub(crate) since: Timestamp,
}

/// A revision.
#[derive(Debug, Clone)]
pub(crate) struct Revision {
    /// The short name.
    pub(crate) name: String,
    /// A UUID.
    pub(crate) uid: String,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When its readiness last changed.
    pub(crate) changed: Timestamp,
    /// Whether it can serve.
    pub(crate) readiness: Readiness,
    /// The generation of the service that made it.
    pub(crate) generation: u64,
    /// The template that it was made from, as v1 writes it, completed and without the name.
    pub(crate) template: Value,
    /// The id of the operation that made it.
    pub(crate) operation: Option<String>,
    /// What runs in it, where that is not what its image names.
    pub(crate) stand_in: Option<String>,
    /// How it was deployed; `None`: by an API write, so that its template and the map of images say everything.
    pub(crate) deployment: Option<Box<Deployment>>,
    /// What happens to it before it is ready.
    pub(crate) bring_up: BringUp,
    /// `image@sha256:…`
    pub(crate) digest: String,
    /// What answers.
    pub(crate) instances: Arc<Instances>,
}

/// What happens to a new revision before it is ready, and what after that.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BringUp {
    /// So long after its instances are up it is still pending.
    #[serde(with = "wait")]
    pub(crate) pending_for: Duration,
    /// It fails, with this message.
    pub(crate) fail: Option<String>,
    /// It fails so long after it was ready; zero is never.
    #[serde(with = "wait")]
    pub(crate) fails_after: Duration,
}

/// Whether a revision can serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Readiness {
    /// Not yet known.
    Pending,
    /// It can.
    Ready,
    /// It cannot.
    Failed(Failure),
}

/// A long-running operation.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// The service it is about.
    pub(crate) service: String,
    /// Which service of that name.
    pub(crate) uid: String,
    /// What it does.
    pub(crate) work: Work,
    /// Whether it has ended.
    pub(crate) done: bool,
    /// Why it failed.
    pub(crate) error: Option<Problem>,
    /// The service as it was, once it or its revision is gone.
    pub(crate) last: Option<Box<Service>>,
    /// It was deleted before its end, and is no more to be seen.
    pub(crate) forgotten: bool,
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Work {
    /// It makes what was written take effect.
    Write {
        /// The generation of the service that the write made.
        generation: u64,
        /// The revision that it made.
        created: Option<String>,
    },
    /// It deletes the service.
    DeleteService,
    /// It deletes this revision.
    DeleteRevision(String),
}

/// Who may call a service when anybody may.
const EVERYBODY: &str = "allUsers";
/// The role by which one may.
const INVOKER: &str = "roles/run.invoker";

impl Policy {
    /// Anybody may call the service.
    pub(crate) fn public() -> Self {
        let binding = serde_json::json!({"role": INVOKER, "members": [EVERYBODY]});
        Self { bindings: vec![binding], writes: 1 }
    }

    /// True when anybody may call the service.
    pub(crate) fn is_public(&self) -> bool {
        self.bindings.iter().any(|binding| {
            let members = binding.get("members").and_then(Value::as_array).into_iter().flatten();
            binding.get("role").and_then(Value::as_str) == Some(INVOKER)
                && members.filter_map(Value::as_str).any(|member| member == EVERYBODY)
        })
    }
}

impl Operation {
    /// The revision it is about, for the deletion of one.
    pub(crate) fn revision(&self) -> Option<&str> {
        match &self.work {
            Work::DeleteRevision(name) => Some(name),
            Work::Write { .. } | Work::DeleteService => None,
        }
    }
}

impl Target {
    /// A share for a named revision.
    pub(crate) fn share(revision: &str, percent: u32) -> Self {
        Self { revision: Some(revision.to_owned()), percent, tag: None }
    }
}

impl Revision {
    /// The annotation by which a revision says that its image does not run.
    pub(crate) const STAND_IN: &str = "emulator.revgate/runs";

    /// The revision with its annotations: its template's, and what the emulator says of it.
    pub(crate) fn annotated(&self) -> Value {
        let mut template = self.template.clone();
        if let Some(stand_in) = &self.stand_in {
            template["metadata"]["annotations"][Self::STAND_IN] = Value::from(stand_in.as_str());
        }
        template
    }
}

impl Service {
    /// The revision of this short name.
    pub(crate) fn revision(&self, name: &str) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.name == name)
    }

    /// The revision to which a routed target leads.
    pub(crate) fn resolve(&self, target: &Target) -> Option<String> {
        target.revision.clone().or_else(|| self.latest_routed.clone())
    }

    /// The version that etag and conflict texts carry.
    pub(crate) fn version(&self) -> i64 {
        self.updated.as_microsecond()
    }

    /// Whether a revision has a share or a tag.
    pub(crate) fn routes_to(&self, name: &str) -> bool {
        self.routed.iter().any(|target| self.resolve(target).as_deref() == Some(name))
    }

    /// Records a write by `author`: a new generation that is not reconciled yet.
    pub(crate) fn written(&mut self, author: &str, now: Timestamp) {
        self.generation += 1;
        self.updated = now;
        author.clone_into(&mut self.last_modifier);
        self.progress = Progress::Reconciling;
        self.progress_since = now;
    }

    /// False where its own URLs are switched off, by the service itself or by a fault.
    pub(crate) fn has_url(&self, faults: &Faults) -> bool {
        let switch = self.annotations.get("run.googleapis.com/default-url-disabled").and_then(Value::as_str);
        !faults.default_uri_disabled && !switch.is_some_and(|switch| switch.eq_ignore_ascii_case("true"))
    }

    /// The URL of the service.
    pub(crate) fn url(&self) -> String {
        self.zone().map_or_else(
            || format!("http://127.0.0.1:{}", self.port),
            |zone| format!("https://{}", zone.hashed(&self.name, None)),
        )
    }

    /// All URLs of the service.
    pub(crate) fn urls(&self) -> Vec<String> {
        let numbered = self.zone().map(|zone| format!("https://{}", zone.numbered(&self.name, None)));
        numbered.into_iter().chain([self.url()]).collect()
    }

    /// The URL of a tag, once a port stands for it.
    pub(crate) fn tag_url(&self, tag: &str) -> Option<String> {
        let port = self.tag_ports.get(tag)?;
        Some(self.zone().map_or_else(
            || format!("http://127.0.0.1:{port}"),
            |zone| format!("https://{}", zone.hashed(&self.name, Some(tag))),
        ))
    }

    fn zone(&self) -> Option<Zone<'_>> {
        self.told_names.as_ref().map(|(project, region)| Zone { project, region })
    }
}
