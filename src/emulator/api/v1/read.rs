//! The calls of v1 that change nothing.

use serde_json::{Map, Value, json};

use super::{
    revision::{labels, revision as rendered},
    selector::Selector,
    service,
};
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

/// The service of a revision, and the revision, by the revision's short name.
pub(super) fn find<'a>(
    state: &'a State,
    call: &Call,
    name: &str,
) -> Result<(&'a Service, &'a Revision), ApiError> {
    let mut services = state.all_shown();
    let found = services.find_map(|service| service.revision(name).map(|revision| (service, revision)));
    found.ok_or_else(|| ApiError::not_found("REVISION", name, (&call.project, &call.region)))
}

/// GET services
pub(crate) fn services(world: &World, known: bool, query: &Query) -> Result<Value, ApiError> {
    let state = world.lock();
    let selector = selector(query)?;
    let all: Vec<&Service> =
        state.all_shown().filter(|service| known && selector.admits(&service.labels)).collect();
    let (page, token) = page(world, query)?.of(all);
    let page = page.into_iter().map(|found| service::service(world, found, &state.faults)).collect();
    Ok(list("ServiceList", page, token))
}

/// GET services/S
pub(crate) fn service(world: &World, call: &Call, known: bool, name: &str) -> Result<Value, ApiError> {
    let state = world.lock();
    let found = if known { state.shown(name) } else { None };
    let found = found.ok_or_else(|| ApiError::not_found("SERVICE", name, (&call.project, &call.region)))?;
    Ok(service::service(world, found, &state.faults))
}

/// GET revisions
pub(crate) fn revisions(world: &World, known: bool, query: &Query) -> Result<Value, ApiError> {
    let state = world.lock();
    let selector = selector(query)?;
    let newest_first = state
        .all_shown()
        .flat_map(|service| service.revisions.iter().rev().map(move |revision| (service, revision)));
    let all: Vec<(&Service, &Revision)> = newest_first
        .filter(|(service, revision)| known && selector.admits(&labels(world, service, revision)))
        .collect();
    let (page, token) = page(world, query)?.of(all);
    let page = page.into_iter().map(|(service, revision)| rendered(world, service, revision)).collect();
    Ok(list("RevisionList", page, token))
}

/// GET revisions/R
pub(crate) fn revision(world: &World, call: &Call, known: bool, name: &str) -> Result<Value, ApiError> {
    let state = world.lock();
    if !known {
        return Err(ApiError::not_found("REVISION", name, (&call.project, &call.region)));
    }
    let (service, revision) = find(&state, call, name)?;
    Ok(rendered(world, service, revision))
}

fn selector(query: &Query) -> Result<Selector, ApiError> {
    Selector::parse(parameter(query, "labelSelector").unwrap_or_default()).map_err(ApiError::invalid)
}

fn page(world: &World, query: &Query) -> Result<Page, ApiError> {
    Page::parse(parameter(query, "limit"), parameter(query, "continue"), world.options.page_size)
}

fn list(kind: &str, items: Vec<Value>, token: Option<String>) -> Value {
    let mut metadata = Map::new();
    if let Some(token) = token {
        metadata.insert("continue".to_owned(), json!(token));
    }
    let mut list = json!({"apiVersion": "serving.knative.dev/v1", "kind": kind, "metadata": metadata});
    if !items.is_empty() {
        list["items"] = Value::Array(items);
    }
    list
}
