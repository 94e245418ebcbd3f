//! The check `logs`.

use serde::{Deserialize, Serialize};

use super::check::{Check, Outcome};
use super::evidence::Evidence;
use crate::config::CheckName;

/// What was seen of the revision's log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LogsSeen {}

/// The check.
pub(super) fn logs(_: &Evidence) -> Check {
    Check::bare(CheckName::Logs, Outcome::Inconclusive, "asked for, and not run")
}
