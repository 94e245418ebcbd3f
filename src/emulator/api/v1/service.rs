//! A Service as the v1 API writes it.

use serde_json::{Map, Value, json};

use super::condition;
use crate::emulator::{
    api::{v2, version::resource_version},
    clock::rfc3339,
    faults::{Faults, Ingress},
    model::Service,
    state::{PROJECT_NUMBER, World},
    traffic,
};

/// Annotations of a service that the platform writes and no client may.
pub(super) const OWN_ANNOTATIONS: [&str; 5] = [
    "serving.knative.dev/creator",
    "serving.knative.dev/lastModifier",
    "run.googleapis.com/operation-id",
    "run.googleapis.com/ingress-status",
    "run.googleapis.com/urls",
];
/// The label by which a client learns the region.
pub(super) const LOCATION: &str = "cloud.googleapis.com/location";
const INGRESS: &str = "run.googleapis.com/ingress";

/// The Service.
pub(crate) fn service(world: &World, service: &Service, faults: &Faults) -> Value {
    let traffic: Vec<Value> =
        service.traffic.iter().map(|target| traffic::render_v1(target, None, None)).collect();
    json!({
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": metadata(world, service, faults),
        "spec": {"template": service.template, "traffic": traffic},
        "status": status(service, faults),
    })
}

fn metadata(world: &World, service: &Service, faults: &Faults) -> Value {
    let mut labels = service.labels.clone();
    labels.insert(LOCATION.to_owned(), json!(world.options.region));
    let mut metadata = json!({
        "name": service.name,
        "namespace": PROJECT_NUMBER,
        "selfLink": format!("/apis/serving.knative.dev/v1/namespaces/{PROJECT_NUMBER}/services/{}", service.name),
        "uid": service.uid,
        "resourceVersion": resource_version(service.version()),
        "generation": service.generation,
        "creationTimestamp": rfc3339(service.created),
        "labels": labels,
        "annotations": annotations(service, faults),
    });
    if let Some(deleted) = service.deleted {
        metadata["deletionTimestamp"] = json!(rfc3339(deleted));
    }
    metadata
}

fn annotations(service: &Service, faults: &Faults) -> Map<String, Value> {
    let mut annotations = service.annotations.clone();
    let mut put = |name: &str, value: Value| annotations.insert(name.to_owned(), value);
    put("serving.knative.dev/creator", json!(service.creator));
    put("serving.knative.dev/lastModifier", json!(service.last_modifier));
    if let Some(operation) = &service.operation {
        put("run.googleapis.com/operation-id", json!(operation));
    }
    if service.has_url(faults) {
        put("run.googleapis.com/urls", json!(json!(service.urls()).to_string()));
    }
    let asked = annotations.get(INGRESS).and_then(Value::as_str).unwrap_or("all").to_owned();
    let ingress = if faults.ingress == Ingress::All { asked } else { faults.ingress.as_v1().to_owned() };
    annotations.insert(INGRESS.to_owned(), json!(ingress));
    annotations.insert("run.googleapis.com/ingress-status".to_owned(), json!(ingress));
    annotations
}

fn status(service: &Service, faults: &Faults) -> Value {
    let ready = v2::service::condition(service, "Ready", &service.progress);
    let below = v2::service::conditions(service);
    let below = below.as_array().into_iter().flatten().rev();
    let conditions: Vec<Value> = std::iter::once(&ready).chain(below).map(condition::from_v2).collect();
    let mut status = json!({"conditions": conditions});
    if service.observed > 0 {
        status["observedGeneration"] = json!(service.observed);
    }
    for (key, revision) in [
        ("latestCreatedRevisionName", &service.latest_created),
        ("latestReadyRevisionName", &service.latest_ready),
    ] {
        if let Some(revision) = revision {
            status[key] = json!(revision);
        }
    }
    let url = |tag: &String| if service.has_url(faults) { service.tag_url(tag) } else { None };
    let latest = service.latest_routed.as_deref();
    let traffic: Vec<Value> = service
        .routed
        .iter()
        .map(|target| traffic::render_v1(target, latest, target.tag.as_ref().and_then(url)))
        .collect();
    if !traffic.is_empty() {
        status["traffic"] = Value::Array(traffic);
    }
    if service.has_url(faults) {
        status["url"] = json!(service.url());
        status["address"] = json!({"url": service.url()});
    }
    status
}
