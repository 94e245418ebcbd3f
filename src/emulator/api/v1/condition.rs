//! Conditions, which v1 writes in Knative's words.

use serde_json::{Value, json};

/// A condition of v2 as v1 writes it.
pub(super) fn from_v2(condition: &Value) -> Value {
    let status = match condition["state"].as_str() {
        Some("CONDITION_SUCCEEDED") => "True",
        Some("CONDITION_FAILED") => "False",
        _ => "Unknown",
    };
    let mut written = json!({"type": condition["type"], "status": status});
    let text = |key: &str| condition.get(key).and_then(Value::as_str);
    if let Some(reason) = text("revisionReason") {
        written["reason"] = json!(camel(reason));
    }
    if let Some(message) = text("message") {
        written["message"] = json!(message);
    }
    written["lastTransitionTime"] = condition["lastTransitionTime"].clone();
    if let Some(severity) = text("severity") {
        written["severity"] = json!(camel(severity));
    }
    written
}

/// `HEALTH_CHECK_CONTAINER_ERROR` as `HealthCheckContainerError`.
fn camel(name: &str) -> String {
    name.split('_').fold(String::new(), |written, word| {
        let (first, rest) = word.split_at(word.len().min(1));
        written + first + &rest.to_ascii_lowercase()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_in_the_words_of_v1() {
        let v2 = json!({
            "type": "Ready", "state": "CONDITION_FAILED", "lastTransitionTime": "t", "message": "m",
            "revisionReason": "HEALTH_CHECK_CONTAINER_ERROR", "severity": "INFO",
        });
        let v1 = json!({
            "type": "Ready", "status": "False", "lastTransitionTime": "t", "message": "m",
            "reason": "HealthCheckContainerError", "severity": "Info",
        });
        assert_eq!(from_v2(&v2), v1);
        assert_eq!(from_v2(&json!({"type": "Ready", "state": "CONDITION_RECONCILING"}))["status"], "Unknown");
    }
}
