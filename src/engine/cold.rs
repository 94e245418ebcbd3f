//! What the project's log says of instances that were made to start.
//!
//! Takes the rounds of a campaign that is over; gives which instance took which socket, and which instances started
//! meanwhile. The surprising rule: a socket's entry is written when the socket ends, and comes some seconds later, so the
//! log is asked again until it knows all that were held, or for a minute.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::logs::{PAUSE, since, socket_of, until};
use super::{Control, EngineError, Run};
use crate::cloudrun::ApiError;
use crate::cloudrun::logs::{LogEntry, LogOrder, of_log, of_revision, quoted};
use crate::judge::LogProof;
use crate::probe::{Opening, Round, Stage};

/// How long entries are waited for.
const PATIENCE: Duration = Duration::from_mins(1);

impl Run<'_> {
    /// What the log says; `None` where there is none to ask.
    pub(super) async fn read_starts(
        &self,
        control: Option<&Control>,
        rounds: &[Round],
    ) -> Result<Option<LogProof>, EngineError> {
        let Some(control) = control else { return Ok(None) };
        let cold = || rounds.iter().filter(|round| round.stage == Stage::Cold);
        let at = |micros| self.around.started_at + Duration::from_micros(micros);
        let (Some(began), Some(ended)) =
            (cold().map(|round| round.started).min(), cold().map(|round| round.ended).max())
        else {
            return Ok(None);
        };
        let opened = cold().flat_map(|round| &round.observations);
        let due = opened.filter(|seen| matches!(seen.opening, Opening::Opened { .. }));
        let due: BTreeSet<u32> = due.map(|seen| seen.socket).collect();
        self.around.note("reading the log: which instances started");
        let question = Question {
            run: &self.id,
            due,
            run_began: self.around.started_at,
            began: at(began),
            ended: at(ended),
        };
        let asked = self.unless_interrupted(question.ask(control)).await?;
        Ok(Some(asked.unwrap_or_else(|error| {
            let why = format!("{error}; {}", error.help());
            self.around.note(format!("the log could not be read: {why}"));
            LogProof::Unread { why }
        })))
    }
}

/// What is asked of the log.
struct Question<'a> {
    run: &'a str,
    /// Sockets that were held.
    due: BTreeSet<u32>,
    /// When the run began; when its first and its last cold round did.
    run_began: Timestamp,
    began: Timestamp,
    ended: Timestamp,
}

impl Question<'_> {
    async fn ask(&self, control: &Control) -> Result<LogProof, ApiError> {
        let (client, service) = (&control.client, &control.name);
        let requests = format!("httpRequest.userAgent:{}", quoted(self.run));
        let requests = self.filter(control, "requests", self.run_began, &requests);
        let starts = "textPayload:\"Starting new instance. Reason:\"";
        let starts = self.filter(control, "varlog/system", self.began, starts);
        let until = Instant::now() + PATIENCE;
        loop {
            let found = client.list_entries(service, &requests, LogOrder::OldestFirst).await?;
            let taken = found.iter().filter_map(|entry| taken(entry, self.run));
            let instances: Vec<(u32, String)> = taken.collect();
            let known: BTreeSet<u32> = instances.iter().map(|(socket, _)| *socket).collect();
            if self.due.is_subset(&known) || Instant::now() >= until {
                let found = client.list_entries(service, &starts, LogOrder::OldestFirst).await?;
                let started = found.iter().filter_map(|entry| self.started(entry)).collect();
                return Ok(LogProof::Read { instances, started });
            }
            sleep(PAUSE).await;
        }
    }

    /// Of the candidate's entries those from `since` to the last cold round. A request's entry has the time of its coming,
    /// so the patterns that follow are not among them: a page or two at each look.
    fn filter(&self, control: &Control, log: &str, from: Timestamp, rest: &str) -> String {
        let revision = of_revision(&control.name, &control.located.revision);
        let (log, since, until) = (of_log(&control.name, log), since(from), until(self.ended));
        format!("{revision} AND {log} AND {since} AND {until} AND {rest}")
    }

    /// An instance that started, and when, in microseconds since the start of the run.
    fn started(&self, entry: &LogEntry) -> Option<(String, u64)> {
        let since = entry.timestamp?.duration_since(self.run_began).as_micros();
        Some((entry.instance()?.to_owned(), u64::try_from(since).unwrap_or(0)))
    }
}

/// The socket that a request's entry is about, and the instance that took it.
fn taken(entry: &LogEntry, run: &str) -> Option<(u32, String)> {
    Some((socket_of(entry, run)?, entry.instance()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde_json::{Value, json};

    use super::*;

    fn entry(raw: &Value) -> LogEntry {
        LogEntry::deserialize(raw).unwrap()
    }

    #[test]
    fn an_entry_names_the_socket_by_its_user_agent_and_the_instance_by_its_label() {
        let of = |agent: &str, labels: Value| {
            entry(&json!({"httpRequest": {"userAgent": agent}, "labels": labels}))
        };
        let found = of("revgate/0.1.0 (00ff-17)", json!({"instanceId": "00ab"}));
        assert_eq!(taken(&found, "00ff"), Some((17, "00ab".to_owned())));
        assert_eq!(taken(&found, "00fe"), None, "another run's");
        assert_eq!(taken(&of("revgate/0.1.0 (00ff-17)", json!({})), "00ff"), None);
        assert_eq!(taken(&of("curl", json!({"instanceId": "00ab"})), "00ff"), None);
        assert_eq!(taken(&LogEntry::default(), "00ff"), None);
    }

    #[test]
    fn a_start_before_the_run_counts_from_its_beginning() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let question = Question {
            run: "00ff",
            due: BTreeSet::new(),
            run_began: time("2026-11-23T20:28:12Z"),
            began: time("2026-11-23T20:28:20Z"),
            ended: time("2026-11-23T20:28:30Z"),
        };
        let start = |at: &str| entry(&json!({"timestamp": at, "labels": {"instanceId": "00ab"}}));
        assert_eq!(question.started(&start("2026-11-23T20:28:13Z")), Some(("00ab".to_owned(), 1_000_000)));
        assert_eq!(question.started(&start("2026-11-23T20:28:11Z")), Some(("00ab".to_owned(), 0)));
        assert_eq!(question.started(&start("now")), None);
    }
}
