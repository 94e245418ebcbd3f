//! What stands in the file: the state as values that JSON can hold.
//!
//! The services as the emulator has them, in the words of neither API. What follows from the options of a start or from
//! `ports` is not said twice. The surprising rule: a name that is not known is refused, since a newer revgate may have
//! meant something by it; whoever adds a field gives it a default, and whoever changes one counts `VERSION` up.

use std::{collections::BTreeMap, io};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, error::Category};

use super::error::StateError;
use crate::emulator::{
    model::{BringUp, Policy, Problem, Progress, Readiness, TagMove, Target, Work},
    options::Deployment,
    state::Past,
};

/// By which one of ours is known.
pub(super) const FORMAT: &str = "revgate emulator state";
/// The version that is written, and the newest that is read.
pub(super) const VERSION: u64 = 1;

/// All that is kept.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateFile {
    /// [`FORMAT`].
    pub(super) format: String,
    /// [`VERSION`].
    pub(super) version: u64,
    /// The project's id.
    pub(crate) project: String,
    /// The region.
    pub(crate) region: String,
    /// How many emulators have had this file: ids are drawn anew in each.
    pub(super) starts: u64,
    /// The latest time that any of them has given.
    pub(super) latest: Timestamp,
    /// The ports that stand for names of run.app.
    pub(super) ports: Vec<KeptPort>,
    /// The services.
    pub(super) services: Vec<KeptService>,
    /// The operations: those that have ended in that order, then the others.
    pub(super) operations: Vec<KeptOperation>,
}

/// What every version says of itself.
#[derive(Deserialize)]
struct Head {
    format: Option<String>,
    version: Option<u64>,
}

/// A port.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptPort {
    pub(super) service: String,
    pub(super) tag: Option<String>,
    /// 0 lets the next start choose a free one.
    pub(super) port: u16,
}

/// A service.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptService {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) generation: u64,
    pub(super) observed: u64,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) creator: String,
    pub(super) last_modifier: String,
    pub(super) labels: Map<String, Value>,
    pub(super) annotations: Map<String, Value>,
    pub(super) template: Value,
    pub(super) policy: Policy,
    pub(super) operation: Option<String>,
    pub(super) deleted: Option<Timestamp>,
    pub(super) traffic: Vec<Target>,
    pub(super) routed: Vec<Target>,
    pub(super) progress: Progress,
    pub(super) progress_since: Timestamp,
    pub(super) latest_created: Option<String>,
    pub(super) latest_ready: Option<String>,
    pub(super) latest_routed: Option<String>,
    /// The tags that have a port.
    pub(super) tags_with_ports: Vec<String>,
    pub(super) tags: BTreeMap<String, TagMove>,
    pub(super) revisions: Vec<KeptRevision>,
}

/// A revision.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptRevision {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) created: Timestamp,
    pub(super) changed: Timestamp,
    pub(super) readiness: Readiness,
    pub(super) generation: u64,
    pub(super) template: Value,
    pub(super) operation: Option<String>,
    pub(super) stand_in: Option<String>,
    pub(super) deployment: Option<Box<Deployment>>,
    pub(super) bring_up: BringUp,
    pub(super) digest: String,
}

/// An operation.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptOperation {
    pub(super) id: String,
    pub(super) service: String,
    pub(super) uid: String,
    pub(super) work: Work,
    pub(super) done: bool,
    pub(super) error: Option<Problem>,
    pub(super) last: Option<Box<KeptService>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) forgotten: bool,
}

impl StateFile {
    /// Reads a file's text.
    ///
    /// # Errors
    /// No JSON, something else, a newer version, a member that is missing, unknown or wrong, with line and column; a state
    /// that no emulator can have.
    pub(super) fn parse(text: &[u8]) -> Result<Self, StateError> {
        let damaged = |error: serde_json::Error| StateError::Damaged { reason: error.to_string() };
        let head: Head = serde_json::from_slice(text).map_err(|error| match error.classify() {
            Category::Data => StateError::Foreign,
            Category::Io | Category::Syntax | Category::Eof => damaged(error),
        })?;
        match (head.format.as_deref(), head.version) {
            (Some(FORMAT), Some(version)) if version > VERSION => Err(StateError::Newer { version }),
            (Some(FORMAT), _) => serde_json::from_slice(text).map_err(damaged).and_then(Self::checked),
            _ => Err(StateError::Foreign),
        }
    }

    /// The text of the file: lines, so that a person can read it and an error can name one.
    pub(super) fn text(&self) -> io::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }

    /// What the next emulator must know before it begins.
    pub(crate) fn past(&self) -> Past {
        Past { starts: self.starts, latest: Some(self.latest) }
    }

    /// How many services there are.
    pub(crate) fn services(&self) -> usize {
        self.services.len()
    }
}
