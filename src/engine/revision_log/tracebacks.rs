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
/// What stands between the exceptions of a chain: the last of them is the one that was raised.
const CHAINED: [&str; 2] =
    ["During handling of the above exception", "The above exception was the direct cause"];

/// Lines that are not indented, of one source, in the order of their times.
type Lines<'a> = Vec<(Timestamp, &'a LogEntry)>;

impl Reading<'_> {
    /// Completes tracebacks of which only the first line is known, and leaves one of each chain.
    pub(super) async fn complete(&self, stretch: &Stretch, said: &mut Vec<LogEntry>) -> Result<(), Unread> {
        let times = || said.iter().filter(|entry| is_bare(entry)).filter_map(|entry| entry.timestamp);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(()) };
        let ended = last.checked_add(LENGTH).unwrap_or(last).min(stretch.ended);
        // Lines of a traceback are indented, but for the one that names the exception.
        let named = "textPayload=~\"^[A-Za-z_]\" AND textPayload!~\"^(DEBUG|INFO|WARNING|ERROR|CRITICAL)\" AND logName=~\"run.googleapis.com%2F(stdout|stderr)$\"";
        let (lines, _) = self.list(&Stretch { began: first, ended }, named).await?;
        let mut by_source: HashMap<_, Lines<'_>> = HashMap::new();
        for line in &lines {
            let Some(time) = line.timestamp else { continue };
            by_source.entry(source(line)).or_default().push((time, line));
        }
        said.retain_mut(|entry| {
            let known = by_source.get(&source(entry)).filter(|_| is_bare(entry));
            known.is_none_or(|lines| completed(entry, lines))
        });
        Ok(())
    }
}

/// Completes a traceback by its exception; false where another one of the same chain follows.
fn completed(entry: &mut LogEntry, lines: &Lines<'_>) -> bool {
    let Some(began) = entry.timestamp else { return true };
    let from = lines.partition_point(|(time, _)| *time < began);
    let near = lines[from..].iter().take_while(|(time, _)| time.duration_since(began) <= LENGTH);
    let mut texts = near.map(|(_, line)| line.text().raw()).skip_while(|text| text.starts_with(TRACEBACK));
    let Some(exception) = texts.next() else { return true };
    let words = format!("{TRACEBACK}: {exception}");
    let is_chained = texts.next().is_some_and(|text| CHAINED.iter().any(|chained| text.starts_with(chained)));
    entry.say(&words);
    !is_chained
}

/// True for the first line of a traceback and nothing else.
fn is_bare(entry: &LogEntry) -> bool {
    entry.text().raw().trim().trim_end_matches(':') == TRACEBACK
}

/// Which instance wrote it, and where.
fn source(entry: &LogEntry) -> (String, String) {
    (entry.instance().unwrap_or_default().to_owned(), entry.log_name.clone())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde_json::json;

    use super::*;

    fn line(second: u32, text: &str) -> LogEntry {
        let time = format!("2026-11-23T20:28:{second:02}.5Z");
        LogEntry::deserialize(json!({ "timestamp": time, "textPayload": text })).unwrap()
    }

    #[test]
    fn a_traceback_is_named_by_its_exception_and_a_chain_by_its_last() {
        let said = [
            line(1, "Traceback (most recent call last):"),
            line(1, "websockets.Closed: 1000"),
            line(1, "During handling of the above exception, another exception occurred:"),
            line(2, "Traceback (most recent call last):"),
            line(2, "TypeError: not serialisable"),
            line(30, "INFO: much later"),
        ];
        let lines: Lines<'_> = said.iter().map(|line| (line.timestamp.unwrap(), line)).collect();
        let mut first = said[0].clone();
        assert!(!completed(&mut first, &lines), "another of the chain follows");
        let mut second = said[3].clone();
        assert!(completed(&mut second, &lines));
        assert_eq!(second.text().raw(), "Traceback (most recent call last): TypeError: not serialisable");
        let mut alone = line(20, "Traceback (most recent call last):");
        assert!(completed(&mut alone, &lines) && is_bare(&alone), "nothing came soon enough");
    }
}
