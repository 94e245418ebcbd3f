//! Waits until the candidate is ready.
//!
//! Takes a revision's name and a deadline, and gives how it ended and after how long; every change on the way is
//! told. It never probes the revision. The surprising rule: running out of time is an outcome and no error, since it
//! says something about the revision.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::client::Client;
use super::error::ApiError;
use super::retry::Backoff;
use crate::config::ServiceName;
use crate::revision::{Readiness, readiness};

/// How the waiting ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum ReadyOutcome {
    /// The candidate is ready.
    Ready {
        /// After so long.
        after: Duration,
        /// Conditions that did not succeed and do not count.
        notes: Vec<String>,
    },
    /// The candidate failed.
    Failed {
        /// After so long.
        after: Duration,
        /// The condition that failed.
        last: Readiness,
    },
    /// The deadline passed.
    NeverReady {
        /// After so long.
        after: Duration,
        /// How it stood then.
        last: Readiness,
    },
}

/// Waits until `revision` (a short name, serving `serving_percent` of the requests) is ready or has failed, for at most
/// `patience`. `on_change` is told of the first reading and of every later change.
///
/// # Errors
/// The API cannot be asked.
pub async fn await_ready(
    client: &Client,
    service: &ServiceName,
    revision: &str,
    serving_percent: i64,
    patience: Duration,
    mut on_change: impl FnMut(&Readiness),
) -> Result<ReadyOutcome, ApiError> {
    let begun = Instant::now();
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));
    let mut last = None;
    loop {
        let now = readiness(&client.get_revision(service, revision).await?, serving_percent);
        if last.as_ref() != Some(&now) {
            on_change(&now);
        }
        let after = begun.elapsed();
        match now {
            Readiness::Ready { notes } => return Ok(ReadyOutcome::Ready { after, notes }),
            failed @ Readiness::Failed { .. } => return Ok(ReadyOutcome::Failed { after, last: failed }),
            waiting @ Readiness::Waiting { .. } => {
                if !backoff.sleep(None, begun + patience).await {
                    return Ok(ReadyOutcome::NeverReady { after: begun.elapsed(), last: waiting });
                }
                last = Some(waiting);
            }
        }
    }
}
