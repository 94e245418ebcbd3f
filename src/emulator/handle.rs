//! The emulator as the rest of the crate and the tests hold it.
//!
//! Starting gives the handle; dropping it, or `shutdown`, ends everything that was started, child processes included.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::broadcast;

use super::{
    api::{self, ApiListener},
    deploy::deploy,
    error::EmulatorError,
    faults::Faults,
    front::{self, Zone},
    model::Progress,
    options::{ApiRequest, Deployment, EmulatorOptions, LogLine},
    scenario::Scenario,
    state::{Past, World},
    state_file::{self, Disk, StateError, StateFile},
};

/// A running emulator.
#[derive(Debug)]
pub struct Emulator {
    world: Arc<World>,
    port: u16,
    /// How many services it took from its file; `None` where there was none.
    restored: Option<usize>,
}

impl Emulator {
    /// Starts an emulator with the services of its state file, or without any: the first [`deploy`](Self::deploy) makes
    /// it then.
    ///
    /// # Errors
    /// The port is taken; the state file cannot be used.
    pub async fn start(options: EmulatorOptions) -> Result<Self, EmulatorError> {
        let (emulator, disk) = Box::pin(Self::open(options, &[])).await?;
        emulator.keep(disk).await
    }

    /// Starts an emulator that does not write its file yet; `commands` of the file may be run.
    async fn open(
        options: EmulatorOptions,
        commands: &[String],
    ) -> Result<(Self, Option<Disk>), EmulatorError> {
        let port = options.port.unwrap_or(0);
        let disk = options.state.as_deref().map(Disk::open).transpose()?;
        let kept = disk.as_ref().map(|disk| kept(disk, &options)).transpose()?.flatten();
        let restored = kept.as_ref().map(StateFile::services);
        let past = kept.as_ref().map_or_else(Past::default, StateFile::past);
        let world = Arc::new(World::new(options, past));
        let mut emulator = Self { world, port, restored };
        match emulator.listen(disk.as_ref().zip(kept), commands) {
            Ok(bound) => {
                emulator.port = bound;
                Ok((emulator, disk))
            }
            Err(error) => {
                // Whoever tries again finds its ports and its file free.
                emulator.end().await;
                Err(error)
            }
        }
    }

    /// Opens all ports, first those that must be the same as before, and goes on with what was kept; gives the API's.
    fn listen(&self, kept: Option<(&Disk, StateFile)>, commands: &[String]) -> Result<u16, EmulatorError> {
        let (world, port) = (&self.world, self.port);
        if let Some((disk, kept)) = kept {
            state_file::restore(world, kept, commands).map_err(|reason| disk.wrong(reason))?;
        }
        let listening = front::listen_for_api(world, port);
        let (bound, clients) = listening.map_err(|source| EmulatorError::Listen { port, source })?;
        world.tasks.spawn(api::serve(Arc::clone(world), ApiListener(clients)));
        state_file::resume(world);
        Ok(bound)
    }

    /// Writes the state into its file from now on.
    async fn keep(self, disk: Option<Disk>) -> Result<Self, EmulatorError> {
        let Some(disk) = disk else { return Ok(self) };
        if let Err(error) = state_file::keep(&self.world, disk).await {
            self.end().await;
            return Err(error);
        }
        Ok(self)
    }

    /// Starts an emulator and deploys the scenario's revisions, each ready before the next; the faults hold for the
    /// last one and from then on. Does not wait for a last revision that is pending by fault.
    ///
    /// # Errors
    /// The port is taken, or a deployment is not possible.
    pub async fn start_scenario(
        scenario: &Scenario,
        port: Option<u16>,
        started_at: Timestamp,
    ) -> Result<Self, EmulatorError> {
        Self::play(scenario, scenario.options(port, started_at)).await
    }

    /// The same with options of the caller's own, which [`Scenario::options`] gives to begin with. Where there is a state
    /// file already nothing is deployed: the faults alone are the scenario's.
    ///
    /// # Errors
    /// The port is taken, a deployment is not possible, or the state file cannot be used.
    pub async fn play(scenario: &Scenario, options: EmulatorOptions) -> Result<Self, EmulatorError> {
        let (last, earlier) = scenario.revisions.split_last().ok_or(EmulatorError::NoRevision)?;
        let (emulator, disk) = Box::pin(Self::open(options, &scenario.commands())).await?;
        if emulator.restored.is_some() {
            emulator.set_faults(scenario.faults.clone());
            return emulator.keep(disk).await;
        }
        for entry in earlier {
            emulator.deploy(entry.deployment()).await?;
            emulator.settled().await;
        }
        emulator.set_faults(scenario.faults.clone());
        emulator.deploy(last.deployment()).await?;
        if last.pending_for.is_zero() && scenario.faults.pending_for.is_zero() {
            emulator.settled().await;
        }
        // Not sooner: one that is killed in the midst of it begins anew, and not with half a scenario.
        emulator.keep(disk).await
    }

