//! What does a revision's template ask of its instances?
//!
//! Takes the template as JSON, in the shape of either API: v2's `RevisionTemplate`, or v1's with its `metadata` and
//! `spec`. Gives values with Cloud Run's defaults in place of what is absent. It never refuses: what it does not
//! understand is as absent. The surprising rule: numbers are read from strings too, since that is how annotations, and
//! int64 in Google's JSON, are written.

use std::{str::FromStr, time::Duration};

use jiff::SignedDuration;
use serde_json::Value;

use super::probe::StartupProbe;

/// What is asked of the instances of a revision.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Specification {
    /// The image, as it was sent; empty without one.
    pub(crate) image: String,
    /// What replaces the image's own command; empty for that.
    pub(crate) command: Vec<String>,
    /// The arguments of the command.
    pub(crate) args: Vec<String>,
    /// The container's port, as texts name it.
    pub(crate) port: u16,
    /// The container's variables.
    pub(crate) environment: Vec<(String, String)>,
    /// Variables whose value stands in a secret.
    pub(crate) secrets: Vec<String>,
    /// Requests that one instance takes at once.
    pub(crate) concurrency: u32,
    /// Instances that are kept.
    pub(crate) min: u32,
    /// The most instances.
    pub(crate) max: u32,
    /// How long a request may last.
    pub(crate) timeout: Duration,
    /// Whether an instance without a request has no CPU.
    pub(crate) cpu_idle: bool,
    /// Whether a client is led to the instance that it met before.
    pub(crate) affinity: bool,
    /// How it is found out that an instance has started.
    pub(crate) probe: StartupProbe,
}

impl Specification {
    /// Reads a template.
    pub(crate) fn read(template: &Value) -> Self {
        let spec = template.get("spec").unwrap_or(template);
        let annotation = |name: &str| template.pointer("/metadata/annotations").and_then(|all| all.get(name));
        let containers = spec.get("containers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        // Of several containers the one with a port is asked.
        let serving = containers.iter().find(|container| container.get("ports").is_some());
        let container = serving.or(containers.first()).unwrap_or(&Value::Null);
        let scaling = |name: &str| spec.get("scaling").and_then(|scaling| scaling.get(name));
        let concurrency = spec.get("maxInstanceRequestConcurrency").or(spec.get("containerConcurrency"));
        let (environment, secrets) = environment(container);
        let port = container.pointer("/ports/0/containerPort").and_then(number).unwrap_or(8080);
        Self {
            image: container.get("image").and_then(Value::as_str).unwrap_or_default().to_owned(),
            command: words(container.get("command")),
            args: words(container.get("args")),
            port,
            environment,
            secrets,
            concurrency: concurrency.and_then(number).filter(|many| *many > 0).unwrap_or(80),
            min: scaling("minInstanceCount")
                .or(annotation("autoscaling.knative.dev/minScale"))
                .and_then(number)
                .unwrap_or(0),
            max: scaling("maxInstanceCount")
                .or(annotation("autoscaling.knative.dev/maxScale"))
                .and_then(number)
                .filter(|most| *most > 0)
                .unwrap_or(100),
            timeout: timeout(spec).unwrap_or(Duration::from_mins(5)),
            cpu_idle: container
                .pointer("/resources/cpuIdle")
                .or(annotation("run.googleapis.com/cpu-throttling"))
                .and_then(truth)
                .unwrap_or(true),
            affinity: spec
                .get("sessionAffinity")
                .or(annotation("run.googleapis.com/sessionAffinity"))
                .and_then(truth)
                .unwrap_or(false),
            probe: container.get("startupProbe").map_or_else(StartupProbe::default, StartupProbe::read),
        }
    }
}

/// The texts of a list.
fn words(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

/// A number, also one in a string.
pub(super) fn number<T: FromStr>(value: &Value) -> Option<T> {
    match value {
        Value::Number(number) => number.to_string().parse().ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn truth(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str()?.parse().ok())
}

/// `timeout: "300s"` of v2, `timeoutSeconds: 300` of v1; zero is as absent.
fn timeout(spec: &Value) -> Option<Duration> {
    let text = spec.get("timeout").and_then(Value::as_str);
    let given = text.and_then(|text| Duration::try_from(text.parse::<SignedDuration>().ok()?).ok());
    let seconds = || spec.get("timeoutSeconds").and_then(number).map(Duration::from_secs);
    given.or_else(seconds).filter(|timeout| !timeout.is_zero())
}

/// The variables with a value, and the names of those whose value stands elsewhere.
fn environment(container: &Value) -> (Vec<(String, String)>, Vec<String>) {
    let (mut values, mut elsewhere) = (Vec::new(), Vec::new());
    for variable in container.get("env").and_then(Value::as_array).into_iter().flatten() {
        let Some(name) = variable.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) else {
            continue;
        };
        if variable.get("valueSource").or(variable.get("valueFrom")).is_some() {
            elsewhere.push(name.to_owned());
        } else {
            let value = variable.get("value").and_then(Value::as_str).unwrap_or_default();
            values.push((name.to_owned(), value.to_owned()));
        }
    }
    (values, elsewhere)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_shapes_say_the_same() {
        let env = json!([{"name": "A", "value": "1"}, {"name": "EMPTY"}]);
        let probe = json!({"httpGet": {"path": "/ready"}, "periodSeconds": 2, "failureThreshold": "5"});
        let v2 = json!({
            "scaling": {"minInstanceCount": 1, "maxInstanceCount": 7}, "timeout": "30s",
            "maxInstanceRequestConcurrency": 3, "sessionAffinity": true,
            "containers": [{"image": "i", "ports": [{"containerPort": 9000}], "env": env, "startupProbe": probe,
                "resources": {"cpuIdle": false}}],
        });
        let v1 = json!({
            "metadata": {"annotations": {
                "autoscaling.knative.dev/minScale": "1", "autoscaling.knative.dev/maxScale": "7",
                "run.googleapis.com/sessionAffinity": "true", "run.googleapis.com/cpu-throttling": "false",
            }},
            "spec": {"containerConcurrency": 3, "timeoutSeconds": 30, "containers": [
                {"image": "sidecar"},
                {"image": "i", "ports": [{"containerPort": 9000}], "env": env, "startupProbe": probe},
            ]},
        });
        let (of_v2, of_v1) = (Specification::read(&v2), Specification::read(&v1));
        assert_eq!(of_v2, of_v1);
        assert_eq!((of_v2.min, of_v2.max, of_v2.concurrency, of_v2.port), (1, 7, 3, 9000));
        assert_eq!(of_v2.timeout, Duration::from_secs(30));
        assert!(of_v2.affinity && !of_v2.cpu_idle);
        assert_eq!(of_v2.environment, [("A".into(), "1".into()), ("EMPTY".into(), String::new())]);
    }

    #[test]
    fn what_is_absent_is_as_cloud_run_has_it() {
        let secret = json!({"containers": [{"image": "i", "env": [{"name": "S", "valueSource": {}}]}]});
        let read = Specification::read(&secret);
        assert_eq!((read.min, read.max, read.concurrency, read.port), (0, 100, 80, 8080));
        assert_eq!(read.timeout, Duration::from_mins(5));
        assert!(read.cpu_idle && !read.affinity && read.probe.is_default());
        assert_eq!((read.secrets, read.environment), (vec!["S".to_owned()], vec![]));
    }
}
