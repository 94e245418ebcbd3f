//! Sockets that are kept for a long time, with pings and heartbeats.

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::prober::Prober;
use super::series::Series;
use crate::config::HoldSettings;

/// What was seen of sockets that were kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HoldSeen {}

/// Keeps sockets for as long as is asked.
pub async fn hold_sockets(_: &Prober, _: &HoldSettings, _: &mut Series, _: &CancellationToken) -> HoldSeen {
    HoldSeen {}
}
