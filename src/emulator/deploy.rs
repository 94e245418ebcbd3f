//! How does a deployment become a revision, and a revision ready?
//!
//! Takes a template and a workload, gives a revision in the state and a task that brings it up. The first revision of
//! a service takes all traffic by LATEST; a later one without traffic leaves the split where it is, pinned by name, as
//! `gcloud run deploy --no-traffic` does.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{
    error::EmulatorError,
    front::Entrance,
    instance::{Failure, Instances, Recipe, Specification},
    knative::{completed, named, unnamed},
    model::{BringUp, Policy, Progress, Readiness, Revision, Service, Target},
    options::Deployment,
    reconcile,
    state::{PROJECT_NUMBER, State, World, spawn},
    traffic,
};

/// The image of a deployment that names none.
const IMAGE: &str = "us-docker.pkg.dev/cloudrun/container/hello";
/// Who writes when nobody says so.
pub(crate) const AUTHOR: &str = "dev@example.com";

/// A service without revisions, and the port that stands for it.
pub(crate) fn new_service(world: &Arc<World>, state: &mut State, name: &str) -> io::Result<Service> {
    let port = state.ports.of(world, Entrance { service: name.to_owned(), tag: None })?;
    let now = world.clock.tick();
    Ok(Service {
        name: name.to_owned(),
        uid: state.uuid(),
        generation: 0,
        observed: 0,
        created: now,
        updated: now,
        creator: AUTHOR.to_owned(),
        last_modifier: AUTHOR.to_owned(),
        labels: Map::new(),
        annotations: Map::new(),
        template: json!({}),
        policy: Policy::public(),
        operation: None,
        deleted: None,
        traffic: vec![traffic::all_to_latest()],
        routed: Vec::new(),
        progress: Progress::Reconciling,
        progress_since: now,
        revisions: Vec::new(),
        latest_created: None,
        latest_ready: None,
        latest_routed: None,
        told_names: world.told_names(),
        port,
        tag_ports: BTreeMap::new(),
        tags: BTreeMap::new(),
    })
}

/// Deploys to the service of the options, which is made when it is not there yet; gives the revision's short name.
pub(crate) fn deploy(world: &Arc<World>, deployment: &Deployment) -> Result<String, EmulatorError> {
    let mut guard = world.lock();
    let state = &mut *guard;
    let id = world.options.service.clone();
    let mut service = match state.services.remove(&id) {
        Some(service) => service,
        None => new_service(world, state, &id).map_err(|source| EmulatorError::Listen { port: 0, source })?,
    };
    let before = service.clone();
    let made = deploy_to(world, state, &mut service, deployment);
    if made.is_err() {
        // Nothing is left of one that was refused: no operation would ever end its write.
        let begun = service.revisions.iter().skip(before.revisions.len());
        begun.for_each(|revision| revision.instances.end());
        service = before;
    }
    if service.generation > 0 {
        state.services.insert(id.clone(), service);
    }
    if let Ok(name) = &made {
        reconcile::begin(world, state, &id, Some(name));
    }
    world.changed(guard);
    made
}

