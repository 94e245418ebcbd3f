//! From what the emulator knows to what is kept of it.

use super::format::{FORMAT, KeptOperation, KeptPort, KeptRevision, KeptService, StateFile, VERSION};
use crate::emulator::{
    model::{Operation, Revision, Service},
    state::World,
};

/// The state as it is now, and up to which change it holds.
pub(super) fn snapshot(world: &World) -> (u64, StateFile) {
    // Before the state is read: what is changed meanwhile may be in it, what was changed before must be.
    let through = *world.changes.borrow();
    let state = world.lock();
    let ports = state.ports.all().map(|(service, tag, port)| KeptPort {
        service: service.to_owned(),
        tag: tag.map(str::to_owned),
        port,
    });
    let kept = StateFile {
        format: FORMAT.to_owned(),
        version: VERSION,
        project: world.options.project.clone(),
        region: world.options.region.clone(),
        starts: world.past.starts + 1,
        latest: world.clock.latest(),
        ports: ports.collect(),
        services: state.services.values().map(KeptService::from).collect(),
        operations: state.operations_in_order().map(KeptOperation::from).collect(),
    };
    (through, kept)
}

impl From<&Service> for KeptService {
    fn from(service: &Service) -> Self {
        let Service { told_names: _, port: _, tag_ports, revisions, .. } = service;
        let service = service.clone();
        Self {
            tags_with_ports: tag_ports.keys().cloned().collect(),
            revisions: revisions.iter().map(KeptRevision::from).collect(),
            name: service.name,
            uid: service.uid,
            generation: service.generation,
            observed: service.observed,
            created: service.created,
            updated: service.updated,
            creator: service.creator,
            last_modifier: service.last_modifier,
            labels: service.labels,
            annotations: service.annotations,
            template: service.template,
            policy: service.policy,
            operation: service.operation,
            deleted: service.deleted,
            traffic: service.traffic,
            routed: service.routed,
            progress: service.progress,
            progress_since: service.progress_since,
            latest_created: service.latest_created,
            latest_ready: service.latest_ready,
            latest_routed: service.latest_routed,
            tags: service.tags,
        }
    }
}

impl From<&Revision> for KeptRevision {
    fn from(revision: &Revision) -> Self {
        let revision = revision.clone();
        Self {
            name: revision.name,
            uid: revision.uid,
            created: revision.created,
            changed: revision.changed,
            readiness: revision.readiness,
            generation: revision.generation,
            template: revision.template,
            operation: revision.operation,
            stand_in: revision.stand_in,
            deployment: revision.deployment,
            bring_up: revision.bring_up,
            digest: revision.digest,
        }
    }
}

impl From<(&String, &Operation)> for KeptOperation {
    fn from((id, operation): (&String, &Operation)) -> Self {
        let Operation { service, uid, work, done, error, last, forgotten } = operation;
        Self {
            id: id.clone(),
            service: service.clone(),
            uid: uid.clone(),
            work: work.clone(),
            done: *done,
            error: error.clone(),
            last: last.as_deref().map(|last| Box::new(KeptService::from(last))),
            forgotten: *forgotten,
        }
    }
}
