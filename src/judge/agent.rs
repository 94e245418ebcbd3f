//! The check `agent`.

use super::check::{Check, Outcome};
use super::evidence::Evidence;
use crate::config::CheckName;

/// The check.
pub(super) fn agent(_: &Evidence) -> Check {
    Check::bare(CheckName::Agent, Outcome::Inconclusive, "asked for, and not run")
}
