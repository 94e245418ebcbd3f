//! The serving revision's errors while the candidate is probed: read from its log, again and again, beside the probing.
//!
//! Takes the control plane and the revision's name; stops the run when its errors rise, and leaves the counts in the
//! evidence. The surprising rule: a log that cannot be read stops nothing, since it says nothing of the service: the report
//! notes that nobody watched.

use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Control, EngineError, Run, Surroundings};
use crate::cloudrun::logs::{LogOrder, of_log, of_revision};
use crate::cloudrun::{ApiError, Client};
use crate::config::ServiceName;
use crate::judge::Watch;
use crate::probe::Baseline;
use crate::trust::{Excerpt, Secret};

/// How long before the run errors are counted, to be compared with.
const BEFORE: Duration = Duration::from_mins(10);
/// From one look to the next: 12 of the 60 reads a minute that a project has.
const EVERY: Duration = Duration::from_secs(5);
/// How long the last look may take: the run is over.
const LAST_LOOK: Duration = Duration::from_secs(10);

/// Somebody who watches. Dropped, it ends.
pub(super) struct Watcher {
    /// Cancelled when the run must stop.
    halt: CancellationToken,
    over: CancellationToken,
    task: JoinSet<Watch>,
}

impl Run<'_> {
    /// Probes an address of the candidate and compares it, while the revision that serves is watched.
    pub(super) async fn probe_watched(
        &mut self,
        control: &Control,
        url: &Url,
        id_token: Option<Secret>,
    ) -> Result<(), EngineError> {
        self.watch(control);
        let prober = self.probe(url, Some(control), id_token).await?;
        self.compare(control, prober).await?;
        self.end_watch().await;
        Ok(())
    }

    /// Begins to watch the revision that serves, where there is one besides the candidate.
    fn watch(&mut self, control: &Control) {
        if self.settings.dry_run {
            return;
        }
        let serving = control.located.previous.as_ref().map(|serving| serving.revision.clone());
        let Some(serving) = serving.filter(|serving| *serving != control.located.revision) else { return };
        let (halt, over) = (CancellationToken::new(), CancellationToken::new());
        let since = self.around.now();
        let look = Look {
            client: control.client.clone(),
            service: control.name.clone(),
            serving,
            since,
            around: self.around.clone(),
        };
        let mut task = JoinSet::new();
        task.spawn(keep_looking(look, halt.clone(), over.clone()));
        self.watcher = Some(Watcher { halt, over, task });
    }

    /// What says that the run must stop; never, where nobody watches.
    pub(super) fn halt(&self) -> CancellationToken {
        self.watcher.as_ref().map_or_else(CancellationToken::new, |watcher| watcher.halt.clone())
    }

    /// Takes a last look, and leaves the counts in the evidence.
    async fn end_watch(&mut self) {
        let Some(mut watcher) = self.watcher.take() else { return };
        watcher.over.cancel();
        let Some(Ok(watch)) = watcher.task.join_next().await else { return };
        let watch = watch.without_own(self.evidence.baseline.as_ref().map_or(0, Baseline::serving_errors));
        if let Some(note) = watch.note() {
            self.evidence.target.notes.push(note.clone());
            self.around.note(note);
        }
        self.evidence.watch = Some(watch);
    }
}

/// Whose errors are looked for, and since when.
struct Look {
    client: Client,
    service: ServiceName,
    serving: String,
    since: Timestamp,
    around: Surroundings,
}

impl Look {
    async fn take(&self) -> Result<Watch, ApiError> {
        let (from, now) = (self.since - BEFORE, self.around.now());
        let filter = format!(
            "{} AND {} AND httpRequest.status>=500 AND timestamp>=\"{from}\"",
            of_revision(&self.service, &self.serving),
            of_log(&self.service, "requests")
        );
        let errors = self.client.list_entries(&self.service, &filter, LogOrder::OldestFirst).await?;
        let during =
            errors.iter().filter(|entry| entry.timestamp.is_none_or(|time| time >= self.since)).count();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Watch::Watched {
            serving: self.serving.clone(),
            before: count(errors.len() - during),
            before_s: BEFORE.as_secs(),
            during: count(during),
            during_s: u64::try_from(now.duration_since(self.since).as_secs()).unwrap_or(0).max(1),
        })
    }

    /// The same, unless the run is over before the log has answered.
    async fn take_before(&self, over: &CancellationToken) -> Option<Result<Watch, ApiError>> {
        let late = async {
            over.cancelled().await;
            sleep(LAST_LOOK).await;
        };
        tokio::select! {
            seen = self.take() => Some(seen),
            () = late => None,
        }
    }
}

async fn keep_looking(look: Look, halt: CancellationToken, over: CancellationToken) -> Watch {
    let unwatched = |why: &str| Watch::Unwatched { serving: look.serving.clone(), why: Excerpt::new(why) };
    let mut last = match look.take_before(&over).await {
        Some(Ok(seen)) => seen,
        Some(Err(error)) => return unwatched(&error.to_string()),
        None => return unwatched("its log did not answer in time"),
    };
    loop {
        if last.rises() {
            halt.cancel();
            return last;
        }
        let is_over = tokio::select! {
            () = over.cancelled() => true,
            () = sleep(EVERY) => false,
        };
        // A look that fails tells nothing new.
        if let Some(Ok(seen)) = look.take_before(&over).await {
            last = seen;
        }
        if is_over {
            return last;
        }
    }
}
