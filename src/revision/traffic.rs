//! The arithmetic of traffic: which entries must be written so that a revision gets all requests, a tag, or loses one?
//!
//! Takes the entries as the API gave them and gives the entries to write. It never changes an entry that belongs to
//! somebody else, apart from its percent where all requests go to one revision. The surprising rule: no entries at all
//! mean "everything to the latest revision", so that this has to be spelled out before a tag can be added.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cloudrun::wire::{AllocationType, Service, TrafficTarget, TrafficTargetStatus};

const LATEST: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";
const REVISION: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";

/// A tag that already belongs to another revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tag {tag} already belongs to {holder}")]
pub struct TagTaken {
    /// The tag.
    pub tag: String,
    /// Short name of the revision that has it, or `LATEST`.
    pub holder: String,
}

/// What traffic means, whatever the order and form of its entries. Two equal values send every request the same way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NormalTraffic {
    /// Percent of the requests by short name of the revision, or `LATEST`; never 0.
    pub shares: BTreeMap<String, i64>,
    /// Short name of the revision (or `LATEST`) by tag.
    pub tags: BTreeMap<String, String>,
}

/// The entries with which `revision` gets all requests by name, and everybody keeps their tags.
pub fn promote_to(entries: &[Value], revision: &str) -> Vec<Value> {
    let share = json!({"type": REVISION, "revision": revision, "percent": 100});
    let tagged = entries.iter().filter(|entry| view(entry).tag.is_some()).map(without_percent);
    std::iter::once(share).chain(tagged).collect()
}

/// The entries with one more: `tag` on `revision`, without requests. Nothing changes when it is there already.
///
/// # Errors
/// The tag belongs to another revision; a tag is never moved.
pub fn with_tag(entries: &[Value], tag: &str, revision: &str) -> Result<Vec<Value>, TagTaken> {
    let mut all = entries.to_vec();
    if all.is_empty() {
        all.push(json!({"type": LATEST, "percent": 100}));
    }
    match holder(entries, tag) {
        Some(holder) if holder == revision => {}
        Some(holder) => return Err(TagTaken { tag: tag.to_owned(), holder }),
        None => all.push(json!({"type": REVISION, "revision": revision, "tag": tag})),
    }
    Ok(all)
}

/// The entries without `tag`. An entry that has requests as well keeps them and loses only the tag.
pub fn without_tag(entries: &[Value], tag: &str) -> Vec<Value> {
    entries.iter().filter_map(|entry| drop_tag(entry, tag)).collect()
}

/// Which revision has `tag`; `LATEST` for a tag on whatever is newest; `None` when nobody has it.
pub fn holder(entries: &[Value], tag: &str) -> Option<String> {
    entries.iter().map(view).find(|entry| entry.tag.as_deref() == Some(tag)).map(|entry| target(&entry))
}

/// What `revision` (a short name) serves by the statuses, in percent. LATEST counts for the latest ready revision.
pub fn effective_percent(service: &Service, revision: &str) -> i64 {
    effective_shares(service).get(revision).copied().unwrap_or_default()
}

/// What each revision serves by the statuses, in percent, without zeros. Before there are statuses, what was asked
/// for stands in.
pub fn effective_shares(service: &Service) -> BTreeMap<String, i64> {
    let mut shares = BTreeMap::new();
    let asked = || service.traffic.iter().map(|target| target.view.clone()).collect();
    let entries: Vec<TrafficTargetStatus> =
        if service.traffic_statuses.is_empty() { asked() } else { service.traffic_statuses.clone() };
    for entry in entries.iter().filter(|entry| entry.percent > 0) {
        let name = entry.revision.as_deref().or_else(|| service.latest_ready());
        *shares.entry(name.unwrap_or("LATEST").to_owned()).or_insert(0) += entry.percent;
    }
    shares
}

/// True when both send every request, with and without a tag, the same way.
pub fn same_traffic(a: &[Value], b: &[Value]) -> bool {
    normal(a) == normal(b)
}

/// What the entries mean.
pub fn normal(entries: &[Value]) -> NormalTraffic {
    let views: Vec<TrafficTargetStatus> = entries.iter().map(view).collect();
    normal_form(&views)
}