fn deploy_to(
    world: &Arc<World>,
    state: &mut State,
    service: &mut Service,
    deployment: &Deployment,
) -> Result<String, EmulatorError> {
    let refuse = |reason: String| EmulatorError::Deployment { reason };
    if deployment.traffic_percent > 100 {
        return Err(refuse(format!("{} percent of traffic", deployment.traffic_percent)));
    }
    let first = service.revisions.is_empty();
    let before = service.latest_ready.clone().or_else(|| service.latest_created.clone());
    let mut template = template_of(deployment);
    // gcloud names the revision itself where it must know the name.
    let name = match (&deployment.revision, &deployment.tag) {
        (Some(name), _) => Some(name.clone()),
        (None, Some(_)) => Some(next_name(state, service)),
        (None, None) => None,
    };
    if let Some(name) = name {
        template["metadata"]["name"] = json!(name);
    }
    let template = completed(&template, PROJECT_NUMBER);
    let name = add_revision(world, state, service, template, deployment)?;
    // No image says what runs in it.
    if let Some(revision) = service.revisions.last_mut() {
        revision.deployment = Some(Box::new(deployment.clone()));
    }
    service.written(AUTHOR, world.clock.tick());
    let mut targets = service.traffic.clone();
    if !first {
        pin(&mut targets, before.as_deref());
        if deployment.traffic_percent > 0 {
            targets = traffic::give(&targets, &name, u32::from(deployment.traffic_percent));
        }
    }
    if let Some(tag) = &deployment.tag {
        targets
            .iter_mut()
            .filter(|target| target.tag.as_ref() == Some(tag))
            .for_each(|target| target.tag = None);
        targets.retain(|target| target.percent > 0 || target.tag.is_some());
        targets.push(Target { tag: Some(tag.clone()), ..Target::share(&name, 0) });
    }
    // Through the API's own rules, so that a deployment cannot make what a write could not.
    let rendered: Vec<Value> = targets.iter().map(|target| traffic::render(target, None)).collect();
    service.traffic = traffic::parse(Some(&Value::Array(rendered))).map_err(refuse)?;
    Ok(name)
}

/// Names the revision that LATEST meant until now.
fn pin(targets: &mut [Target], before: Option<&str>) {
    for target in targets.iter_mut().filter(|target| target.revision.is_none()) {
        target.revision = before.map(str::to_owned);
    }
}

fn template_of(deployment: &Deployment) -> Value {
    let image = match &deployment.image_digest {
        Some(digest) if digest.contains('@') => digest.clone(),
        Some(digest) => format!("{IMAGE}@{digest}"),
        None => IMAGE.to_owned(),
    };
    let mut annotations = json!({
        "autoscaling.knative.dev/maxScale": deployment.max_instances.unwrap_or(100).to_string(),
        "run.googleapis.com/client-name": "gcloud",
    });
    if deployment.min_instances > 0 {
        annotations["autoscaling.knative.dev/minScale"] = json!(deployment.min_instances.to_string());
    }
    let mut template = json!({
        "metadata": {"labels": deployment.labels, "annotations": annotations},
        "spec": {
            "containers": [{"image": image}],
            "containerConcurrency": deployment.concurrency.unwrap_or(80),
        },
    });
    deployment.add_to(&mut template);
    template
}

/// The name that the platform, or gcloud, gives to the next revision of a service.
fn next_name(state: &mut State, service: &Service) -> String {
    format!("{}-{:05}-{}", service.name, service.generation + 1, state.suffix())
}

/// The image of the first container by its digest, which is made up where the image does not name it.
fn digest(state: &mut State, template: &Value) -> String {
    let image = template.pointer("/spec/containers/0/image").and_then(Value::as_str).unwrap_or(IMAGE);
    if image.contains('@') {
        return image.to_owned();
    }
    let last = image.rfind('/').unwrap_or_default();
    let repository = image[last..].find(':').map_or(image, |tag| &image[..last + tag]);
    format!("{repository}@sha256:{}", state.hex(64))
}

/// Adds a revision of a completed template to a service and starts what runs in it; gives the short name.
pub(crate) fn add_revision(
    world: &Arc<World>,
    state: &mut State,
    service: &mut Service,
    template: Value,
    deployment: &Deployment,
) -> Result<String, EmulatorError> {
    let name = named(&template).map_or_else(|| next_name(state, service), str::to_owned);
    if service.revision(&name).is_some() {
        let reason = format!("Revision named '{name}' with different configuration already exists.");
        return Err(EmulatorError::Deployment { reason });
    }
    let specification = Specification::read(&template);
    let recipe = Recipe::new(world, (&service.name, &name), deployment, specification)?;
    let instances = Instances::new(recipe);
    let digest = digest(state, &template);
    let created = world.clock.tick();
    let bring_up = BringUp {
        pending_for: Some(deployment.pending_for)
            .filter(|wait| !wait.is_zero())
            .unwrap_or(state.faults.pending_for),
        fail: deployment.fail.clone().or_else(|| state.faults.fail_revision.clone()),
        fails_after: state.faults.ready_then_failed_after,
    };
    service.revisions.push(Revision {
        name: name.clone(),
        uid: state.uuid(),
        created: earlier(created, deployment.created_ago),
        changed: created,
        readiness: Readiness::Pending,
        generation: service.generation + 1,
        template: unnamed(&template),
        operation: None,
        stand_in: deployment.note.clone(),
        deployment: None,
        bring_up: bring_up.clone(),
        digest,
        instances: Arc::clone(&instances),
    });
    service.template = template;
    service.latest_created = Some(name.clone());
    spawn_bring_up(world, (service.name.clone(), name.clone()), instances, bring_up);
    Ok(name)
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| time.checked_sub(by).ok()).unwrap_or(time)
}

