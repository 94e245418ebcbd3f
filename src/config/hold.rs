//! `hold:` is what it takes to find out whether sockets last.
//!
//! Takes the sources; gives the settings, or `None` where nobody asks. It opens nothing.

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::sources::Sources;

/// `hold:` as it was written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct HoldModel {}

/// What the check `hold` is to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HoldSettings {}

/// What is asked for; `None` where nothing is.
pub(crate) fn hold(sources: &Sources<'_>) -> Result<Option<HoldSettings>, ConfigError> {
    let _ = &sources.file.model.hold;
    Ok(None)
}
