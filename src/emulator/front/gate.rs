//! To which instance, or to which page of the platform, does a request go?
//!
//! Reads the routed traffic and the faults; changes nothing but the draw of the split. The order of the answers is the
//! platform's: what keeps a request out (ingress, IAP, IAM) comes before the question whether anything runs.

use std::sync::Arc;

use rand::RngExt as _;

use super::{head::Head, pages::Page};
use crate::emulator::{
    faults::{Faults, Ingress},
    instance::Instances,
    model::{Readiness, Service},
    state::{State, World, draw},
};

/// The name by which a connection came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entrance {
    /// The service.
    pub(crate) service: String,
    /// The tag, for a tag's URL.
    pub(crate) tag: Option<String>,
}

/// Whom a request is for.
#[derive(Debug)]
pub(crate) struct Routed {
    /// The revision's short name.
    pub(crate) revision: String,
    /// Its instances, or the page in their place.
    pub(crate) to: Result<Arc<Instances>, Page>,
}

/// Decides where a request goes; an error is a page of a request that is for no revision.
pub(crate) fn route(world: &World, entrance: &Entrance, head: &Head) -> Result<Routed, Page> {
    let mut guard = world.lock();
    let State { services, faults, rng, .. } = &mut *guard;
    let service = services.get(&entrance.service).ok_or(Page::UnknownHost)?;
    keep_out(faults, head)?;
    let name = match &entrance.tag {
        Some(tag) => tagged(service, faults, tag)?,
        None => drawn(service, rng.random_range(0..100)).ok_or(Page::NotAvailable)?,
    };
    if let Some(status) = faults.front_status
        && draw(rng, faults.front_rate.unwrap_or(1.0))
    {
        return Ok(Routed { revision: name, to: Err(Page::for_status(status)) });
    }
    let ready = service.revision(&name).filter(|revision| revision.readiness == Readiness::Ready);
    let to = ready.map(|revision| Arc::clone(&revision.instances)).ok_or(Page::NotAvailable);
    Ok(Routed { revision: name, to })
}

fn keep_out(faults: &Faults, head: &Head) -> Result<(), Page> {
    if faults.ingress != Ingress::All || faults.default_uri_disabled {
        return Err(Page::Ingress);
    }
    if faults.iap {
        return Err(Page::Iap);
    }
    if !faults.private {
        return Ok(());
    }
    // Where both headers are sent, only the first is looked at, as on Cloud Run.
    let name = "x-serverless-authorization";
    let name = if head.field(name).is_some() { name } else { "authorization" };
    match head.bearer(name) {
        None => Err(Page::Forbidden),
        Some(token) if Some(token) == faults.id_token.as_deref() => Ok(()),
        Some(_) => Err(Page::Unauthorized),
    }
}

/// The revision behind a tag, as far as the move has reached the front end.
fn tagged(service: &Service, faults: &Faults, tag: &str) -> Result<String, Page> {
    let target = service.routed.iter().find(|target| target.tag.as_deref() == Some(tag));
    let current = target.and_then(|target| service.resolve(target)).ok_or(Page::UnknownHost)?;
    let Some(history) = service.tags.get(tag) else { return Ok(current) };
    let age = history.since.elapsed();
    match &history.previous {
        Some(previous) if age < faults.old_revision_behind_tag_for => Ok(previous.clone()),
        None if age < faults.new_tag_404_for => Err(Page::UnknownHost),
        _ => Ok(current),
    }
}

/// The revision that a draw of 0 to 99 falls to.
fn drawn(service: &Service, draw: u32) -> Option<String> {
    let mut bound = 0;
    for target in &service.routed {
        bound += target.percent;
        if draw < bound {
            return service.resolve(target);
        }
    }
    None
}
