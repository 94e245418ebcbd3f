//! Requests to HTTP endpoints.

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::prober::Prober;
use super::series::Series;
use crate::config::ApiSettings;

/// What was seen of HTTP endpoints.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ApiSeen {}

/// Asks each endpoint as often as is asked.
pub async fn ask_endpoints(_: &Prober, _: &ApiSettings, _: &mut Series, _: &CancellationToken) -> ApiSeen {
    ApiSeen {}
}
