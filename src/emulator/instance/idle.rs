//! When does an instance go?
//!
//! When nobody has come to it for a while, and more are there than are kept. One task waits for each instance, however
//! many requests come and go: each of them would otherwise leave a wait of a quarter of an hour behind.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Instances;
use crate::emulator::wait;

impl Instances {
    /// Ends an instance when nobody has come to it for a while.
    pub(super) fn let_go_later(self: &Arc<Self>, id: String) {
        let after = self.recipe().idle_after;
        if after == wait::NEVER {
            return;
        }
        let Some(stop) = self.watch(&id) else { return };
        let instances = Arc::clone(self);
        let waiting = async move {
            let mut rest = Some(after);
            while let Some(wait) = rest {
                sleep(wait).await;
                rest = instances.let_go(&id, after);
            }
        };
        self.recipe().tasks.spawn(async move { stop.run_until_cancelled_owned(waiting).await });
    }

    /// What ends the wait for an instance; `None` where there is no such instance or where one waits already.
    fn watch(&self, id: &str) -> Option<CancellationToken> {
        let mut fleet = self.lock();
        let instance = fleet.instances.iter_mut().find(|instance| instance.id == id)?;
        (!std::mem::replace(&mut instance.watched, true)).then(|| instance.stop.clone())
    }

    /// Ends an instance if it has been idle for so long; otherwise gives what is left of that, where it is idle at all.
    fn let_go(&self, id: &str, after: Duration) -> Option<Duration> {
        let mut fleet = self.lock();
        let more = fleet.instances.iter().filter(|instance| instance.ready).count() > fleet.least;
        let at = fleet.instances.iter().position(|instance| instance.id == id)?;
        let instance = &mut fleet.instances[at];
        let is_idle = instance.ready && instance.open == 0;
        let left = after.saturating_sub(instance.idle_since.elapsed());
        if is_idle && !left.is_zero() {
            return Some(left);
        }
        // Whoever leaves it next waits anew.
        instance.watched = false;
        if is_idle && more {
            fleet.instances.remove(at).stop.cancel();
        }
        drop(fleet);
        self.changed();
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::emulator::{
        instance::{Recipe, Specification},
        options::{Deployment, EmulatorOptions, Workload},
        sample::SampleBackend,
        state::{Past, World},
    };

    #[tokio::test]
    async fn a_thousand_requests_leave_one_wait_behind() {
        let world =
            World::new(EmulatorOptions::new("2026-11-23T20:28:12Z".parse().unwrap()), Past::default());
        let workload = Workload::Sample(SampleBackend::default());
        let deployment = Deployment { concurrency: Some(1), ..Deployment::new(workload) };
        let recipe = Recipe::new(&world, ("demo", "demo-a"), &deployment, Specification::read(&json!({})));
        let instances = Instances::new(recipe.unwrap());
        instances.bring_up().await.unwrap();
        for _ in 0..1000 {
            drop(instances.take(None).await.unwrap());
        }
        // One more waits for its end by itself.
        assert!(world.tasks.len() <= 2, "{} tasks", world.tasks.len());
    }
}
