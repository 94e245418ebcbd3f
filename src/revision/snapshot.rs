//! How did the traffic stand when the check began, and what has changed since?
//!
//! Takes a service and keeps what its traffic meant; compares a later reading with it. It never reads anything itself.
//! The surprising rule: LATEST is kept together with the revision that it meant, since a deployment in between changes
//! who serves without changing a single entry.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::tag;
use super::traffic::{self, NormalTraffic};
use crate::cloudrun::wire::{AllocationType, Service};

/// The traffic as it stood at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficSnapshot {
    /// The service's unique id.
    pub uid: String,
    /// The service's generation.
    pub generation: i64,
    /// The service's etag.
    pub etag: String,
    /// What was asked for.
    pub traffic: NormalTraffic,
    /// The revision that LATEST meant; `None` where no entry with requests says LATEST.
    pub latest: Option<String>,
    /// Tags that this run added or removed itself, which do not count as changes.
    pub own_tags: BTreeSet<String>,
}

impl TrafficSnapshot {
    /// The traffic as it stands in `service`.
    pub fn of(service: &Service) -> Self {
        Self {
            uid: service.uid.clone(),
            generation: service.generation,
            etag: service.etag.clone(),
            traffic: traffic::normal(&service.traffic_entries()),
            latest: latest(service),
            own_tags: BTreeSet::new(),
        }
    }

    /// From now on this tag does not count as a change.
    pub fn ignore(&mut self, tag: &str) {
        self.own_tags.insert(tag.to_owned());
    }

    /// What somebody else changed since, in words; empty when nothing did. Tags of the shape that revgate adds do not
    /// count either: another run's coming and going must not stop a promotion.
    pub fn changes(&self, now: &Service) -> Vec<String> {
        if self.uid != now.uid {
            return vec!["the service was deleted and made again".to_owned()];
        }
        let traffic = traffic::normal(&now.traffic_entries());
        let mut ignored = self.own_tags.clone();
        let tags = self.traffic.tags.keys().chain(traffic.tags.keys());
        ignored.extend(tags.filter(|tag| tag::is_fresh_shape(tag)).cloned());
        let mut changes = self.traffic.changes(&traffic, &ignored);
        if let (Some(before), Some(after)) = (&self.latest, &latest(now))
            && before != after
        {
            changes.push(format!("LATEST meant {before} and means {after}"));
        }
        changes
    }
}

/// The revision that LATEST means, where an entry with requests says LATEST.
fn latest(service: &Service) -> Option<String> {
    let by_latest = service.traffic.iter().any(|target| {
        let by_name = target.view.kind != AllocationType::Latest && target.view.revision.is_some();
        !by_name && target.view.percent > 0
    });
    let by_latest = by_latest || service.traffic.is_empty();
    service.latest_ready().filter(|_| by_latest).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde_json::{Value, json};

    use super::*;

    fn service(traffic: &Value, ready: &str) -> Service {
        Service::deserialize(json!({"uid": "u", "traffic": traffic, "latestReadyRevision": ready})).unwrap()
    }

    #[test]
    fn own_tags_and_tags_of_other_runs_are_no_change() {
        let mut before = TrafficSnapshot::of(&service(&json!([{"type": 1, "percent": 100}]), "x/s-1"));
        before.ignore("mine");
        let now = json!([{"type": 2, "revision": "s-2", "tag": "gate-hn3k20f0a"},
            {"type": 2, "revision": "s-2", "tag": "mine"}, {"type": 1, "percent": 100}]);
        assert!(before.changes(&service(&now, "x/s-1")).is_empty());
        assert_eq!(before.changes(&service(&now, "x/s-2")), ["LATEST meant s-1 and means s-2"]);
        let other = json!([{"type": 1, "percent": 100, "tag": "theirs"}]);
        assert_eq!(before.changes(&service(&other, "x/s-1")), ["LATEST has the new tag theirs"]);
        assert_eq!(before.changes(&Service::default()).len(), 1);
    }
}
