//! Whole conversations: a flow's steps on a socket, alone and by several users at once.

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::prober::Prober;
use super::series::Series;
use crate::config::AgentSettings;

/// What was seen of the runs of a flow.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentSeen {}

/// Runs the flow as often as is asked.
pub async fn run_flows(_: &Prober, _: &AgentSettings, _: &mut Series, _: &CancellationToken) -> AgentSeen {
    AgentSeen {}
}
