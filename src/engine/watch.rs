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
/// From one look to the next: as a rule 12 of the 60 reads a minute that a project has.
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
        self.end_watch().await
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

    /// Takes a last look, and leaves the counts in the evidence. Whoever interrupts the run does not wait for a log.
    async fn end_watch(&mut self) -> Result<(), EngineError> {
        let Some(mut watcher) = self.watcher.take() else { return Ok(()) };
        watcher.over.cancel();
        let last_look = self.unless_interrupted(watcher.task.join_next()).await?;
        let Some(Ok(watch)) = last_look else { return Ok(()) };
        let watch = watch.without_own(self.evidence.baseline.as_ref().map_or(0, Baseline::serving_errors));
        if let Some(note) = watch.note() {
            self.evidence.target.notes.push(note.clone());
            self.around.note(note);
        }
        self.evidence.watch = Some(watch);
        Ok(())
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
    /// How many requests ended with 5xx from a time on, before another where there is one.
    async fn errors(&self, from: Timestamp, to: Option<Timestamp>) -> Result<u32, ApiError> {
        let end = to.map_or_else(String::new, |to| format!(" AND timestamp<\"{to}\""));
        let filter = format!(
            "{} AND {} AND httpRequest.status>=500 AND timestamp>=\"{from}\"{end}",
            of_revision(&self.service, &self.serving),
            of_log(&self.service, "requests")
        );
        let errors = self.client.list_entries(&self.service, &filter, LogOrder::OldestFirst).await?;
        Ok(u32::try_from(errors.len()).unwrap_or(u32::MAX))
    }

    async fn before(&self) -> Result<u32, ApiError> {
        self.errors(self.since - BEFORE, Some(self.since)).await
    }

    /// The counts as they are now. Those of before are read again where they matter: entries come late.
    async fn take(&self, before: u32) -> Result<Watch, ApiError> {
        let during_s = self.around.now().duration_since(self.since).as_secs();
        let during = self.errors(self.since, None).await?;
        let seen = |before| Watch::Watched {
            serving: self.serving.clone(),
            before,
            before_s: BEFORE.as_secs(),
            during,
            during_s: u64::try_from(during_s).unwrap_or(0).max(1),
        };
        if seen(before).rises() { Ok(seen(self.before().await?)) } else { Ok(seen(before)) }
    }
}

async fn keep_looking(look: Look, halt: CancellationToken, over: CancellationToken) -> Watch {
    let unwatched = |why: &str| Watch::Unwatched { serving: look.serving.clone(), why: Excerpt::new(why) };
    let before = match in_time(&over, look.before()).await {
        Some(Ok(before)) => before,
        Some(Err(error)) => return unwatched(&error.to_string()),
        None => return unwatched("its log did not answer in time"),
    };
    let mut last = unwatched("its log was never read during the run");
    loop {
        let is_over = over.is_cancelled();
        // A look that fails tells nothing new.
        if let Some(Ok(seen)) = in_time(&over, look.take(before)).await {
            last = seen;
        }
        if last.rises() {
            halt.cancel();
        }
        if is_over || last.rises() {
            return last;
        }
        tokio::select! {
            () = over.cancelled() => {}
            () = sleep(EVERY) => {}
        }
    }
}

/// What is looked for, unless the run is over before the log has answered.
async fn in_time<T>(over: &CancellationToken, look: impl Future<Output = T>) -> Option<T> {
    let late = async {
        over.cancelled().await;
        sleep(LAST_LOOK).await;
    };
    tokio::select! {
        seen = look => Some(seen),
        () = late => None,
    }
}
