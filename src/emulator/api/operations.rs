//! Long-running operations.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{error::ApiError, render};
use crate::emulator::state::{State, World};

/// The longest a `:wait` lasts, and its length when nothing is said.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How the API names the type of what an operation is about.
const SERVICE_TYPE: &str = "type.googleapis.com/google.cloud.run.v2.Service";

/// GET operations/ID
pub(crate) fn get(world: &World, id: &str) -> Result<Value, ApiError> {
    let state = world.lock();
    render(world, &state, id)
}

/// POST operations/ID:wait, which answers at the operation's end or when its time-out has passed.
pub(crate) async fn wait(world: &Arc<World>, id: &str, body: &Value) -> Result<Value, ApiError> {
    let asked = body.get("timeout").and_then(Value::as_str).and_then(|text| text.strip_suffix('s'));
    let asked = asked.and_then(|seconds| seconds.parse().ok());
    let asked = asked.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let mut changes = world.changes.subscribe();
    let ended = async {
        loop {
            changes.mark_unchanged();
            let done = world.lock().operations.get(id).is_none_or(|operation| operation.done);
            if done || changes.changed().await.is_err() {
                return;
            }
        }
    };
    // Running out of time is an answer too: the operation without `done`.
    let _ = timeout(asked.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT), ended).await;
    get(world, id)
}

/// An operation as JSON.
pub(crate) fn render(world: &World, state: &State, id: &str) -> Result<Value, ApiError> {
    let not_found = || ApiError::new(404, "NOT_FOUND", "Requested entity was not found.");
    let operation = state.operations.get(id).ok_or_else(not_found)?;
    let service = state.services.get(&operation.service).ok_or_else(not_found)?;
    let service = typed(render::service(world, service, &state.faults));
    let mut answer = json!({"name": format!("{}/operations/{id}", world.location()), "metadata": service});
    if operation.done {
        answer["done"] = json!(true);
        match &operation.error {
            Some((code, message)) => answer["error"] = json!({"code": code, "message": message}),
            None => answer["response"] = service,
        }
    }
    Ok(answer)
}

/// A Service with its `@type` in front.
pub(crate) fn typed(service: Value) -> Value {
    let mut answer = json!({"@type": SERVICE_TYPE});
    if let (Some(fields), Value::Object(service)) = (answer.as_object_mut(), service) {
        fields.extend(service);
    }
    answer
}
