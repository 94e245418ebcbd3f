//! Long-running operations.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    dispatch::{Query, parameter},
    error::ApiError,
    page::Page,
    route::Api,
    v1, v2,
};
use crate::emulator::{
    model::{Operation, Revision, Service},
    state::{State, World},
};

/// The longest a `:wait` lasts, and its length when nothing is said.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// GET operations
pub(crate) fn list(world: &World, known: bool, query: &Query, api: Api) -> Result<Value, ApiError> {
    let state = world.lock();
    let page =
        Page::parse(parameter(query, "pageSize"), parameter(query, "pageToken"), world.options.page_size)?;
    let known = state.operations.iter().filter(|(_, operation)| known && !operation.forgotten);
    let (ids, token) = page.of(known.map(|(id, _)| id).collect());
    let operations: Result<Vec<Value>, ApiError> =
        ids.into_iter().map(|id| render(world, &state, id, api)).collect();
    let mut answer = json!({});
    match operations? {
        none if none.is_empty() => {}
        operations => answer["operations"] = Value::Array(operations),
    }
    if let Some(token) = token {
        answer["nextPageToken"] = json!(token);
    }
    Ok(answer)
}

/// DELETE operations/ID, which forgets it and stops nothing.
pub(crate) fn delete(world: &World, id: &str) -> Result<Value, ApiError> {
    let mut state = world.lock();
    let known = state.forget_operation(id);
    world.changed(state);
    if known { Ok(json!({})) } else { Err(not_found()) }
}

/// GET operations/ID
pub(crate) fn get(world: &World, id: &str, api: Api) -> Result<Value, ApiError> {
    let state = world.lock();
    render(world, &state, id, api)
}

/// POST operations/ID:wait, which answers at the operation's end or when its time-out has passed.
pub(crate) async fn wait(world: &Arc<World>, id: &str, body: &Value, api: Api) -> Result<Value, ApiError> {
    let asked = body.get("timeout").and_then(Value::as_str).and_then(|text| text.strip_suffix('s'));
    let asked = asked.and_then(|seconds| seconds.parse().ok());
    let asked = asked.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let mut changes = world.changes.subscribe();
    let ended = async {
        loop {
            changes.mark_unchanged();
            let done = world.lock().operation(id).is_none_or(|operation| operation.done);
            if done || changes.changed().await.is_err() {
                return;
            }
        }
    };
    // Running out of time is an answer too: the operation without `done`.
    let longest = world.clock.real(asked.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT));
    let _ = timeout(longest, ended).await;
    get(world, id, api)
}

/// An operation as JSON.
pub(crate) fn render(world: &World, state: &State, id: &str, api: Api) -> Result<Value, ApiError> {
    let operation = state.operation(id).ok_or_else(not_found)?;
    let subject = subject(world, state, operation, api);
    let mut answer = json!({"name": format!("{}/operations/{id}", world.location())});
    if let Some(subject) = &subject {
        answer["metadata"] = subject.clone();
    }
    if !operation.done {
        return Ok(answer);
    }
    answer["done"] = json!(true);
    // v1 answers with the service where there is one: its conditions tell why it failed.
    match operation.error.as_ref().filter(|_| api == Api::V2 || subject.is_none()) {
        Some(problem) => answer["error"] = json!({"code": problem.code, "message": problem.message}),
        None => answer["response"] = subject.unwrap_or_else(|| json!({})),
    }
    Ok(answer)
}

fn not_found() -> ApiError {
    ApiError::new(404, "NOT_FOUND", "Requested entity was not found.")
}

/// What an operation is about, with its `@type` in front.
fn subject(world: &World, state: &State, operation: &Operation, api: Api) -> Option<Value> {
    let service = match &operation.last {
        Some(last) => last,
        // One of the same name may have been made since.
        None => state.services.get(&operation.service).filter(|service| service.uid == operation.uid)?,
    };
    // Also while it is on its way: clients decode the metadata at once, as what they asked to delete.
    if let Some(revision) = operation.revision().and_then(|name| service.revision(name)) {
        return Some(match api {
            Api::V1 => with_type(v1::revision::revision(world, service, revision), "v1.Revision"),
            Api::V2 => typed_revision(world, service, revision),
        });
    }
    Some(typed(
        match api {
            Api::V1 => v1::service::service(world, service, &state.faults),
            Api::V2 => v2::service::service(world, service, &state.faults),
        },
        api,
    ))
}

/// A Revision of v2 with its `@type` in front, without what its message does not have: Google's clients read an
/// operation's contents strictly, and fail on a member that they do not know, which they pass over everywhere else.
pub(crate) fn typed_revision(world: &World, service: &Service, revision: &Revision) -> Value {
    let mut fields = v2::revision::revision(world, service, revision);
    if let Some(fields) = fields.as_object_mut() {
        fields.shift_remove("containerStatuses");
    }
    with_type(fields, "v2.Revision")
}

/// A Service with its `@type` in front.
pub(crate) fn typed(service: Value, api: Api) -> Value {
    with_type(
        service,
        match api {
            Api::V1 => "v1.Service",
            Api::V2 => "v2.Service",
        },
    )
}

fn with_type(value: Value, kind: &str) -> Value {
    let mut answer = json!({"@type": format!("type.googleapis.com/google.cloud.run.{kind}")});
    if let (Some(fields), Value::Object(value)) = (answer.as_object_mut(), value) {
        fields.extend(value);
    }
    answer
}
