//! The check `api`.

use super::check::{Check, Outcome};
use super::evidence::Evidence;
use crate::config::CheckName;

/// The check.
pub(super) fn api(_: &Evidence) -> Check {
    Check::bare(CheckName::Api, Outcome::Inconclusive, "asked for, and not run")
}
