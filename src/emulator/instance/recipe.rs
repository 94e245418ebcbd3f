//! How an instance of a revision is made.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Backend, Container, Failure, InstanceLog, Log, Process, Specification, probe::StartupProbe};
use crate::{
    child::split,
    emulator::{
        error::EmulatorError,
        logging::Origin,
        options::{Deployment, Workload},
        sample::{Sample, SampleBackend},
        state::World,
        wait,
    },
};

/// How long an instance without a request stays at the most.
const IDLE: Duration = Duration::from_mins(15);
/// How long a request waits for a slot at the least.
const QUEUE: Duration = Duration::from_secs(10);

/// What every instance of a revision is made of, and how many there may be.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// What runs in it.
    what: What,
    /// The project's id.
    project: String,
    /// The service's short name.
    service: String,
    /// The revision's short name.
    revision: String,
    /// Where all instances write.
    pub(crate) log: Arc<Log>,
    pub(super) clock: Arc<crate::emulator::clock::Clock>,
    /// Cancelled when the revision or everything is to end.
    pub(crate) stop: CancellationToken,
    /// All tasks of the emulator.
    pub(crate) tasks: TaskTracker,
    /// Requests that one instance takes at once.
    pub(crate) concurrency: u32,
    /// Instances that are kept.
    pub(crate) min: usize,
    /// The most instances.
    pub(crate) max: usize,
    /// How long an instance without a request really stays, whatever the clock's speed.
    pub(crate) idle_after: Duration,
    /// How long a request really waits for a slot.
    pub(crate) queue_for: Duration,
    /// How long an instance takes before its container starts.
    pub(crate) starts_in: Duration,
    /// How it is seen that a container has started.
    probe: StartupProbe,
    /// The template's port.
    port: u16,
    /// How long a request may last.
    pub(crate) timeout: Duration,
    /// Whether a client is led to the instance that it met before.
    pub(crate) affinity: bool,
    /// Whether an instance without a request is stopped.
    pub(crate) throttles: bool,
    /// What ids are made from.
    pub(crate) seed: u64,
}

#[derive(Debug)]
enum What {
    Sample(SampleBackend),
    Command(Arc<Container>),
}

impl Recipe {
    /// The recipe of a revision. Without a concurrency there is one instance, which takes everything and stays.
    ///
    /// # Errors
    /// A command that is no list of words.
    pub(crate) fn new(
        world: &World,
        (service, revision): (&str, &str),
        deployment: &Deployment,
        specification: Specification,
    ) -> Result<Self, EmulatorError> {
        let Specification { port, environment, secrets, timeout, affinity, cpu_idle, .. } = specification;
        let probe = specification.probe.within(world.options.startup_deadline);
        let what = match &deployment.workload {
            Workload::Sample(settings) => What::Sample(settings.clone()),
            Workload::Command(command) => {
                let words =
                    split(command).ok_or_else(|| EmulatorError::Command { command: command.clone() })?;
                What::Command(Arc::new(Container { words, environment, probe: probe.clone(), port }))
            }
        };
        let scales = deployment.concurrency.is_some();
        let mut hasher = DefaultHasher::new();
        (world.options.seed, service, revision).hash(&mut hasher);
        let or = |value: Duration, default| if value.is_zero() { default } else { value };
        let real = |emulated| world.clock.real(emulated);
        let most = deployment.max_instances.unwrap_or(100).max(1) as usize;
        let recipe = Self {
            what,
            project: world.options.project.clone(),
            service: service.to_owned(),
            revision: revision.to_owned(),
            log: Arc::new(Log::new(world.log_lines.clone(), Arc::clone(&world.journal))),
            clock: Arc::clone(&world.clock),
            stop: world.stop.child_token(),
            tasks: world.tasks.clone(),
            concurrency: deployment.concurrency.unwrap_or(u32::MAX).max(1),
            min: (deployment.min_instances as usize).min(most),
            max: if scales { most } else { 1 },
            idle_after: if scales { real(or(deployment.idle_after, IDLE)) } else { wait::NEVER },
            queue_for: real(or(deployment.queue_for, QUEUE)),
            starts_in: deployment.starts_in,
            probe,
            port,
            timeout: real(timeout),
            affinity,
            throttles: cpu_idle && world.options.throttle,
            seed: hasher.finish(),
        };
        recipe.take_notes(deployment, &secrets);
        Ok(recipe)
    }

    /// Says in the revision's log what is not as its template says.
    fn take_notes(&self, deployment: &Deployment, secrets: &[String]) {
        let log = self.log_of(None);
        if let Some(note) = &deployment.note {
            log.push("system", note.clone());
        }
        if !secrets.is_empty() {
            let names = secrets.join(", ");
            log.push("system", format!("The emulator has no secrets: {names} is not set in the container."));
        }
    }

    /// The log of an instance, or of the revision itself.
    pub(crate) fn log_of(&self, instance: Option<&str>) -> InstanceLog {
        let origin = Origin {
            service: self.service.clone(),
            revision: self.revision.clone(),
            instance: instance.map(str::to_owned),
        };
        InstanceLog::new(Arc::clone(&self.log), origin)
    }

    /// The longest that an instance takes to start.
    pub(crate) fn longest_start(&self) -> Duration {
        self.starts_in.saturating_add(self.probe.longest())
    }

    /// Why a revision whose instance did not start cannot serve, in Cloud Run's words.
    pub(crate) fn not_started(&self) -> Failure {
        let Self { project, service, revision, port, .. } = self;
        let what = if self.probe.is_default() {
            format!(
                "failed to start and listen on the port defined provided by the PORT={port} environment variable \
                 within the allocated timeout. This can happen when the container port is misconfigured or if the \
                 timeout is too short. The health check timeout can be extended."
            )
        } else {
            "failed the configured startup probe checks.".to_owned()
        };
        Failure {
            reason: "HEALTH_CHECK_CONTAINER_ERROR".into(),
            message: format!(
                "The user-provided container {what} Logs for this revision might contain more information.\n\n\
                 Logs URL: https://console.cloud.google.com/logs/viewer?project={project}&resource=cloud_run_revision\
                 /service_name/{service}/revision_name/{revision}\nFor more troubleshooting guidance, see \
                 https://cloud.google.com/run/docs/troubleshooting#container-failed-to-start"
            ),
        }
    }

    /// An instance that is not started yet; it ends when `stop` is cancelled.
    pub(crate) fn make(&self, log: InstanceLog, stop: CancellationToken) -> Backend {
        match &self.what {
            What::Sample(settings) => {
                Backend::Sample(Arc::new(Sample::new(settings.clone(), log, self.clock.wall())))
            }
            What::Command(container) => {
                Backend::Process(Arc::new(Process::new(Arc::clone(container), log, stop, self.tasks.clone())))
            }
        }
    }
}
