//! Which instance takes a request, and when does one start or go?
//!
//! A request takes a slot of an instance for as long as it lasts. Takes a recipe, gives slots. When no slot is free an
//! instance starts, and the request waits until its start-up probe has passed; beyond the most instances it queues, and
//! is sent away when that takes too long. An instance without a request goes after a while. The surprising rule: the
//! instance by which a revision showed that it is ready stays for that while too, as on Cloud Run: a new revision is
//! not cold at once.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{Backend, Failure, Log, Recipe};

/// Hexadecimal digits of an instance's id behind its first two zeros.
const DIGITS: usize = 32;
/// The longest that a request waits for a slot; a clock cannot be set beyond its end.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// From the end of a kept instance to the next one's start: what dies at once is not started without a pause. In real time,
/// since it is this machine that is spared.
const RESTART: Duration = Duration::from_secs(1);
/// Instances of a revision that are kept, whatever is asked for: they are processes of one machine.
const MOST_KEPT: usize = 100;
/// Why the first instance of a revision starts, in Cloud Run's words.
const ROLLOUT: &str = "DEPLOYMENT_ROLLOUT - Instance started due to traffic shifting between revisions due to \
                       deployment, traffic split adjustment, or deployment health check.";
/// Why kept instances start.
const KEPT: &str = "MANUAL_OR_CUSTOMER_MIN_INSTANCE - Instance started because of customer-configured min-instances \
                    or manual scaling.";
/// Why further instances start.
const AUTOSCALING: &str = "AUTOSCALING - Instance started due to configured scaling factors (e.g. CPU utilization, \
                           request throughput, etc.) or no existing capacity for current traffic.";

/// The instances of one revision.
#[derive(Debug)]
pub(crate) struct Instances {
    recipe: Recipe,
    fleet: Mutex<Fleet>,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) instances: Vec<Instance>,
    /// Instances that are kept.
    pub(super) least: usize,
    /// The most instances.
    most: usize,
    /// Whether one that does not come up is tried again: not before the revision is ready.
    keeps: bool,
    /// Requests without a slot.
    waiting: usize,
    /// Starts that failed so far.
    failed: u64,
    ids: StdRng,
}

#[derive(Debug)]
pub(super) struct Instance {
    pub(super) id: String,
    backend: Backend,
    pub(super) ready: bool,
    pub(super) open: u32,
    /// Since when nobody has been there.
    pub(super) idle_since: Instant,
    /// Whether somebody waits for it to have been idle for long enough.
    pub(super) watched: bool,
    pub(super) stop: CancellationToken,
}

/// Why a request has no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unserved {
    /// All are taken, and there may be no more of them.
    Full,
    /// The instance that was started for it did not come up.
    NotStarted,
}

/// A request's place in an instance, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    instances: Arc<Instances>,
    /// The instance's id.
    pub(crate) id: String,
    /// What answers.
    pub(crate) backend: Backend,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.instances.release(&self.id);
    }
}

/// Counts a request that waits, until it is dropped.
struct Waiting<'a>(&'a Instances);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

impl Instances {
    /// No instance yet.
    pub(crate) fn new(recipe: Recipe) -> Arc<Self> {
        let ids = StdRng::seed_from_u64(recipe.seed);
        let (least, most) = (recipe.min.min(MOST_KEPT), recipe.max);
        let fleet = Fleet { instances: Vec::new(), least, most, keeps: false, waiting: 0, failed: 0, ids };
        Arc::new(Self { recipe, fleet: Mutex::new(fleet), changes: watch::Sender::new(0) })
    }

    /// What they are made of.
    pub(crate) fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// What all of them wrote.
    pub(crate) fn log(&self) -> &Log {
        &self.recipe.log
    }

