//! `logs:` is what it takes to find out whether the revision's log entries are clean.
//!
//! Takes the sources; gives the settings, or `None` where nobody asks. It opens nothing.

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::sources::Sources;

/// `logs:` as it was written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct LogsModel {}

/// What the check `logs` is to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LogsSettings {}

/// What is asked for; `None` where nothing is.
pub(crate) fn logs(sources: &Sources<'_>) -> Result<Option<LogsSettings>, ConfigError> {
    let _ = &sources.file.model.logs;
    Ok(None)
}
