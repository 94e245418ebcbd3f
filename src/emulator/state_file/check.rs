//! Is what stands in the file a state that an emulator can have?
//!
//! What the types leave open and the emulator relies on: shares that sum to 100, templates that are objects where objects
//! are looked into, numbers that can be counted on from, names that stand once. Takes the file as it was read, gives what is
//! wrong with it. A file may have been mended by hand, or come from elsewhere.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    error::StateError,
    format::{KeptService, StateFile},
};
use crate::emulator::model::Target;

/// The largest count that is believed: there is room above it.
const MOST: u64 = i64::MAX.unsigned_abs();

impl StateFile {
    /// The state, if it is one that there can be.
    ///
    /// # Errors
    /// It is damaged: where, and what is wrong.
    pub(super) fn checked(self) -> Result<Self, StateError> {
        let gone = self.operations.iter().filter_map(|operation| operation.last.as_deref());
        let wrong = self
            .services
            .iter()
            .chain(gone)
            .find_map(|service| wrong(service).map(|wrong| format!("service {}: {wrong}", service.name)));
        let names: BTreeSet<&str> = self.services.iter().map(|service| service.name.as_str()).collect();
        let reason = match wrong {
            Some(reason) => reason,
            None if self.starts > MOST => format!("starts {} is no count", self.starts),
            None if names.len() < self.services.len() => "two services have one name".to_owned(),
            None => return Ok(self),
        };
        Err(StateError::Damaged { reason })
    }
}

/// What is wrong with a service.
fn wrong(service: &KeptService) -> Option<String> {
    let generations = service.revisions.iter().map(|revision| revision.generation);
    let counts = generations.chain([service.generation, service.observed, service.policy.writes]);
    let revisions: BTreeSet<&str> = service.revisions.iter().map(|revision| revision.name.as_str()).collect();
    let templates = service.revisions.iter().map(|revision| &revision.template);
    if let Some(count) = counts.into_iter().find(|count| *count > MOST) {
        return Some(format!("{count} is no count"));
    }
    if service.generation == 0 {
        return Some("generation 0 is before its first write".to_owned());
    }
    if revisions.len() < service.revisions.len() {
        return Some("two revisions have one name".to_owned());
    }
    if !templates.chain([&service.template]).all(is_template) {
        return Some("a template is none".to_owned());
    }
    let routed = Some(&service.routed).filter(|routed| !routed.is_empty());
    [&service.traffic]
        .into_iter()
        .chain(routed)
        .map(|targets| sum(targets))
        .find(|sum| *sum != 100)
        .map(|sum| format!("the sum of traffic percents must be 100, but is {sum}"))
}

fn sum(targets: &[Target]) -> u64 {
    targets.iter().map(|target| u64::from(target.percent)).sum()
}

/// Whether a template has objects where the emulator writes into them.
fn is_template(template: &Value) -> bool {
    let object = |place: &str| template.pointer(place).is_none_or(Value::is_object);
    let containers = template.pointer("/spec/containers").and_then(Value::as_array);
    ["", "/metadata", "/metadata/annotations", "/spec"].into_iter().all(object)
        && containers.into_iter().flatten().all(Value::is_object)
}
