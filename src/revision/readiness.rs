//! Is the candidate ready, by its own conditions?
//!
//! Takes a revision and its share of the requests, gives ready, waiting or failed with the platform's own words. It
//! never looks at the service's conditions. The surprising rule: a condition `Active` that failed because the revision
//! is retired or in reserve is a note and no failure, since that is what a revision without traffic looks like.

use serde::{Deserialize, Serialize};

use crate::cloudrun::wire::{Condition, ConditionState, Revision};
use crate::trust::Excerpt;

/// How a revision stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Readiness {
    /// Ready, which does not mean that it serves.
    Ready {
        /// Conditions that did not succeed and do not count.
        notes: Vec<String>,
    },
    /// Not yet.
    Waiting {
        /// The condition that is waited for.
        condition: String,
        /// Its reason, one word.
        reason: Option<String>,
        /// Its words.
        message: Excerpt,
    },
    /// Never, unless it is deployed again.
    Failed {
        /// The condition that failed.
        condition: String,
        /// Its reason, one word.
        reason: Option<String>,
        /// Its words.
        message: Excerpt,
        /// The revision's log in the console.
        log_uri: Option<String>,
    },
}

impl Readiness {
    /// One line, such as `ContainerHealthy: HEALTH_CHECK_CONTAINER_ERROR: The user-provided container failed …`.
    pub fn summary(&self) -> String {
        match self {
            Self::Ready { .. } => "ready".to_owned(),
            Self::Waiting { condition, reason, message }
            | Self::Failed { condition, reason, message, .. } => {
                let parts = [condition, reason.as_deref().unwrap_or_default(), message.as_str()];
                parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
            }
        }
    }
}

/// Reads the conditions of `revision`, which serves `serving_percent` of the requests.
pub fn readiness(revision: &Revision, serving_percent: i64) -> Readiness {
    let ready = revision.condition("Ready");
    match ready.map(|condition| &condition.state) {
        Some(ConditionState::Failed) => failed(revision),
        Some(ConditionState::Succeeded) if is_settled(revision) => {
            Readiness::Ready { notes: notes(revision, serving_percent) }
        }
        _ => waiting(revision),
    }
}

fn is_settled(revision: &Revision) -> bool {
    !revision.reconciling && (revision.observed_generation >= revision.generation)
}

/// The condition that says most: not `Ready` itself, which only sums up, where another one has words.
fn failed(revision: &Revision) -> Readiness {
    let of_parts = revision.conditions.iter().filter(|condition| {
        condition.state == ConditionState::Failed && !["Ready", "Active"].contains(&condition.kind.as_str())
    });
    let ready = revision.condition("Ready").into_iter();
    let candidates: Vec<&Condition> = of_parts.chain(ready).collect();
    let worded = candidates.iter().find(|condition| !condition.message.is_empty());
    let (condition, reason, message) = parts(worded.or(candidates.first()).copied());
    Readiness::Failed { condition, reason, message, log_uri: revision.log_uri.clone() }
}

/// The condition that is still under way, rather than `Ready`, which waits for it.
fn waiting(revision: &Revision) -> Readiness {
    let pending = |condition: &&Condition| {
        !matches!(condition.state, ConditionState::Succeeded | ConditionState::Failed)
            && condition.kind != "Ready"
    };
    let found = revision.conditions.iter().find(pending).or_else(|| revision.condition("Ready"));
    let (condition, reason, message) = parts(found);
    Readiness::Waiting { condition, reason, message }
}

fn parts(condition: Option<&Condition>) -> (String, Option<String>, Excerpt) {
    match condition {
        Some(condition) => {
            (condition.kind.clone(), condition.reason().map(str::to_owned), condition.message.clone())
        }
        None => ("Ready".to_owned(), None, Excerpt::default()),
    }
}

fn notes(revision: &Revision, serving_percent: i64) -> Vec<String> {
    let failed = revision.conditions.iter().filter(|condition| condition.state == ConditionState::Failed);
    failed
        .map(|condition| {
            let reason = condition.reason().unwrap_or("no reason given");
            let expected = condition.kind == "Active"
                && serving_percent == 0
                && matches!(reason, "RETIRED" | "RESERVE" | "MIN_INSTANCES_NOT_PROVISIONED");
            let kind = &condition.kind;
            if expected {
                format!("{kind} is false ({reason}), as is usual without traffic")
            } else {
                let message = &condition.message;
                format!(
                    "{kind} is false ({reason}) although Ready is true, at {serving_percent} %: {message}"
                )
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde_json::{Value, json};

    use super::*;

    fn revision(conditions: &Value, reconciling: bool) -> Revision {
        Revision::deserialize(json!({
            "name": "projects/p/locations/l/services/s/revisions/s-2", "conditions": conditions,
            "reconciling": reconciling, "logUri": "https://console.cloud.google.com/logs"}))
        .unwrap()
    }

    #[test]
    fn a_retired_revision_without_traffic_is_ready_with_a_note() {
        let conditions = json!([
            {"type": "Ready", "state": "CONDITION_SUCCEEDED"},
            {"type": "Active", "state": "CONDITION_FAILED", "revisionReason": "RETIRED", "message": "Revision retired."}]);
        let Readiness::Ready { notes } = readiness(&revision(&conditions, false), 0) else { panic!() };
        assert_eq!(notes, ["Active is false (RETIRED), as is usual without traffic"]);
        assert!(matches!(readiness(&revision(&conditions, true), 0), Readiness::Waiting { .. }));
    }

    #[test]
    fn a_failure_is_told_in_the_words_of_the_part_that_failed() {
        let conditions = json!([
            {"type": "Ready", "state": "CONDITION_FAILED", "message": "not ready"},
            {"type": "ContainerHealthy", "state": "CONDITION_FAILED", "revisionReason": "HEALTH_CHECK_CONTAINER_ERROR",
             "message": "The container failed to start\nand listen on PORT=8080"}]);
        let failed = readiness(&revision(&conditions, false), 0);
        assert_eq!(
            failed.summary(),
            "ContainerHealthy: HEALTH_CHECK_CONTAINER_ERROR: The container failed to start\\nand listen on PORT=8080"
        );
        let Readiness::Failed { log_uri, .. } = failed else { panic!() };
        assert!(log_uri.is_some());
    }

    #[test]
    fn waits_for_everything_else() {
        let unknown = json!([{"type": "Ready", "state": "CONDITION_SHINY"}]);
        assert!(matches!(readiness(&revision(&unknown, false), 0), Readiness::Waiting { .. }));
        assert_eq!(readiness(&revision(&json!([]), false), 0).summary(), "Ready");
        let pending = json!([
            {"type": "Ready", "state": "CONDITION_RECONCILING"},
            {"type": "ContainerReady", "state": "CONDITION_PENDING", "reason": "WAITING_FOR_OPERATION"}]);
        assert_eq!(
            readiness(&revision(&pending, true), 0).summary(),
            "ContainerReady: WAITING_FOR_OPERATION"
        );
    }
}
