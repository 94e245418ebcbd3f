//! How a rehearsal is written down.
//!
//! YAML or JSON: a service, its revisions in the order of their deployment, and the faults. The last revision is the
//! candidate: those before it are deployed in good health and ready first, and the faults hold from then on. Unknown
//! keys are refused.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{
    error::EmulatorError,
    faults::Faults,
    images::Images,
    options::{Deployment, EmulatorOptions, Workload},
    sample::{Behaviour, JwtRefusal, SampleBackend, SubprotocolEcho},
    wait,
};

/// A rehearsal.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The service's name; `demo` without it.
    #[serde(default)]
    pub service: Option<String>,
    /// The project's id; `demo-project` without it.
    #[serde(default)]
    pub project: Option<String>,
    /// The region; `us-central1` without it.
    #[serde(default)]
    pub region: Option<String>,
    /// How long a write takes; zero or absent is the default of 200 ms.
    #[serde(default, with = "wait")]
    pub pace: Duration,
    /// The page size of lists; 100 without it.
    #[serde(default)]
    pub page_size: Option<usize>,
    /// How long a command may take until it listens; zero or absent is 60 s.
    #[serde(default, with = "wait")]
    pub startup_deadline: Duration,
    /// Whether the processes of an instance without a request are stopped, as Cloud Run takes their CPU away.
    #[serde(default)]
    pub throttle: bool,
    /// What runs in the place of an image that is deployed over the API.
    #[serde(default)]
    pub images: Images,
    /// The revisions, first deployed first.
    pub revisions: Vec<RevisionEntry>,
    /// The faults that hold once all revisions but the last are ready.
    #[serde(default)]
    pub faults: Faults,
}

/// One deployment of a scenario.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RevisionEntry {
    /// The revision's name; without it the service chooses one.
    pub name: Option<String>,
    /// What the sample backend does wrong.
    pub behaviour: Behaviour,
    /// The share of sockets, 0.0 to 1.0, that meet it; 1.0 without it.
    pub rate: Option<f64>,
    /// The width of a race; zero or absent is the behaviour's own.
    #[serde(with = "wait")]
    pub window: Duration,
    /// When the agent of agent-dies dies; zero or absent is 7 s.
    #[serde(with = "wait")]
    pub agent_dies_after: Duration,
    /// The seed that decides which sockets misbehave.
    pub seed: Option<u64>,
    /// A tag.
    pub tag: Option<String>,
    /// The share of traffic; 0 without it. The first revision gets all.
    pub percent: u8,
    /// Labels of the revision.
    pub labels: BTreeMap<String, String>,
    /// `sha256:…` or `image@sha256:…`.
    pub image_digest: Option<String>,
    /// A command of the user's own instead of the sample backend.
    pub exec: Option<String>,
    /// Name the revision in each answer.
    pub echo_revision: bool,
    /// Name the instance in each answer.
    pub echo_instance: bool,
    /// The HS256 secret that tokens need.
    pub jwt_secret: Option<String>,
    /// How a bad token is refused.
    pub jwt_refusal: JwtRefusal,
    /// Which subprotocol the 101 echoes.
    pub subprotocol_echo: SubprotocolEcho,
    /// Time between two heartbeats of the application; zero or absent is 25 s.
    #[serde(with = "wait")]
    pub heartbeat: Duration,
    /// The WebSocket's path; `/ws` without it.
    pub path: Option<String>,
    /// How long before the start it says it was created.
    pub created_minutes_ago: u32,
    /// Requests that one instance takes at once. Without it the specification says 80, and there is one instance, which
    /// takes them all.
    pub concurrency: Option<u32>,
    /// The most instances; 100 without it.
    pub max_instances: Option<u32>,
    /// Instances that are kept when nobody comes; none without it.
    pub min_instances: u32,
    /// How long a request may last; zero or absent is five minutes.
    #[serde(with = "wait")]
    pub timeout: Duration,
    /// The container's variables.
    pub env: BTreeMap<String, String>,
    /// The start-up probe, as the API writes it: `httpGet` or `tcpSocket`, `periodSeconds` and the like.
    pub startup_probe: Option<Value>,
    /// Whether a client is led to the instance that it met before.
    pub session_affinity: bool,
    /// How long an instance without a request stays; zero or absent is 15 minutes, `never` is possible.
    #[serde(with = "wait")]
    pub idle_after: Duration,
    /// How long a request waits for a slot before the platform's 429; zero or absent is 10 s.
    #[serde(with = "wait")]
    pub queue_for: Duration,
    /// How long an instance takes before its container starts.
    #[serde(with = "wait")]
    pub starts_in: Duration,
    /// How long it stays pending before it is ready; `never` is possible.
    #[serde(with = "wait")]
    pub pending_for: Duration,
    /// The message with which it fails.
    pub fail: Option<String>,
}

