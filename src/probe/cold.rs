//! Cold starts of a deployed revision: sockets that no instance has room for, so that new ones must start.
//!
//! Takes a campaign that has learned what comes unasked; adds its rounds to the others. Between rounds nothing is closed:
//! an instance stays warm for minutes and would take the next round, so the sockets of all rounds are held, and each
//! round of as many sockets as one instance takes fills one more. That costs the fewest sockets there are, one
//! instance's worth a trial, and every instance is a process of its own. It comes first, since every later pattern
//! leaves warm instances behind that would have to be filled. The surprising rule: a few single sockets come before it,
//! by which the judge tells an instance that had to start from one that merely was not met before.

use std::sync::Arc;

use tokio::time::Instant;

use super::ballast::Ballast;
use super::campaign::Campaign;
use super::observation::{Company, Observation, Opening, Stage};
use super::plan::{Place, Plan};
use super::platform::PlatformPage;
use super::steering::Steering;
use super::stop::StopReason;

/// Single sockets to which the opening of the others is compared.
const REFERENCES: u32 = 20;
/// Rounds beyond those that a pass needs, where nothing tells during the run which of them met a warm instance: the first
/// contact alone may leave ten.
const SPARE: u32 = 12;

impl Plan {
    /// Whether new instances of a deployed revision are to start.
    pub(crate) fn starts_instances(&self) -> bool {
        self.place == Place::Remote && self.strata.iter().any(|s| Stage::from(s.pattern) == Stage::Cold)
    }
}

impl<S: Steering> Campaign<'_, S> {
    /// Holds round after round until enough instances have started; says why it ended. The time that it takes is not
    /// the other patterns'.
    pub(super) async fn start_instances(&mut self) -> StopReason {
        let (began, until) = (Instant::now(), self.deadline.until());
        self.has_until(began + self.plan.race.cold_budget);
        for _ in 0..REFERENCES {
            if !self.deadline.is_over() {
                self.run_alone(Stage::Control).await;
            }
        }
        self.record(Stage::Control);
        let ballast = Arc::new(Ballast::new());
        self.lanes.keep_in(Some(Arc::clone(&ballast)));
        self.has_until(Instant::now() + self.plan.race.cold_budget);
        let stopped = self.fill().await;
        self.lanes.keep_in(None);
        ballast.close().await;
        self.has_until(until + began.elapsed());
        self.quiet_until += began.elapsed();
        stopped
    }

    async fn fill(&mut self) -> StopReason {
        let size = self.plan.sockets_of(Stage::Cold);
        loop {
            let started = self.lanes.number(Stage::Cold);
            if self.steering.has_failed() || !self.steering.wants(Stage::Cold, 0) {
                return StopReason::Decided;
            }
            let most = self.plan.least_fresh().saturating_add(SPARE);
            if !self.plan.allows(Stage::Cold, started) || (!self.lanes.hears_instances() && started >= most) {
                return StopReason::Rounds;
            }
            if size.saturating_mul(started + 1) > self.plan.room() {
                return StopReason::Held;
            }
            if self.halt.is_cancelled() {
                return StopReason::ServingErrors;
            }
            if self.deadline.is_over() {
                return StopReason::Time;
            }
            if self.lanes.sockets().saturating_add(size) > self.plan.limits.sockets_per_run {
                return StopReason::Sockets;
            }
            // Its sockets stay open beyond it: the next round is never alone.
            let company = if started == 0 { Company::Alone } else { Company::Quiet };
            let lane = self.lanes.arm(Stage::Cold, company, self.learned.clone()).await;
            let index = lane.index;
            drop(lane.let_go());
            self.lanes.drain().await;
            self.record(Stage::Cold);
            // Whoever insists where nothing is left only takes the room of others.
            if self.lanes.round(index).is_some_and(|round| round.observations.iter().all(found_no_room)) {
                return StopReason::Held;
            }
        }
    }
}

fn found_no_room(observation: &Observation) -> bool {
    matches!(observation.opening, Opening::Refused { platform: Some(PlatformPage::NoCapacity), .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FileConfig, Lookup, Pattern, Purpose, Typed, merge};
    use crate::probe::Capacity;

    fn plan(yaml: &str, concurrency: Option<u32>, max_instances: u32) -> Plan {
        let file =
            FileConfig::parse("t", format!("race: {{cold: true}}\nsend: x\n{yaml}").as_bytes()).unwrap();
        let merged = merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Rehearsal).unwrap();
        Plan::new(&merged.settings, Capacity { concurrency, max_instances: Some(max_instances) }, 7)
    }

    #[test]
    fn a_round_fills_an_instance_as_far_as_the_limits_leave_room_besides_a_warm_one() {
        for (concurrency, max_instances, due) in
            [(1, 200, Some(1)), (30, 100, Some(30)), (80, 100, Some(20)), (100, 100, None), (1, 2, None)]
        {
            let plan = plan("", Some(concurrency), max_instances);
            assert_eq!(plan.starts_instances(), due.is_some(), "{concurrency}");
            let left_out = plan.left_out.iter().any(|(pattern, _)| *pattern == Pattern::Cold);
            assert_eq!(left_out, due.is_none(), "{concurrency}");
            if let Some(due) = due {
                assert_eq!(plan.sockets_of(Stage::Cold), due, "{concurrency}");
            }
        }
        let unknown = plan("", None, 100);
        assert!(unknown.left_out[0].1.contains("not known"), "{:?}", unknown.left_out);
        assert!(!Plan::local(&settings(), 7).starts_instances());
    }

    fn settings() -> crate::config::Settings {
        let file = FileConfig::parse("t", b"race: {cold: true}\nsend: x\n").unwrap();
        merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Rehearsal).unwrap().settings
    }

    #[test]
    fn nobody_holds_more_sockets_than_his_share() {
        let users = "path: /{{user}}\nusers: [a, b, c, d, e, f, g]\nlimits: {sockets-per-user: 2}\n";
        let plan = plan(users, Some(3), 100);
        assert_eq!(plan.room(), 14);
        let rounds = plan.room() / plan.sockets_of(Stage::Cold);
        let mut held = [0; 7];
        for number in 1..=rounds {
            for user in plan.users_of_round(Stage::Cold, number, 3).into_iter().flatten() {
                held[user] += 1;
            }
        }
        assert!(held.iter().all(|held| *held <= 2), "{held:?}");
    }
}
