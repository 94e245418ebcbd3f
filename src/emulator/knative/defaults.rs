//! What the platform adds to a template that does not say it.

use serde_json::{Map, Value, json};

use super::{PORT, annotations::is_hidden, integer, limits::is_below_one_cpu};

/// Which start-up probe a revision has: a label of the platform's.
const PROBE: &str = "run.googleapis.com/startupProbeType";
/// The most instances, where nothing is said.
const MOST: &str = "autoscaling.knative.dev/maxScale";

/// A template in which everything is said that Cloud Run says when it is read back, and nothing that is empty.
///
/// Two templates are the same configuration exactly when this gives the same for both, but for the name.
pub(crate) fn completed(template: &Value, project_number: &str) -> Value {
    let mut template = template.clone();
    prune(&mut template);
    let metadata = object(&mut template, "metadata");
    for key in ["creationTimestamp", "namespace", "uid", "resourceVersion", "generation", "selfLink"] {
        metadata.shift_remove(key);
    }
    if metadata.get("name").and_then(Value::as_str) == Some("") {
        metadata.shift_remove("name");
    }
    let annotations = object_in(metadata, "annotations");
    annotations.entry(MOST).or_insert_with(|| json!("100"));
    for (_, value) in annotations.iter_mut().filter(|(name, _)| is_hidden(name)) {
        // gcloud writes Python's True and False; the API gives them back as JSON's.
        if let Some(text) = value.as_str().filter(|text| ["True", "False"].contains(text)) {
            *value = json!(text.to_ascii_lowercase());
        }
    }
    let is_default = complete_spec(object(&mut template, "spec"), project_number);
    let labels = object_in(object(&mut template, "metadata"), "labels");
    // gcloud copies the service's labels to the template, the platform's own too.
    labels.shift_remove("cloud.googleapis.com/location");
    labels.insert(PROBE.to_owned(), json!(if is_default { "Default" } else { "Custom" }));
    template
}

/// Says what is missing; gives whether the start-up probe is the platform's own.
fn complete_spec(spec: &mut Map<String, Value>, project_number: &str) -> bool {
    let containers = spec.get("containers").and_then(Value::as_array);
    let at_once = if containers.is_some_and(|containers| is_below_one_cpu(containers)) { 1 } else { 80 };
    for (key, default) in [("containerConcurrency", at_once), ("timeoutSeconds", 300)] {
        let said = spec.get(key).and_then(integer).filter(|number| *number > 0).unwrap_or(default);
        spec.insert(key.to_owned(), json!(said));
    }
    let account = json!(format!("{project_number}-compute@developer.gserviceaccount.com"));
    spec.entry("serviceAccountName").or_insert(account);
    if spec.get("nodeSelector").and_then(Value::as_object).is_some_and(Map::is_empty) {
        spec.shift_remove("nodeSelector");
    }
    let containers = spec.get_mut("containers").and_then(Value::as_array_mut);
    let Some(containers) = containers else { return true };
    for (at, container) in containers.iter_mut().filter_map(Value::as_object_mut).enumerate() {
        if container.get("name").and_then(Value::as_str).is_none_or(str::is_empty) {
            let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
            let name = format!("{}-{}", image_name(image), at + 1);
            container.insert("name".to_owned(), json!(name));
        }
        let limits = object_in(object_in(container, "resources"), "limits");
        for (key, default) in [("cpu", "1000m"), ("memory", "512Mi")] {
            limits.entry(key).or_insert_with(|| json!(default));
        }
    }
    let is_served = |container: &Value| container.get("ports").is_some();
    let at = containers.iter().position(is_served).unwrap_or_default();
    let Some(container) = containers.get_mut(at).and_then(Value::as_object_mut) else { return true };
    let ports = container.entry("ports").or_insert_with(|| json!([{"containerPort": PORT}]));
    let port = ports.pointer("/0/containerPort").and_then(integer).unwrap_or(PORT);
    if let Some(first) = ports.get_mut(0).and_then(Value::as_object_mut) {
        first.entry("name").or_insert_with(|| json!("http1"));
        first.insert("containerPort".to_owned(), json!(port));
    }
    let is_default = complete_startup_probe(container, port);
    for container in containers.iter_mut().filter_map(Value::as_object_mut) {
        let port = container.get("ports").and_then(|ports| ports.pointer("/0/containerPort")).cloned();
        for kind in ["startupProbe", "livenessProbe", "readinessProbe"] {
            if let Some(probe) = container.get_mut(kind).and_then(Value::as_object_mut) {
                complete_probe(probe, port.as_ref());
            }
        }
    }
    is_default
}

