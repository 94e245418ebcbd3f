//! The one write that gives a revision all requests.
//!
//! Takes the revision and the traffic as it stood when the check began, gives the traffic as it is in effect
//! afterwards. It writes nothing when somebody else changed the traffic meanwhile. The surprising rule: naming the
//! revision pins the service, so that later deployments get no requests until they are promoted too; this is said.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::cloudrun::wire::Service;
use crate::cloudrun::{ApiError, Backoff, Client, WriteError, write_traffic};
use crate::config::ServiceName;
use crate::revision::traffic::{self, NormalTraffic};
use crate::revision::{TrafficSnapshot, command};

/// How often a write is tried again after a conflict that changed nothing of concern.
const TRIES: u32 = 5;
/// How long the platform may take to act upon the write; it took 104 s once.
const PATIENCE: Duration = Duration::from_mins(4);

/// Why a write that happened is not trusted.
const CONTESTED: &str = "somebody else changed the service at the same moment and may have been overwritten";

/// A promotion that is in effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promoted {
    /// Short name of the revision that has all requests.
    pub revision: String,
    /// False when it had them already and nothing was written.
    pub written: bool,
    /// The traffic before, in words.
    pub before: String,
    /// The traffic in effect now, in words.
    pub after: String,
    /// The service's generation afterwards.
    pub generation: i64,
    /// What the reader should know.
    pub notes: Vec<String>,
}

/// Why a revision was not promoted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PromoteError {
    /// Somebody else changed the traffic meanwhile; nothing was written.
    #[error("nothing was written: since the check began, {}", changes.join("; "))]
    Refused {
        /// What they changed, in words.
        changes: Vec<String>,
        /// Short name of the revision.
        revision: String,
        /// The service.
        service: Box<ServiceName>,
    },
    /// A signal came first; nothing was written.
    #[error("nothing was written: interrupted")]
    Interrupted {
        /// Short name of the revision.
        revision: String,
        /// The service.
        service: Box<ServiceName>,
    },
    /// The API refused; nothing was written.
    #[error("nothing was written: {0}")]
    Api(#[from] ApiError),
    /// Something was or may have been written, and the traffic is not as it should be: exit 13.
    #[error("the traffic is not as asked: {reason}; asked for {expected}, found {found}")]
    NotAsAsked {
        /// What went wrong.
        reason: String,
        /// The traffic that was asked for, in words.
        expected: String,
        /// The traffic in effect, in words.
        found: String,
        /// The gcloud command that gives the revision all requests.
        command: String,
    },
}

impl PromoteError {
    /// What to do, with the command to type.
    pub fn help(&self) -> String {
        match self {
            Self::Refused { service, revision, .. } => format!(
                "see who changed it, then check again: {}; {}",
                command::describe(service),
                command::check(service, &["--revision", revision])
            ),
            Self::Interrupted { service, revision } => {
                format!("promote it again: {}", command::promote(service, &["--revision", revision]))
            }
            Self::Api(error) => error.help(),
            Self::NotAsAsked { command, .. } => format!("look, then set it by hand: {command}"),
        }
    }
}

/// What one promotion is about.
struct Promotion<'a> {
    client: &'a Client,
    service: &'a ServiceName,
    revision: &'a str,
    deadline: Instant,
}

/// How long a promotion that was interrupted after its write is watched: whoever runs pipelines kills soon after.
pub const AFTER_SIGNAL: Duration = Duration::from_secs(8);

/// Gives `revision` (a short name) all requests by name, in one write; all tags stay. `expected` is the traffic as it
/// stood when the check began; tags that it ignores do not count as changes.
///
/// A signal that comes before the write stops it; behind the write, what came of it is looked for a moment longer, and where
/// that is not known a person must look.
///
/// # Errors
/// A signal came first, somebody else changed the traffic, the API refused, or the traffic is not as asked afterwards.
pub async fn promote(
    interrupted: &CancellationToken,
    client: &Client,
    service: &ServiceName,
    revision: &str,
    expected: &TrafficSnapshot,
) -> Result<Promoted, PromoteError> {
    let promoting = give_all(interrupted, client, service, revision, expected);
    let kept_waiting = async {
        interrupted.cancelled().await;
        sleep(AFTER_SIGNAL).await;
    };
    tokio::select! {
        promoted = promoting => promoted,
        () = kept_waiting => {
            let promotion = Promotion { client, service, revision, deadline: Instant::now() };
            Err(promotion.as_found("interrupted behind the write", "nobody knows what: it was not waited for".to_owned()))
        }
    }
}

