//! A Service as the v2 API writes it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::emulator::{
    clock::rfc3339,
    deploy::AUTHOR,
    faults::Faults,
    model::{Progress, Service},
    state::World,
    traffic,
};

/// The etag: quoted, and empty of meaning for clients; the version and the name for us.
pub(crate) fn etag(version: i64, name: &str) -> String {
    format!("\"{}\"", STANDARD.encode(format!("{version}/{name}")))
}

/// The version in an etag, or the etag itself when it is none of ours.
pub(crate) fn version_of(etag: &str) -> String {
    let inner = etag.trim_matches('"');
    let decoded = STANDARD.decode(inner).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded
        .as_deref()
        .and_then(|text| text.split_once('/'))
        .map_or_else(|| inner.to_owned(), |(version, _)| version.to_owned())
}

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
    for (key, value) in &service.metadata {
        put(key, value.clone());
    }
    put("createTime", json!(rfc3339(service.created)));
    put("updateTime", json!(rfc3339(service.updated)));
    put("creator", json!(AUTHOR));
    put("lastModifier", json!(service.last_modifier));
    put("ingress", json!(faults.ingress.as_v2()));
    put("launchStage", json!("GA"));
    put("template", service.template.clone());
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
    let configurations = if service.latest_created == service.latest_ready {
        Progress::Done
    } else {
        service.progress.clone()
    };
    let conditions = [("RoutesReady", &service.progress), ("ConfigurationsReady", &configurations)];
    let conditions: Vec<Value> =
        conditions.iter().map(|(kind, progress)| condition(service, kind, progress)).collect();
    put("conditions", Value::Array(conditions));
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
    if !faults.default_uri_disabled {
        let url = format!("http://127.0.0.1:{}", service.port);
        put("uri", json!(url));
        put("urls", json!([url]));
    }
    put("etag", json!(etag(service.version(), &service.name)));
    if service.progress == Progress::Reconciling {
        put("reconciling", json!(true));
    }
}

fn statuses(service: &Service, faults: &Faults) -> Vec<Value> {
    let uri = |tag: &String| if faults.default_uri_disabled { None } else { service.tag_url(tag) };
    service.routed.iter().map(|target| traffic::render(target, target.tag.as_ref().and_then(uri))).collect()
}

fn condition(service: &Service, kind: &str, progress: &Progress) -> Value {
    let state = match progress {
        Progress::Reconciling => "CONDITION_RECONCILING",
        Progress::Done => "CONDITION_SUCCEEDED",
        Progress::Failed(_) => "CONDITION_FAILED",
    };
    let mut condition = json!({
        "type": kind, "state": state, "lastTransitionTime": rfc3339(service.progress_since),
    });
    if let Progress::Failed(message) = progress {
        condition["message"] = json!(message);
    }
    condition
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_gives_its_version_back() {
        assert_eq!(etag(1_795_465_697_187_471, "demo"), "\"MTc5NTQ2NTY5NzE4NzQ3MS9kZW1v\"");
        assert_eq!(version_of("\"MTc5NTQ2NTY5NzE4NzQ3MS9kZW1v\""), "1795465697187471");
        assert_eq!(version_of("nonsense"), "nonsense");
    }
}
