//! The template of a revision.

use serde_json::{Map, Value, json};

use super::{
    annotations::{Form, Pair, put_members, take_members, visible},
    container, integer, members, volume,
};

/// The annotations of a template that v2 has members for.
const PAIRS: [Pair; 10] = [
    ("autoscaling.knative.dev/minScale", "scaling.minInstanceCount", Form::Number),
    ("autoscaling.knative.dev/maxScale", "scaling.maxInstanceCount", Form::Number),
    ("run.googleapis.com/vpc-access-connector", "vpcAccess.connector", Form::Text),
    (
        "run.googleapis.com/vpc-access-egress",
        "vpcAccess.egress",
        Form::Enum(&[("all-traffic", "ALL_TRAFFIC", 1), ("private-ranges-only", "PRIVATE_RANGES_ONLY", 2)]),
    ),
    ("run.googleapis.com/network-interfaces", "vpcAccess.networkInterfaces", Form::Json),
    (
        "run.googleapis.com/execution-environment",
        "executionEnvironment",
        Form::Enum(&[("gen1", "EXECUTION_ENVIRONMENT_GEN1", 1), ("gen2", "EXECUTION_ENVIRONMENT_GEN2", 2)]),
    ),
    ("run.googleapis.com/encryption-key", "encryptionKey", Form::Text),
    ("run.googleapis.com/sessionAffinity", "sessionAffinity", Form::Switch),
    ("run.googleapis.com/health-check-disabled", "healthCheckDisabled", Form::Switch),
    ("run.googleapis.com/gpu-zonal-redundancy-disabled", "gpuZonalRedundancyDisabled", Form::Switch),
];

/// The members that only change their name; what is not among them and not below keeps it.
const RENAMED: [(&str, &str); 2] =
    [("serviceAccountName", "serviceAccount"), ("containerConcurrency", "maxInstanceRequestConcurrency")];

/// The name that a template asks for.
pub(crate) fn named(template: &Value) -> Option<&str> {
    template.pointer("/metadata/name").and_then(Value::as_str).filter(|name| !name.is_empty())
}

/// The template without the name that it asks for: a configuration.
pub(crate) fn unnamed(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("name");
    }
    template
}

/// The v1 template of a v2 one.
pub(crate) fn template_from_v2(template: &Value) -> Value {
    let mut rest = template.as_object().cloned().unwrap_or_default();
    let mut metadata = Map::new();
    if let Some(name) =
        rest.shift_remove("revision").filter(|name| name.as_str().is_some_and(|name| !name.is_empty()))
    {
        metadata.insert("name".to_owned(), name);
    }
    let labels = rest.shift_remove("labels");
    let annotations = rest.shift_remove("annotations");
    let mut annotations = annotations.and_then(|all| all.as_object().cloned()).unwrap_or_default();
    take_members(&PAIRS, &mut rest, &mut annotations);
    rest.shift_remove("scaling");
    rest.shift_remove("vpcAccess");
    let mut spec = Map::new();
    for (v1, v2) in RENAMED {
        if let Some(value) = rest.shift_remove(v2) {
            spec.insert(v1.to_owned(), value);
        }
    }
    let timeout = rest.shift_remove("timeout");
    if let Some(seconds) = timeout.as_ref().and_then(Value::as_str).and_then(seconds) {
        spec.insert("timeoutSeconds".to_owned(), json!(seconds));
    }
    if let Some(Value::Array(containers)) = rest.shift_remove("containers") {
        spec.insert("containers".to_owned(), container::from_v2(&containers, &mut annotations));
    }
    if let Some(Value::Array(volumes)) = rest.shift_remove("volumes") {
        volume::from_v2(&volumes, &mut spec, &mut annotations);
    }
    spec.extend(rest);
    metadata.insert("labels".to_owned(), labels.unwrap_or_default());
    metadata.insert("annotations".to_owned(), Value::Object(annotations));
    json!({"metadata": metadata, "spec": spec})
}

/// The v2 template of a v1 one.
pub(crate) fn template_to_v2(template: &Value) -> Value {
    let mut spec = template.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
    let metadata = |key: &str| {
        template.get("metadata").and_then(|metadata| metadata.get(key)).and_then(Value::as_object).cloned()
    };
    let annotations = metadata("annotations").unwrap_or_default();
    let mut fields = Map::new();
    for (key, all) in [("labels", metadata("labels")), ("annotations", Some(annotations.clone()))] {
        if let Some(shown) = all.as_ref().and_then(visible) {
            fields.insert(key.to_owned(), shown);
        }
    }
    put_members(&PAIRS, &annotations, &mut fields);
    for (v1, v2) in RENAMED {
        if let Some(value) = spec.shift_remove(v1) {
            fields.insert(v2.to_owned(), value);
        }
    }
    if let Some(seconds) = spec.shift_remove("timeoutSeconds").as_ref().and_then(integer) {
        fields.insert("timeout".to_owned(), json!(format!("{seconds}s")));
    }
    if let Some(Value::Array(containers)) = spec.shift_remove("containers") {
        fields.insert("containers".to_owned(), container::to_v2(&containers, &annotations));
    }
    if let Some(volumes) = volume::to_v2(spec.shift_remove("volumes"), &annotations) {
        fields.insert("volumes".to_owned(), volumes);
    }
    fields.extend(spec.into_iter().filter(|(name, _)| members::TEMPLATE.contains(&name.as_str())));
    if let Some(name) = named(template) {
        fields.insert("revision".to_owned(), json!(name));
    }
    Value::Object(fields)
}

