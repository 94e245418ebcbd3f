//! Which sockets of this run did we break ourselves?
//!
//! Takes the evidence; gives their numbers, by which the platform's log names them. It judges no entry. The surprising rule:
//! it goes by the socket and not by the time, so that a well-behaved socket that broke beside a bad one counts, whenever
//! that was.

use std::collections::BTreeSet;

use crate::judge::evidence::Evidence;
use crate::probe::{EndKind, Observation, Stage};

/// Sockets with a bad token or a bad frame, those that asked twice where once may be all, and those that vanished.
pub(super) fn deliberate(evidence: &Evidence) -> BTreeSet<u32> {
    let configured = &evidence.configured;
    let tokens = configured.auth.iter().flat_map(|auth| &auth.bad);
    let tokens = tokens.flat_map(|bad| std::iter::once(&bad.observation).chain(&bad.control));
    let frames = configured.frames.iter().flat_map(|frames| {
        std::iter::once(&frames.good).chain(frames.bad.iter().map(|bad| &bad.observation))
    });
    tokens.chain(frames).chain(vanished(evidence)).map(|observation| observation.socket).collect()
}

/// Sockets of rounds in which a client vanishes: those that ended with our own silence.
fn vanished(evidence: &Evidence) -> impl Iterator<Item = &Observation> {
    let rounds = evidence.probing.iter().flat_map(|probing| &probing.rounds);
    let observations =
        rounds.filter(|round| round.stage == Stage::Reconnect).flat_map(|round| &round.observations);
    observations.filter(|seen| seen.end.as_ref().is_some_and(|end| end.kind == EndKind::CutByUs))
}
