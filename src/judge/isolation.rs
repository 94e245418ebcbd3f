//! The check `isolation`.

use super::check::{Check, Outcome};
use super::evidence::Evidence;
use crate::config::CheckName;

/// The check.
pub(super) fn isolation(_: &Evidence) -> Check {
    Check::bare(CheckName::Isolation, Outcome::Inconclusive, "asked for, and not run")
}
