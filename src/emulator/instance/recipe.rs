//! How an instance of a revision is made.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Backend, InstanceLog, Log, Process};
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
    /// The service's short name.
    service: String,
    /// The revision's short name.
    revision: String,
    /// Where all instances write.
    pub(crate) log: Arc<Log>,
    clock: Arc<crate::emulator::clock::Clock>,
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
    /// How long an instance without a request stays.
    pub(crate) idle_after: Duration,
    /// How long a request waits for a slot.
    pub(crate) queue_for: Duration,
    /// How long an instance takes before its container starts.
    pub(crate) starts_in: Duration,
    /// How long a container may take until it listens.
    pub(crate) deadline: Duration,
    /// An instance that ended is replaced.
    pub(crate) replaces: bool,
    /// What ids are made from.
    pub(crate) seed: u64,
}

#[derive(Debug)]
enum What {
    Sample(SampleBackend),
    Command(Vec<String>),
}

impl Recipe {
    /// The recipe of a revision. Without a concurrency there is one instance, which takes everything and stays.
    ///
    /// # Errors
    /// A command that is no list of words.
    pub(crate) fn new(
        world: &World,
        (service, revision): (&str, &str),
        workload: &Workload,
        deployment: &Deployment,
    ) -> Result<Self, EmulatorError> {
        let what = match workload {
            Workload::Sample(settings) => What::Sample(settings.clone()),
            Workload::Command(command) => What::Command(
                split(command).ok_or_else(|| EmulatorError::Command { command: command.clone() })?,
            ),
        };
        let scales = deployment.concurrency.is_some();
        let mut hasher = DefaultHasher::new();
        (world.options.seed, service, revision).hash(&mut hasher);
        let or = |value: Duration, default| if value.is_zero() { default } else { value };
        let most = deployment.max_instances.unwrap_or(100).max(1) as usize;
        Ok(Self {
            what,
            service: service.to_owned(),
            revision: revision.to_owned(),
            log: Arc::new(Log::new(world.log_lines.clone(), Arc::clone(&world.journal))),
            clock: Arc::clone(&world.clock),
            stop: world.stop.child_token(),
            tasks: world.tasks.clone(),
            concurrency: deployment.concurrency.unwrap_or(u32::MAX).max(1),
            min: if scales { (deployment.min_instances as usize).min(most) } else { 1 },
            max: if scales { most } else { 1 },
            idle_after: if scales { or(deployment.idle_after, IDLE) } else { wait::NEVER },
            queue_for: or(deployment.queue_for, QUEUE),
            starts_in: deployment.starts_in,
            deadline: world.options.startup_deadline,
            replaces: scales,
            seed: hasher.finish(),
        })
    }

    /// The log of an instance.
    pub(crate) fn log_of(&self, instance: &str) -> InstanceLog {
        let origin = Origin {
            service: self.service.clone(),
            revision: self.revision.clone(),
            instance: Some(instance.to_owned()),
        };
        InstanceLog::new(Arc::clone(&self.log), origin)
    }

    /// An instance that is not started yet; it ends when `stop` is cancelled.
    pub(crate) fn make(&self, log: InstanceLog, stop: CancellationToken) -> Backend {
        match &self.what {
            What::Sample(settings) => {
                Backend::Sample(Arc::new(Sample::new(settings.clone(), log, self.clock.now())))
            }
            What::Command(words) => {
                Backend::Process(Arc::new(Process::new(words.clone(), log, stop, self.tasks.clone())))
            }
        }
    }
}