/// What a probe does not say; `port` is its container's.
fn complete_probe(probe: &mut Map<String, Value>, port: Option<&Value>) {
    for (key, default) in [("timeoutSeconds", 1), ("periodSeconds", 10), ("failureThreshold", 3)] {
        let said = probe.get(key).and_then(integer).filter(|number| *number > 0).unwrap_or(default);
        probe.insert(key.to_owned(), json!(said));
    }
    for kind in ["httpGet", "tcpSocket", "grpc"] {
        let Some(asked) = probe.get_mut(kind).and_then(Value::as_object_mut) else { continue };
        if kind == "httpGet" {
            asked.entry("path").or_insert_with(|| json!("/"));
        }
        if let Some(port) = port {
            asked.entry("port").or_insert_with(|| port.clone());
        }
    }
}

/// What an image is called, without its repository, tag and digest; the platform names a container after it.
fn image_name(image: &str) -> &str {
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split(['@', ':']).next().filter(|name| !name.is_empty()).unwrap_or("app")
}

/// A probe that differs from the platform's own by its port only is the platform's own, for another port.
fn complete_startup_probe(container: &mut Map<String, Value>, port: u64) -> bool {
    let default = |port: &Value| {
        json!({
            "timeoutSeconds": 240, "periodSeconds": 240, "failureThreshold": 1, "tcpSocket": {"port": port},
        })
    };
    let probed = container.get("startupProbe").map(|probe| {
        let at = probe.pointer("/tcpSocket/port").cloned().unwrap_or_default();
        probe == &default(&at)
    });
    let is_default = probed.unwrap_or(true);
    if is_default {
        container.insert("startupProbe".to_owned(), default(&json!(port)));
    }
    is_default
}

/// Removes what is null or an empty list, which some clients write where others write nothing.
fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields
                .retain(|_, value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()));
            fields.values_mut().for_each(prune);
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

fn object<'a>(value: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(fields) => object_in(fields, key),
        _ => unreachable!("it was made an object above"),
    }
}

/// The object behind a key, made where there is none.
fn object_in<'a>(fields: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = fields.entry(key).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(fields) => fields,
        _ => unreachable!("it was made an object above"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_a_cpu_takes_one_request_at_a_time() {
        let at_once = |cpu: &str| {
            let container = json!({"image": "i", "resources": {"limits": {"cpu": cpu}}});
            let both = [container.clone(), container];
            let one = completed(&json!({"spec": {"containers": [both[0]]}}), "7");
            let two = completed(&json!({"spec": {"containers": both}}), "7");
            [one, two].map(|template| template["spec"]["containerConcurrency"].clone())
        };
        assert_eq!(at_once("500m"), [json!(1), json!(80)], "both together have one");
        assert_eq!(at_once("1"), [json!(80), json!(80)]);
    }

    #[test]
    fn what_is_read_back_is_the_same_configuration() {
        let sent = json!({"metadata": {"name": "", "labels": {"a": "b"}}, "spec": {"containers": [{"image": "i", "env": []}]}});
        let kept = completed(&sent, "7");
        assert_eq!(kept["spec"]["containerConcurrency"], 80);
        assert_eq!(kept["spec"]["containers"][0]["name"], "i-1");
        assert_eq!(kept["spec"]["serviceAccountName"], "7-compute@developer.gserviceaccount.com");
        assert_eq!(kept["metadata"]["labels"], json!({"a": "b", PROBE: "Default"}));
        assert_eq!(kept["spec"]["containers"][0]["startupProbe"]["tcpSocket"]["port"], 8080);
        assert_eq!(completed(&kept, "7"), kept);
    }

    #[test]
    fn the_probe_follows_the_port_unless_it_is_the_users_own() {
        let container = |port: u64, probe: Value| {
            let container = json!({"image": "i", "ports": [{"containerPort": port}], "startupProbe": probe});
            completed(&json!({"spec": {"containers": [container]}}), "7")
        };
        let default = completed(&json!({"spec": {"containers": [{"image": "i"}]}}), "7");
        let moved = container(9000, default["spec"]["containers"][0]["startupProbe"].clone());
        assert_eq!(moved["spec"]["containers"][0]["startupProbe"]["tcpSocket"]["port"], 9000);
        let own = container(9000, json!({"httpGet": {"path": "/ready"}}));
        let due = json!({
            "httpGet": {"path": "/ready", "port": 9000}, "timeoutSeconds": 1, "periodSeconds": 10, "failureThreshold": 3,
        });
        assert_eq!(own["spec"]["containers"][0]["startupProbe"], due, "what it does not say is said");
        assert_eq!(
            (&moved["metadata"]["labels"][PROBE], &own["metadata"]["labels"][PROBE]),
            (&json!("Default"), &json!("Custom"))
        );
    }
}
