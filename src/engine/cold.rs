//! What the project's log says of instances that were made to start.
//!
//! Takes the rounds of a campaign that is over; gives which instance took which socket, and which instances started
//! meanwhile. The surprising rule: a socket's entry is written when the socket ends, and comes some seconds later, so the
//! log is asked again until it knows all that were held, or for a minute.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use super::{Control, EngineError, Run};
use crate::cloudrun::ApiError;
use crate::cloudrun::logs::{LogEntry, LogOrder, of_log, of_revision, quoted};
use crate::judge::LogProof;
use crate::probe::{Opening, Round, Stage};

/// How long entries are waited for.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// How far our clock and the platform's may be apart.
const CLOCKS: SignedDuration = SignedDuration::from_secs(5);

impl Run<'_> {
    /// What the log says; `None` where there is none to ask. `run` is the text that every socket of this run sent.
    pub(super) async fn read_starts(
        &self,
        control: Option<&Control>,
        rounds: &[Round],
        run: &str,
    ) -> Result<Option<LogProof>, EngineError> {
        let Some(control) = control else { return Ok(None) };
        let cold = || rounds.iter().filter(|round| round.stage == Stage::Cold);
        let Some(began) = cold().map(|round| round.started).min() else { return Ok(None) };
        let opened = cold().flat_map(|round| &round.observations);
        let due: BTreeSet<u32> = opened
            .filter(|seen| matches!(seen.opening, Opening::Opened { .. }))
            .map(|seen| seen.socket)
            .collect();
        self.around.note("reading the log: which instances started");
        let began = self.around.started_at + Duration::from_micros(began);
        let asked = self.unless_interrupted(ask(control, began, &due, run, self.around.started_at)).await?;
        Ok(Some(asked.unwrap_or_else(|error| {
            let why = format!("{error}; {}", error.help());
            self.around.note(format!("the log could not be read: {why}"));
            LogProof::Unread { why }
        })))
    }
}

async fn ask(
    control: &Control,
    began: Timestamp,
    due: &BTreeSet<u32>,
    run: &str,
    run_began: Timestamp,
) -> Result<LogProof, ApiError> {
    let (service, until) = (&control.name, Instant::now() + PATIENCE);
    let of = |log: &str, since: Timestamp, rest: &str| {
        let since = since.checked_sub(CLOCKS).unwrap_or(since);
        let revision = of_revision(service, &control.located.revision);
        format!("{revision} AND {} AND timestamp>=\"{since}\" AND {rest}", of_log(service, log))
    };
    let requests = of("requests", run_began, &format!("httpRequest.userAgent:{}", quoted(run)));
    let starts = of("varlog/system", began, "textPayload:\"Starting new instance. Reason:\"");
    loop {
        let found = control.client.list_entries(service, &requests, LogOrder::OldestFirst).await?;
        let instances: Vec<(u32, String)> = found.iter().filter_map(|entry| taken(entry, run)).collect();
        let known: BTreeSet<u32> = instances.iter().map(|(socket, _)| *socket).collect();
        if due.is_subset(&known) || Instant::now() >= until {
            let found = control.client.list_entries(service, &starts, LogOrder::OldestFirst).await?;
            let started = found.iter().filter_map(|entry| entry.instance().map(str::to_owned)).collect();
            return Ok(LogProof::Read { instances, started });
        }
        sleep(PAUSE).await;
    }
}

/// The socket that a request's entry is about, and the instance that took it.
fn taken(entry: &LogEntry, run: &str) -> Option<(u32, String)> {
    let agent = &entry.http_request.as_ref()?.user_agent;
    let (_, socket) = agent.split_once(&format!("{run}-"))?;
    let digits = socket.find(|c: char| !c.is_ascii_digit()).unwrap_or(socket.len());
    Some((socket[..digits].parse().ok()?, entry.instance()?.to_owned()))
}
