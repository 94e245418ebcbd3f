//! A Revision as the v1 API writes it.

use serde_json::{Map, Value, json};

use super::{condition, service::LOCATION};
use crate::emulator::{
    api::{v2, version::resource_version},
    clock::rfc3339,
    model::{Readiness, Revision, Service},
    state::{PROJECT_NUMBER, World},
};

/// The labels of a revision: its template's, and those by which it is found.
pub(super) fn labels(world: &World, service: &Service, revision: &Revision) -> Map<String, Value> {
    let sent = revision.template.pointer("/metadata/labels").and_then(Value::as_object);
    let mut labels = sent.cloned().unwrap_or_default();
    let mut put = |name: &str, value: &str| labels.insert(name.to_owned(), json!(value));
    put("serving.knative.dev/configuration", &service.name);
    put("serving.knative.dev/configurationGeneration", &revision.generation.to_string());
    put("serving.knative.dev/service", &service.name);
    put("serving.knative.dev/serviceUid", &service.uid);
    put(LOCATION, &world.options.region);
    // Only while it is in the route, by a share or by a tag.
    if service.routes_to(&revision.name) {
        put("serving.knative.dev/route", &service.name);
    }
    labels
}

/// The Revision.
pub(crate) fn revision(world: &World, service: &Service, revision: &Revision) -> Value {
    let template = revision.annotated();
    let sent = template.pointer("/metadata/annotations").and_then(Value::as_object);
    let mut annotations = sent.cloned().unwrap_or_default();
    annotations.insert("serving.knative.dev/creator".to_owned(), json!(service.creator));
    if let Some(operation) = &revision.operation {
        annotations.insert("run.googleapis.com/operation-id".to_owned(), json!(operation));
    }
    json!({
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Revision",
        "metadata": {
            "name": revision.name,
            "namespace": PROJECT_NUMBER,
            "selfLink": format!(
                "/apis/serving.knative.dev/v1/namespaces/{PROJECT_NUMBER}/revisions/{}", revision.name
            ),
            "uid": revision.uid,
            "resourceVersion": resource_version(revision.changed.as_microsecond()),
            "generation": 1,
            "creationTimestamp": rfc3339(revision.created),
            "labels": labels(world, service, revision),
            "annotations": annotations,
            "ownerReferences": [{
                "kind": "Configuration",
                "name": service.name,
                "uid": service.uid,
                "apiVersion": "serving.knative.dev/v1",
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": revision.template.get("spec"),
        "status": status(world, service, revision),
    })
}

fn status(world: &World, service: &Service, revision: &Revision) -> Value {
    let conditions = v2::revision::conditions(service, revision);
    let mut conditions: Vec<Value> =
        conditions.as_array().into_iter().flatten().map(condition::from_v2).collect();
    let retired = revision.readiness == Readiness::Ready && !service.routes_to(&revision.name);
    if retired {
        for kind in ["ContainerHealthy", "ResourcesAvailable"] {
            conditions.push(json!({
                "type": kind, "status": "Unknown", "reason": "Retired",
                "lastTransitionTime": rfc3339(revision.changed),
            }));
        }
    }
    let mut status = json!({
        "conditions": conditions,
        "logUrl": v2::revision::log_url(world, &service.name, &revision.name),
    });
    if revision.readiness != Readiness::Pending {
        status["observedGeneration"] = json!(1);
        status["imageDigest"] = json!(revision.digest);
        let name = revision.template.pointer("/spec/containers/0/name").and_then(Value::as_str);
        status["containerStatuses"] =
            json!([{"name": name.unwrap_or("app-1"), "imageDigest": revision.digest}]);
    }
    status
}
