//! What was seen of whole conversations: facts, with times, and no opinion.
//!
//! These values are all that the judgement knows of them, and what a recorded run holds. No byte in them was not escaped
//! and redacted. The surprising rule: how a run ended is told in the flow's own words (what was due, what came instead),
//! since patterns were tested on bytes that nobody keeps.

use serde::{Deserialize, Serialize};

use super::super::observation::Observation;
use crate::config::Latency;
use crate::trust::Excerpt;

/// What was seen of the runs of a flow.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentSeen {
    /// What the check `agent` asked for; `None` where it did not.
    pub agent: Option<AgentAsked>,
    /// Every run that was begun, in the order of their starts.
    pub runs: Vec<FlowRun>,
    /// What was seen of marks of others; `None` where nobody asked.
    pub isolation: Option<IsolationSeen>,
}

/// What the check `agent` asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentAsked {
    /// The flow's name.
    pub flow: String,
    /// Runs alone.
    pub alone: u32,
    /// Runs at once, as configured.
    pub at_once: u32,
    /// How often so many are run at once.
    pub rounds: u32,
    /// How many users there are: no more are run at once.
    pub users: u32,
    /// Limits of the time to completion.
    pub latency: Latency,
}

impl AgentAsked {
    /// How many are run at once.
    pub fn together(&self) -> u32 {
        self.at_once.min(self.users)
    }

    /// How many runs are due in all.
    pub fn total(&self) -> u32 {
        self.alone.saturating_add(self.together().saturating_mul(self.rounds))
    }
}

/// What a run was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "round")]
pub enum Company {
    /// Alone, for `agent`.
    Alone,
    /// With others, for `agent`, in the round of this number.
    Together(u32),
    /// With others, for `isolation` only.
    Isolation,
}

/// One run of a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlowRun {
    /// Its number, from 1.
    pub number: u32,
    /// What it was for.
    pub company: Company,
    /// Its user.
    pub user: String,
    /// When its first step began; `None` where the socket did not get so far. Microseconds since the start of the run.
    pub started: Option<u64>,
    /// When everything due had come.
    pub completed: Option<u64>,
    /// The first frames that were due and came.
    pub events: Vec<Came>,
    /// How many of them came.
    pub events_total: u32,
    /// How many texts were sent.
    pub sent: u32,
    /// How many answers were said that the flow has for certain frames.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub answered: u32,
    /// For how long messages waited for their turn after the first, in microseconds: that time is not the server's.
    pub paced: u64,
    /// How it ended.
    pub ending: Ending,
    /// The last frame that was nearly what was due in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near: Option<Near>,
    /// What went wrong in its `cleanup`; it decides nothing.
    pub cleanup: Option<String>,
    /// Its socket.
    pub observation: Observation,
}

impl FlowRun {
    /// True when everything due had come, and nothing else was wrong but perhaps how the socket ended.
    pub fn is_whole(&self) -> bool {
        let ended = matches!(self.ending, Ending::Completed | Ending::Ended { due: None, .. });
        ended && self.completed.is_some()
    }

    /// True when it came to another end than a whole run, and not before its socket was open.
    pub(super) fn has_failed(&self) -> bool {
        !self.is_whole() && !matches!(self.ending, Ending::NotOpened | Ending::Cut)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A frame that was due, and when it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Came {
    /// What the flow calls it.
    pub name: String,
    /// Microseconds since the start of the run.
    pub at: u64,
}

/// A frame of the type that was due, which missed another condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Near {
    /// What was due.
    pub due: String,
    /// What the frame misses.
    pub words: Excerpt,
    /// The frame.
    pub text: Excerpt,
    /// When it came.
    pub at: u64,
}

/// How a run of a flow ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "how")]
pub enum Ending {
    /// Everything due had come.
    Completed,
    /// The socket did not open.
    NotOpened,
    /// A forbidden frame came.
    Forbidden {
        /// What the rule is called.
        rule: String,
        /// Why, as the flow says.
        because: Option<String>,
        /// The frame.
        text: Excerpt,
        /// When it came.
        at: u64,
    },
    /// A frame that reports an error came.
    ErrorFrame {
        /// The frame.
        text: Excerpt,
        /// What was due.
        due: Option<String>,
        /// When it came.
        at: u64,
    },
    /// A frame came before another that was due first.
    OutOfOrder {
        /// What came.
        came: String,
        /// What was due first.
        due: String,
        /// The frame.
        text: Excerpt,
        /// When it came.
        at: u64,
    },
    /// A strict flow: a frame came that nothing in it expects.
    Unexpected {
        /// What was due.
        due: Option<String>,
        /// The frame.
        text: Excerpt,
        /// When it came.
        at: u64,
    },
    /// What was due did not come in time.
    Missing {
        /// What was due.
        due: String,
        /// For how long it was waited for, in milliseconds.
        waited_ms: u64,
    },
    /// The run took longer than a whole run may.
    TooLong {
        /// What was due.
        due: String,
        /// How long a run may take, in milliseconds.
        within_ms: u64,
    },
    /// The socket ended; how, its observation says.
    Ended {
        /// What was due; `None` where everything had come.
        due: Option<String>,
        /// When.
        at: u64,
    },
    /// A text could not be filled: what it names was captured from no frame.
    Uncaptured {
        /// What the text needs.
        due: String,
    },
    /// The time of the whole run was over: nothing can be said.
    Cut,
}

impl Ending {
    /// The frame that was due and did not come.
    pub(super) fn due(&self) -> Option<&str> {
        match self {
            Self::Missing { due, .. } | Self::TooLong { due, .. } => Some(due),
            Self::Ended { due, .. } => due.as_deref(),
            _ => None,
        }
    }
}

/// What was seen of marks of other users in sockets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsolationSeen {
    /// Conversations that were looked at.
    pub conversations: u32,
    /// Distinct users among them.
    pub users: u32,
    /// The most distinct users whose conversations ran at once, all to completion.
    pub at_once: u32,
    /// Marks that were looked for: nonces that were sent, users, what was captured.
    pub marks: u32,
    /// Frames that were looked at.
    pub frames: u64,
    /// Frames that may show others, and were not looked at.
    pub shared: u64,
    /// Conversations of which more came than is kept: late marks were looked for in the beginning only.
    pub cut: u32,
    /// Users and captures too short to be looked for, and captured numbers that a sequence may give.
    pub short: u32,
    /// Captured values among the marks.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub captures: u32,
    /// Captured values that were not looked for; they are among the short ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub passed_over: u32,
    /// Captures that were equal in every conversation, and so mark none.
    pub constant: u32,
    /// The first leaks.
    pub leaks: Vec<Leak>,
    /// How many there are.
    pub leaks_total: u32,
}

/// A mark of one user's conversation in another's socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leak {
    /// The run in whose socket it was.
    pub run: u32,
    /// Its user.
    pub user: String,
    /// The run that the mark is of.
    pub of_run: u32,
    /// Its user.
    pub of_user: String,
    /// What was seen: `nonce`, `user`, or the name of a capture.
    pub mark: String,
    /// When; microseconds since the start of the run.
    pub at: u64,
    /// True where it stood in the reason of a close.
    pub in_close: bool,
    /// True where it came in pieces over several frames, of which the last came then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_pieces: bool,
    /// What it stood in.
    pub text: Excerpt,
}
