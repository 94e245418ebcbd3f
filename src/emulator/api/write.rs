//! The calls that change a service.
//!
//! A write is checked whole before anything of it is applied. A mask that names `traffic` only makes no revision; one
//! with the template, or none at all, does. Faults of other writers and of lost replies live here, because they belong
//! between the check and the answer.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    dispatch::{Query, parameter},
    error::ApiError,
    listener::Cut,
    operations, render,
};
use crate::emulator::{
    deploy::{AUTHOR, add_revision, new_service},
    error::EmulatorError,
    faults::take,
    images,
    model::{Service, Target},
    reconcile,
    state::{State, World},
    traffic,
};

/// What of a Service a write replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mask {
    traffic: bool,
    template: bool,
    rest: bool,
}

impl Mask {
    fn parse(mask: Option<&str>) -> Result<Self, ApiError> {
        let Some(mask) = mask.filter(|mask| *mask != "*") else {
            return Ok(Self { traffic: true, template: true, rest: true });
        };
        let mut parsed = Self { traffic: false, template: false, rest: false };
        for path in mask.split(',').map(str::trim) {
            match path.split('.').next().unwrap_or_default() {
                "traffic" => parsed.traffic = true,
                "template" => parsed.template = true,
                "labels" | "annotations" | "description" | "ingress" | "scaling" | "client"
                | "clientVersion" | "launchStage" | "customAudiences" | "etag" => parsed.rest = true,
                _ => return Err(ApiError::invalid(format!("Invalid value at 'update_mask': {path}"))),
            }
        }
        Ok(parsed)
    }
}

/// PATCH services/S
pub(crate) fn update(
    world: &Arc<World>,
    name: &str,
    (query, body): (&Query, &Value),
    cut: &Cut,
) -> Result<Value, ApiError> {
    let mask = Mask::parse(parameter(query, "updateMask"))?;
    let dry = parameter(query, "validateOnly") == Some("true");
    let moves_traffic = mask.traffic && !dry;
    let before = moves_traffic && take(&mut world.lock().faults.foreign_writer);
    if before {
        reconcile::foreign_write(world, name, reconcile::move_some_traffic);
    }
    let answer = locked_update(world, name, (mask, dry), body)?;
    let after = moves_traffic && take(&mut world.lock().faults.foreign_writer_after);
    if after {
        reconcile::foreign_write(world, name, reconcile::move_some_traffic);
    }
    let lost = !dry && take(&mut world.lock().faults.lost_reply);
    if lost {
        cut.cut();
    }
    world.changed();
    Ok(answer)
}

fn locked_update(
    world: &Arc<World>,
    name: &str,
    (mask, dry): (Mask, bool),
    body: &Value,
) -> Result<Value, ApiError> {
    let mut guard = world.lock();
    let state = &mut *guard;
    let place = (world.options.project.as_str(), world.options.region.as_str());
    let mut service =
        state.services.remove(name).ok_or_else(|| ApiError::not_found("SERVICE", name, place))?;
    let checked = check(&service, mask, body);
    let applied = match checked {
        Ok(targets) if !dry => apply(world, state, &mut service, (mask, targets), body),
        Ok(_) => Ok(None),
        Err(error) => Err(error),
    };
    state.services.insert(name.to_owned(), service);
    let created = applied?;
    answer(world, state, name, (dry, created))
}

fn answer(
    world: &Arc<World>,
    state: &mut State,
    name: &str,
    (dry, created): (bool, Option<String>),
) -> Result<Value, ApiError> {
    if !dry {
        let id = reconcile::begin(world, state, name, created);
        return operations::render(world, state, &id);
    }
    let service = state.services.get(name).map(|service| render::service(world, service, &state.faults));
    let service = operations::typed(service.unwrap_or_default());
    let id = state.uuid();
    Ok(json!({
        "name": format!("{}/operations/{id}", world.location()), "metadata": service, "done": true, "response": service,
    }))
}

/// Refuses what the API refuses at once; gives the new traffic.
fn check(service: &Service, mask: Mask, body: &Value) -> Result<Option<Vec<Target>>, ApiError> {
    if let Some(etag) = body.get("etag").and_then(Value::as_str).filter(|etag| !etag.is_empty())
        && etag != render::etag(service.version(), &service.name)
    {
        return Err(ApiError::conflict(&service.name, &render::version_of(etag), service.version()));
    }
    if mask.template {
        let name = body.pointer("/template/revision").and_then(Value::as_str).unwrap_or_default();
        if service.revision(name).is_some() {
            return Err(already_exists(name));
        }
        if body.pointer("/template/containers/0/image").and_then(Value::as_str).is_none() {
            return Err(ApiError::invalid(
                "service.template.containers: at least one container is required.",
            ));
        }
    }
    mask.traffic.then(|| traffic::parse(body.get("traffic")).map_err(ApiError::invalid)).transpose()
}

fn already_exists(name: &str) -> ApiError {
    let message = format!("Revision named '{name}' with different configuration already exists.");
    ApiError::new(409, "ALREADY_EXISTS", message)
}

/// Makes the change; gives the revision that it made.
fn apply(
    world: &Arc<World>,
    state: &mut State,
    service: &mut Service,
    (mask, targets): (Mask, Option<Vec<Target>>),
    body: &Value,
) -> Result<Option<String>, ApiError> {
    let mut created = None;
    if mask.template {
        let template = body.get("template").cloned().unwrap_or_default();
        let name = template.get("revision").and_then(Value::as_str).filter(|name| !name.is_empty());
        let name = name.map(str::to_owned);
        let made = images::deployment(&world.options, &template).and_then(|deployment| {
            add_revision(world, state, service, (name, template), &deployment.workload, &deployment)
        });
        created = Some(made.map_err(|error: EmulatorError| ApiError::invalid(error.to_string()))?);
    }
    if let Some(targets) = targets {
        service.traffic = targets;
    }
    if mask.rest {
        for key in ["labels", "annotations"] {
            if let Some(value) = body.get(key) {
                service.metadata.insert(key, value.clone());
            }
        }
    }
    service.written(AUTHOR, world.clock.tick());
    Ok(created)
}

/// POST services?serviceId=S
pub(crate) fn create(world: &Arc<World>, query: &Query, body: &Value) -> Result<Value, ApiError> {
    let name = parameter(query, "serviceId")
        .ok_or_else(|| ApiError::invalid("service_id: the id of the service is required."))?;
    let dry = parameter(query, "validateOnly") == Some("true");
    let mut guard = world.lock();
    let state = &mut *guard;
    if state.services.contains_key(name) {
        return Err(ApiError::new(409, "ALREADY_EXISTS", format!("Resource '{name}' already exists.")));
    }
    let mut service = new_service(world, state, name)
        .map_err(|error| ApiError::new(500, "INTERNAL", format!("no port for the service: {error}")))?;
    let mask = Mask::parse(None)?;
    let targets = check(&service, mask, body)?;
    if dry {
        let service = operations::typed(render::service(world, &service, &state.faults));
        let name = format!("{}/operations/{}", world.location(), state.uuid());
        return Ok(json!({"name": name, "metadata": service, "done": true, "response": service}));
    }
    let created = apply(world, state, &mut service, (mask, targets), body)?;
    state.services.insert(name.to_owned(), service);
    let answer = answer(world, state, name, (false, created));
    drop(guard);
    world.changed();
    answer
}
