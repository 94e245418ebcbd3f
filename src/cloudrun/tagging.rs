//! Adds a tag to the candidate for the time of the check.
//!
//! Takes a service, a revision and a name never used before; gives the tag's address once the platform has acted upon
//! it. It never moves a tag and never touches anybody's requests. The surprising rule: a tag that we added can vanish
//! again, when another run read the service before our write and wrote after it; so ours is looked for and added again.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::client::Client;
use super::error::{About, ApiError};
use super::retry::Backoff;
use super::wire::Service;
use super::write::{WriteError, Written, write_traffic};
use crate::config::{Identifier, ServiceName};
use crate::revision::{command, tag, traffic};

/// How often a write is tried again after somebody else's.
const TRIES: u32 = 5;
/// How long a tag that was added is watched at least: a writer who read the service before us writes within that time.
const WATCH: Duration = Duration::from_secs(1);

/// The tag that is to be added.
#[derive(Debug, Clone)]
pub struct TagToAdd {
    /// A name never used before: `revision::tag::fresh`.
    pub name: String,
    /// What the name was made from; tags of earlier runs of the same base are cleaned up in the same write.
    pub base: Identifier,
    /// Short name of the candidate.
    pub revision: String,
}

/// A tag that was added and leads to the candidate, by its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedTag {
    /// Its name.
    pub name: String,
    /// Its address, as reported.
    pub uri: String,
    /// The service's generation in which it was seen there.
    pub generation: i64,
    /// Tags that earlier runs left behind and that were taken away in the same write.
    pub dropped: Vec<String>,
    /// What the reader should know.
    pub notes: Vec<String>,
}

/// What is known of the adding of a tag that is to be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adding {
    /// The tag was seen: a read that shows an older state of the service tells nothing of it.
    Seen {
        /// The service's generation.
        generation: i64,
    },
    /// Nothing was written.
    Refused,
    /// It may have been written, or may be yet.
    Unknown,
}

/// Why a tag could not be added or taken away.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TagError {
    /// The name is another revision's.
    #[error("the tag {tag} already belongs to {holder}")]
    Taken {
        /// The tag.
        tag: String,
        /// Short name of its revision, or `LATEST`.
        holder: String,
        /// The service.
        service: Box<ServiceName>,
    },
    /// It was not added, or the platform did not act upon it.
    #[error("the tag {tag} was not added to {revision}: {cause}")]
    NotAdded {
        /// The tag.
        tag: String,
        /// Short name of the revision.
        revision: String,
        /// The service.
        service: Box<ServiceName>,
        /// Why not.
        cause: Box<ApiError>,
        /// What that leaves open.
        adding: Adding,
    },
    /// It could not be taken away.
    #[error("the tag {tag} could not be taken away: {cause}")]
    NotRemoved {
        /// The tag.
        tag: String,
        /// The service.
        service: Box<ServiceName>,
        /// Why not.
        cause: Box<ApiError>,
    },
    /// Its removal was not waited for any longer, and may have happened.
    #[error("it is not known whether the tag {tag} was taken away: {cause}")]
    GivenUp {
        /// The tag.
        tag: String,
        /// The service.
        service: Box<ServiceName>,
        /// What is not known.
        cause: Box<ApiError>,
    },
}

impl TagError {
    /// The removal of a tag was not waited for any longer.
    pub(crate) fn given_up(client: &Client, service: &ServiceName, tag: &str, after: Duration) -> Self {
        Self::GivenUp {
            tag: tag.to_owned(),
            service: Box::new(service.clone()),
            cause: Box::new(client.timed_out(about(service), after)),
        }
    }

    /// What an adding that ended so leaves open.
    pub fn adding(&self) -> Adding {
        match self {
            Self::Taken { .. } => Adding::Refused,
            Self::NotAdded { adding, .. } => *adding,
            Self::NotRemoved { .. } | Self::GivenUp { .. } => Adding::Unknown,
        }
    }

    /// What to do, with the command to type.
    pub fn help(&self) -> String {
        match self {
            Self::Taken { service, .. } => {
                format!("see who has which tag: {}", command::describe(service))
            }
            Self::NotAdded { service, cause, revision, .. } => match cause.as_ref() {
                ApiError::TimedOut { .. } | ApiError::OperationFailed { .. } => format!(
                    "see how the service stands (a tag on a deleted revision stops every change): {}",
                    command::describe(service)
                ),
                _ => format!(
                    "{}; or add a tag yourself: {}",
                    cause.help(),
                    command::add_tag(service, "gate", revision)
                ),
            },
            Self::NotRemoved { service, tag, .. } => {
                format!("take it away by hand: {}", command::remove_tag(service, tag))
            }
            Self::GivenUp { service, tag, .. } => {
                format!(
                    "where it is still there, take it away by hand: {}",
                    command::remove_tag(service, tag)
                )
            }
        }
    }
}

