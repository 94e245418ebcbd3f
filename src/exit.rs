//! Exit codes: the only place that knows the numbers.
//!
//! Takes an outcome and gives the code that a pipeline acts on. 0 is reached through `Approved` alone wherever a
//! revision is judged.

use crate::judge::Verdict;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Approved (and promoted, where that was asked), or a command without a verdict did its work.
    Success,
    /// A defect in revgate.
    Defect,
    /// Usage or configuration.
    Usage,
    /// Could not ask: credentials, permissions, API, network.
    CouldNotAsk,
    /// A check failed.
    Blocked,
    /// Too little evidence.
    Inconclusive,
    /// Traffic is not as it should be: a person must look.
    TrafficAstray,
    /// SIGHUP, after clean-up.
    HungUp,
    /// SIGINT, after clean-up.
    Interrupted,
    /// SIGTERM, after clean-up.
    Terminated,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Defect => 1,
            Self::Usage => 2,
            Self::CouldNotAsk => 3,
            Self::Blocked => 10,
            Self::Inconclusive => 11,
            Self::TrafficAstray => 13,
            Self::HungUp => 129,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Approved => Self::Success,
            Verdict::Inconclusive => Self::Inconclusive,
            Verdict::Blocked => Self::Blocked,
        }
    }
}
