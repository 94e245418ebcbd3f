//! What was seen of the revision's log.
//!
//! These values are what a recorded run holds; their texts were escaped and redacted. They hold no opinion on an entry but
//! its kind and which pattern of the configuration it matches. The surprising rule: "read" means that our own request was
//! seen first; without it there is nothing here but the reason.

use serde::{Deserialize, Serialize};

use crate::trust::Excerpt;

/// What was seen of the revision's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "result")]
pub enum LogsSeen {
    /// Nothing can be concluded from it.
    Unread {
        /// Why not.
        why: Excerpt,
        /// What to do about it.
        help: String,
    },
    /// It showed our own request, and was then read.
    Read(LogsRead),
}

/// A log that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LogsRead {
    /// The lowest severity that counts.
    pub severity: String,
    /// Patterns that excuse an entry, as they were written.
    pub allow: Vec<String>,
    /// When our own request was sent, in milliseconds since the start of the run: entries after it are not looked at.
    pub ended: u64,
    /// How long the log took to show it, in milliseconds.
    pub waited: u64,
    /// Entries that may count, of each log in the order of their times.
    pub entries: Vec<Logged>,
    /// True when there were more of them than are read.
    pub more: bool,
    /// Instances that started: when, in milliseconds since the start of the run, and why.
    pub starts: Vec<(u64, Excerpt)>,
}

/// An entry that may count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Logged {
    /// When, in milliseconds since the start of the run, by the clock of the run.
    pub at: u64,
    /// What it tells.
    pub kind: LoggedKind,
    /// Its severity; empty where it has none.
    pub severity: String,
    /// What it says.
    pub text: Excerpt,
    /// The socket or request of this run that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<u32>,
    /// The pattern that it matches, by its index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<usize>,
}

/// What an entry tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoggedKind {
    /// The application wrote it with a severity that counts.
    Error,
    /// The application wrote the beginning of a Python traceback, without a severity.
    Traceback,
    /// The same, and all that it says is that a client has left.
    Departure,
    /// A request ended with 5xx.
    ServerError,
    /// The same, and the platform says that the connection to the instance broke.
    BrokenRequest,
    /// The same, and the platform says that it took longer than the revision's time-out.
    TimedOut,
    /// The same, and the platform says that no instance had room.
    NoInstance,
    /// A container ended by itself, or was ended.
    Crash,
    /// A container took more memory than it may.
    Memory,
    /// A probe of the platform failed.
    Probe,
}

impl LoggedKind {
    /// True for what a pattern of the configuration may excuse: what the application wrote, and what a probe of the
    /// platform's met. A crash, memory and 5xx it never excuses.
    pub(super) fn is_excusable(self) -> bool {
        matches!(self, Self::Error | Self::Traceback | Self::Departure | Self::Probe)
    }

    /// What so many of them are called.
    pub(super) fn words(self, count: usize) -> String {
        let (one, many) = match self {
            Self::Error => ("error of the application", "errors of the application"),
            Self::Traceback => ("traceback", "tracebacks"),
            Self::Departure => ("traceback of a client's leaving", "tracebacks of clients' leaving"),
            Self::ServerError => ("request with 5xx", "requests with 5xx"),
            Self::BrokenRequest => {
                ("request broken off by the instance", "requests broken off by the instance")
            }
            Self::TimedOut => ("request beyond the time-out", "requests beyond the time-out"),
            Self::NoInstance => ("request without an instance", "requests without an instance"),
            Self::Crash => ("crash", "crashes"),
            Self::Memory => ("container out of memory", "containers out of memory"),
            Self::Probe => ("failed probe", "failed probes"),
        };
        format!("{count} {}", if count == 1 { one } else { many })
    }
}