/// Adds the tag and waits until its address is reported and its status names the revision, or until `deadline`.
///
/// On any error, and when this future is dropped, the tag may have been written: call [`super::remove_tag`] all the same.
///
/// # Errors
/// The name is taken, the write is refused five times, or the platform does not act upon it in time.
pub async fn add_tag(
    client: &Client,
    service: &ServiceName,
    wanted: &TagToAdd,
    now: Timestamp,
    deadline: Instant,
) -> Result<AddedTag, TagError> {
    let name = wanted.name.clone();
    let mut added = AddedTag { name, uri: String::new(), generation: 0, dropped: vec![], notes: vec![] };
    let failed = |cause: ApiError, adding: Adding| TagError::NotAdded {
        tag: wanted.name.clone(),
        revision: wanted.revision.clone(),
        service: Box::new(service.clone()),
        cause: Box::new(cause),
        adding,
    };
    let mut adding = Adding::Refused;
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));
    let mut tries = 0;
    loop {
        tries += 1;
        let written = write_tag(client, service, wanted, now, deadline, &mut added).await?;
        if !matches!(&written, Err(error) if error.wrote_nothing()) {
            adding = Adding::Unknown;
        }
        match written {
            Ok(()) => {}
            Err(WriteError::Again { .. }) if tries < TRIES && backoff.sleep(None, deadline).await => continue,
            Err(error) => return Err(failed(error.into_cause(), adding)),
        }
        let awaited = await_tag(client, service, wanted, deadline).await;
        match awaited.map_err(|cause| failed(cause, adding))? {
            Some((uri, generation)) => return Ok(AddedTag { uri, generation, ..added }),
            None if tries < TRIES && backoff.sleep(None, deadline).await => {
                let name = &wanted.name;
                added.notes.push(format!("the tag {name} was overwritten by another writer and added again"));
            }
            None => return Err(failed(client.timed_out(about(service), Duration::ZERO), adding)),
        }
    }
}

/// Reads and writes once. The outer error is final, the inner one is the write's.
async fn write_tag(
    client: &Client,
    service: &ServiceName,
    wanted: &TagToAdd,
    now: Timestamp,
    deadline: Instant,
    added: &mut AddedTag,
) -> Result<Result<(), WriteError>, TagError> {
    let before = match client.get_service(service).await {
        Ok(before) => before,
        Err(error) => return Ok(Err(WriteError::Refused(error))),
    };
    let mut entries = before.traffic_entries();
    let stale = tag::stale(&entries, wanted.base.as_str(), now);
    for old in &stale {
        entries = traffic::without_tag(&entries, old);
    }
    let asked = traffic::with_tag(&entries, &wanted.name, &wanted.revision).map_err(|taken| {
        TagError::Taken { tag: taken.tag, holder: taken.holder, service: Box::new(service.clone()) }
    })?;
    if traffic::same_traffic(&asked, &before.traffic_entries()) {
        return Ok(Ok(()));
    }
    let written = write_traffic(client, service, &before, &asked, deadline).await;
    Ok(written.map(|written| {
        added.dropped.extend(stale);
        added.notes.extend(contested(&written, &before, service));
    }))
}

/// A warning when our write may have gone over somebody else's.
fn contested(written: &Written, before: &Service, service: &ServiceName) -> Option<String> {
    written.contested.then(|| {
        format!(
            "somebody else changed the service while a tag was written (generation {} to {}); see that their change \
             is still there: {}",
            before.generation,
            written.service.generation,
            command::describe(service)
        )
    })
}

/// Waits until the tag has an address and leads to the revision; with the generation of that state. `None` when the tag has vanished.
async fn await_tag(
    client: &Client,
    service: &ServiceName,
    wanted: &TagToAdd,
    deadline: Instant,
) -> Result<Option<(String, i64)>, ApiError> {
    let begun = Instant::now();
    let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));
    loop {
        let now = client.get_service(service).await?;
        if traffic::holder(&now.traffic_entries(), &wanted.name).is_none() {
            return Ok(None);
        }
        let watched = begun.elapsed() >= WATCH && now.is_settled();
        if let Some(uri) = tag_address(&now, &wanted.name, &wanted.revision).filter(|_| watched) {
            return Ok(Some((uri.to_owned(), now.generation)));
        }
        if !backoff.sleep(None, deadline).await {
            return Err(client.timed_out(about(service), begun.elapsed()));
        }
    }
}

/// The address of `tag` by the statuses, as long as it leads to `revision`.
pub fn tag_address<'a>(service: &'a Service, tag: &str, revision: &str) -> Option<&'a str> {
    let status = service.traffic_statuses.iter().find(|status| status.tag.as_deref() == Some(tag))?;
    status.uri.as_deref().filter(|_| status.revision.as_deref() == Some(revision))
}

pub(super) fn about(service: &ServiceName) -> About {
    About { service: service.clone(), what: "see the tag take effect", permission: "run.services.get" }
}
