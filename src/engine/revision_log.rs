//! What the revision's log says, once everything else is over.
//!
//! Takes the prober of a run and the control plane; sends one request of our own, waits until the log shows it, and gives
//! the entries that may count. It decides on none of them but by what kind it is. The surprising rule: the entry of our own
//! request is also what tells how far the platform's clock and ours are apart.

mod kinds;
mod tracebacks;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use self::kinds::{kind_of_request, kind_of_system, kind_of_written, reason_of_start, written};
use super::logs::{PAUSE, socket_of};
use super::{Control, EngineError, Run, milliseconds};
use crate::cloudrun::ApiError;
use crate::cloudrun::logs::{LogEntry, LogOrder, of_log, of_revision, of_service, quoted};
use crate::config::{CheckName, LogsSettings};
use crate::judge::{Logged, LoggedKind, LogsRead, LogsSeen, Part};
use crate::probe::{Prober, Sentinel, Series, send_sentinel};
use crate::trust::{Excerpt, escape};

/// How long an application may take to write of what the last socket did.
const AFTERMATH: Duration = Duration::from_secs(1);
/// How long entries of other logs may come after that of our own request.
const STRAGGLERS: Duration = Duration::from_secs(2);
/// Pages that are read of each log.
const PAGES: usize = 10;
/// Entries whose whole text is kept; of more, the beginning.
const WHOLE: usize = 200;
/// The beginning, in characters.
const BEGINNING: usize = 120;
/// Instance starts that are kept.
const STARTS: usize = 1000;

/// Why nothing is concluded from a log.
struct Unread {
    why: String,
    help: String,
}

impl From<ApiError> for Unread {
    fn from(error: ApiError) -> Self {
        Self { why: format!("the log could not be read: {error}"), help: error.help() }
    }
}

impl Run<'_> {
    /// The log of the revision, where it is asked for, and what it proves of this run's requests, where nothing else does.
    pub(super) async fn read_logs(
        &mut self,
        prober: &Prober,
        control: Option<&Control>,
        series: &mut Series,
    ) -> Result<(), EngineError> {
        let settings = self.settings.configured.logs.clone();
        let settings = settings.filter(|_| self.settings.checks.runs(CheckName::Logs));
        if let Some(settings) = settings {
            let began = Instant::now();
            self.course.begin(Part::Logs);
            let seen =
                self.unless_interrupted(self.read_revision_log(prober, control, series, &settings)).await?;
            self.evidence.times.push((CheckName::Logs, milliseconds(began.elapsed())));
            self.evidence.configured.logs = Some(seen);
            self.course.end();
        }
        self.read_own_requests(control).await
    }

    async fn read_revision_log(
        &self,
        prober: &Prober,
        control: Option<&Control>,
        series: &mut Series,
        settings: &LogsSettings,
    ) -> LogsSeen {
        let read = async {
            let control = control.ok_or_else(|| Unread {
                why: "there is no control plane, and so no log to read".to_owned(),
                help:
                    "name --project, --region and --service besides --url, or leave it out with --skip logs"
                        .to_owned(),
            })?;
            Reading { run: self, control, settings }.read(prober, series).await
        };
        read.await.map_or_else(
            |Unread { why, help }| {
                self.around.note(format!("logs: {why}"));
                LogsSeen::Unread { why: Excerpt::new(&self.around.redactor.redact(&why)), help }
            },
            LogsSeen::Read,
        )
    }
}

/// One reading.
struct Reading<'a> {
    run: &'a Run<'a>,
    control: &'a Control,
    settings: &'a LogsSettings,
}

/// The stretch of time that is looked at, by the platform's clock.
struct Stretch {
    began: Timestamp,
    ended: Timestamp,
}

