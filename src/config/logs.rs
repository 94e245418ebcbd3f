//! `logs:` is what it takes to find out whether the revision's log entries are clean.
//!
//! Takes the sources; gives the settings, or `None` where nobody asks. It reads no log. The surprising rule: what may be
//! forgiven is a pattern over the entry's text and never a number of entries, since "up to five errors" is forgiven also
//! when they are five other errors.

use std::time::Duration;

use serde::Deserialize;

use super::error::ConfigError;
use super::scalars::Text;
use super::sources::Sources;
use super::suggest::did_you_mean;
use super::values::{self, Flaw, quoted};
use crate::trust::escape;

/// How long our own request is waited for, where nothing else is configured.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(90);
/// The lowest severity that counts, where nothing else is configured.
const DEFAULT_SEVERITY: &str = "ERROR";
/// Severities in their order. Source: `google.logging.type.LogSeverity`.
const SEVERITIES: [&str; 8] =
    ["DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"];

/// `logs:` as it was written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct LogsModel {
    severity: Option<Text>,
    allow: Option<Vec<Text>>,
    patience: Option<Text>,
}

/// What the check `logs` is to do.
#[derive(Debug, Clone)]
pub struct LogsSettings {
    /// The lowest severity that counts, in Cloud Logging's words.
    pub severity: String,
    /// Entries with such a text are excused.
    pub allow: Vec<regex::Regex>,
    /// How long our own request is waited for.
    pub patience: Duration,
}

impl LogsSettings {
    /// What it will cost, in one line.
    pub(crate) fn words(&self) -> String {
        let excused = match self.allow.len() {
            0 => String::new(),
            count => format!(", entries of {count} patterns excused"),
        };
        format!(
            "logs: one request, then up to {} s until the log shows it; entries from {} on count{excused}",
            self.patience.as_secs(),
            self.severity
        )
    }
}

/// What is asked for; `None` where nothing is.
pub(crate) fn logs(sources: &Sources<'_>) -> Result<Option<LogsSettings>, ConfigError> {
    let Some(model) = &sources.file.model.logs else { return Ok(None) };
    let named = sources.one(None, model.severity.as_ref(), &["logs", "severity"], severity)?;
    let allow = sources.many(None, model.allow.as_ref(), &["logs", "allow"], pattern)?;
    let keys = ["logs", "patience"];
    let patience = sources.one(None, model.patience.as_ref(), &keys, values::positive_duration)?;
    Ok(Some(LogsSettings {
        severity: named.map_or_else(|| DEFAULT_SEVERITY.to_owned(), |found| found.value),
        allow: allow.map_or_else(Vec::new, |found| found.value),
        patience: patience.map_or(DEFAULT_PATIENCE, |found| found.value),
    }))
}

fn severity(text: &str) -> Result<String, Flaw> {
    if let Some(known) = SEVERITIES.iter().find(|known| **known == text) {
        return Ok((*known).to_owned());
    }
    let guess = did_you_mean(text, &SEVERITIES.map(str::to_ascii_lowercase).each_ref().map(String::as_str))
        .map_or_else(String::new, |guess| format!(", did you mean {}?", guess.to_ascii_uppercase()));
    Err(Flaw::new(format!("there is no severity {}{guess}", quoted(text)))
        .help(format!("these exist: {}", SEVERITIES.join(", "))))
}

fn pattern(text: &str) -> Result<regex::Regex, Flaw> {
    let pattern = regex::Regex::new(text).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
        Flaw::new(format!("the pattern is not a regular expression: {}", escape(reason)))
    })?;
    if pattern.is_match("") {
        return Err(Flaw::new("the pattern matches the empty text, and so excuses every entry")
            .help("name what is excused, as in: \"token of .* is not accepted\""));
    }
    Ok(pattern)
}
