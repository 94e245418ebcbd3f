//! The calls of v1 that change something.
//!
//! A write is always of the whole service: what a body does not say is gone. `resourceVersion` is the condition that
//! nobody has written since; a body without one is written whatever came between.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::service::{LOCATION, OWN_ANNOTATIONS, service};
use crate::emulator::{
    api::{
        dispatch::{Query, parameter},
        error::ApiError,
        listener::Cut,
        route::Call,
        version::version_in,
        write::{self, How, Written},
    },
    change::Change,
    knative::{Words, completed},
    model::Service,
    state::{PROJECT_NUMBER, World},
    traffic,
};

/// POST services
pub(crate) fn create(world: &Arc<World>, query: &Query, body: &Value, cut: &Cut) -> Result<Value, ApiError> {
    let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let how = How { dry: is_dry(query), moves_traffic: true };
    let written = write::create(world, name, how, cut, |service| change(service, body))?;
    answer(world, name, written)
}

/// PUT services/S
pub(crate) fn replace(
    world: &Arc<World>,
    name: &str,
    (query, body): (&Query, &Value),
    cut: &Cut,
) -> Result<Value, ApiError> {
    if let Some(other) =
        body.pointer("/metadata/name").and_then(Value::as_str).filter(|written| *written != name)
    {
        let message = format!("metadata.name is '{other}', but the service of the request is '{name}'.");
        return Err(ApiError::invalid(message));
    }
    let how = How { dry: is_dry(query), moves_traffic: true };
    let written = write::update(world, name, how, cut, |service| change(service, body))?;
    answer(world, name, written)
}

fn answer(world: &World, name: &str, written: Written) -> Result<Value, ApiError> {
    let state = world.lock();
    match written {
        Written::Preview(preview) => Ok(service(world, &preview, &state.faults)),
        Written::Begun(_) => {
            let found = state.services.get(name);
            let place = (world.options.project.as_str(), world.options.region.as_str());
            let found = found.ok_or_else(|| ApiError::not_found("SERVICE", name, place))?;
            Ok(service(world, found, &state.faults))
        }
    }
}

fn is_dry(query: &Query) -> bool {
    parameter(query, "dryRun") == Some("all")
}

/// What a body asks of a service.
fn change(current: &Service, body: &Value) -> Result<Change, ApiError> {
    let kind = body.get("kind").and_then(Value::as_str);
    if kind.is_some_and(|kind| kind != "Service") {
        return Err(ApiError::invalid("Expected 'kind' to be 'Service'."));
    }
    let metadata = |key: &str| {
        let sent = body.get("metadata").and_then(|metadata| metadata.get(key)).and_then(Value::as_object);
        sent.cloned().unwrap_or_default()
    };
    let without = |mut sent: Map<String, Value>, own: &[&str]| {
        sent.retain(|name, _| !own.contains(&name.as_str()));
        sent
    };
    let version = body.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    let template = body.pointer("/spec/template").cloned().unwrap_or_else(|| json!({}));
    let template = write::admitted(current, completed(&template, PROJECT_NUMBER), Words::V1)?;
    let traffic = traffic::parse_v1(body.pointer("/spec/traffic")).map_err(ApiError::invalid)?;
    Ok(Change {
        version: version.filter(|version| !version.is_empty()).map(version_in),
        labels: Some(without(metadata("labels"), &[LOCATION])),
        annotations: Some(without(metadata("annotations"), &OWN_ANNOTATIONS)),
        template: Some(template),
        traffic: Some(traffic),
        forced: false,
    })
}

/// DELETE services/S
pub(crate) fn delete_service(
    world: &Arc<World>,
    call: &Call,
    name: &str,
    query: &Query,
) -> Result<Value, ApiError> {
    write::delete_service(world, call, name, (is_dry(query), None))?;
    Ok(success(name, "services"))
}

/// DELETE revisions/R
pub(crate) fn delete_revision(
    world: &Arc<World>,
    call: &Call,
    name: &str,
    query: &Query,
) -> Result<Value, ApiError> {
    let service = super::read::find(&world.lock(), call, name)?.0.name.clone();
    write::delete_revision(world, call, (&service, name), is_dry(query))?;
    Ok(success(name, "revisions"))
}

fn success(name: &str, kind: &str) -> Value {
    json!({"kind": "Status", "status": "Success", "details": {"name": name, "group": "serving.knative.dev", "kind": kind}})
}
