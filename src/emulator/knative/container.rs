//! The containers of a template.

use serde_json::{Map, Value, json};

use super::members;

const THROTTLING: &str = "run.googleapis.com/cpu-throttling";
const BOOST: &str = "run.googleapis.com/startup-cpu-boost";
const DEPENDENCIES: &str = "run.googleapis.com/container-dependencies";

/// The containers as v1 has them; what v1 says of the whole template goes to `annotations`.
pub(super) fn from_v2(containers: &[Value], annotations: &mut Map<String, Value>) -> Value {
    let mut dependencies = Map::new();
    let containers: Vec<Value> = containers
        .iter()
        .enumerate()
        .map(|(at, container)| {
            let mut container = container.clone();
            environment_from_v2(&mut container);
            if let Some(resources) = container.get_mut("resources").and_then(Value::as_object_mut) {
                // v1 throttles where nothing is said; v2 does so only where nothing is said of any resource.
                let idle = resources.shift_remove("cpuIdle");
                if idle == Some(json!(false)) || (idle.is_none() && at == 0) {
                    annotations.insert(THROTTLING.to_owned(), json!("false"));
                }
                if resources.shift_remove("startupCpuBoost") == Some(json!(true)) {
                    annotations.insert(BOOST.to_owned(), json!("true"));
                }
            }
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            if let Some(on) = container.as_object_mut().and_then(|fields| fields.shift_remove("dependsOn")) {
                dependencies.insert(name, on);
            }
            container
        })
        .collect();
    if !dependencies.is_empty() {
        annotations.insert(DEPENDENCIES.to_owned(), json!(Value::Object(dependencies).to_string()));
    }
    Value::Array(containers)
}

/// The containers as v2 has them.
pub(super) fn to_v2(containers: &[Value], annotations: &Map<String, Value>) -> Value {
    let says = |name: &str, text: &str| annotations.get(name).and_then(Value::as_str) == Some(text);
    let (idle, boost) = (!says(THROTTLING, "false"), says(BOOST, "true"));
    let dependencies = annotations.get(DEPENDENCIES).and_then(Value::as_str).unwrap_or("{}");
    let dependencies: Value = serde_json::from_str(dependencies).unwrap_or_default();
    let containers = containers.iter().map(|container| {
        let mut container = container.clone();
        environment_to_v2(&mut container);
        if let Some(resources) = container.get_mut("resources").and_then(Value::as_object_mut) {
            resources.insert("cpuIdle".to_owned(), json!(idle));
            if boost {
                resources.insert("startupCpuBoost".to_owned(), json!(true));
            }
        }
        let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
        if let Some(on) = dependencies.get(name).cloned() {
            container["dependsOn"] = on;
        }
        if let Some(fields) = container.as_object_mut() {
            fields.retain(|name, _| members::CONTAINER.contains(&name.as_str()));
        }
        container
    });
    Value::Array(containers.collect())
}

fn environment_from_v2(container: &mut Value) {
    for variable in variables(container) {
        let Some(Value::Object(mut source)) = variable.shift_remove("valueSource") else { continue };
        if let Some(Value::Object(mut reference)) = source.shift_remove("secretKeyRef") {
            let name = reference.shift_remove("secret").unwrap_or_default();
            let key = reference.shift_remove("version").unwrap_or_else(|| json!("latest"));
            variable.insert("valueFrom".to_owned(), json!({"secretKeyRef": {"name": name, "key": key}}));
        }
    }
}

fn environment_to_v2(container: &mut Value) {
    for variable in variables(container) {
        let Some(source) = variable.shift_remove("valueFrom") else { continue };
        let (name, key) = (source.pointer("/secretKeyRef/name"), source.pointer("/secretKeyRef/key"));
        let reference = json!({"secret": name, "version": key});
        variable.insert("valueSource".to_owned(), json!({"secretKeyRef": reference}));
    }
}

fn variables(container: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let all = container.get_mut("env").and_then(Value::as_array_mut);
    all.into_iter().flatten().filter_map(Value::as_object_mut)
}
