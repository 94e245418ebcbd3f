//! What may a template not ask for?
//!
//! A template as v1 writes it in, completed, and what Cloud Run says to it out. Not all of the platform's limits: those
//! into which a pipeline runs. The words of each API name the member as that API does.
//!
//! Source: refusals that people have quoted, and the limits in Google's documentation.

use serde_json::Value;

use super::integer;

/// The variables that the platform sets, [`PORT_VARIABLE`] only where requests come in.
pub(crate) const RESERVED: [&str; 4] = [PORT_VARIABLE, "K_SERVICE", "K_REVISION", "K_CONFIGURATION"];
/// The variable that tells a container its port.
const PORT_VARIABLE: &str = "PORT";
/// The longest time-out of a request, in seconds.
const LONGEST: u64 = 3600;
/// The most requests of one instance at a time.
const MOST: u64 = 1000;

/// The words of an API for its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    /// Those of v1.
    V1,
    /// Those of v2, in a request of this name.
    V2(&'static str),
}

impl Words {
    fn containers(self) -> &'static str {
        match self {
            Self::V1 => "spec.template.spec.containers",
            Self::V2(_) => "template.containers",
        }
    }

    /// A member that is out of its bounds.
    fn violation(self, v1: &str, v2: &str, what: &str) -> String {
        match self {
            Self::V1 => format!("spec.template.spec.{v1}: {what}"),
            Self::V2(request) => format!("Violation in {request}.service.template.{v2}: {what}"),
        }
    }
}

/// What is wrong with a template, in the API's words.
pub(crate) fn violation(template: &Value, words: Words) -> Option<String> {
    let spec = template.get("spec")?;
    let number = |key: &str| spec.get(key).and_then(integer);
    let containers = spec.get("containers").and_then(Value::as_array)?;
    for (at, container) in containers.iter().enumerate() {
        let names = reserved(container);
        if !names.is_empty() {
            return Some(format!(
                "{}[{at}].env: The following reserved env names were provided: {}. These values are automatically set \
                 by the system.",
                words.containers(),
                names.join(", ")
            ));
        }
    }
    if number("timeoutSeconds").is_some_and(|seconds| seconds > LONGEST) {
        return Some(words.violation("timeoutSeconds", "timeout", "maximum allowed time is one hour."));
    }
    let concurrency = number("containerConcurrency").unwrap_or(1);
    if concurrency > MOST {
        let (v1, v2) = ("containerConcurrency", "max_instance_request_concurrency");
        return Some(words.violation(v1, v2, "must be between 0 and 1000."));
    }
    (concurrency > 1 && is_below_one_cpu(containers)).then(|| {
        format!(
            "{}.resources.limits.cpu: Invalid value specified for cpu. Total cpu < 1 is not supported with \
             concurrency > 1.",
            words.containers()
        )
    })
}

fn reserved(container: &Value) -> Vec<&str> {
    let variables = container.get("env").and_then(Value::as_array).into_iter().flatten();
    let names = variables.filter_map(|variable| variable.get("name").and_then(Value::as_str));
    // The platform gives a port to the container of the requests alone: a sidecar may be told one by its template.
    let is_served = container.get("ports").is_some();
    names.filter(|name| RESERVED.contains(name) && (is_served || *name != PORT_VARIABLE)).collect()
}

/// Whether all containers together have less than one CPU, each one where it says nothing.
pub(super) fn is_below_one_cpu(containers: &[Value]) -> bool {
    let asked = |container: &Value| {
        let limit = container.pointer("/resources/limits/cpu");
        limit.and_then(thousandths).unwrap_or(1000.0)
    };
    !containers.is_empty() && containers.iter().map(asked).sum::<f64>() < 1000.0
}

/// The thousandths of a CPU in `500m`, `0.5` or `2`.
fn thousandths(limit: &Value) -> Option<f64> {
    let text = match limit {
        Value::Number(number) => return Some(number.as_f64()? * 1000.0),
        limit => limit.as_str()?,
    };
    match text.strip_suffix('m') {
        Some(thousandths) => thousandths.parse().ok(),
        None => Some(text.parse::<f64>().ok()? * 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::completed, *};

    fn said(spec: &Value, words: Words) -> Option<String> {
        violation(&json!({"spec": spec}), words)
    }

    #[test]
    fn what_a_pipeline_runs_into_is_refused_in_the_platforms_words() {
        let with = |env: &str, cpu: &str, concurrency: u64, timeout: u64| {
            json!({
                "containers": [{"env": [{"name": env}], "ports": [{}], "resources": {"limits": {"cpu": cpu}}}],
                "containerConcurrency": concurrency, "timeoutSeconds": timeout,
            })
        };
        let v2 = Words::V2("UpdateServiceRequest");
        assert_eq!(said(&with("A", "1", 1000, 3600), Words::V1), None);
        assert_eq!(said(&with("A", "500m", 1, 60), Words::V1), None);
        let due = "template.containers[0].env: The following reserved env names were provided: PORT. These values are \
                   automatically set by the system.";
        assert_eq!(said(&with("PORT", "1", 1, 1), v2).as_deref(), Some(due));
        assert_eq!(
            said(&with("PORT", "1", 1, 1), Words::V1),
            Some(format!("spec.template.spec.{}", &due[9..]))
        );
        let due =
            "Violation in UpdateServiceRequest.service.template.timeout: maximum allowed time is one hour.";
        assert_eq!(said(&with("A", "1", 1, 3601), v2).as_deref(), Some(due));
        let due = "spec.template.spec.containers.resources.limits.cpu: Invalid value specified for cpu. Total cpu < 1 \
                   is not supported with concurrency > 1.";
        for cpu in ["500m", "0.5"] {
            assert_eq!(said(&with("A", cpu, 2, 1), Words::V1).as_deref(), Some(due), "{cpu}");
        }
        assert!(said(&with("A", "1", 1001, 1), v2).unwrap().contains("max_instance_request_concurrency"));
    }

    #[test]
    fn a_sidecar_may_be_told_a_port_and_nothing_else_of_the_platforms() {
        let env = |name: &str| json!([{"name": name, "value": "8888"}]);
        let with = |ingress: &str, sidecar: &str| {
            let containers = [
                json!({"image": "i", "env": env(sidecar)}),
                json!({"image": "i", "env": env(ingress), "ports": [{"containerPort": 8080}]}),
            ];
            violation(&completed(&json!({"spec": {"containers": containers}}), "7"), Words::V1)
        };
        assert_eq!(with("A", "PORT"), None);
        assert!(with("PORT", "A").unwrap().starts_with("spec.template.spec.containers[1].env: "));
        assert!(with("A", "K_SERVICE").unwrap().starts_with("spec.template.spec.containers[0].env: "));
        let alone = json!({"spec": {"containers": [{"image": "i", "env": env("PORT")}]}});
        assert!(violation(&completed(&alone, "7"), Words::V1).is_some(), "it takes the requests");
    }
}
