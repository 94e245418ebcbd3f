//! The emulator's own endpoints, for tests from outside the process.
//!
//! `POST deploy` with a revision entry, `POST faults` with the faults that are to hold from now on, `GET state`, `GET about`. They
//! are no part of Cloud Run's API and stand under a path that it does not have.

use std::sync::Arc;

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::{error::ApiError, v2};
use crate::emulator::{deploy::deploy, faults::Faults, scenario::RevisionEntry, state::World};

/// Answers `METHOD /__emulator/TAIL`.
pub(crate) fn answer(
    world: &Arc<World>,
    method: &Method,
    tail: &str,
    body: Value,
) -> Result<Value, ApiError> {
    match (method.as_str(), tail) {
        ("POST", "deploy") => {
            let entry: RevisionEntry = read(body)?;
            if entry.exec.is_some() && !world.options.allow_commands {
                return Err(ApiError::invalid(
                    "exec needs an emulator that was started with --allow-commands",
                ));
            }
            let revision =
                deploy(world, &entry.deployment()).map_err(|error| ApiError::invalid(error.to_string()))?;
            Ok(json!({"revision": revision}))
        }
        ("POST", "faults") => {
            let faults: Faults = read(body)?;
            let mut state = world.lock();
            state.faults = faults;
            world.changed(state);
            Ok(json!({}))
        }
        ("GET", "state") => Ok(state(world)),
        ("GET", "about") => Ok(about(world)),
        _ => Err(ApiError::no_route(method.as_str(), &format!("/__emulator/{tail}"))),
    }
}

fn read<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, ApiError> {
    serde_json::from_value(body).map_err(|error| ApiError::invalid(error.to_string()))
}

/// What a client's environment needs to know.
fn about(world: &World) -> Value {
    let options = &world.options;
    json!({"emulator": "revgate", "project": options.project, "region": options.region, "service": options.service})
}

fn state(world: &World) -> Value {
    let state = world.lock();
    let mut services = Map::new();
    for service in state.services.values() {
        let revisions: Vec<Value> = service
            .revisions
            .iter()
            .map(|revision| v2::revision::revision(world, service, revision))
            .collect();
        let logs: Map<String, Value> = service
            .revisions
            .iter()
            .map(|revision| (revision.name.clone(), json!(revision.instances.log().lines())))
            .collect();
        let told = json!({
            "service": v2::service::service(world, service, &state.faults), "revisions": revisions, "logs": logs,
        });
        services.insert(service.name.clone(), told);
    }
    let requests: Vec<Value> = state
        .requests
        .iter()
        .map(|request| json!({"method": request.method, "path": request.path, "body": request.body}))
        .collect();
    json!({"services": services, "faults": state.faults, "requests": requests})
}
