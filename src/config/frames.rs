//! `frames:` is what it takes to find out whether malformed frames are answered properly, and harm nobody else.
//!
//! Takes the sources; gives the settings, or `None` where nobody asks. It opens nothing.

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::sources::Sources;

/// `frames:` as it was written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct FramesModel {}

/// What the check `frames` is to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FramesSettings {}

/// What is asked for; `None` where nothing is.
pub(crate) fn frames(sources: &Sources<'_>) -> Result<Option<FramesSettings>, ConfigError> {
    let _ = &sources.file.model.frames;
    Ok(None)
}