/// The whole seconds of a duration such as `300s` or `1.500s`.
fn seconds(text: &str) -> Option<u64> {
    text.strip_suffix('s')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_survives_the_other_api() {
        let v2 = json!({
            "labels": {"team": "a"},
            "scaling": {"minInstanceCount": 1, "maxInstanceCount": 7},
            "vpcAccess": {"connector": "c", "egress": "ALL_TRAFFIC"},
            "executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2",
            "sessionAffinity": true,
            "serviceAccount": "a@b",
            "maxInstanceRequestConcurrency": 5,
            "timeout": "60s",
            "containers": [{
                "image": "i", "env": [
                    {"name": "A", "value": "1"},
                    {"name": "B", "valueSource": {"secretKeyRef": {"secret": "s", "version": "latest"}}},
                ],
                "resources": {"limits": {"cpu": "2"}, "cpuIdle": false, "startupCpuBoost": true},
                "dependsOn": ["b"], "name": "a",
            }],
            "volumes": [
                {"name": "v", "secret": {"secret": "s", "items": [{"version": "1", "path": "p"}]}},
                {"name": "g", "gcs": {"bucket": "b", "readOnly": true}},
                {"name": "m", "emptyDir": {"medium": "MEMORY", "sizeLimit": "1Mi"}},
                {"name": "sql", "cloudSqlInstance": {"instances": ["p:r:i"]}},
            ],
            "revision": "demo-x",
        });
        let v1 = template_from_v2(&v2);
        assert_eq!(named(&v1), Some("demo-x"));
        assert_eq!(
            v1["spec"]["containers"][0]["env"][1]["valueFrom"]["secretKeyRef"],
            json!({"name": "s", "key": "latest"})
        );
        assert_eq!(v1["metadata"]["annotations"]["run.googleapis.com/cpu-throttling"], "false");
        assert_eq!(v1["spec"]["volumes"][2]["emptyDir"]["medium"], "Memory", "Kubernetes writes it so");
        assert_eq!(v1["metadata"]["annotations"]["autoscaling.knative.dev/maxScale"], "7");
        assert_eq!(v1["spec"]["timeoutSeconds"], 60);
        assert_eq!(template_to_v2(&v1), v2);
    }

    #[test]
    fn numbers_of_enums_are_understood_and_other_members_of_v2_are_kept() {
        let v1 = template_from_v2(&json!({"executionEnvironment": 2, "serviceMesh": {"mesh": "m"}}));
        let v2 = template_to_v2(&v1);
        assert_eq!(v2["executionEnvironment"], "EXECUTION_ENVIRONMENT_GEN2");
        assert_eq!(v2["serviceMesh"], json!({"mesh": "m"}));
    }

    #[test]
    fn the_medium_of_an_empty_directory_is_said_where_it_is_known() {
        let volumes = |medium: Value| json!({"volumes": [{"name": "m", "emptyDir": {"medium": medium}}]});
        let medium = |template: &Value, place: &str| template.pointer(place).cloned();
        for (sent, kept, shown) in [
            (json!(1), Some("Memory"), Some("MEMORY")),
            (json!(2), Some("Disk"), Some("DISK")),
            (json!("DISK"), Some("Disk"), Some("DISK")),
            (json!("MEDIUM_UNSPECIFIED"), None, None),
            (json!(""), None, None),
        ] {
            let v1 = template_from_v2(&volumes(sent));
            assert_eq!(medium(&v1, "/spec/volumes/0/emptyDir/medium"), kept.map(Value::from));
            let v2 = template_to_v2(&v1);
            assert_eq!(medium(&v2, "/volumes/0/emptyDir/medium"), shown.map(Value::from));
        }
        let v2 = template_to_v2(&json!({"spec": volumes(json!(""))}));
        assert_eq!(v2, json!({"volumes": [{"name": "m", "emptyDir": {}}]}));
    }

    #[test]
    fn what_v1_alone_knows_is_not_in_v2() {
        let container =
            json!({"image": "i", "imagePullPolicy": "Always", "securityContext": {"runAsUser": 1}});
        let v1 =
            json!({"spec": {"containers": [container], "runtimeClassName": "x", "sessionAffinity": true}});
        assert_eq!(template_to_v2(&v1), json!({"containers": [{"image": "i"}], "sessionAffinity": true}));
    }
}