impl Scenario {
    /// Reads a scenario from YAML or JSON.
    ///
    /// # Errors
    /// What is not a scenario, with the parser's line and column; a scenario without revisions.
    pub fn parse(text: &str) -> Result<Self, EmulatorError> {
        let scenario: Self =
            serde_yaml::from_str(text).map_err(|source| EmulatorError::Scenario { source })?;
        if scenario.revisions.is_empty() {
            return Err(EmulatorError::NoRevision);
        }
        Ok(scenario)
    }

    /// The commands that its revisions run.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.revisions.iter().filter_map(|revision| revision.exec.clone()).collect()
    }

    /// The emulator's options; the faults are left out, because they hold later.
    pub fn options(&self, port: Option<u16>, started_at: Timestamp) -> EmulatorOptions {
        let defaults = EmulatorOptions::new(started_at);
        let or = |value: &Option<String>, default: String| value.clone().unwrap_or(default);
        EmulatorOptions {
            port,
            project: or(&self.project, defaults.project),
            region: or(&self.region, defaults.region),
            service: or(&self.service, defaults.service),
            pace: or_default(self.pace, defaults.pace),
            page_size: self.page_size.unwrap_or(defaults.page_size),
            startup_deadline: or_default(self.startup_deadline, defaults.startup_deadline),
            throttle: self.throttle,
            images: self.images.clone(),
            ..EmulatorOptions::new(started_at)
        }
    }
}

fn or_default(value: Duration, default: Duration) -> Duration {
    if value.is_zero() { default } else { value }
}

impl RevisionEntry {
    /// The deployment that it describes.
    pub fn deployment(&self) -> Deployment {
        let workload = match &self.exec {
            Some(command) => Workload::Command(command.clone()),
            None => Workload::Sample(self.sample()),
        };
        let defaults = Deployment::new(workload);
        Deployment {
            revision: self.name.clone(),
            tag: self.tag.clone(),
            traffic_percent: self.percent,
            labels: self.labels.clone(),
            image_digest: self.image_digest.clone(),
            concurrency: self.concurrency,
            max_instances: self.max_instances,
            min_instances: self.min_instances,
            timeout: self.timeout,
            env: self.env.clone(),
            startup_probe: self.startup_probe.clone(),
            session_affinity: self.session_affinity,
            idle_after: self.idle_after,
            queue_for: self.queue_for,
            starts_in: self.starts_in,
            created_ago: Duration::from_secs(u64::from(self.created_minutes_ago) * 60),
            pending_for: self.pending_for,
            fail: self.fail.clone(),
            ..defaults
        }
    }

    fn sample(&self) -> SampleBackend {
        let defaults = SampleBackend::default();
        SampleBackend {
            behaviour: self.behaviour,
            rate: self.rate.unwrap_or(defaults.rate),
            window: self.window,
            agent_dies_after: self.agent_dies_after,
            path: self.path.clone().unwrap_or(defaults.path),
            echo_revision: self.echo_revision,
            echo_instance: self.echo_instance,
            jwt_secret: self.jwt_secret.clone(),
            jwt_refusal: self.jwt_refusal,
            subprotocol_echo: self.subprotocol_echo,
            heartbeat: if self.heartbeat.is_zero() {
                defaults.heartbeat
            } else {
                // A clock cannot be set beyond its end.
                self.heartbeat.min(Duration::from_hours(24))
            },
            seed: self.seed.unwrap_or(defaults.seed),
            ..SampleBackend::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_are_read_alike() {
        let json = r#"{"revisions": [{"behaviour": "close-1011", "rate": 0.05, "window": "2ms"}], "faults": {"pending_for": "never"}}"#;
        let yaml = "revisions:\n  - behaviour: close-1011\n    rate: 0.05\n    window: 2ms\nfaults:\n  pending_for: never\n";
        let (json, yaml) = (Scenario::parse(json).unwrap(), Scenario::parse(yaml).unwrap());
        assert_eq!(json.revisions, yaml.revisions);
        assert_eq!(json.faults, yaml.faults);
        assert_eq!(yaml.revisions[0].behaviour, Behaviour::Close1011);
        assert_eq!(yaml.faults.pending_for, wait::NEVER);
    }

    #[test]
    fn unknown_keys_and_no_revisions_are_refused() {
        let error = Scenario::parse("revisions:\n  - behavior: fixed\n").unwrap_err();
        assert!(matches!(error, EmulatorError::Scenario { .. }));
        assert!(matches!(Scenario::parse("revisions: []"), Err(EmulatorError::NoRevision)));
    }
}