/// What the statuses mean: the traffic that is in effect, LATEST unresolved.
pub fn normal_form(entries: &[TrafficTargetStatus]) -> NormalTraffic {
    let mut traffic = NormalTraffic::default();
    for entry in entries {
        if entry.percent != 0 {
            *traffic.shares.entry(target(entry)).or_insert(0) += entry.percent;
        }
        if let Some(tag) = &entry.tag {
            traffic.tags.insert(tag.clone(), target(entry));
        }
    }
    traffic
}

impl NormalTraffic {
    /// One line, such as `checkout-00041-duz 100 %, tag gate → checkout-00042-xiv`.
    pub fn summary(&self) -> String {
        let shares = self.shares.iter().map(|(revision, percent)| format!("{revision} {percent} %"));
        let tags = self.tags.iter().map(|(tag, revision)| format!("tag {tag} → {revision}"));
        let parts: Vec<String> = shares.chain(tags).collect();
        if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
    }

    /// Each difference from `self` to `now` in words. Tags in `ignored` do not count.
    pub fn changes(&self, now: &Self, ignored: &BTreeSet<String>) -> Vec<String> {
        let mut changes = Vec::new();
        for revision in keys(&self.shares, &now.shares) {
            let [before, after] = [self, now].map(|traffic| traffic.shares.get(revision).unwrap_or(&0));
            if before != after {
                changes.push(format!("{revision} had {before} % and has {after} %"));
            }
        }
        for tag in keys(&self.tags, &now.tags).filter(|tag| !ignored.contains(*tag)) {
            match (self.tags.get(tag), now.tags.get(tag)) {
                (Some(before), Some(after)) if before != after => {
                    changes.push(format!("the tag {tag} moved from {before} to {after}"));
                }
                (Some(before), None) => changes.push(format!("the tag {tag} of {before} is gone")),
                (None, Some(after)) => changes.push(format!("{after} has the new tag {tag}")),
                _ => {}
            }
        }
        changes
    }
}

/// The keys of both, each once.
fn keys<'a, V>(
    a: &'a BTreeMap<String, V>,
    b: &'a BTreeMap<String, V>,
) -> impl Iterator<Item = &'a String> + use<'a, V> {
    a.keys().chain(b.keys()).collect::<BTreeSet<_>>().into_iter()
}

/// What an entry says; one that cannot be read says nothing.
fn view(entry: &Value) -> TrafficTargetStatus {
    TrafficTarget::try_from(entry.clone()).map(|target| target.view).unwrap_or_default()
}

/// The revision's short name, or `LATEST`.
fn target(entry: &TrafficTargetStatus) -> String {
    match (&entry.kind, &entry.revision) {
        (AllocationType::Latest, _) | (_, None) => "LATEST".to_owned(),
        (_, Some(revision)) => revision.clone(),
    }
}

fn without_percent(entry: &Value) -> Value {
    let mut entry = entry.clone();
    if let Some(members) = entry.as_object_mut() {
        members.shift_remove("percent");
    }
    entry
}

