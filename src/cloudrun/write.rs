//! One write of traffic, and whether it happened.
//!
//! Takes the service as it was read last and the entries to write; gives what became of it. It writes once and never
//! again: the caller reads, decides and comes back. The surprising rule: an etag that the API accepted proves nothing,
//! only the generation does, which must be the next one.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::client::{Client, PatchError};
use super::error::{About, ApiError};
use super::retry::Backoff;
use super::wire::Service;
use crate::config::ServiceName;
use crate::revision::traffic::same_traffic;

/// How long a write whose answer was lost is looked for.
const LOOK_BACK: Duration = Duration::from_secs(10);
/// Pause between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// A write that happened.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    /// The service as it is now.
    pub(crate) service: Service,
    /// True when somebody else wrote between our reading and our writing, so that we may have overwritten them.
    pub(crate) contested: bool,
}

/// A write that did not happen as it should.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// Nothing was written, since somebody else was first or for a reason that may pass: read and decide again.
    Again {
        /// Why.
        cause: ApiError,
        /// False when the answer was lost and the write was looked for in vain.
        sure: bool,
    },
    /// Nothing was written.
    Refused(ApiError),
    /// It is not known whether something was written.
    Unknown(ApiError),
    /// It was written, and acting upon it failed.
    Failed(ApiError),
}

impl WriteError {
    /// True where it is known that nothing was written, and that nothing will be.
    pub(crate) fn wrote_nothing(&self) -> bool {
        matches!(self, Self::Again { sure: true, .. } | Self::Refused(_))
    }

    /// The cause.
    pub(crate) fn into_cause(self) -> ApiError {
        match self {
            Self::Again { cause, .. } | Self::Refused(cause) | Self::Unknown(cause) | Self::Failed(cause) => {
                cause
            }
        }
    }
}

/// Writes `asked` over the traffic of `before`, awaits the operation and reads the service again.
pub(crate) async fn write_traffic(
    client: &Client,
    service: &ServiceName,
    before: &Service,
    asked: &[Value],
    deadline: Instant,
) -> Result<Written, WriteError> {
    let next = before.generation + 1;
    let own = match client.patch_traffic(service, &before.etag, asked, false).await {
        Ok(operation) => {
            let own = operation.generation();
            match client.wait_operation(service, operation, deadline).await {
                Err(cause @ ApiError::OperationFailed { .. }) => return Err(WriteError::Failed(cause)),
                // Whether it is in effect is told by the service, not by the operation.
                Ok(_) | Err(_) => own,
            }
        }
        Err(PatchError::Refused(cause)) if cause.is_passing() => {
            return Err(WriteError::Again { cause, sure: true });
        }
        Err(PatchError::Refused(cause)) => return Err(WriteError::Refused(cause)),
        Err(PatchError::Ambiguous(cause)) => {
            return look_back(client, service, before, asked, cause).await;
        }
    };
    let now = read_back(client, service, own.unwrap_or(before.generation), deadline).await;
    let now = now.map_err(WriteError::Unknown)?;
    let contested = own.unwrap_or(now.generation) != next;
    Ok(Written { service: now, contested })
}

/// The service, once a read shows `generation` or a later one: right after a write, a read may show what was before it,
/// and that must not pass for somebody else's change.
async fn read_back(
    client: &Client,
    service: &ServiceName,
    generation: i64,
    deadline: Instant,
) -> Result<Service, ApiError> {
    let begun = Instant::now();
    let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));
    loop {
        let now = client.get_service(service).await?;
        if now.generation >= generation {
            return Ok(now);
        }
        if !backoff.sleep(None, deadline).await {
            let what = "see the write in the service";
            let about = About { service: service.clone(), what, permission: "run.services.get" };
            return Err(client.timed_out(about, begun.elapsed()));
        }
    }
}

/// Looks whether a write whose answer was lost happened.
async fn look_back(
    client: &Client,
    service: &ServiceName,
    before: &Service,
    asked: &[Value],
    cause: ApiError,
) -> Result<Written, WriteError> {
    let deadline = Instant::now() + LOOK_BACK;
    loop {
        let now = client.get_service(service).await.map_err(WriteError::Unknown)?;
        if now.generation > before.generation {
            if same_traffic(&now.traffic_entries(), asked) {
                let contested = now.generation != before.generation + 1;
                return Ok(Written { service: now, contested });
            }
            // Somebody else's write came first or on top: the caller sees by reading again.
            return Err(WriteError::Again { cause, sure: false });
        }
        if Instant::now() + LOOK >= deadline {
            // Should it happen later after all, it is the same write that the caller makes again.
            return Err(WriteError::Again { cause, sure: false });
        }
        tokio::time::sleep(LOOK).await;
    }
}
