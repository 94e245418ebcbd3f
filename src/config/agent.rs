//! `agent:` is what it takes to find out whether whole conversations run to their end, alone and by several users at once.
//!
//! Takes the sources; gives the settings, or `None` where nobody asks. It opens nothing.

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::sources::Sources;

/// `agent:` as it was written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct AgentModel {}

/// What the check `agent` is to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentSettings {}

/// What is asked for; `None` where nothing is.
pub(crate) fn agent(sources: &Sources<'_>) -> Result<Option<AgentSettings>, ConfigError> {
    let _ = &sources.file.model.agent;
    Ok(None)
}
