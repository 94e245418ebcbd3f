//! Which instances of a deployed revision started for us, and how did each of them begin?
//!
//! Takes rounds in the order of their starts, with the instances that answers or the log name; gives trials for the
//! pattern `cold`: one for each fresh instance, failing when any of its sockets fails. It never asks who names an
//! instance. The surprising rule: an instance that was not met before is not yet fresh, since one of an earlier run may
//! be warm for minutes. Fresh is one whose start the log tells, or whose first sockets waited clearly longer for their 101
//! than single sockets did just before; a failure needs no such proof.

pub(super) mod words;

use std::collections::{BTreeMap, BTreeSet};

use super::classify::{Class, Finding};
use super::evidence::LogProof;
use super::sequential::{Trial, TrialOutcome};
use crate::probe::{Observation, Opening, Round, Stage};
use crate::trust::Excerpt;

/// How much longer than a single socket at a warm instance one waits that needs a new one, at the least, in microseconds:
/// an idle instance wakes up sooner, and a container seldom starts as quickly. Chosen by us, not measured on Cloud Run.
const START_TAKES: u64 = 100_000;

/// How far our clock and the platform's may be apart, in microseconds.
const CLOCKS: u64 = 2_000_000;

/// What is known of instances so far.
#[derive(Debug, Default)]
pub(super) struct ColdStarts {
    log: Option<Named>,
    /// Instances that were met.
    met: BTreeSet<String>,
    /// The longest that a single socket waited for its 101 once somebody had been served, in microseconds.
    warm_wait: Option<u64>,
    /// Fresh instances so far.
    pub(super) fresh: u32,
    /// Instances that were met for the first time and that nothing shows to be fresh.
    pub(super) doubtful: u32,
    /// Served sockets of which nobody says which instance took them.
    pub(super) nameless: u32,
}

/// What the log names.
#[derive(Debug)]
struct Named {
    instances: BTreeMap<u32, String>,
    started: BTreeMap<String, u64>,
}

impl ColdStarts {
    /// Nothing was seen yet; `log` is what the log says.
    pub(super) fn new(log: Option<&LogProof>) -> Self {
        let log = match log {
            Some(LogProof::Read { instances, started }) => Some(Named {
                instances: instances.iter().cloned().collect(),
                started: started.iter().cloned().collect(),
            }),
            Some(LogProof::Unread { .. }) | None => None,
        };
        Self { log, ..Self::default() }
    }

    /// Takes in a round of another pattern.
    pub(super) fn note(&mut self, round: &Round) {
        for observation in &round.observations {
            self.met.extend(self.instance(observation));
            if round.stage == Stage::Control {
                self.warm_wait = self.warm_wait.max(wait(observation));
            }
        }
    }

    /// Takes in a round that was to start instances; gives its trials.
    pub(super) fn trials(&mut self, round: &Round, findings: &[Finding]) -> Vec<Trial> {
        let mut groups: BTreeMap<String, Vec<(&Observation, &Finding)>> = BTreeMap::new();
        let mut others = Vec::new();
        for pair in round.observations.iter().zip(findings) {
            if let Some(instance) = self.instance(pair.0) {
                groups.entry(instance).or_default().push(pair);
            } else {
                self.nameless += u32::from(pair.1.class == Class::Ok);
                others.push(pair);
            }
        }
        let mut trials = Vec::new();
        for (instance, sockets) in groups {
            let new = self.met.insert(instance.clone());
            if new && self.is_fresh(&instance, &sockets) {
                self.fresh += 1;
                trials.push(trial(&sockets));
                continue;
            }
            self.doubtful += u32::from(new);
            others.extend(sockets);
        }
        let counts = |class| class == Class::AppFail || (class == Class::Infra && trials.is_empty());
        // What is served without proof shows nothing; what fails is a failure wherever it was.
        if others.iter().any(|(_, finding)| counts(finding.class)) {
            others.retain(|(_, finding)| finding.class != Class::Ok);
            trials.push(trial(&others));
        }
        trials
    }

    fn is_fresh(&self, instance: &str, sockets: &[(&Observation, &Finding)]) -> bool {
        if let Some(log) = &self.log {
            let came = sockets.iter().filter_map(|(observation, _)| observation.timeline.released).min();
            let started = log.started.get(instance).copied();
            // One that started before anybody was waiting for it has had time to become ready.
            return matches!((came, started), (Some(came), Some(started)) if started + CLOCKS >= came);
        }
        let fastest = sockets.iter().filter_map(|(observation, _)| wait(observation)).min();
        matches!((fastest, self.warm_wait), (Some(fastest), Some(warm)) if fastest >= warm + START_TAKES)
    }

    /// The instance that took a socket. The log, where there is one, speaks of all of them by the same names.
    fn instance(&self, observation: &Observation) -> Option<String> {
        match &self.log {
            Some(log) => log.instances.get(&observation.socket).cloned(),
            None => observation.instance.as_ref().map(Excerpt::as_str).map(str::to_owned),
        }
    }
}

/// From the release to the answer, of a socket that opened.
fn wait(observation: &Observation) -> Option<u64> {
    let times = &observation.timeline;
    let opened = matches!(observation.opening, Opening::Opened { .. });
    Some(times.answered.filter(|_| opened)?.saturating_sub(times.released?))
}

fn trial(sockets: &[(&Observation, &Finding)]) -> Trial {
    let of_class = |class| sockets.iter().any(|(_, finding)| finding.class == class);
    let outcome = if of_class(Class::AppFail) {
        TrialOutcome::Failing
    } else if of_class(Class::Ok) {
        TrialOutcome::Clean
    } else {
        TrialOutcome::Void
    };
    let began = |(seen, _): &(&Observation, &Finding)| seen.timeline.released.unwrap_or(seen.timeline.began);
    let ended = |(seen, finding): &(&Observation, &Finding)| match finding.class {
        Class::Ok => seen.timeline.satisfied.unwrap_or(seen.timeline.ended),
        Class::AppFail | Class::Infra => seen.timeline.ended,
    };
    Trial {
        outcome,
        sockets: u32::try_from(sockets.len()).unwrap_or(u32::MAX),
        started: sockets.iter().map(began).min().unwrap_or_default(),
        ended: sockets.iter().map(ended).max().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
