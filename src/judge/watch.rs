//! Did the revision that serves begin to fail while the candidate was probed?
//!
//! Takes how many of its requests ended with a status of 500 or more, before the run and during it, and says whether that
//! is a rise. It asks for no log. The surprising rule: errors are counted by time and not by requests, since all requests
//! of a busy service cannot be read from its log; where its traffic grows, its errors grow with it, and the run is stopped
//! for nothing, which costs no more than another run.

use serde::{Deserialize, Serialize};

use super::check::{Check, Outcome};
use super::evidence::Evidence;
use super::statistics::rise;
use crate::config::CheckName;
use crate::revision::command;
use crate::trust::Excerpt;

/// Fewer new errors than this are none.
const LEAST: u32 = 5;
/// As many errors would come by chance in one of so many windows, or less often.
const SIGNIFICANT: f64 = 0.001;

/// What was seen of the serving revision's errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "state")]
pub enum Watch {
    /// Its log was read.
    Watched {
        /// Short name of the revision.
        serving: String,
        /// Requests with a status of 500 or more before the run.
        before: u32,
        /// How long before the run that counts, in seconds.
        before_s: u64,
        /// The same during the run, without those of the run's own sockets.
        during: u32,
        /// How long the run had taken when its log was last read, in seconds.
        during_s: u64,
    },
    /// Its log could not be read.
    Unwatched {
        /// Short name of the revision.
        serving: String,
        /// Why not.
        why: Excerpt,
    },
}

impl Watch {
    /// True when at least five requests failed, and so many would come in one of a thousand windows at most, were the rate
    /// what it was before (an exact test on the counts, each look by itself).
    pub fn rises(&self) -> bool {
        match self {
            Self::Watched { during, .. } => *during >= LEAST && self.chance() < SIGNIFICANT,
            Self::Unwatched { .. } => false,
        }
    }

    /// How often so many would come by chance.
    fn chance(&self) -> f64 {
        match self {
            Self::Watched { before, before_s, during, during_s, .. } => {
                rise((*during, *during_s), (*before, *before_s))
            }
            Self::Unwatched { .. } => 1.0,
        }
    }

    /// The same without the sockets that this run itself opened there, of which so many were refused with 5xx.
    #[must_use]
    pub fn without_own(self, own: u32) -> Self {
        match self {
            Self::Watched { serving, before, before_s, during, during_s } => {
                let during = during.saturating_sub(own);
                Self::Watched { serving, before, before_s, during, during_s }
            }
            unwatched @ Self::Unwatched { .. } => unwatched,
        }
    }

    /// What a report notes, where there is anything to note.
    pub fn note(&self) -> Option<String> {
        match self {
            Self::Watched { .. } => self.rises().then(|| self.words()),
            Self::Unwatched { serving, why } => {
                Some(format!("the errors of the serving revision {serving} were not watched: {why}"))
            }
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Watched { serving, before, before_s, during, during_s } => format!(
                "{during} requests of the serving revision {serving} ended with 5xx in {during_s} s of this run, after \
                 {before} in the {before_s} s before it (p = {:.0e})",
                self.chance()
            ),
            Self::Unwatched { .. } => String::new(),
        }
    }
}

/// A check that is no failure shows nothing any more when the serving revision began to fail meanwhile.
pub(super) fn held_back(check: Check, evidence: &Evidence) -> Check {
    let harmed = evidence.watch.as_ref().filter(|watch| watch.rises());
    let concerned = matches!(check.name, CheckName::Serves | CheckName::Race);
    let decided = matches!(check.outcome, Outcome::Pass | Outcome::Inconclusive);
    let (Some(watch @ Watch::Watched { serving, .. }), true, true) = (harmed, concerned, decided) else {
        return check;
    };
    let words = format!("{}; {}", check.summary, watch.words());
    let held = Check { help: check.help, ..Check::bare(check.name, Outcome::Inconclusive, words) };
    let log = evidence.target.service.as_ref().map_or_else(
        || "its log".to_owned(),
        |service| format!("its log: {}", command::errors_of(service, serving)),
    );
    held.with_evidence(check.evidence)
        .with_help(format!("look at {log}; then run it again, with lower `limits:`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(before: u32, during: u32, during_s: u64) -> Watch {
        Watch::Watched { serving: "s-1".to_owned(), before, before_s: 600, during, during_s }
    }

    #[test]
    fn five_after_none_are_a_rise_and_four_never_are() {
        assert!(watched(0, 5, 180).rises());
        assert!(!watched(0, 4, 1).rises());
        assert!(!watched(0, 0, 0).rises());
        assert!(!watched(0, 9, 180).without_own(5).rises() && watched(0, 9, 180).without_own(4).rises());
        // As many a second as before.
        assert!(!watched(600, 180, 180).rises());
        assert!(watched(600, 260, 180).rises());
        assert!(!Watch::Unwatched { serving: "s-1".to_owned(), why: Excerpt::new("no") }.rises());
    }

    #[test]
    fn a_rise_is_noted_with_its_numbers() {
        let words = "7 requests of the serving revision s-1 ended with 5xx in 31 s of this run, after 1 in the 600 s before it";
        assert!(watched(1, 7, 31).note().unwrap().starts_with(words));
        assert_eq!(watched(9, 3, 180).note(), None);
    }
}
