//! `isolation:` is what it takes to find out whether no user sees what belongs to another.
//!
//! Takes the sources; gives the settings, or `None` where nobody asks. It opens nothing.

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::sources::Sources;

/// `isolation:` as it was written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct IsolationModel {}

/// What the check `isolation` is to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IsolationSettings {}

/// What is asked for; `None` where nothing is.
pub(crate) fn isolation(sources: &Sources<'_>) -> Result<Option<IsolationSettings>, ConfigError> {
    let _ = &sources.file.model.isolation;
    Ok(None)
}
