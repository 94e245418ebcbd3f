//! How far a revision scales, as the API tells it.

use serde::Deserialize;

use super::lenient;

/// How far a revision scales. Source: `google.cloud.run.v2.RevisionScaling`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scaling {
    /// The most instances; 0: not said.
    #[serde(deserialize_with = "lenient::integer")]
    pub max_instance_count: i64,
    /// Instances that are kept when nobody comes.
    #[serde(deserialize_with = "lenient::integer")]
    pub min_instance_count: i64,
}
