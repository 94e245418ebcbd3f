//! What the emulator is told: its own options, and what is deployed to it.
//!
//! Values only, with defaults that make the shortest test short.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{faults::Faults, front::Tls, images::Images, sample::SampleBackend, wait};

/// The project where nobody names one.
pub const PROJECT: &str = "demo-project";
/// The region where nobody names one.
pub const REGION: &str = "us-central1";
/// The service where nobody names one.
pub const SERVICE: &str = "demo";

/// How the emulator is set up.
#[derive(Debug, Clone)]
pub struct EmulatorOptions {
    /// The API's loopback port; `None` or 0 for a free one.
    pub port: Option<u16>,
    /// An address that every port listens on besides loopback.
    pub bind: IpAddr,
    /// The certificate with which every port speaks TLS too; `None` for plain HTTP only.
    pub tls: Option<Tls>,
    /// Whether services say that they are at their names of run.app, by https, and not at their ports.
    pub real_names: bool,
    /// The project's id.
    pub project: String,
    /// The region.
    pub region: String,
    /// The service to which [`Emulator::deploy`](super::Emulator::deploy) deploys.
    pub service: String,
    /// The wall clock at the start; all later times are this plus the time elapsed.
    pub started_at: Timestamp,
    /// Emulated seconds in a real one: the platform's clock is that much faster; containers keep real time.
    pub speed: u32,
    /// How long a write takes to be reconciled.
    pub pace: Duration,
    /// The size of a page of a list when the caller asks for none; also its upper limit.
    pub page_size: usize,
    /// How long a command may take until it listens.
    pub startup_deadline: Duration,
    /// Whether the processes of an instance without a request are stopped, where the template leaves it without CPU then.
    pub throttle: bool,
    /// What runs in a revision made by an API write, in the place of its image.
    pub images: Images,
    /// Whether an API write may name a command to run.
    pub allow_commands: bool,
    /// What runs in a revision made by an API write whose image `images` does not name.
    pub default_workload: Workload,
    /// The faults in force from the start.
    pub faults: Faults,
    /// The seed for names, ids and draws.
    pub seed: u64,
    /// The file that the state is kept in and taken from; `None` forgets it.
    pub state: Option<PathBuf>,
}

impl EmulatorOptions {
    /// The defaults, at `started_at`.
    pub fn new(started_at: Timestamp) -> Self {
        Self {
            port: None,
            bind: Ipv4Addr::LOCALHOST.into(),
            tls: None,
            real_names: false,
            project: PROJECT.to_owned(),
            region: REGION.to_owned(),
            service: SERVICE.to_owned(),
            started_at,
            speed: 1,
            pace: Duration::from_millis(200),
            page_size: 100,
            startup_deadline: Duration::from_mins(1),
            throttle: false,
            images: Images::default(),
            allow_commands: false,
            // A gate on what was just deployed must be able to see which revision answers.
            default_workload: Workload::Sample(SampleBackend {
                echo_revision: true,
                ..SampleBackend::default()
            }),
            faults: Faults::default(),
            seed: 1,
            state: None,
        }
    }
}

/// What runs in a revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// The sample agent backend, inside this process.
    Sample(SampleBackend),
    /// A command of the user's own; `$PORT`, `$K_SERVICE` and `$K_REVISION` are expanded, there is no shell.
    Command(String),
}

/// One `gcloud run deploy`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// The revision's name; `None` lets the service choose `SERVICE-00001-abc`.
    pub revision: Option<String>,
    /// What runs in it.
    pub workload: Workload,
    /// A tag to point at it; the tag leaves the revision that it pointed at before.
    pub tag: Option<String>,
    /// The share of traffic; 0 is `--no-traffic`. The first revision of a service gets everything, whatever stands here.
    pub traffic_percent: u8,
    /// Labels of the revision.
    pub labels: BTreeMap<String, String>,
    /// `sha256:…` or `image@sha256:…`; `None` makes one up.
    pub image_digest: Option<String>,
    /// Requests that one instance takes at once. `None`: the specification says 80, and one instance takes them all.
    pub concurrency: Option<u32>,
    /// The most instances; `None`: 100.
    pub max_instances: Option<u32>,
    /// Instances that are kept when nobody comes.
    pub min_instances: u32,
    /// How long a request may last; zero is five minutes, as on Cloud Run.
    #[serde(with = "wait")]
    pub timeout: Duration,
    /// The container's variables, besides those of the platform.
    pub env: BTreeMap<String, String>,
    /// The start-up probe, as the API writes it; `None` is Cloud Run's own.
    pub startup_probe: Option<Value>,
    /// Whether a client is led to the instance that it met before.
    pub session_affinity: bool,
    /// How long an instance without a request stays; zero is 15 minutes, as on Cloud Run at the most.
    #[serde(with = "wait")]
    pub idle_after: Duration,
    /// How long a request waits for a slot before the platform's 429; zero is 10 s.
    #[serde(with = "wait")]
    pub queue_for: Duration,
    /// How long an instance takes before its container starts.
    #[serde(with = "wait")]
    pub starts_in: Duration,
    /// How long before now it says it was created; zero for now.
    #[serde(with = "wait")]
    pub created_ago: Duration,
    /// Overrides [`Faults::pending_for`] for this revision, when not zero.
    #[serde(with = "wait")]
    pub pending_for: Duration,
    /// Overrides [`Faults::fail_revision`] for this revision.
    pub fail: Option<String>,
    /// What the platform says in the revision's log first.
    pub note: Option<String>,
}

impl Deployment {
    /// `gcloud run deploy --no-traffic` of this workload, without a tag.
    pub fn new(workload: Workload) -> Self {
        Self {
            revision: None,
            workload,
            tag: None,
            traffic_percent: 0,
            labels: BTreeMap::new(),
            image_digest: None,
            concurrency: None,
            max_instances: None,
            min_instances: 0,
            timeout: Duration::ZERO,
            env: BTreeMap::new(),
            startup_probe: None,
            session_affinity: false,
            idle_after: Duration::ZERO,
            queue_for: Duration::ZERO,
            starts_in: Duration::ZERO,
            created_ago: Duration::ZERO,
            pending_for: Duration::ZERO,
            fail: None,
            note: None,
        }
    }

    /// Writes into a template, as v1 writes it, what it does not have from elsewhere.
    pub(crate) fn add_to(&self, template: &mut Value) {
        if !self.timeout.is_zero() {
            template["spec"]["timeoutSeconds"] = json!(self.timeout.as_secs().max(1));
        }
        if self.session_affinity {
            template["metadata"]["annotations"]["run.googleapis.com/sessionAffinity"] = json!("true");
        }
        let container = &mut template["spec"]["containers"][0];
        if !self.env.is_empty() {
            let variables = self.env.iter().map(|(name, value)| json!({"name": name, "value": value}));
            container["env"] = variables.collect();
        }
        if let Some(probe) = &self.startup_probe {
            container["startupProbe"] = probe.clone();
        }
    }
}

/// A call that reached the API.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiRequest {
    /// The HTTP method.
    pub method: String,
    /// Path and query, as sent, without scheme and authority.
    pub path: String,
    /// The JSON body; null without one.
    pub body: Value,
}

/// A line that a revision wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The revision's short name.
    pub revision: String,
    /// The instance's id; `None` where none is meant.
    pub instance: Option<String>,
    /// `stdout`, `stderr` or `system`.
    pub stream: &'static str,
    /// The line without its end.
    pub text: String,
}
