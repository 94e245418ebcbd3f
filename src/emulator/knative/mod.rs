//! How is one service written in the two APIs?
//!
//! Takes and gives JSON: the template and the settings of a service as v1 (Knative) writes them, from v2 and back. The
//! emulator keeps v1, because v2 has no place for the platform's own labels and annotations: what a client of v2 reads
//! and writes back whole has lost them, and is another configuration for it. That is how the real API refuses such
//! writes, and the surprising rule here.

mod annotations;
mod container;
mod defaults;
mod limits;
pub(crate) mod members;
mod settings;
mod template;
mod volume;

pub(crate) use annotations::is_system;
pub(crate) use defaults::completed;
pub(crate) use limits::{RESERVED, Words, violation};
pub(crate) use settings::{settings_from_v2, settings_to_v2};
pub(crate) use template::{named, template_from_v2, template_to_v2, unnamed};

use serde_json::Value;

/// The container port of a template that names none.
const PORT: u64 = 8080;

/// A whole number, also where it is written as text, as 64-bit integers are.
pub(crate) fn integer(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
