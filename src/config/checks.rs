//! The names of the checks, and which of them a run was asked for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The checks that revgate knows, in the order of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckName {
    /// The candidate is ready by its own conditions.
    Ready,
    /// The sockets reached the candidate and nothing else.
    Identity,
    /// Single sockets open, are answered and stay open.
    Serves,
    /// Rounds of sockets released together do not fail.
    Race,
    /// Agent runs complete.
    Agent,
    /// No user sees another's data.
    Isolation,
    /// Bad tokens are refused properly.
    Auth,
    /// Sockets last.
    Hold,
    /// HTTP endpoints answer.
    Api,
    /// Malformed frames are answered properly.
    Frames,
    /// The revision's log entries are clean.
    Logs,
}

impl CheckName {
    /// All of them, in the order of a report.
    pub const ALL: [Self; 11] = [
        Self::Ready,
        Self::Identity,
        Self::Serves,
        Self::Race,
        Self::Agent,
        Self::Isolation,
        Self::Auth,
        Self::Hold,
        Self::Api,
        Self::Frames,
        Self::Logs,
    ];

    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Identity => "identity",
            Self::Serves => "serves",
            Self::Race => "race",
            Self::Agent => "agent",
            Self::Isolation => "isolation",
            Self::Auth => "auth",
            Self::Hold => "hold",
            Self::Api => "api",
            Self::Frames => "frames",
            Self::Logs => "logs",
        }
    }

    /// True for the four that are asked for without any configuration.
    pub fn is_built_in(self) -> bool {
        matches!(self, Self::Ready | Self::Identity | Self::Serves | Self::Race)
    }
}

impl fmt::Display for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which checks were asked for, and which of those were taken out again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// `--only`: nothing but these; empty: no restriction.
    pub only: Vec<CheckName>,
    /// `--skip`: not these.
    pub skip: Vec<CheckName>,
    /// Those that the configuration asks for by configuring them.
    pub configured: Vec<CheckName>,
}

impl Selection {
    /// True when the check is to run: the four built-in ones and those that are configured, unless taken out, and any that
    /// `--only` names.
    pub fn runs(&self, check: CheckName) -> bool {
        self.is_asked(check) && !self.is_skipped(check)
    }

    /// True when somebody wants it: built in, configured, or named by `--only`.
    pub fn is_asked(&self, check: CheckName) -> bool {
        check.is_built_in() || self.configured.contains(&check) || self.only.contains(&check)
    }

    /// True when it would have been asked for and was taken out by `--skip` or `--only`.
    pub fn is_skipped(&self, check: CheckName) -> bool {
        self.skip.contains(&check) || (!self.only.is_empty() && !self.only.contains(&check))
    }

    /// The checks that were asked for and taken out.
    pub fn skipped(&self) -> Vec<CheckName> {
        CheckName::ALL.into_iter().filter(|&c| self.is_asked(c) && self.is_skipped(c)).collect()
    }
}
