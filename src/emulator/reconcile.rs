//! When does a write take effect?
//!
//! Every write opens an operation and a task. The task waits for the pace, then for the revisions that the write
//! needs, and then makes the routed traffic what was asked, or says why not. A write that a later one has overtaken
//! ends its operation and leaves the state to the later one. All that the task needs is in the operation, so that one
//! that the emulator's end cut short is carried on from its file.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    deploy::{AUTHOR, add_revision},
    front::Entrance,
    images,
    model::{Operation, Problem, Progress, Readiness, Revision, Service, TagMove, Target, Work},
    spread::spread,
    state::{Ports, State, World, spawn},
};

/// `google.rpc.Code` of a write that names a missing revision.
const INTERNAL: u32 = 13;
/// `google.rpc.Code` of a write that names a failed revision.
const FAILED_PRECONDITION: u32 = 9;
/// `google.rpc.Code` of a write that a deletion has overtaken.
const ABORTED: u32 = 10;
/// Who writes between our own writes.
pub(crate) const FOREIGNER: &str = "someone-else@example.com";

/// Opens an operation for the newest write of `service` and starts its reconciling; gives the operation's id.
pub(crate) fn begin(world: &Arc<World>, state: &mut State, service: &str, created: Option<&str>) -> String {
    let generation = state.services.get(service).map_or(0, |service| service.generation);
    let id = open(world, state, service, Work::Write { generation, created: created.map(str::to_owned) });
    if let Some(service) = state.services.get_mut(service) {
        service.operation = Some(id.clone());
        let made = service.revisions.iter_mut().find(|revision| Some(revision.name.as_str()) == created);
        if let Some(revision) = made {
            revision.operation = Some(id.clone());
        }
    }
    id
}

/// Opens an operation on a service and starts its task; gives its id.
fn open(world: &Arc<World>, state: &mut State, service: &str, work: Work) -> String {
    let uid = state.services.get(service).map_or_else(String::new, |service| service.uid.clone());
    let service = service.to_owned();
    let operation = Operation { service, uid, work, done: false, error: None, last: None, forgotten: false };
    let id = state.open_operation(operation.clone());
    carry_on(world, id.clone(), operation);
    id
}

/// Starts the task of an operation that has not ended.
pub(crate) fn carry_on(world: &Arc<World>, id: String, operation: Operation) {
    let Operation { service, uid, work, .. } = operation;
    spawn(world, move |world| async move {
        match work {
            Work::Write { generation, created } => {
                run(&world, &Write { service, uid, generation, operation: id, created }).await;
            }
            Work::DeleteService => remove_service(&world, (&service, &uid), &id).await,
            Work::DeleteRevision(name) => remove_revision(&world, (&service, &uid), &name, &id).await,
        }
    });
}

/// Begins to delete a service; gives the operation's id.
pub(crate) fn delete_service(world: &Arc<World>, state: &mut State, name: &str) -> String {
    let id = open(world, state, name, Work::DeleteService);
    let now = world.clock.tick();
    if let Some(service) = state.services.get_mut(name) {
        service.written(AUTHOR, now);
        service.deleted = Some(now);
        service.operation = Some(id.clone());
    }
    id
}

async fn remove_service(world: &World, (name, uid): (&str, &str), operation: &str) {
    world.clock.pass(world.options.pace).await;
    let mut state = world.lock();
    // A service of the same name that was made meanwhile is another one; the one that was to go is gone then.
    let is_it = state.services.get(name).is_some_and(|service| service.uid == uid);
    let last = is_it.then(|| state.services.remove(name)).flatten();
    let revisions = last.iter().flat_map(|service| &service.revisions);
    revisions.for_each(|revision| revision.instances.end());
    state.end_operation(operation, None, last);
    world.changed(state);
}

/// Begins to delete a revision; gives the operation's id.
pub(crate) fn delete_revision(world: &Arc<World>, state: &mut State, service: &str, name: &str) -> String {
    open(world, state, service, Work::DeleteRevision(name.to_owned()))
}

