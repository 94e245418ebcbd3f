//! What the writes of both APIs share.
//!
//! A change comes in, an operation that has begun goes out. Faults of other writers and of lost replies live here,
//! because they belong between the check and the answer.

use std::sync::Arc;

use serde_json::Value;

use super::{error::ApiError, listener::Cut, route::Call};
use crate::emulator::{
    change::{self, Change, is_label},
    deploy::new_service,
    faults::take,
    knative::{Words, unnamed, violation},
    model::{Policy, Service, Target},
    reconcile,
    state::{State, World},
};

/// The longest name of a service: with a suffix it makes the name of a revision.
const LONGEST_NAME: usize = 49;

/// How a write is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct How {
    /// Check it and change nothing.
    pub(crate) dry: bool,
    /// It says where the traffic goes.
    pub(crate) moves_traffic: bool,
}

/// What came of a write.
#[derive(Debug)]
pub(crate) enum Written {
    /// The id of the operation that has begun.
    Begun(String),
    /// What the service would be.
    Preview(Box<Service>),
}

/// Changes a service that exists.
pub(crate) fn update(
    world: &Arc<World>,
    name: &str,
    how: How,
    cut: &Cut,
    change: impl FnOnce(&Service) -> Result<Change, ApiError>,
) -> Result<Written, ApiError> {
    let moves_traffic = how.moves_traffic && !how.dry;
    let before = moves_traffic && take(&mut world.lock().faults.foreign_writer);
    if before {
        reconcile::foreign_write(world, name, reconcile::move_some_traffic);
    }
    let mut guard = world.lock();
    let state = &mut *guard;
    let place = (world.options.project.as_str(), world.options.region.as_str());
    let service = state.services.remove(name).ok_or_else(|| ApiError::not_found("SERVICE", name, place))?;
    let written = write(world, state, service, how, change);
    world.changed(guard);
    let written = written?;
    let after = moves_traffic && take(&mut world.lock().faults.foreign_writer_after);
    if after {
        reconcile::foreign_write(world, name, reconcile::move_some_traffic);
    }
    finish(world, how, cut);
    Ok(written)
}

/// Makes a service. Nobody may call it until its policy says so.
pub(crate) fn create(
    world: &Arc<World>,
    name: &str,
    how: How,
    cut: &Cut,
    change: impl FnOnce(&Service) -> Result<Change, ApiError>,
) -> Result<Written, ApiError> {
    if name.len() > LONGEST_NAME || !is_label(name) {
        return Err(ApiError::invalid(format!(
            "Service name '{name}' must use only lowercase alphanumeric characters and dashes, must begin with a letter \
             and cannot end with a dash, and must be less than 50 characters."
        )));
    }
    let mut guard = world.lock();
    let state = &mut *guard;
    if state.services.contains_key(name) {
        return Err(ApiError::new(409, "ALREADY_EXISTS", format!("Resource '{name}' already exists.")));
    }
    let mut service = new_service(world, state, name)
        .map_err(|error| ApiError::new(500, "INTERNAL", format!("no port for the service: {error}")))?;
    service.policy = Policy::default();
    let written = write(world, state, service, how, change);
    world.changed(guard);
    let written = written?;
    finish(world, how, cut);
    Ok(written)
}

/// Checks a change to a service that was taken out of the state, makes it, and puts the service back.
fn write(
    world: &Arc<World>,
    state: &mut State,
    mut service: Service,
    how: How,
    change: impl FnOnce(&Service) -> Result<Change, ApiError>,
) -> Result<Written, ApiError> {
    let name = service.name.clone();
    let mut preview = None;
    if !how.dry {
        state.keep(&service);
    }
    let made = change(&service).and_then(|mut change| {
        change.version.take_if(|_| state.faults.etag_ignored);
        let refused = |refusal| ApiError::refused(&name, refusal);
        let makes = change::check(&service, &change).map_err(refused)?;
        if how.dry {
            preview = Some(Box::new(change::preview(&service, change)));
            return Ok(None);
        }
        change::apply(world, state, &mut service, (change, makes)).map_err(refused)
    });
    // A new service that came to nothing leaves nothing.
    if service.generation > 0 {
        state.services.insert(name.clone(), service);
    }
    let created = made?;
    Ok(match preview {
        Some(preview) => Written::Preview(preview),
        None => Written::Begun(reconcile::begin(world, state, &name, created.as_deref())),
    })
}

/// A completed template, unless it is beyond the platform's limits. What a revision of the service says already may stand:
/// a write that moves traffic carries it along, and limits judge what is new.
pub(crate) fn admitted(service: &Service, template: Value, words: Words) -> Result<Value, ApiError> {
    let Some(said) = violation(&template, words) else { return Ok(template) };
    let plain = unnamed(&template);
    if service.revisions.iter().any(|revision| revision.template == plain) {
        return Ok(template);
    }
    Err(ApiError::invalid(said))
}

fn finish(world: &World, how: How, cut: &Cut) {
    if !how.dry && take(&mut world.lock().faults.lost_reply) {
        cut.cut();
    }
}

/// Begins to delete a service; gives the operation's id, or nothing where it was only to be checked.
pub(crate) fn delete_service(
    world: &Arc<World>,
    call: &Call,
    name: &str,
    (dry, version): (bool, Option<String>),
) -> Result<Option<String>, ApiError> {
    let mut guard = world.lock();
    let state = &mut *guard;
    let service = find(state, call, name)?;
    let version = version.filter(|_| !state.faults.etag_ignored);
    let change = Change { version, ..Change::default() };
    change::check(service, &change).map_err(|refusal| ApiError::refused(name, refusal))?;
    let begun = (!dry).then(|| reconcile::delete_service(world, state, name));
    world.changed(guard);
    Ok(begun)
}

/// Begins to delete a revision; gives the operation's id, or nothing where it was only to be checked.
pub(crate) fn delete_revision(
    world: &Arc<World>,
    call: &Call,
    (service, name): (&str, &str),
    dry: bool,
) -> Result<Option<String>, ApiError> {
    let mut guard = world.lock();
    let state = &mut *guard;
    let found = find(state, call, service)?;
    if found.revision(name).is_none() {
        return Err(ApiError::not_found("REVISION", name, (&call.project, &call.region)));
    }
    let names_it = |target: &Target| found.resolve(target).as_deref() == Some(name);
    let why = if found.traffic.iter().chain(&found.routed).any(names_it) {
        "it can receive traffic, by a share or by a tag"
    } else if found.latest_created.as_deref() == Some(name) {
        "it is the latest revision of its service"
    } else {
        let begun = (!dry).then(|| reconcile::delete_revision(world, state, service, name));
        world.changed(guard);
        return Ok(begun);
    };
    let message = format!("Revision '{name}' of service '{service}' cannot be deleted: {why}.");
    Err(ApiError::new(400, "FAILED_PRECONDITION", message))
}

/// A service of the state, for a call that names it.
pub(crate) fn find<'a>(state: &'a State, call: &Call, name: &str) -> Result<&'a Service, ApiError> {
    let found = state.services.get(name);
    found.ok_or_else(|| ApiError::not_found("SERVICE", name, (&call.project, &call.region)))
}
