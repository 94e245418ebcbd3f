//! The numbers of the enums of v2, for clients that ask for numbers.
//!
//! Source: Google's public protos, google/cloud/run/v2.

use serde_json::{Value, json};

use crate::emulator::knative::members::WORDS;

/// The values of an enum; the first has the number 1.
type Names = &'static [&'static str];

/// The members that hold enums.
const MEMBERS: [(&str, Names); 11] = [
    ("type", &["TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"]),
    ("state", &["CONDITION_PENDING", "CONDITION_RECONCILING", "CONDITION_FAILED", "CONDITION_SUCCEEDED"]),
    ("severity", &["ERROR", "WARNING", "INFO"]),
    (
        "revisionReason",
        &[
            "PENDING",
            "RESERVE",
            "RETIRED",
            "RETIRING",
            "RECREATING",
            "HEALTH_CHECK_CONTAINER_ERROR",
            "CUSTOMIZED_PATH_RESPONSE_PENDING",
            "MIN_INSTANCES_NOT_PROVISIONED",
            "ACTIVE_REVISION_LIMIT_REACHED",
            "NO_DEPLOYMENT",
            "HEALTH_CHECK_SKIPPED",
            "MIN_INSTANCES_WARMING",
        ],
    ),
    (
        "ingress",
        &[
            "INGRESS_TRAFFIC_ALL",
            "INGRESS_TRAFFIC_INTERNAL_ONLY",
            "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
            "INGRESS_TRAFFIC_NONE",
        ],
    ),
    ("launchStage", &["EARLY_ACCESS", "ALPHA", "BETA", "GA", "DEPRECATED", "UNIMPLEMENTED", "PRELAUNCH"]),
    ("egress", &["ALL_TRAFFIC", "PRIVATE_RANGES_ONLY"]),
    ("executionEnvironment", &["EXECUTION_ENVIRONMENT_GEN1", "EXECUTION_ENVIRONMENT_GEN2"]),
    ("scalingMode", &["AUTOMATIC", "MANUAL"]),
    ("medium", &["MEMORY", "DISK"]),
    ("encryptionKeyRevocationAction", &["PREVENT_NEW", "SHUTDOWN"]),
];

/// Writes every enum of an answer as its number.
pub(super) fn number(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(number),
        Value::Object(members) => {
            for (name, member) in members.iter_mut().filter(|(name, _)| !WORDS.contains(&name.as_str())) {
                match number_of(name, member) {
                    Some(found) => *member = json!(found),
                    None => number(member),
                }
            }
        }
        _ => {}
    }
}

fn number_of(name: &str, value: &Value) -> Option<usize> {
    let value = value.as_str()?;
    let (_, names) = MEMBERS.iter().find(|(member, _)| *member == name)?;
    Some(names.iter().position(|known| *known == value)? + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enums_become_numbers_and_the_users_own_words_stay() {
        let mut answer = json!({
            "ingress": "INGRESS_TRAFFIC_INTERNAL_ONLY", "launchStage": "GA", "labels": {"state": "CONDITION_FAILED"},
            "traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "GA"}],
            "conditions": [{"type": "Ready", "state": "CONDITION_SUCCEEDED", "severity": "INFO",
                "revisionReason": "HEALTH_CHECK_CONTAINER_ERROR"}],
        });
        number(&mut answer);
        let due = json!({
            "ingress": 2, "launchStage": 4, "labels": {"state": "CONDITION_FAILED"},
            "traffic": [{"type": 2, "revision": "GA"}],
            "conditions": [{"type": "Ready", "state": 4, "severity": 3, "revisionReason": 6}],
        });
        assert_eq!(answer, due);
    }
}
