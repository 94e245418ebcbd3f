//! Tracebacks that the platform took for one entry a line: what was the exception?
//!
//! Takes entries that are nothing but a traceback's first line, and completes each by the line that names its exception. It
//! adds no entry. The surprising rule: without this no pattern could excuse one exception, since the first line is the same
//! for all of them.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::kinds::TRACEBACK;
use super::{Reading, Stretch, Unread};
use crate::cloudrun::logs::LogEntry;

/// How long after a traceback's first line its exception is looked for.
const LENGTH: SignedDuration = SignedDuration::from_secs(5);

impl Reading<'_> {
    /// Completes tracebacks of which only the first line is known.
    pub(super) async fn complete(&self, stretch: &Stretch, said: &mut [LogEntry]) -> Result<(), Unread> {
        let times = || said.iter().filter(|entry| is_bare(entry)).filter_map(|entry| entry.timestamp);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(()) };
        let ended = last.checked_add(LENGTH).unwrap_or(last).min(stretch.ended);
        // Lines of a traceback are indented, but for the one that names the exception.
        let named = "textPayload=~\"^[A-Za-z_]\" AND logName=~\"run.googleapis.com%2F(stdout|stderr)$\"";
        let (lines, _) = self.list(&Stretch { began: first, ended }, named).await?;
        let mut by_source: HashMap<_, Vec<(Timestamp, &LogEntry)>> = HashMap::new();
        for line in &lines {
            let Some(time) = line.timestamp else { continue };
            by_source.entry(source(line)).or_default().push((time, line));
        }
        for entry in said.iter_mut().filter(|entry| is_bare(entry)) {
            let Some(began) = entry.timestamp else { continue };
            let Some(known) = by_source.get(&source(entry)) else { continue };
            let from = known.partition_point(|(time, _)| *time < began);
            let exception = known[from..].iter().find(|(_, line)| !line.text().raw().starts_with(TRACEBACK));
            let near = exception.filter(|(time, _)| time.duration_since(began) <= LENGTH);
            if let Some((_, line)) = near {
                let text = format!("{}: {}", TRACEBACK, line.text().raw());
                entry.say(&text);
            }
        }
        Ok(())
    }
}

/// True for the first line of a traceback and nothing else.
fn is_bare(entry: &LogEntry) -> bool {
    entry.text().raw().trim().trim_end_matches(':') == TRACEBACK
}

/// Which instance wrote it, and where.
fn source(entry: &LogEntry) -> (String, String) {
    (entry.instance().unwrap_or_default().to_owned(), entry.log_name.clone())
}