    /// Keeps so many from now on, and has no more than so many; those that are too many go when they are idle.
    pub(crate) fn bound(self: &Arc<Self>, least: usize, most: usize) {
        let least = least.min(MOST_KEPT);
        let mut fleet = self.lock();
        if (fleet.least, fleet.most) == (least, most) {
            return;
        }
        (fleet.least, fleet.most) = (least, most);
        let idle = fleet.instances.iter().filter(|instance| instance.open == 0);
        let idle: Vec<_> = idle.map(|instance| instance.id.clone()).collect();
        drop(fleet);
        self.keep();
        for id in idle {
            self.let_go_later(id);
        }
        // Whoever queues may be let in now.
        self.changed();
    }

    /// Ends all of them: the revision is deleted.
    pub(crate) fn end(&self) {
        self.recipe.stop.cancel();
    }

    /// Starts the first instance, and those that are kept; `Err` when one of them did not come up.
    pub(crate) async fn bring_up(self: &Arc<Self>) -> Result<(), Failure> {
        let mut changes = self.changes.subscribe();
        self.start(&mut self.lock(), ROLLOUT);
        for _ in 1..self.recipe.min {
            self.start(&mut self.lock(), KEPT);
        }
        loop {
            changes.mark_unchanged();
            let (failed, ready) = {
                let fleet = self.lock();
                (fleet.failed > 0, fleet.instances.iter().all(|instance| instance.ready))
            };
            match (failed, ready) {
                (true, _) => return Err(self.recipe.not_started()),
                (false, true) => return Ok(()),
                (false, false) => self.next(&mut changes).await.ok_or_else(|| self.recipe.not_started())?,
            }
        }
    }

    /// A slot for one request, as soon as there is one: of the instance `met_before`, where that has one.
    pub(crate) async fn take(self: &Arc<Self>, met_before: Option<&str>) -> Result<Slot, Unserved> {
        let mut changes = self.changes.subscribe();
        let began = Instant::now();
        let failed = {
            let mut fleet = self.lock();
            fleet.waiting += 1;
            fleet.failed
        };
        let _waiting = Waiting(self);
        loop {
            changes.mark_unchanged();
            let patience = {
                let mut fleet = self.lock();
                Self::bury(&mut fleet);
                if let Some(slot) = self.seat(&mut fleet, met_before) {
                    return Ok(slot);
                }
                if fleet.failed > failed {
                    return Err(Unserved::NotStarted);
                }
                self.scale_out(&mut fleet);
                let starting = fleet.instances.iter().any(|instance| !instance.ready);
                // One that is starting ends by its own probe.
                let patience = if starting {
                    self.recipe.longest_start().saturating_mul(2)
                } else {
                    self.recipe.queue_for
                };
                patience.min(LONGEST_WAIT)
            };
            match timeout_at(began + patience, self.next(&mut changes)).await {
                Ok(Some(())) => {}
                Ok(None) => return Err(Unserved::NotStarted),
                Err(_) => return Err(Unserved::Full),
            }
        }
    }

    /// Waits for the next change; `None` when the revision is deleted, and nothing changes any more.
    async fn next(&self, changes: &mut watch::Receiver<u64>) -> Option<()> {
        tokio::select! {
            next = changes.changed() => next.ok(),
            () = self.recipe.stop.cancelled() => None,
        }
    }

    fn seat(self: &Arc<Self>, fleet: &mut Fleet, met_before: Option<&str>) -> Option<Slot> {
        let concurrency = self.recipe.concurrency;
        let is_free = |instance: &Instance| instance.ready && instance.open < concurrency;
        let is_known = |instance: &Instance| Some(instance.id.as_str()) == met_before && is_free(instance);
        let known = fleet.instances.iter().position(is_known);
        let at = known.or_else(|| fleet.instances.iter().position(is_free))?;
        let free = &mut fleet.instances[at];
        if free.open == 0 && self.recipe.throttles {
            free.backend.thaw();
        }
        free.open += 1;
        Some(Slot { instances: Arc::clone(self), id: free.id.clone(), backend: free.backend.clone() })
    }

