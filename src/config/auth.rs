//! `auth:` is what it takes to find out whether bad tokens are refused properly, and a good one still works afterwards.
//!
//! Takes the sources; gives the settings, or `None` where nobody asks. It opens nothing.

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::sources::Sources;

/// `auth:` as it was written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct AuthModel {}

/// What the check `auth` is to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AuthSettings {}

/// What is asked for; `None` where nothing is.
pub(crate) fn auth(sources: &Sources<'_>) -> Result<Option<AuthSettings>, ConfigError> {
    let _ = &sources.file.model.auth;
    Ok(None)
}