async fn remove_revision(world: &World, (service, uid): (&str, &str), name: &str, operation: &str) {
    world.clock.pass(world.options.pace).await;
    let mut state = world.lock();
    let last = state.services.get_mut(service).filter(|service| service.uid == uid).map(|service| {
        let mut last = service.clone();
        if last.revision(name).is_some() {
            // The operation shows this one only, and a thousand of them would keep a thousand copies of all others.
            last.revisions.retain(|revision| revision.name == name);
        }
        for revision in service.revisions.extract_if(.., |revision| revision.name == name) {
            revision.instances.end();
        }
        if service.latest_ready.as_deref() == Some(name) {
            let ready = |revision: &&Revision| revision.readiness == Readiness::Ready;
            service.latest_ready =
                service.revisions.iter().rfind(ready).map(|revision| revision.name.clone());
        }
        last
    });
    state.end_operation(operation, None, last);
    world.changed(state);
}

/// A write on its way.
#[derive(Debug)]
struct Write {
    service: String,
    /// Which service of that name.
    uid: String,
    generation: u64,
    operation: String,
    /// The revision that it made.
    created: Option<String>,
}

async fn run(world: &Arc<World>, write: &Write) {
    let mut changes = world.changes.subscribe();
    world.clock.pass(world.options.pace).await;
    loop {
        changes.mark_unchanged();
        if let Some(new_tags) = attempt(world, write) {
            tokio::join!(remove_tags(world, &write.service, new_tags), deploy_newer(world, write));
            return;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Ends the write if it can be ended now; gives the tags that are new.
fn attempt(world: &Arc<World>, write: &Write) -> Option<Vec<String>> {
    let mut guard = world.lock();
    let state = &mut *guard;
    let found = state.services.get_mut(&write.service);
    let remains = |service: &&mut Service| service.uid == write.uid && service.deleted.is_none();
    let Some(service) = found.filter(remains) else {
        // Deleted meanwhile, or on its way out: whoever still waits for the write is told so.
        state.end_operation(&write.operation, Some(gone(&write.service)), None);
        world.changed(guard);
        return Some(Vec::new());
    };
    let overtaken = service.generation != write.generation;
    let mut new_tags = Vec::new();
    let mut error = None;
    if !overtaken {
        let needed = needed(service, write.created.as_deref());
        if needed.iter().any(|name| is_pending(service, name)) {
            return None;
        }
        error = needed.iter().find_map(|name| problem(service, name));
        let now = world.clock.tick();
        service.progress_since = now;
        service.observed = service.generation;
        service.progress = error.clone().map_or(Progress::Done, Progress::Failed);
        if error.is_none() {
            new_tags = apply(world, &mut state.ports, service, now);
        }
    }
    state.end_operation(&write.operation, error, None);
    world.changed(guard);
    Some(new_tags)
}

fn gone(service: &str) -> Problem {
    Problem { code: ABORTED, message: format!("Resource '{service}' was deleted."), reason: None }
}

fn needed(service: &Service, created: Option<&str>) -> Vec<String> {
    let named = service.traffic.iter().filter_map(|target| target.revision.clone());
    named.chain(created.map(str::to_owned)).collect()
}

fn is_pending(service: &Service, name: &str) -> bool {
    service.revision(name).is_some_and(|revision| revision.readiness == Readiness::Pending)
}

fn problem(service: &Service, name: &str) -> Option<Problem> {
    let Some(revision) = service.revision(name) else {
        let message = format!(
            "Revision '{name}' does not exist or is deleted. Update all traffic to route to currently available \
             revisions."
        );
        return Some(Problem { code: INTERNAL, message, reason: None });
    };
    match &revision.readiness {
        Readiness::Failed(failure) => Some(Problem {
            code: FAILED_PRECONDITION,
            message: format!("Revision '{name}' is not ready and cannot serve traffic. {}", failure.message),
            reason: Some(failure.reason.clone()),
        }),
        _ => None,
    }
}

/// Makes the routed traffic what was asked; gives the tags that were never seen before.
fn apply(world: &Arc<World>, ports: &mut Ports, service: &mut Service, now: Timestamp) -> Vec<String> {
    service.routed.clone_from(&service.traffic);
    service.latest_routed.clone_from(&service.latest_ready);
    let tagged: Vec<(String, Option<String>)> = service
        .routed
        .iter()
        .filter_map(|target| Some((target.tag.clone()?, service.resolve(target))))
        .collect();
    let mut new_tags = Vec::new();
    for (tag, revision) in tagged {
        open_port(world, ports, service, &tag);
        let Some(revision) = revision else { continue };
        let before = service.tags.get(&tag).map(|known| known.revision.clone());
        if before.as_ref() == Some(&revision) {
            continue;
        }
        if before.is_none() {
            new_tags.push(tag.clone());
        }
        service.tags.insert(tag, TagMove { revision, previous: before, since: now });
    }
    spread(service);
    new_tags
}

fn open_port(world: &Arc<World>, ports: &mut Ports, service: &mut Service, tag: &str) {
    if service.tag_ports.contains_key(tag) {
        return;
    }
    let entrance = Entrance { service: service.name.clone(), tag: Some(tag.to_owned()) };
    // Without a port the status has no `uri`, which is what a client must be ready for anyway.
    if let Ok(port) = ports.of(world, entrance) {
        service.tag_ports.insert(tag.to_owned(), port);
    }
}

/// The fault by which new tags go away again.
async fn remove_tags(world: &Arc<World>, service: &str, tags: Vec<String>) {
    let after = world.lock().faults.tag_removed_under_us;
    if after.is_zero() || tags.is_empty() {
        return;
    }
    world.clock.pass(after).await;
    foreign_write(world, service, |service| {
        for target in &mut service.traffic {
            target.tag.take_if(|tag| tags.contains(tag));
        }
        service.traffic.retain(|target| target.percent > 0 || target.tag.is_some());
    });
}

/// The fault by which another writer deploys what our revision is made from once more.
async fn deploy_newer(world: &Arc<World>, write: &Write) {
    let Some(ours) = &write.created else { return };
    let after = std::mem::take(&mut world.lock().faults.newer_revision_after);
    if after.is_zero() {
        return;
    }
    world.clock.pass(after).await;
    let mut guard = world.lock();
    let state = &mut *guard;
    let Some(mut service) = state.services.remove(&write.service) else { return };
    let template = service.revision(ours).map(|revision| revision.template.clone());
    let made = template.and_then(|template| {
        let deployment = images::deployment(&world.options, &template).ok()?;
        add_revision(world, state, &mut service, template, &deployment).ok()
    });
    service.written(FOREIGNER, world.clock.tick());
    state.services.insert(write.service.clone(), service);
    begin(world, state, &write.service, made.as_deref());
    world.changed(guard);
}

/// A write by somebody else.
pub(crate) fn foreign_write(world: &Arc<World>, service: &str, change: impl FnOnce(&mut Service)) {
    let mut guard = world.lock();
    let state = &mut *guard;
    let Some(mut found) = state.services.remove(service) else { return };
    state.keep(&found);
    change(&mut found);
    found.written(FOREIGNER, world.clock.tick());
    state.services.insert(service.to_owned(), found);
    begin(world, state, service, None);
    world.changed(guard);
}

/// Moves ten percent of traffic to another revision, or adds a tag where there is no other.
pub(crate) fn move_some_traffic(service: &mut Service) {
    let Some(largest) = (0..service.traffic.len()).max_by_key(|at| service.traffic[*at].percent) else {
        return;
    };
    let from = service.resolve(&service.traffic[largest]);
    let other = service.revisions.iter().find(|revision| Some(&revision.name) != from.as_ref());
    match other.map(|other| other.name.clone()) {
        Some(other) => {
            let moved = service.traffic[largest].percent.min(10);
            service.traffic[largest].percent -= moved;
            service.traffic.push(Target::share(&other, moved));
        }
        None => service.traffic.push(Target { revision: from, percent: 0, tag: Some("foreign".to_owned()) }),
    }
}
