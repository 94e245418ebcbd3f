//! All that the engine says while it works.
//!
//! Values for whoever watches; the report is never built from them. Texts in them are safe to print. Stable: the
//! serialised form carries a version.

use serde::{Deserialize, Serialize};

/// Version of the serialised form.
pub const EVENT_VERSION: u32 = 1;

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "event")]
pub enum Event {
    /// The candidate was found.
    Located {
        /// Service, revision and the rule that chose it, in one line.
        headline: String,
    },
    /// A remark.
    Note {
        /// Its words.
        words: String,
    },
    /// Waiting for the candidate to be ready.
    Waiting {
        /// How it stands.
        words: String,
    },
    /// The plan, before the first socket.
    Planned {
        /// In one line.
        words: String,
        /// The most sockets of the run.
        sockets: u32,
    },
    /// A round was decided.
    Round {
        /// Its stage.
        stage: String,
        /// Its number inside its stage.
        number: u32,
        /// Sockets so far.
        sockets: u32,
        /// Failed by the application so far.
        failed: u32,
        /// Never reached the application so far.
        infra: u32,
    },
    /// A check is over.
    Checked {
        /// Its name.
        check: String,
        /// Its outcome.
        outcome: String,
        /// Its numbers.
        summary: String,
    },
}
