//! From what was kept to what the emulator knows, and on with what was under way.
//!
//! What runs in a revision is asked of the options anew where its image says it; where a deployment said it, that was
//! kept. Templates are completed: an older emulator said less of the defaults. The surprising rule: a command in the file
//! is run only where this start names it too, or allows commands: a file may come from elsewhere.

use std::{io, sync::Arc};

use super::{
    error::StateError,
    format::{KeptOperation, KeptPort, KeptRevision, KeptService, StateFile},
};
use crate::emulator::{
    deploy,
    front::Entrance,
    images,
    instance::{Instances, Recipe, Specification},
    knative::{completed, unnamed},
    model::{Operation, Revision, Service},
    options::{Deployment, Workload},
    reconcile,
    sample::SampleBackend,
    spread::spread,
    state::{PROJECT_NUMBER, Ports, State, World},
};

/// Puts everything into an empty world, in which only the ports are opened; `commands` may be run.
///
/// # Errors
/// A port that is taken, a revision that must not be started.
pub(crate) fn restore(world: &Arc<World>, kept: StateFile, commands: &[String]) -> Result<(), StateError> {
    let mut guard = world.lock();
    let state = &mut *guard;
    open_ports(world, &mut state.ports, kept.ports)?;
    for kept in kept.services {
        let name = kept.name.clone();
        let service =
            service(world, &mut state.ports, kept, |service, kept| living(world, service, kept, commands))?;
        state.services.insert(name, service);
    }
    kept.operations.into_iter().try_for_each(|kept| operation(world, state, kept))
}

/// Starts what the revisions keep, and carries on with the revisions and the operations that were under way.
pub(crate) fn resume(world: &Arc<World>) {
    let state = world.lock();
    for service in state.services.values() {
        spread(service);
        service.revisions.iter().for_each(|revision| deploy::wake(world, &service.name, revision));
    }
    for (id, operation) in state.operations.iter().filter(|(_, operation)| !operation.done) {
        reconcile::carry_on(world, id.clone(), operation.clone());
    }
}

fn open_ports(world: &Arc<World>, ports: &mut Ports, mut kept: Vec<KeptPort>) -> Result<(), StateError> {
    // A free one, where 0 stands, must be none of the others.
    kept.sort_by_key(|kept| kept.port == 0);
    for KeptPort { service, tag, port } in kept {
        let entrance = Entrance { service, tag };
        let of = described(&entrance);
        ports.reopen(world, entrance, port).map_err(|source| StateError::Port { port, of, source })?;
    }
    Ok(())
}

fn described(entrance: &Entrance) -> String {
    match &entrance.tag {
        Some(tag) => format!("tag {tag} of service {}", entrance.service),
        None => format!("service {}", entrance.service),
    }
}

fn service(
    world: &Arc<World>,
    ports: &mut Ports,
    kept: KeptService,
    revision: impl Fn(&str, KeptRevision) -> Result<Revision, StateError>,
) -> Result<Service, StateError> {
    let mut port = |tag: Option<&str>| {
        let entrance = Entrance { service: kept.name.clone(), tag: tag.map(str::to_owned) };
        let of = described(&entrance);
        ports.of(world, entrance).map_err(|source: io::Error| StateError::Port { port: 0, of, source })
    };
    let own = port(None)?;
    let tag_ports = kept.tags_with_ports.iter().map(|tag| Ok((tag.clone(), port(Some(tag))?)));
    let tag_ports = tag_ports.collect::<Result<_, StateError>>()?;
    let revisions = kept.revisions.into_iter().map(|kept_one| {
        // As a write of the same template would have it, which else would be another configuration.
        let template = unnamed(&completed(&kept_one.template, PROJECT_NUMBER));
        revision(&kept.name, KeptRevision { template, ..kept_one })
    });
    Ok(Service {
        revisions: revisions.collect::<Result<_, _>>()?,
        told_names: world.told_names(),
        port: own,
        tag_ports,
        name: kept.name.clone(),
        uid: kept.uid,
        generation: kept.generation,
        observed: kept.observed,
        created: kept.created,
        updated: kept.updated,
        creator: kept.creator,
        last_modifier: kept.last_modifier,
        labels: kept.labels,
        annotations: kept.annotations,
        template: completed(&kept.template, PROJECT_NUMBER),
        policy: kept.policy,
        operation: kept.operation,
        deleted: kept.deleted,
        traffic: kept.traffic,
        routed: kept.routed,
        progress: kept.progress,
        progress_since: kept.progress_since,
        latest_created: kept.latest_created,
        latest_ready: kept.latest_ready,
        latest_routed: kept.latest_routed,
        tags: kept.tags,
    })
}

/// A revision that can be started again.
fn living(
    world: &World,
    service: &str,
    kept: KeptRevision,
    commands: &[String],
) -> Result<Revision, StateError> {
    let refused = |reason: String| StateError::Revision { revision: kept.name.clone(), reason };
    let deployment = match &kept.deployment {
        Some(deployment) => {
            if let Workload::Command(command) = &deployment.workload
                && !world.options.allow_commands
                && !commands.contains(command)
            {
                let words =
                    format!("the file runs the command `{command}` in it, and this start does not name it");
                return Err(refused(words));
            }
            deployment.as_ref().clone()
        }
        None => {
            images::deployment(&world.options, &kept.template).map_err(|error| refused(error.to_string()))?
        }
    };
    let specification = Specification::read(&kept.template);
    let recipe = Recipe::new(world, (service, &kept.name), &deployment, specification);
    let recipe = recipe.map_err(|error| refused(error.to_string()))?;
    let stand_in = deployment.note;
    Ok(revision(KeptRevision { stand_in, ..kept }, Instances::new(recipe)))
}

/// A revision that is gone and shown by an operation only: nothing will ever run in it.
fn gone(world: &World, service: &str, kept: KeptRevision) -> Result<Revision, StateError> {
    let nothing = Deployment::new(Workload::Sample(SampleBackend::default()));
    let recipe =
        Recipe::new(world, (service, &kept.name), &nothing, Specification::read(&serde_json::Value::Null));
    let recipe = recipe.map_err(|error| StateError::Damaged { reason: error.to_string() })?;
    Ok(revision(kept, Instances::new(recipe)))
}

fn revision(kept: KeptRevision, instances: Arc<Instances>) -> Revision {
    Revision {
        name: kept.name,
        uid: kept.uid,
        created: kept.created,
        changed: kept.changed,
        readiness: kept.readiness,
        generation: kept.generation,
        template: kept.template,
        operation: kept.operation,
        stand_in: kept.stand_in,
        deployment: kept.deployment,
        bring_up: kept.bring_up,
        digest: kept.digest,
        instances,
    }
}

fn operation(world: &Arc<World>, state: &mut State, kept: KeptOperation) -> Result<(), StateError> {
    let KeptOperation { id, service: name, uid, work, done, error, last, forgotten } = kept;
    let last = last
        .map(|last| service(world, &mut state.ports, *last, |service, kept| gone(world, service, kept)))
        .transpose()?
        .map(Box::new);
    state.restore_operation(id, Operation { service: name, uid, work, done, error, last, forgotten });
    Ok(())
}