/// Reads, compares, writes and reads back.
async fn give_all(
    interrupted: &CancellationToken,
    client: &Client,
    service: &ServiceName,
    revision: &str,
    expected: &TrafficSnapshot,
) -> Result<Promoted, PromoteError> {
    let promotion = Promotion { client, service, revision, deadline: Instant::now() + PATIENCE };
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));
    let first = tokio::select! {
        first = client.get_service(service) => first?,
        () = interrupted.cancelled() => return Err(promotion.interrupted()),
    };
    let mut before = first.clone();
    let mut sure = true;
    for tries in 1.. {
        if before.uid == expected.uid && promotion.is_asked(&before) {
            // After a lost answer it may have been our own write that is found here.
            return promotion.settle(before, expected, !sure).await;
        }
        promotion.refuse_changes(&first, &before, expected, sure)?;
        if interrupted.is_cancelled() && sure {
            return Err(promotion.interrupted());
        }
        let asked = traffic::promote_to(&before.traffic_entries(), revision);
        match write_traffic(client, service, &before, &asked, promotion.deadline).await {
            Ok(written) if written.contested => {
                return Err(promotion.not_as_asked(CONTESTED, &written.service));
            }
            Ok(written) => return promotion.settle(written.service, expected, true).await,
            Err(WriteError::Again { sure: now, .. })
                if tries < TRIES && backoff.sleep(None, promotion.deadline).await =>
            {
                sure &= now;
                before = client.get_service(service).await.map_err(|error| promotion.unread(error, sure))?;
            }
            Err(WriteError::Again { cause, sure: true } | WriteError::Refused(cause)) if sure => {
                return Err(cause.into());
            }
            Err(WriteError::Unknown(cause)) => return Err(promotion.unread(cause, false)),
            Err(error) => return Err(promotion.failed(&error.into_cause()).await),
        }
    }
    Err(promotion.as_found("it was tried too often", "nothing that is known".to_owned()))
}

impl Promotion<'_> {
    fn goal(&self) -> BTreeMap<String, i64> {
        BTreeMap::from([(self.revision.to_owned(), 100)])
    }

    fn interrupted(&self) -> PromoteError {
        PromoteError::Interrupted {
            revision: self.revision.to_owned(),
            service: Box::new(self.service.clone()),
        }
    }

    /// True when the revision has been given all requests by name.
    fn is_asked(&self, service: &Service) -> bool {
        traffic::normal(&service.traffic_entries()).shares == self.goal()
    }

    /// True when the revision has all requests by name, in effect.
    fn is_in_effect(&self, service: &Service) -> bool {
        service.is_settled() && traffic::normal_form(&service.traffic_statuses).shares == self.goal()
    }

    /// Stops when somebody else changed the traffic since the check began, or the template while we were writing.
    /// Unless `sure`, our own write may have happened before.
    fn refuse_changes(
        &self,
        first: &Service,
        now: &Service,
        expected: &TrafficSnapshot,
        sure: bool,
    ) -> Result<(), PromoteError> {
        let mut changes = expected.changes(now);
        if first.template != now.template {
            changes.push("a deployment began".to_owned());
        }
        if changes.is_empty() {
            return Ok(());
        }
        if !sure {
            return Err(self.not_as_asked(&changes.join("; "), now));
        }
        let (revision, service) = (self.revision.to_owned(), Box::new(self.service.clone()));
        Err(PromoteError::Refused { changes, revision, service })
    }

    /// Waits until the traffic is in effect as it was asked for.
    async fn settle(
        &self,
        mut now: Service,
        expected: &TrafficSnapshot,
        written: bool,
    ) -> Result<Promoted, PromoteError> {
        let tags = traffic::normal(&now.traffic_entries()).tags;
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));
        loop {
            if !self.is_asked(&now) {
                return Err(self.not_as_asked("somebody else changed it right afterwards", &now));
            }
            if self.is_in_effect(&now) {
                break;
            }
            if !backoff.sleep(None, self.deadline).await {
                let reason = format!("it is not in effect after {} s", PATIENCE.as_secs());
                return Err(self.not_as_asked(&reason, &now));
            }
            now = self.client.get_service(self.service).await.map_err(|error| self.unread(error, false))?;
        }
        Ok(Promoted {
            revision: self.revision.to_owned(),
            written,
            before: expected.traffic.summary(),
            after: summary(self.goal(), tags),
            generation: now.generation,
            notes: self.notes(expected, written),
        })
    }

    fn notes(&self, expected: &TrafficSnapshot, written: bool) -> Vec<String> {
        if !written {
            return vec![format!("{} had all requests already", self.revision)];
        }
        if expected.latest.is_none() {
            return Vec::new();
        }
        vec![format!(
            "the service is pinned to {} now: later deployments get 0 % until they are promoted; to undo that: {}",
            self.revision,
            command::update_traffic(self.service, &["--to-latest"])
        )]
    }

    /// The write was accepted and failed: says how the traffic stands.
    async fn failed(&self, cause: &ApiError) -> PromoteError {
        match self.client.get_service(self.service).await {
            Ok(now) => self.not_as_asked(&cause.to_string(), &now),
            Err(_) => self.unread(cause.clone(), false),
        }
    }

    /// The service could not be read back. Unless `sure` that nothing was written, a person must look.
    fn unread(&self, cause: ApiError, sure: bool) -> PromoteError {
        if sure {
            return cause.into();
        }
        self.as_found(&cause.to_string(), "nobody knows what: the service could not be read back".to_owned())
    }

    fn not_as_asked(&self, reason: &str, now: &Service) -> PromoteError {
        let asked: Vec<Value> = now.traffic_entries();
        let effect = traffic::normal_form(&now.traffic_statuses).summary();
        let found = format!("{} asked for and {effect} in effect", traffic::normal(&asked).summary());
        self.as_found(reason, found)
    }

    fn as_found(&self, reason: &str, found: String) -> PromoteError {
        PromoteError::NotAsAsked {
            reason: reason.to_owned(),
            expected: summary(self.goal(), BTreeMap::new()),
            found,
            command: command::give_all(self.service, self.revision),
        }
    }
}

fn summary(shares: BTreeMap<String, i64>, tags: BTreeMap<String, String>) -> String {
    NormalTraffic { shares, tags }.summary()
}