    /// Starts one more where those that are starting have too few slots for all who wait.
    fn scale_out(self: &Arc<Self>, fleet: &mut Fleet) {
        let starting = fleet.instances.iter().filter(|instance| !instance.ready).count();
        let slots = starting.saturating_mul(self.recipe.concurrency as usize);
        if fleet.waiting > slots && fleet.instances.len() < fleet.most {
            self.start(fleet, AUTOSCALING);
        }
    }

    fn start(self: &Arc<Self>, fleet: &mut Fleet, reason: &str) {
        let id = (0..DIGITS).fold("00".to_owned(), |mut id, _| {
            let _ = write!(id, "{:x}", fleet.ids.random_range(0..16_u8));
            id
        });
        let (log, stop) = (self.recipe.log_of(Some(&id)), self.recipe.stop.child_token());
        log.told("INFO", &format!("Starting new instance. Reason: {reason}"));
        let backend = self.recipe.make(log, stop.clone());
        fleet.instances.push(Instance {
            id: id.clone(),
            backend: backend.clone(),
            ready: false,
            open: 0,
            idle_since: Instant::now(),
            watched: false,
            stop: stop.clone(),
        });
        let (instances, starts_in) = (Arc::clone(self), self.recipe.starts_in);
        self.recipe.tasks.spawn(async move {
            let starting = async {
                instances.recipe.clock.pass(starts_in).await;
                backend.start().await
            };
            // In this order: what ends because everything does has not failed.
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                started = starting => instances.started(&id, started.is_ok()),
            }
        });
    }

    fn started(self: &Arc<Self>, id: &str, well: bool) {
        let mut fleet = self.lock();
        let again = fleet.keeps && !well;
        if well {
            if let Some(instance) = fleet.instances.iter_mut().find(|instance| instance.id == id) {
                instance.ready = true;
                instance.idle_since = Instant::now();
                if self.recipe.throttles {
                    instance.backend.freeze();
                }
                self.replace_later(instance.backend.clone(), instance.stop.clone());
            }
        } else {
            fleet.failed += 1;
            fleet.instances.retain(|instance| {
                instance.id != id || {
                    instance.stop.cancel();
                    false
                }
            });
        }
        drop(fleet);
        self.changed();
        self.let_go_later(id.to_owned());
        if again {
            self.keep_again();
        }
    }

    fn release(self: &Arc<Self>, id: &str) {
        let mut idle = false;
        if let Some(instance) = self.lock().instances.iter_mut().find(|instance| instance.id == id) {
            instance.open -= 1;
            instance.idle_since = Instant::now();
            idle = instance.open == 0;
            if idle && self.recipe.throttles {
                instance.backend.freeze();
            }
        }
        self.changed();
        if idle {
            self.let_go_later(id.to_owned());
        }
    }

    /// Takes an instance out as soon as it has ended by itself; where instances are kept, another one follows.
    fn replace_later(self: &Arc<Self>, backend: Backend, stop: CancellationToken) {
        let instances = Arc::clone(self);
        let replacing = async move {
            backend.ended().await;
            Self::bury(&mut instances.lock());
            instances.changed();
            instances.keep_again();
        };
        self.recipe.tasks.spawn(async move { stop.run_until_cancelled_owned(replacing).await });
    }

    /// Starts what is kept and has died, or did not come up, after a pause.
    fn keep_again(self: &Arc<Self>) {
        let (instances, stop) = (Arc::clone(self), self.recipe.stop.clone());
        let keeping = async move {
            sleep(RESTART).await;
            instances.keep();
        };
        self.recipe.tasks.spawn(async move { stop.run_until_cancelled_owned(keeping).await });
    }

    /// Starts as many as are kept and are not there.
    pub(crate) fn keep(self: &Arc<Self>) {
        let mut fleet = self.lock();
        fleet.keeps = true;
        while fleet.instances.len() < fleet.least {
            self.start(&mut fleet, KEPT);
        }
    }

    /// Takes those out that have ended by themselves.
    fn bury(fleet: &mut Fleet) {
        fleet.instances.retain(|instance| !(instance.ready && instance.backend.has_ended()));
    }

    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