/// Takes up a revision that is older than this emulator, as far as it had come.
pub(crate) fn wake(world: &Arc<World>, service: &str, revision: &Revision) {
    let names = (service.to_owned(), revision.name.clone());
    match revision.readiness {
        Readiness::Pending => {
            spawn_bring_up(world, names, Arc::clone(&revision.instances), revision.bring_up.clone());
        }
        Readiness::Ready => {
            revision.instances.keep();
            let (after, instances) = (revision.bring_up.fails_after, Arc::clone(&revision.instances));
            spawn(world, move |world| async move { fail_later(&world, &names, &instances, after).await });
        }
        Readiness::Failed(_) => {}
    }
}

fn spawn_bring_up(world: &Arc<World>, names: (String, String), instances: Arc<Instances>, plan: BringUp) {
    spawn(world, move |world| async move { bring_up(&world, &names, &instances, plan).await });
}

async fn bring_up(world: &World, names: &(String, String), instances: &Arc<Instances>, plan: BringUp) {
    let started = instances.bring_up().await;
    world.clock.pass(plan.pending_for).await;
    let readiness = match (plan.fail, started) {
        (Some(message), _) => {
            Readiness::Failed(Failure { reason: "HEALTH_CHECK_CONTAINER_ERROR".into(), message })
        }
        (None, Err(failure)) => Readiness::Failed(failure),
        (None, Ok(())) => Readiness::Ready,
    };
    let is_ready = readiness == Readiness::Ready;
    become_so(world, names, instances, readiness);
    if is_ready {
        fail_later(world, names, instances, plan.fails_after).await;
    }
}

/// The fault by which a revision that was ready fails.
async fn fail_later(world: &World, names: &(String, String), instances: &Arc<Instances>, after: Duration) {
    if after.is_zero() {
        return;
    }
    world.clock.pass(after).await;
    become_so(world, names, instances, Readiness::Failed(instances.recipe().not_started()));
}

fn become_so(
    world: &World,
    (service, name): &(String, String),
    instances: &Arc<Instances>,
    readiness: Readiness,
) {
    let now = world.clock.tick();
    let mut state = world.lock();
    if let Some(service) = state.services.get_mut(service) {
        become_ready(service, (name, instances), readiness, now);
    }
    world.changed(state);
}

fn become_ready(
    service: &mut Service,
    (name, instances): (&str, &Arc<Instances>),
    readiness: Readiness,
    now: Timestamp,
) {
    let at = |name: &str| service.revisions.iter().position(|revision| revision.name == name);
    let (this, latest) = (at(name), service.latest_ready.as_deref().and_then(at));
    // A revision of the same name may have been made since this one, or its service, was deleted.
    let found = this.and_then(|this| service.revisions.get_mut(this));
    let Some(revision) = found.filter(|revision| Arc::ptr_eq(&revision.instances, instances)) else { return };
    if readiness == Readiness::Ready && this >= latest {
        service.latest_ready = Some(name.to_owned());
    }
    revision.readiness = readiness;
    revision.changed = now;
    // One that has failed after it was ready is no longer what LATEST means.
    let is_ready = |revision: &&Revision| revision.readiness == Readiness::Ready;
    if service
        .latest_ready
        .as_deref()
        .and_then(|name| service.revision(name))
        .is_some_and(|latest| !is_ready(&latest))
    {
        service.latest_ready = service.revisions.iter().rfind(is_ready).map(|revision| revision.name.clone());
    }
}
