//! The calls of v2 that change nothing.

use serde_json::{Map, Value, json};

use super::{revision::revision as rendered, service};
use crate::emulator::{
    api::{
        dispatch::{Query, parameter},
        error::ApiError,
        page::Page,
        route::Call,
    },
    model::{Revision, Service},
    state::{State, World},
};

/// In place of a service's name: every service.
const ALL: &str = "-";

fn known_service<'a>(
    state: &'a State,
    call: &Call,
    known: bool,
    name: &str,
) -> Result<&'a Service, ApiError> {
    let found = if known { state.shown(name) } else { None };
    found.ok_or_else(|| ApiError::not_found("SERVICE", name, (&call.project, &call.region)))
}

/// GET services
pub(crate) fn services(world: &World, known: bool, query: &Query) -> Result<Value, ApiError> {
    let state = world.lock();
    let all: Vec<&Service> = state.all_shown().filter(|_| known).collect();
    let (page, token) = page(world, query)?.of(all);
    let page = page.into_iter().map(|found| service::service(world, found, &state.faults)).collect();
    Ok(list("services", page, token))
}

/// GET services/S
pub(crate) fn service(world: &World, call: &Call, known: bool, name: &str) -> Result<Value, ApiError> {
    let state = world.lock();
    Ok(service::service(world, known_service(&state, call, known, name)?, &state.faults))
}

/// GET services/S/revisions
pub(crate) fn revisions(
    world: &World,
    call: &Call,
    known: bool,
    (name, query): (&str, &Query),
) -> Result<Value, ApiError> {
    let state = world.lock();
    let owners: Vec<&Service> = if known && name == ALL {
        state.all_shown().collect()
    } else {
        vec![known_service(&state, call, known, name)?]
    };
    let all = owners.iter().flat_map(|owner| shuffled(owner)).collect();
    let (page, token) = page(world, query)?.of(all);
    let page = page.into_iter().map(|(owner, revision)| rendered(world, owner, revision)).collect();
    Ok(list("revisions", page, token))
}

/// Every second one first: the API promises no order, and a client that trusts one is to be found out.
fn shuffled(owner: &Service) -> Vec<(&Service, &Revision)> {
    let later = owner.revisions.iter().skip(1).step_by(2);
    later.chain(owner.revisions.iter().step_by(2)).map(|revision| (owner, revision)).collect()
}

fn page(world: &World, query: &Query) -> Result<Page, ApiError> {
    Page::parse(parameter(query, "pageSize"), parameter(query, "pageToken"), world.options.page_size)
}

fn list(key: &str, items: Vec<Value>, token: Option<String>) -> Value {
    let mut list = Map::new();
    if !items.is_empty() {
        list.insert(key.to_owned(), Value::Array(items));
    }
    if let Some(token) = token {
        list.insert("nextPageToken".to_owned(), json!(token));
    }
    Value::Object(list)
}

/// GET services/S/revisions/R
pub(crate) fn revision(
    world: &World,
    call: &Call,
    known: bool,
    (owner, name): (&str, &str),
) -> Result<Value, ApiError> {
    let state = world.lock();
    let owner = match owner {
        ALL => state.all_shown().find(|service| service.revision(name).is_some()),
        owner => Some(known_service(&state, call, known, owner)?),
    };
    let found = owner.and_then(|owner| Some((owner, owner.revision(name)?)));
    let (owner, found) =
        found.ok_or_else(|| ApiError::not_found("REVISION", name, (&call.project, &call.region)))?;
    Ok(rendered(world, owner, found))
}