impl Reading<'_> {
    async fn read(&self, prober: &Prober, series: &mut Series) -> Result<LogsRead, Unread> {
        let around = self.run.around;
        sleep(AFTERMATH).await;
        let sentinel = send_sentinel(prober, series).await;
        around.note(format!("logs: waiting until the log shows our own request ({})", sentinel.nonce));
        let sent = around.started_at + Duration::from_micros(sentinel.sent);
        let asking = Instant::now();
        let ended = self.await_sentinel(&sentinel, sent).await?;
        let waited = asking.elapsed();
        sleep(STRAGGLERS).await;
        let apart = ended.duration_since(sent);
        let began = around.started_at.checked_add(apart).unwrap_or(around.started_at);
        let (entries, more, starts) = self.entries(&Stretch { began, ended }).await?;
        Ok(LogsRead {
            severity: self.settings.severity.clone(),
            allow: self.settings.allow.iter().map(|pattern| escape(pattern.as_str())).collect(),
            ended: sentinel.sent / 1000,
            waited: milliseconds(waited),
            entries,
            more,
            starts,
        })
    }

    /// Waits until the log shows our own request; gives its time there.
    async fn await_sentinel(&self, sentinel: &Sentinel, sent: Timestamp) -> Result<Timestamp, Unread> {
        let filter = format!(
            "{} AND {} AND timestamp>=\"{}\" AND httpRequest.userAgent:{}",
            of_service(&self.control.name),
            of_log(&self.control.name, "requests"),
            sent.checked_sub(SignedDuration::from_mins(5)).unwrap_or(sent),
            quoted(&format!("({})", sentinel.nonce))
        );
        let until = Instant::now() + self.settings.patience;
        let mut pause = PAUSE / 6;
        loop {
            let (client, service) = (&self.control.client, &self.control.name);
            let (found, _) = client.list_pages(service, &filter, LogOrder::OldestFirst, 1).await?;
            if let Some((entry, time)) = found.iter().find_map(|entry| Some((entry, entry.timestamp?))) {
                let candidate = &self.control.located.revision;
                if entry.revision() == candidate {
                    return Ok(time);
                }
                return Err(Unread {
                    why: format!("our own request reached {} and not {candidate}", entry.revision()),
                    help: "routing was not finished, or the address is another revision's: run again"
                        .to_owned(),
                });
            }
            if Instant::now() + pause > until {
                return Err(self.unseen(sentinel));
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE);
        }
    }

    /// Why the log did not show our own request.
    fn unseen(&self, sentinel: &Sentinel) -> Unread {
        let patience = self.settings.patience.as_secs();
        let why = format!("the log did not show our own request in {patience} s");
        match &sentinel.trouble {
            Some(trouble) => Unread {
                why: format!("{why}, which the application did not answer: {trouble}"),
                help: "see serves: what answers at this address?".to_owned(),
            },
            None => Unread {
                why,
                help: "wait longer with logs.patience, and see that requests are logged at all (exclusion filters of the \
                       project's log sinks)"
                    .to_owned(),
            },
        }
    }

    async fn list(&self, stretch: &Stretch, rest: &str) -> Result<(Vec<LogEntry>, bool), Unread> {
        let Stretch { began, ended } = stretch;
        let revision = of_revision(&self.control.name, &self.control.located.revision);
        let filter = format!("{revision} AND timestamp>=\"{began}\" AND timestamp<\"{ended}\" AND {rest}");
        let (client, service) = (&self.control.client, &self.control.name);
        Ok(client.list_pages(service, &filter, LogOrder::OldestFirst, PAGES).await?)
    }

    /// All that may count, whether there is more than was read, and the starts of instances.
    async fn entries(&self, stretch: &Stretch) -> Result<(Vec<Logged>, bool, Vec<(u64, Excerpt)>), Unread> {
        let log = |name| of_log(&self.control.name, name);
        let (requests, system) = (log("requests"), log("varlog/system"));
        let (mut said, all_said) = self.list(stretch, &written(self.settings, &requests, &system)).await?;
        self.complete(stretch, &mut said).await?;
        let failed = format!("{requests} AND httpRequest.status>=500");
        let (failed, all_failed) = self.list(stretch, &failed).await?;
        let (system, all_system) = self.list(stretch, &system).await?;
        let mut entries = Vec::new();
        for entry in &said {
            let plain = entry.severity.is_empty() || entry.severity == "DEFAULT";
            let kind = kind_of_written(entry.text().raw(), !plain);
            self.keep(&mut entries, stretch, entry, kind);
        }
        for entry in &failed {
            self.keep(&mut entries, stretch, entry, kind_of_request(entry.text().raw()));
        }
        let mut starts = Vec::new();
        for entry in &system {
            let text = entry.text().raw();
            if let Some(reason) = reason_of_start(text).filter(|_| starts.len() < STARTS) {
                starts.push((stretch.at(entry), Excerpt::new(reason)));
            }
            if let Some(kind) = kind_of_system(text) {
                self.keep(&mut entries, stretch, entry, kind);
            }
        }
        Ok((entries, !(all_said && all_failed && all_system), starts))
    }

    fn keep(&self, entries: &mut Vec<Logged>, stretch: &Stretch, entry: &LogEntry, kind: LoggedKind) {
        let redactor = &self.run.around.redactor;
        let raw = entry.text().raw();
        let allowed = self.settings.allow.iter().position(|pattern| pattern.is_match(raw));
        let mut text = redactor.redact_cut(raw);
        if entries.len() >= WHOLE {
            text = text.chars().take(BEGINNING).collect();
        }
        if entry.http_request.is_some() {
            let status = format!("status {}", entry.status());
            text = if text.is_empty() { status } else { format!("{status}: {text}") };
        }
        entries.push(Logged {
            at: stretch.at(entry),
            kind,
            severity: entry.severity.clone(),
            text: Excerpt::new(&text),
            socket: socket_of(entry, &self.run.id),
            allowed,
        });
    }
}

impl Stretch {
    /// Milliseconds from its beginning.
    fn at(&self, entry: &LogEntry) -> u64 {
        let since = entry.timestamp.map(|time| time.duration_since(self.began).as_millis());
        since.and_then(|since| u64::try_from(since).ok()).unwrap_or(0)
    }
}
