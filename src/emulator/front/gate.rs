//! To which instance, or to which page of the platform, does a request go?
//!
//! Reads the routed traffic and the faults; changes nothing but the draw of the split. The order of the answers is the
//! platform's: what keeps a request out (ingress, IAP, IAM) comes before the question whether anything runs. The
//! surprising rule: exactly `/healthz` reaches no service, as on run.app.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use rand::{RngExt as _, rngs::StdRng};
use serde_json::Value;

use super::{affinity, head::Head, identity, pages::Page};
use crate::emulator::{
    faults::{Faults, Ingress},
    instance::Instances,
    model::{Readiness, Service},
    state::{State, World, draw},
};

/// The path that Google's front end keeps for itself.
const SWALLOWED: &str = "/healthz";

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
    /// How long it is held up first.
    pub(crate) delay: Duration,
    /// What befalls it then.
    pub(crate) mishap: Option<Mishap>,
}

/// How a front end loses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// The connection ends without an answer.
    Drop,
    /// The connection is reset.
    Reset,
}

/// Decides where a request goes; an error is a page of a request that is for no revision.
pub(crate) fn route(world: &World, entrance: &Entrance, head: &Head) -> Result<Routed, Page> {
    let mut guard = world.lock();
    let State { services, faults, rng, .. } = &mut *guard;
    let service = services.get(&entrance.service).ok_or(Page::UnknownHost)?;
    if head.path() == SWALLOWED {
        return Err(Page::Swallowed);
    }
    // A refusal with an entry in the log is one of the revision that would have been asked.
    let refusal = keep_out(world, service, faults, head).err();
    if let Some(page) = refusal.as_ref().filter(|page| page.said().is_none()) {
        return Err(page.clone());
    }
    let mut name = match &entrance.tag {
        Some(tag) => tagged(service, faults, (tag, world.clock.now()))?,
        None => remembered(service, head)
            .or_else(|| drawn(service, rng.random_range(0..100)))
            .ok_or(Page::NotAvailable)?,
    };
    if draw(rng, faults.wrong_revision)
        && let Some(other) = another(service, &name, rng)
    {
        name = other;
    }
    let mishap = if draw(rng, faults.front_drop) {
        Some(Mishap::Drop)
    } else {
        draw(rng, faults.front_reset).then_some(Mishap::Reset)
    };
    let status = faults.front_status.filter(|_| draw(rng, faults.front_rate.unwrap_or(1.0)));
    let ready = service.revision(&name).filter(|revision| revision.readiness == Readiness::Ready);
    let to = match refusal.or(status.map(Page::for_status)) {
        Some(page) => Err(page),
        None => ready.map(|revision| Arc::clone(&revision.instances)).ok_or(Page::NotAvailable),
    };
    Ok(Routed { revision: name, to, delay: faults.front_delay, mishap })
}

fn keep_out(world: &World, service: &Service, faults: &Faults, head: &Head) -> Result<(), Page> {
    let says = |name: &str| service.annotations.get(name).and_then(Value::as_str);
    let switched = |name: &str| says(name) == Some("true");
    // Whoever comes over loopback comes, for a rehearsal, from the internet.
    let open =
        faults.ingress == Ingress::All && says("run.googleapis.com/ingress").is_none_or(|to| to == "all");
    if !open || !service.has_url(faults) {
        return Err(Page::Ingress);
    }
    if faults.iap || switched("run.googleapis.com/iap-enabled") {
        return Err(Page::Iap);
    }
    let public = service.policy.is_public() || switched("run.googleapis.com/invoker-iam-disabled");
    if public && !faults.private {
        return Ok(());
    }
    // Where both headers are sent, only the first is looked at, as on Cloud Run.
    let name = "x-serverless-authorization";
    let name = if head.field(name).is_some() { name } else { "authorization" };
    let admitted = |token: &str| match faults.id_token.as_deref() {
        Some(known) => token == known,
        None => identity::is_for(token, &identity::audiences(world, service), world.clock.wall()),
    };
    match head.bearer(name) {
        None => Err(Page::Forbidden),
        Some(token) if admitted(token) => Ok(()),
        Some(_) => Err(Page::Unauthorized),
    }
}

/// The revision behind a tag, as far as the move has reached the front end.
fn tagged(service: &Service, faults: &Faults, (tag, now): (&str, Timestamp)) -> Result<String, Page> {
    let target = service.routed.iter().find(|target| target.tag.as_deref() == Some(tag));
    let current = target.and_then(|target| service.resolve(target)).ok_or(Page::UnknownHost)?;
    let Some(history) = service.tags.get(tag) else { return Ok(current) };
    let age = Duration::try_from(now.duration_since(history.since)).unwrap_or_default();
    match &history.previous {
        Some(previous) if age < faults.old_revision_behind_tag_for => Ok(previous.clone()),
        None if age < faults.new_tag_404_for => Err(Page::UnknownHost),
        _ => Ok(current),
    }
}

/// The revision that a client met before, while it has a share and asks for that.
fn remembered(service: &Service, head: &Head) -> Option<String> {
    let name = affinity::revision(head)?;
    let asks = service.revision(&name)?.instances.recipe().affinity;
    let mut shares = service.routed.iter().filter(|target| target.percent > 0);
    let serves = shares.any(|target| service.resolve(target).as_ref() == Some(&name));
    (asks && serves).then_some(name)
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

/// A ready revision that is not this one.
fn another(service: &Service, name: &str, rng: &mut StdRng) -> Option<String> {
    let ready = service.revisions.iter().filter(|revision| revision.readiness == Readiness::Ready);
    let others: Vec<&str> =
        ready.map(|revision| revision.name.as_str()).filter(|other| *other != name).collect();
    let at = rng.random_range(0..others.len().max(1));
    others.get(at).map(|other| (*other).to_owned())
}
