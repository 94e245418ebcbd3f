//! One check and its outcome.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::CheckName;
use crate::trust::one_line;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It holds, on enough evidence.
    Pass,
    /// It does not hold.
    Fail,
    /// It could not be found out.
    Inconclusive,
    /// It was taken out by `--skip` or `--only`.
    Skipped,
    /// Nobody asked for it.
    NotAsked,
}

impl Outcome {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Skipped => "skipped",
            Self::NotAsked => "not-asked",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One check with the numbers behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: CheckName,
    /// How it ended.
    pub outcome: Outcome,
    /// One line with the numbers that decided it.
    pub summary: String,
    /// Everything behind it, by name.
    pub evidence: Value,
    /// What to do about it; empty for a pass.
    pub help: Vec<String>,
}

impl Check {
    /// A check without evidence of its own. The summary may quote a server or a record: it is made safe to show.
    pub fn bare(name: CheckName, outcome: Outcome, summary: impl AsRef<str>) -> Self {
        Self {
            name,
            outcome,
            summary: one_line(summary.as_ref()),
            evidence: Value::Object(serde_json::Map::new()),
            help: Vec::new(),
        }
    }

    /// The same with evidence.
    #[must_use]
    pub fn with_evidence(mut self, evidence: Value) -> Self {
        self.evidence = evidence;
        self
    }

    /// The same with a line of help, made safe to show.
    #[must_use]
    pub fn with_help(mut self, help: impl AsRef<str>) -> Self {
        self.help.push(one_line(help.as_ref()));
        self
    }
}