    /// How many services it took from its state file; `None` where that was not there.
    pub fn restored(&self) -> Option<usize> {
        self.restored
    }

    /// Where the API listens: `http://127.0.0.1:PORT`.
    pub fn api_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The URL of the service, once there is one.
    pub fn service_url(&self) -> Option<String> {
        let state = self.world.lock();
        state
            .services
            .get(&self.world.options.service)
            .map(|service| format!("http://127.0.0.1:{}", service.port))
    }

    /// The names of run.app that stand for the service on every port.
    pub fn names(&self) -> [String; 2] {
        let EmulatorOptions { project, region, service, .. } = &self.world.options;
        let zone = Zone { project, region };
        [zone.hashed(service, None), zone.numbered(service, None)]
    }

    /// The URL of a tag, once it was routed.
    pub fn tag_url(&self, tag: &str) -> Option<String> {
        let state = self.world.lock();
        let port = state.services.get(&self.world.options.service)?.tag_ports.get(tag)?;
        Some(format!("http://127.0.0.1:{port}"))
    }

    /// Deploys a revision, as `gcloud run deploy --async` does: gives its short name and does not wait for it.
    ///
    /// # Errors
    /// A command that is no list of words, a name that is taken, traffic that does not sum up, no port.
    #[expect(clippy::unused_async, reason = "a deployment may have to wait for something one day")]
    pub async fn deploy(&self, deployment: Deployment) -> Result<String, EmulatorError> {
        deploy(&self.world, &deployment)
    }

    /// Waits until no write is being reconciled any more; for ever, when a revision stays pending.
    pub async fn settled(&self) {
        let mut changes = self.world.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let all = |progress: &Progress| *progress != Progress::Reconciling;
            let settled = self.world.lock().services.values().all(|service| all(&service.progress));
            if settled || changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// The faults in force; counts show what is left of them.
    pub fn faults(&self) -> Faults {
        self.world.lock().faults.clone()
    }

    /// Replaces the faults.
    pub fn set_faults(&self, faults: Faults) {
        let mut state = self.world.lock();
        state.faults = faults;
        self.world.changed(state);
    }

    /// What a revision has written, oldest line first; empty for one that does not exist.
    pub fn logs(&self, revision: &str) -> Vec<String> {
        let state = self.world.lock();
        let mut services = state.services.values();
        let found = services.find_map(|service| service.revision(revision));
        found.map(|revision| revision.instances.log().lines()).unwrap_or_default()
    }

    /// Every line that any revision writes from now on; a listener that lags loses lines.
    pub fn log_lines(&self) -> broadcast::Receiver<LogLine> {
        self.world.log_lines.subscribe()
    }

    /// The latest 10 000 API calls, oldest first; the emulator's own endpoints are not among them.
    pub fn requests(&self) -> Vec<ApiRequest> {
        self.world.lock().requests.iter().cloned().collect()
    }

    /// Ends everything, and waits until it has ended and is in the state file. Gives why it is not there, if it is not.
    pub async fn shutdown(self) -> Option<EmulatorError> {
        self.end().await
    }

    async fn end(&self) -> Option<EmulatorError> {
        let World { stop, tasks, written, options, .. } = &*self.world;
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        let problem = written.as_ref()?.borrow().problem.clone()?;
        let reason = StateError::Unwritable { source: std::io::Error::other(problem) };
        Some(EmulatorError::State { file: options.state.clone()?, reason })
    }
}

/// What the file holds, if it is of this place.
fn kept(disk: &Disk, options: &EmulatorOptions) -> Result<Option<StateFile>, EmulatorError> {
    let kept = disk.read()?;
    match kept {
        Some(StateFile { project, region, .. }) if project != options.project || region != options.region => {
            Err(disk.wrong(StateError::Elsewhere { project, region }))
        }
        kept => Ok(kept),
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.world.stop.cancel();
    }
}
