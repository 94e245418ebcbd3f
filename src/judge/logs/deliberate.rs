//! Which failures of requests of this run did we ask for ourselves?
//!
//! Takes the evidence; gives the numbers of sockets and requests, by which the platform's log names them. It judges no entry.
//! The surprising rule: it goes by the number and not by the time, so that a well-behaved socket that broke beside a bad one
//! counts, whenever that was.

use std::collections::BTreeSet;

use crate::judge::evidence::Evidence;
use crate::probe::{Answered, EndKind, Observation, Stage};

/// Requests whose failure we asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Deliberate {
    /// Sockets that we broke: with a bad token or a bad frame, by asking twice where once may be all, or by vanishing.
    pub(super) broken: BTreeSet<u32>,
    /// Requests that were answered with a 5xx that is declared to be due.
    pub(super) due: BTreeSet<u32>,
}

impl Deliberate {
    /// Those of a run.
    pub(super) fn of(evidence: &Evidence) -> Self {
        let configured = &evidence.configured;
        let tokens = configured.auth.iter().flat_map(|auth| &auth.bad);
        let tokens = tokens.flat_map(|bad| std::iter::once(&bad.observation).chain(&bad.control));
        let frames = configured.frames.iter().flat_map(|frames| {
            std::iter::once(&frames.good).chain(frames.bad.iter().map(|bad| &bad.observation))
        });
        let answers = configured.api.iter().flat_map(|api| &api.endpoints).flat_map(|seen| &seen.answers);
        let due = answers.filter(|answer| matches!(answer.result, Answered::Right { status: 500.. }));
        Self {
            broken: tokens.chain(frames).chain(vanished(evidence)).map(|seen| seen.socket).collect(),
            due: due.map(|answer| answer.number).collect(),
        }
    }
}

/// Sockets of rounds in which a client vanishes: those that ended with our own silence.
fn vanished(evidence: &Evidence) -> impl Iterator<Item = &Observation> {
    let rounds = evidence.probing.iter().flat_map(|probing| &probing.rounds);
    let observations =
        rounds.filter(|round| round.stage == Stage::Reconnect).flat_map(|round| &round.observations);
    observations.filter(|seen| seen.end.as_ref().is_some_and(|end| end.kind == EndKind::CutByUs))
}
