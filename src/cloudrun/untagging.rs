//! Takes a tag away that a run added, or may have.
//!
//! Takes a service, the tag and what is known of its adding; gives what became of it. It takes nothing from anybody: a tag
//! that somebody moved to another revision is theirs. The surprising rule: a read proves a tag gone only where it shows a
//! state as new as one in which it was there, and one that may yet be written is looked for for a while.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::client::Client;
use super::error::ApiError;
use super::retry::Backoff;
use super::tagging::{Adding, TagError, TagToAdd, about};
use super::wire::Service;
use super::write::write_traffic;
use crate::config::ServiceName;
use crate::revision::traffic;

/// How long a tag is looked for of which it is not known whether it was written: a write that was sent may still happen, and a
/// read right behind one may be stale.
const LATE: Duration = Duration::from_secs(5);
/// Pause between two such looks.
const LOOK: Duration = Duration::from_secs(1);
/// How long the removal of a tag may take.
const REMOVAL: Duration = Duration::from_mins(1);

/// What became of a tag that was to be taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It was not there.
    Absent,
    /// It was there and is gone.
    Gone,
    /// It leads to another revision, and was left there.
    Left {
        /// Short name of the revision that has it, or `LATEST`.
        holder: String,
    },
}

/// Takes the tag away from the candidate, and waits until the platform has acted upon it. Nothing happens when it is not
/// there, and where nobody knows whether it was added, is not there for a while, or when it is another revision's. Tries for
/// a minute, also while the service is reconciling.
///
/// # Errors
/// It is still there, or that is not known; help names the command to take it away by hand.
pub async fn remove_tag(
    client: &Client,
    service: &ServiceName,
    added: &TagToAdd,
    adding: Adding,
) -> Result<Removal, TagError> {
    let begun = Instant::now();
    let deadline = begun + REMOVAL;
    let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));
    loop {
        let cause = match remove_once(client, service, added, adding, deadline).await {
            Ok(Removal::Absent) if adding == Adding::Unknown && begun.elapsed() < LATE => {
                sleep(LOOK).await;
                continue;
            }
            Ok(removal) => return Ok(removal),
            Err(ApiError::NotFound { .. }) => return Ok(Removal::Absent),
            Err(cause) => cause,
        };
        let passing = cause.is_passing() || matches!(cause, ApiError::OperationFailed { .. });
        if !passing || !backoff.sleep(None, deadline).await {
            return Err(TagError::NotRemoved {
                tag: added.name.clone(),
                service: Box::new(service.clone()),
                cause: Box::new(cause),
            });
        }
    }
}

/// Reads, writes once and looks whether the tag is gone.
async fn remove_once(
    client: &Client,
    service: &ServiceName,
    added: &TagToAdd,
    adding: Adding,
    deadline: Instant,
) -> Result<Removal, ApiError> {
    let holder = |now: &Service| traffic::holder(&now.traffic_entries(), &added.name);
    // `None` while it is ours.
    let came = |now: &Service| match holder(now) {
        None => Some(Removal::Gone),
        Some(holder) if holder != added.revision => Some(Removal::Left { holder }),
        Some(_) => None,
    };
    let oldest = if let Adding::Seen { generation } = adding { generation } else { 0 };
    let before = client.get_service(service).await?;
    if before.generation < oldest {
        return Err(client.timed_out(about(service), REMOVAL));
    }
    match came(&before) {
        Some(Removal::Gone) => return Ok(Removal::Absent),
        Some(other) => return Ok(other),
        None => {}
    }
    let asked = traffic::without_tag(&before.traffic_entries(), &added.name);
    let cause = match write_traffic(client, service, &before, &asked, deadline).await {
        Ok(written) => match came(&written.service) {
            Some(removal) => return Ok(removal),
            None => client.timed_out(about(service), REMOVAL),
        },
        Err(error) => error.into_cause(),
    };
    // A write whose operation fails for another reason has taken the tag away all the same.
    let now = client.get_service(service).await?;
    came(&now).filter(|_| now.generation >= before.generation).ok_or(cause)
}
