//! A Service as the v2 API writes it.

use serde_json::{Map, Value, json};

use crate::emulator::{
    api::version::etag,
    clock::rfc3339,
    faults::{Faults, Ingress},
    knative::{settings_to_v2, template_to_v2},
    model::{Progress, Readiness, Service},
    state::World,
    traffic,
};

/// The full name of a revision.
pub(crate) fn revision_name(world: &World, service: &str, revision: &str) -> String {
    format!("{}/services/{service}/revisions/{revision}", world.location())
}

/// The Service.
pub(crate) fn service(world: &World, service: &Service, faults: &Faults) -> Value {
    let mut fields = Map::new();
    let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    put("name", json!(format!("{}/services/{}", world.location(), service.name)));
    put("uid", json!(service.uid));
    put("generation", json!(service.generation.to_string()));
    for (key, value) in settings_to_v2(&service.labels, &service.annotations) {
        put(&key, value);
    }
    put("createTime", json!(rfc3339(service.created)));
    put("updateTime", json!(rfc3339(service.updated)));
    if let Some(deleted) = service.deleted {
        put("deleteTime", json!(rfc3339(deleted)));
        put("expireTime", json!(rfc3339(deleted)));
    }
    put("creator", json!(service.creator));
    put("lastModifier", json!(service.last_modifier));
    if faults.ingress != Ingress::All {
        put("ingress", json!(faults.ingress.as_v2()));
    }
    put("template", template_to_v2(&service.template));
    let traffic: Vec<Value> = service.traffic.iter().map(|target| traffic::render(target, None)).collect();
    put("traffic", Value::Array(traffic));
    if faults.iap {
        put("iapEnabled", json!(true));
    }
    if faults.default_uri_disabled {
        put("defaultUriDisabled", json!(true));
    }
    if service.observed > 0 {
        put("observedGeneration", json!(service.observed.to_string()));
    }
    status(world, service, faults, &mut fields);
    Value::Object(fields)
}

fn status(world: &World, service: &Service, faults: &Faults, fields: &mut Map<String, Value>) {
    let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    put("terminalCondition", condition(service, "Ready", &service.progress));
    put("conditions", conditions(service));
    for (key, revision) in
        [("latestCreatedRevision", &service.latest_created), ("latestReadyRevision", &service.latest_ready)]
    {
        if let Some(revision) = revision {
            put(key, json!(revision_name(world, &service.name, revision)));
        }
    }
    if !service.routed.is_empty() {
        put("trafficStatuses", Value::Array(statuses(service, faults)));
    }
    if service.has_url(faults) {
        put("uri", json!(service.url()));
        put("urls", json!(service.urls()));
    }
    put("etag", json!(etag(service.version(), &service.name)));
    if service.progress == Progress::Reconciling {
        put("reconciling", json!(true));
    }
}

fn statuses(service: &Service, faults: &Faults) -> Vec<Value> {
    let uri = |tag: &String| if service.has_url(faults) { service.tag_url(tag) } else { None };
    service.routed.iter().map(|target| traffic::render(target, target.tag.as_ref().and_then(uri))).collect()
}

/// The conditions below `Ready`.
pub(crate) fn conditions(service: &Service) -> Value {
    let done = Progress::Done;
    let configurations =
        if service.latest_created == service.latest_ready { &done } else { &service.progress };
    // A revision that failed leaves the routes alone unless they name it.
    let failed = |name: &String| {
        service.revision(name).is_none_or(|revision| matches!(revision.readiness, Readiness::Failed(_)))
    };
    let routes_fail = service.traffic.iter().filter_map(|target| target.revision.as_ref()).any(failed);
    let routes = match &service.progress {
        Progress::Failed(_) if !routes_fail => &done,
        progress => progress,
    };
    json!([
        condition(service, "RoutesReady", routes),
        condition(service, "ConfigurationsReady", configurations)
    ])
}

/// A condition of the service.
pub(crate) fn condition(service: &Service, kind: &str, progress: &Progress) -> Value {
    let state = match progress {
        Progress::Reconciling => "CONDITION_RECONCILING",
        Progress::Done => "CONDITION_SUCCEEDED",
        Progress::Failed(_) => "CONDITION_FAILED",
    };
    let mut condition = json!({
        "type": kind, "state": state, "lastTransitionTime": rfc3339(service.progress_since),
    });
    if let Progress::Failed(problem) = progress {
        condition["message"] = json!(problem.message);
        if let Some(reason) = &problem.reason {
            condition["revisionReason"] = json!(reason);
        }
    }
    condition
}
