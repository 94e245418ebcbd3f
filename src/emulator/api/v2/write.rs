//! The calls of v2 that change something.
//!
//! A mask that names `traffic` only leaves the template alone. One with the template, or none at all, writes the
//! template as the body has it, and what v2 does not show of it is lost.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{mask::Mask, service};
use crate::emulator::{
    api::{
        dispatch::{Query, parameter},
        error::ApiError,
        known,
        listener::Cut,
        operations,
        route::{Api, Call},
        version::version_of,
        write::{self, How, Written},
    },
    change::Change,
    faults::Faults,
    knative::{Words, completed, is_system, named, settings_from_v2, template_from_v2, unnamed},
    model::Service,
    state::{PROJECT_NUMBER, World},
    traffic,
};

/// PATCH services/S
pub(crate) fn update(
    world: &Arc<World>,
    name: &str,
    (query, body): (&Query, &Value),
    cut: &Cut,
) -> Result<Value, ApiError> {
    let (mask, body) = (Mask::parse(parameter(query, "updateMask"))?, known::service(body)?);
    let how = How { dry: is_set(query, "validateOnly"), moves_traffic: mask.touches("traffic") };
    let forced = is_set(query, "forceNewRevision");
    let is_new = is_set(query, "allowMissing") && !world.lock().services.contains_key(name);
    let written = if is_new {
        write::create(world, name, how, cut, |service| change(world, service, &Mask::parse(None)?, &body))?
    } else {
        write::update(world, name, how, cut, |service| {
            let change = change(world, service, &mask, &body)?;
            Ok(if forced { with_new_revision(service, change) } else { change })
        })?
    };
    answer(world, written)
}

/// POST services?serviceId=S
pub(crate) fn create(world: &Arc<World>, query: &Query, body: &Value, cut: &Cut) -> Result<Value, ApiError> {
    let name = parameter(query, "serviceId").map_or_else(|| generated_name(world), str::to_owned);
    let how = How { dry: is_set(query, "validateOnly"), moves_traffic: true };
    let (mask, body) = (Mask::parse(None)?, known::service(body)?);
    let written = write::create(world, &name, how, cut, |service| change(world, service, &mask, &body))?;
    answer(world, written)
}

/// The name of a service that asks for none: its client leaves it to the server.
fn generated_name(world: &World) -> String {
    let id = world.lock().uuid();
    format!("service-{}", id.split('-').next().unwrap_or_default())
}

/// DELETE services/S
pub(crate) fn delete_service(
    world: &Arc<World>,
    call: &Call,
    name: &str,
    query: &Query,
) -> Result<Value, ApiError> {
    let version = parameter(query, "etag").map(version_of);
    let dry = is_set(query, "validateOnly");
    if let Some(id) = write::delete_service(world, call, name, (dry, version))? {
        return operations::render(world, &world.lock(), &id, Api::V2);
    }
    let found = write::find(&world.lock(), call, name)?.clone();
    answer(world, Written::Preview(Box::new(found)))
}

/// DELETE services/S/revisions/R
pub(crate) fn delete_revision(
    world: &Arc<World>,
    call: &Call,
    (owner, name): (&str, &str),
    query: &Query,
) -> Result<Value, ApiError> {
    if let Some(id) = write::delete_revision(world, call, (owner, name), is_set(query, "validateOnly"))? {
        return operations::render(world, &world.lock(), &id, Api::V2);
    }
    let found = write::find(&world.lock(), call, owner)?.clone();
    let revision = found.revision(name).map(|revision| operations::typed_revision(world, &found, revision));
    Ok(done(world, &revision.unwrap_or_default()))
}

fn answer(world: &World, written: Written) -> Result<Value, ApiError> {
    match written {
        Written::Begun(id) => operations::render(world, &world.lock(), &id, Api::V2),
        Written::Preview(preview) => {
            let faults = world.lock().faults.clone();
            Ok(done(world, &operations::typed(service::service(world, &preview, &faults), Api::V2)))
        }
    }
}

/// An operation that has ended with these contents, and that nobody can ask for any more.
fn done(world: &World, contents: &Value) -> Value {
    let id = world.lock().uuid();
    let name = format!("{}/operations/{id}", world.location());
    json!({"name": name, "metadata": contents, "done": true, "response": contents})
}

/// What a body asks of a service, as far as the mask names it.
fn change(world: &World, current: &Service, mask: &Mask, body: &Value) -> Result<Change, ApiError> {
    let wanted = mask.over(&service::service(world, current, &Faults::default()), body);
    let etag = body.get("etag").and_then(Value::as_str).filter(|etag| !etag.is_empty());
    let mut change = Change { version: etag.map(version_of), ..Change::default() };
    if mask.touches("traffic") {
        change.traffic = Some(traffic::parse(wanted.get("traffic")).map_err(ApiError::invalid)?);
    }
    if mask.touches("template") {
        change.template = Some(template(current, wanted.get("template"))?);
    }
    if mask.touches_more_than(&["traffic", "template", "name", "etag"]) {
        let (labels, annotations) = settings_from_v2(&wanted, (&current.labels, &current.annotations));
        (change.labels, change.annotations) = (Some(labels), Some(annotations));
    }
    Ok(change)
}

/// The change, which makes a revision in any case: of the template as it is, where the change leaves that alone, and under
/// a name of the platform's, where a revision has the template's.
fn with_new_revision(current: &Service, mut change: Change) -> Change {
    let template = change.template.take().unwrap_or_else(|| current.template.clone());
    let plain = unnamed(&template);
    let has_name = |name: &str| current.revision(name).is_some_and(|revision| revision.template == plain);
    let template = if named(&template).is_some_and(has_name) { plain } else { template };
    Change { template: Some(template), forced: true, ..change }
}

/// The template of a body as v1 has it, completed; a refusal names the request.
fn template(current: &Service, sent: Option<&Value>) -> Result<Value, ApiError> {
    let request = if current.generation == 0 { "CreateServiceRequest" } else { "UpdateServiceRequest" };
    let violates = |place: &str, what: &str| {
        ApiError::invalid(format!("Violation in {request}.service.template{place}: {what}"))
    };
    let sent = sent.ok_or_else(|| violates("", "required field not present."))?;
    for place in ["annotations", "labels"] {
        let words = sent.get(place).and_then(Value::as_object);
        if let Some(name) = words.into_iter().flat_map(Map::keys).find(|name| is_system(name)) {
            let what = format!("system {place} are not supported in Cloud Run API v2.");
            return Err(violates(&format!(".{place}[{name}]"), &what));
        }
    }
    let template = completed(&template_from_v2(sent), PROJECT_NUMBER);
    write::admitted(current, template, Words::V2(request))
}

/// True for a switch that is set in a query.
fn is_set(query: &Query, name: &str) -> bool {
    parameter(query, name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}
