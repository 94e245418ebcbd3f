//! `api:` is what it takes to find out whether HTTP endpoints answer as they should.
//!
//! Takes the sources; gives the settings, or `None` where nobody asks. It opens nothing.

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::sources::Sources;

/// `api:` as it was written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct ApiModel {}

/// What the check `api` is to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ApiSettings {}

/// What is asked for; `None` where nothing is.
pub(crate) fn api(sources: &Sources<'_>) -> Result<Option<ApiSettings>, ConfigError> {
    let _ = &sources.file.model.api;
    Ok(None)
}
