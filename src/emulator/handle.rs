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
    state::World,
};

/// A running emulator.
#[derive(Debug)]
pub struct Emulator {
    world: Arc<World>,
    port: u16,
}

impl Emulator {
    /// Starts an emulator without any service; the first [`deploy`](Self::deploy) makes it.
    ///
    /// # Errors
    /// The port is taken.
    #[expect(
        clippy::unused_async,
        reason = "it needs a runtime to start its tasks on, and says so by being async"
    )]
    pub async fn start(options: EmulatorOptions) -> Result<Self, EmulatorError> {
        let port = options.port.unwrap_or(0);
        let world = Arc::new(World::new(options));
        let listening = front::listen_for_api(&world, port);
        let (bound, clients) = listening.map_err(|source| EmulatorError::Listen { port, source })?;
        world.tasks.spawn(api::serve(Arc::clone(&world), ApiListener(clients)));
        Ok(Self { world, port: bound })
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

    /// The same with options of the caller's own, which [`Scenario::options`] gives to begin with.
    ///
    /// # Errors
    /// The port is taken, or a deployment is not possible.
    pub async fn play(scenario: &Scenario, options: EmulatorOptions) -> Result<Self, EmulatorError> {
        let (last, earlier) = scenario.revisions.split_last().ok_or(EmulatorError::NoRevision)?;
        let emulator = Self::start(options).await?;
        for entry in earlier {
            emulator.deploy(entry.deployment()).await?;
            emulator.settled().await;
        }
        emulator.set_faults(scenario.faults.clone());
        emulator.deploy(last.deployment()).await?;
        if last.pending_for.is_zero() && scenario.faults.pending_for.is_zero() {
            emulator.settled().await;
        }
        Ok(emulator)
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
        self.world.lock().faults = faults;
        self.world.changed();
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

    /// Ends everything, and waits until it has ended.
    pub async fn shutdown(self) {
        self.world.stop.cancel();
        self.world.tasks.close();
        self.world.tasks.wait().await;
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.world.stop.cancel();
    }
}
