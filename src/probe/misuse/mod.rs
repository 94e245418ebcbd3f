//! What no well-behaved client does: bad tokens and bad frames, beside sockets that must not suffer from it.

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::prober::Prober;
use super::series::Series;
use crate::config::AuthSettings;
use crate::config::FramesSettings;

/// What was seen of sockets with bad tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AuthSeen {}

/// What was seen of sockets with bad frames.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FramesSeen {}

/// Opens sockets with each of the bad tokens.
pub async fn send_bad_tokens(
    _: &Prober,
    _: &AuthSettings,
    _: &mut Series,
    _: &CancellationToken,
) -> AuthSeen {
    AuthSeen {}
}

/// Sends each of the bad frames.
pub async fn send_bad_frames(
    _: &Prober,
    _: &FramesSettings,
    _: &mut Series,
    _: &CancellationToken,
) -> FramesSeen {
    FramesSeen {}
}