/// The entry without `tag`; `None` when nothing else is left in it.
fn drop_tag(entry: &Value, tag: &str) -> Option<Value> {
    let seen = view(entry);
    if seen.tag.as_deref() != Some(tag) {
        return Some(entry.clone());
    }
    let mut rest = entry.clone();
    rest.as_object_mut()?.shift_remove("tag");
    (seen.percent > 0).then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize as _;

    use super::*;

    fn entries() -> Vec<Value> {
        vec![
            json!({"type": LATEST, "percent": 90}),
            json!({"type": REVISION, "revision": "s-2", "percent": 10, "tag": "canary", "note": "theirs"}),
            json!({"type": 2, "revision": "s-3", "tag": "old"}),
        ]
    }

    #[test]
    fn promotes_by_name_and_keeps_every_tag_as_it_was() {
        assert_eq!(
            promote_to(&entries(), "s-3"),
            [
                json!({"type": REVISION, "revision": "s-3", "percent": 100}),
                json!({"type": REVISION, "revision": "s-2", "tag": "canary", "note": "theirs"}),
                json!({"type": 2, "revision": "s-3", "tag": "old"}),
            ]
        );
    }

    #[test]
    fn never_moves_a_tag() {
        assert_eq!(with_tag(&entries(), "old", "s-3").unwrap(), entries());
        assert_eq!(with_tag(&entries(), "old", "s-2").unwrap_err().holder, "s-3");
        let added = with_tag(&entries(), "new", "s-9").unwrap();
        assert_eq!(added[..3], entries()[..]);
        assert_eq!(added[3], json!({"type": REVISION, "revision": "s-9", "tag": "new"}));
        assert_eq!(with_tag(&[], "new", "s-9").unwrap()[0]["percent"], 100);
    }

    #[test]
    fn removes_a_tag_and_leaves_requests_alone() {
        let left = without_tag(&entries(), "canary");
        assert_eq!(left[1], json!({"type": REVISION, "revision": "s-2", "percent": 10, "note": "theirs"}));
        assert_eq!(without_tag(&entries(), "old").len(), 2);
        assert_eq!(without_tag(&entries(), "nowhere"), entries());
    }

    #[test]
    fn counts_latest_for_the_latest_ready_revision() {
        let service = Service::deserialize(json!({
            "latestReadyRevision": "projects/p/locations/l/services/s/revisions/s-2",
            "trafficStatuses": entries()}))
        .unwrap();
        assert_eq!(effective_percent(&service, "s-2"), 100);
        assert_eq!(effective_percent(&service, "s-3"), 0);
    }

    #[test]
    fn says_what_changed() {
        let before = normal(&entries());
        let mut after = entries();
        after[0]["percent"] = json!(80);
        after[1]["percent"] = json!(20);
        after.push(json!({"type": REVISION, "revision": "s-4", "tag": "gate"}));
        let changes = before.changes(&normal(&after), &BTreeSet::from(["gate".to_owned()]));
        assert_eq!(changes, ["LATEST had 90 % and has 80 %", "s-2 had 10 % and has 20 %"]);
    }

    /// Any traffic that the API would accept: shares that add up to 100, and tags.
    fn any_traffic() -> impl Strategy<Value = Vec<Value>> {
        let shares = proptest::collection::vec(1_u32..100, 1..5);
        let tags = proptest::collection::vec((0_usize..6, "[a-z]{1,4}"), 0..5);
        (shares, tags, any::<bool>()).prop_map(|(weights, tags, latest)| {
            let total: u32 = weights.iter().sum();
            let mut percents: Vec<u32> = weights.iter().map(|weight| weight * 100 / total).collect();
            percents[0] += 100 - percents.iter().sum::<u32>();
            let mut entries: Vec<Value> = (0..)
                .zip(&percents)
                .map(|(i, percent)| match (i, latest) {
                    (0, true) => json!({"type": LATEST, "percent": percent}),
                    _ => json!({"type": REVISION, "revision": format!("s-{i}"), "percent": percent}),
                })
                .collect();
            let mut seen = BTreeSet::new();
            entries.extend(
                tags.into_iter()
                    .filter(|(_, tag)| seen.insert(tag.clone()))
                    .map(|(i, tag)| json!({"type": REVISION, "revision": format!("s-{i}"), "tag": tag})),
            );
            entries
        })
    }

    fn sum(entries: &[Value]) -> i64 {
        normal(entries).shares.values().sum()
    }

    proptest! {
        #[test]
        fn shares_always_add_up_to_a_hundred(entries in any_traffic(), revision in "s-[0-9]", tag in "[a-z]{5}") {
            prop_assert_eq!(sum(&entries), 100);
            let promoted = promote_to(&entries, &revision);
            prop_assert_eq!(sum(&promoted), 100);
            let shares = normal(&promoted).shares;
            prop_assert_eq!(shares.get(&revision), Some(&100));
            prop_assert_eq!(normal(&promoted).tags, normal(&entries).tags);
            let tagged = with_tag(&entries, &tag, &revision).unwrap();
            prop_assert_eq!(sum(&tagged), 100);
            prop_assert_eq!(without_tag(&tagged, &tag), entries);
        }

        #[test]
        fn order_does_not_matter(entries in any_traffic().prop_shuffle()) {
            let mut sorted = entries.clone();
            sorted.sort_by_key(Value::to_string);
            prop_assert!(same_traffic(&entries, &sorted));
            prop_assert!(!same_traffic(&entries, &promote_to(&entries, "s-new")));
        }
    }
}
