//! The calls that change nothing.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{
    dispatch::{Query, parameter},
    error::ApiError,
    render, render_revision,
    route::Call,
};
use crate::emulator::{
    model::{Revision, Service},
    state::{State, World},
};

fn find<'a>(state: &'a State, call: &Call, known: bool, name: &str) -> Result<&'a Service, ApiError> {
    let place = (call.project.as_str(), call.region.as_str());
    let found = if known { state.services.get(name) } else { None };
    found.ok_or_else(|| ApiError::not_found("SERVICE", name, place))
}

/// GET services
pub(crate) fn services(world: &World, known: bool) -> Value {
    let state = world.lock();
    let services: Vec<Value> =
        state.services.values().map(|service| render::service(world, service, &state.faults)).collect();
    if known && !services.is_empty() { json!({"services": services}) } else { json!({}) }
}

/// GET services/S
pub(crate) fn service(world: &World, call: &Call, known: bool, name: &str) -> Result<Value, ApiError> {
    let state = world.lock();
    Ok(render::service(world, find(&state, call, known, name)?, &state.faults))
}

/// GET services/S/revisions
pub(crate) fn revisions(
    world: &World,
    call: &Call,
    known: bool,
    (name, query): (&str, &Query),
) -> Result<Value, ApiError> {
    let state = world.lock();
    let service = find(&state, call, known, name)?;
    let limit = world.options.page_size.max(1);
    let size = match parameter(query, "pageSize").map(str::parse::<usize>) {
        None | Some(Ok(0)) => limit,
        Some(Ok(size)) => size.min(limit),
        Some(Err(_)) => return Err(ApiError::invalid("Invalid value at 'page_size'.")),
    };
    let start = match parameter(query, "pageToken") {
        None => 0,
        Some(token) => decode(token).ok_or_else(|| ApiError::invalid("The page token is invalid."))?,
    };
    let all = shuffled(&service.revisions);
    let page: Vec<Value> = all
        .iter()
        .skip(start)
        .take(size)
        .map(|revision| render_revision::revision(world, service, revision))
        .collect();
    let mut answer = Map::new();
    if !page.is_empty() {
        answer.insert("revisions".to_owned(), Value::Array(page));
    }
    if start + size < all.len() {
        answer.insert(
            "nextPageToken".to_owned(),
            json!(STANDARD.encode(format!("revisions/{}", start + size))),
        );
    }
    Ok(Value::Object(answer))
}

/// Every second one first: the API promises no order, and a client that trusts one is to be found out.
fn shuffled(revisions: &[Revision]) -> Vec<&Revision> {
    let later = revisions.iter().skip(1).step_by(2);
    later.chain(revisions.iter().step_by(2)).collect()
}

fn decode(token: &str) -> Option<usize> {
    String::from_utf8(STANDARD.decode(token).ok()?).ok()?.strip_prefix("revisions/")?.parse().ok()
}

/// GET services/S/revisions/R
pub(crate) fn revision(
    world: &World,
    call: &Call,
    known: bool,
    (name, revision): (&str, &str),
) -> Result<Value, ApiError> {
    let state = world.lock();
    let service = find(&state, call, known, name)?;
    let found = service
        .revision(revision)
        .ok_or_else(|| ApiError::not_found("REVISION", revision, (&call.project, &call.region)))?;
    Ok(render_revision::revision(world, service, found))
}

/// GET services/S:getIamPolicy
pub(crate) fn iam_policy(world: &World, call: &Call, known: bool, name: &str) -> Result<Value, ApiError> {
    let state = world.lock();
    find(&state, call, known, name)?;
    let member = if state.faults.private {
        "serviceAccount:invoker@demo-project.iam.gserviceaccount.com"
    } else {
        "allUsers"
    };
    Ok(json!({
        "version": 1,
        "etag": "BwYxyc0agAA=",
        "bindings": [{"role": "roles/run.invoker", "members": [member]}],
    }))
}

/// POST services/S:testIamPermissions
pub(crate) fn permissions(world: &World, body: &Value) -> Value {
    let state = world.lock();
    let asked = body.get("permissions").and_then(Value::as_array).cloned().unwrap_or_default();
    let denied = |permission: &Value| {
        state.faults.denied_permissions.iter().any(|denied| Some(denied.as_str()) == permission.as_str())
    };
    let granted: Vec<Value> = asked.into_iter().filter(|permission| !denied(permission)).collect();
    if granted.is_empty() { json!({}) } else { json!({"permissions": granted}) }
}
