//! What was seen of one socket, and of one round: facts, with times, and no opinion.
//!
//! These values are all that the judgement knows of the wire; they are what a recorded run holds. They never contain
//! a byte that was not escaped and redacted. The surprising rule: a socket that never opened has an observation like
//! any other, so that the number attempted is always the sum of what is reported.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::platform::PlatformPage;
use super::release::Means;
use crate::config::Pattern;
use crate::trust::Excerpt;

/// What was seen of one socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Number of the socket in this run, from 1.
    pub socket: u32,
    /// The user whose token it carried; `None` where sockets have no users.
    pub user: Option<String>,
    /// How the opening ended.
    pub opening: Opening,
    /// The first frames before and after the text was sent, in order, at most 48 each; and of the others those that report
    /// an error, are expected, or are of another shape than those before.
    pub frames: Vec<Frame>,
    /// How many frames came in all.
    pub frames_total: u32,
    /// How many of `frames` had come when the text was sent; `None` when nothing was sent.
    pub sent_after: Option<u32>,
    /// True when it was known at the time which frames come unasked.
    pub knew_greeting: bool,
    /// How the open socket ended; `None` when it never opened, or was kept open beyond its round.
    pub end: Option<End>,
    /// The revision that the answer named.
    pub echo: Option<Excerpt>,
    /// The instance that the answer named.
    pub instance: Option<Excerpt>,
    /// When things happened.
    pub timeline: Timeline,
}

/// Microseconds since the start of the run; `None` for what did not happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// The first step was taken.
    pub began: u64,
    /// TCP was connected.
    pub connected: Option<u64>,
    /// TLS was done.
    pub secured: Option<u64>,
    /// The last byte of the upgrade request was written.
    pub released: Option<u64>,
    /// The head of the answer was complete.
    pub answered: Option<u64>,
    /// The first frame came.
    pub greeted: Option<u64>,
    /// The text was sent.
    pub sent: Option<u64>,
    /// Everything that was due had come.
    pub satisfied: Option<u64>,
    /// We began to close.
    pub closing: Option<u64>,
    /// For how long, at most, our own machine stood still while it was open; a time. `None` below a tenth of a second.
    pub stalled: Option<u64>,
    /// The token that it carried expired, by its own claim; `None` two seconds and more before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<u64>,
    /// The first ping of the server's came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinged: Option<u64>,
    /// We ended it before it had shown all, since the run was over: its time was spent, or it was ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<u64>,
    /// Nothing more came.
    pub ended: u64,
}

/// A time in whole microseconds.
pub(crate) fn in_microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// How an opening ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "result")]
pub enum Opening {
    /// The name could not be resolved.
    Dns {
        /// What the resolver said.
        error: Excerpt,
    },
    /// No TCP connection.
    Tcp {
        /// Which kind.
        failure: TcpFailure,
        /// What the system said.
        error: Excerpt,
    },
    /// No TLS session.
    Tls {
        /// What TLS said.
        error: Excerpt,
    },
    /// This machine had no file descriptor, port or memory left.
    Local {
        /// What the system said.
        error: Excerpt,
    },
    /// Nothing decisive came in time.
    TimedOut {
        /// The step that did not end.
        phase: Phase,
    },
    /// The connection ended in the middle of the opening.
    Ended {
        /// True for a reset, false for an orderly end.
        reset: bool,
        /// How many bytes of an answer had come.
        bytes: usize,
    },
    /// The answer is not HTTP.
    Malformed {
        /// What is wrong with it.
        what: Excerpt,
    },
    /// An HTTP answer other than 101.
    Refused {
        /// Its status.
        status: u16,
        /// Its body, shortened.
        body: Excerpt,
        /// Where a 3xx points; it is never followed.
        location: Option<Excerpt>,
        /// Which page of the platform's own it is, if it is one.
        platform: Option<PlatformPage>,
    },
    /// A 101 that is not an answer to our request.
    BadAccept {
        /// What is wrong with it.
        what: Excerpt,
    },
    /// A 101 whose subprotocol is not acceptable.
    Subprotocol {
        /// What is wrong with it.
        what: Excerpt,
    },
    /// Open.
    Opened {
        /// The subprotocol that the server chose.
        subprotocol: Option<Excerpt>,
    },
}

impl Opening {
    /// True when nothing at all was said to the upgrade.
    pub(crate) fn is_unanswered(&self) -> bool {
        matches!(self, Self::TimedOut { phase: Phase::Opening } | Self::Ended { bytes: 0, .. })
    }
}

/// Why there is no TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TcpFailure {
    /// Nobody listens there.
    Refused,
    /// No answer in time.
    TimedOut,
    /// There is no way there from this machine.
    NoRoute,
    /// Reset, or anything else.
    Other,
}

/// A step of a socket's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Resolving the name.
    Dns,
    /// Connecting.
    Tcp,
    /// TLS.
    Tls,
    /// The upgrade request and its answer.
    Opening,
    /// What comes unasked.
    Greeting,
    /// The answer to what was sent.
    Answer,
    /// Held, with nothing due.
    Hold,
    /// After we began to close.
    Closing,
}

/// How an open socket ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// In which way.
    #[serde(flatten)]
    pub kind: EndKind,
    /// In which step of its life.
    pub phase: Phase,
}

/// In which way an open socket ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "how")]
pub enum EndKind {
    /// With a close frame of the server's.
    CloseFrame {
        /// Its code; `None` when it had none.
        code: Option<u16>,
        /// Its reason.
        reason: Excerpt,
    },
    /// TCP ended without a close frame (what a browser calls 1006).
    NoCloseFrame,
    /// TCP was reset.
    Reset,
    /// The server sent a message larger than those that are read; we ended it.
    TooLarge {
        /// The largest message that is read, in bytes.
        limit: usize,
    },
    /// The server broke the protocol.
    Violation {
        /// What was wrong.
        what: Excerpt,
    },
    /// The server did not answer our close frame; we cut the line.
    CutByUs,
}

/// What a round was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The burst that is the first contact.
    FirstContact,
    /// A single socket from which it is learned how answers look.
    Learning,
    /// Single sockets held for seconds.
    Held,
    /// Single sockets.
    Control,
    /// Distinct users, released together.
    Users,
    /// One user, released together.
    SameUser,
    /// Sent at the 101.
    FirstMessage,
    /// Dropped without a word, and at once opened again.
    Reconnect,
    /// A pair, the second a little later than the first.
    Stagger,
    /// Distinct users, released while the server is stopped.
    FrozenUsers,
    /// One user, released while the server is stopped.
    FrozenSameUser,
    /// A burst at a fresh process; at an address, sockets that are held until new instances start.
    Cold,
    /// A single socket that sends nothing: what comes of itself. It is judged by nobody.
    Listening,
}

/// What else is under way while a round runs. In the order of their use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Company {
    /// No other socket is open.
    Alone,
    /// No other socket is opening; some of earlier rounds are still held.
    Quiet,
    /// Other rounds are opening too.
    Lanes,
}

impl Stage {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Held => "held",
            Self::Listening => "listening",
            other => other.pattern().map_or("", Pattern::name),
        }
    }

    /// False for a socket to which nothing was said: it owes nothing.
    pub fn is_judged(self) -> bool {
        self != Self::Listening
    }

    /// The pattern whose round it is.
    pub fn pattern(self) -> Option<Pattern> {
        match self {
            Self::FirstContact => Some(Pattern::FirstContact),
            Self::Control => Some(Pattern::Control),
            Self::Users => Some(Pattern::Users),
            Self::SameUser => Some(Pattern::SameUser),
            Self::FirstMessage => Some(Pattern::FirstMessage),
            Self::Reconnect => Some(Pattern::Reconnect),
            Self::Stagger => Some(Pattern::Stagger),
            Self::FrozenUsers => Some(Pattern::FrozenUsers),
            Self::FrozenSameUser => Some(Pattern::FrozenSameUser),
            Self::Cold => Some(Pattern::Cold),
            Self::Learning | Self::Held | Self::Listening => None,
        }
    }
}

impl From<Pattern> for Stage {
    fn from(pattern: Pattern) -> Self {
        match pattern {
            Pattern::FirstContact => Self::FirstContact,
            Pattern::Control => Self::Control,
            Pattern::Users => Self::Users,
            Pattern::SameUser => Self::SameUser,
            Pattern::FirstMessage => Self::FirstMessage,
            Pattern::Reconnect => Self::Reconnect,
            Pattern::Stagger => Self::Stagger,
            Pattern::FrozenUsers => Self::FrozenUsers,
            Pattern::FrozenSameUser => Self::FrozenSameUser,
            Pattern::Cold => Self::Cold,
        }
    }
}

/// How a server was stopped while sockets were let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// Every thread of it was seen to stand still.
    pub stopped: bool,
    /// Somebody answered all the same. Looked at in some rounds only.
    pub spoke: bool,
    /// Its threads went on on different cores; otherwise, where that can be had, all on one.
    pub dealt: bool,
    /// From the last look before it was stopped until it went on, in microseconds.
    pub lasted: u64,
}

impl Freeze {
    /// True when nothing shows that it was without effect.
    pub fn holds(self) -> bool {
        self.stopped && !self.spoke
    }

    /// True when whoever serves cannot be the process that was stopped. What was never seen to stand still may have
    /// answered itself: on a crowded machine a thread stops only when it is its turn.
    pub fn misses_the_server(self) -> bool {
        self.stopped && self.spoke
    }
}

/// What was seen of sockets that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// What it was for.
    pub stage: Stage,
    /// Its number inside its stage, from 1, in the order of the starts.
    pub number: u32,
    /// What else was under way.
    pub company: Company,
    /// How long after the first its second socket was let go, in microseconds; `None` where all went together.
    pub delay: Option<u64>,
    /// Microseconds since the start of the run.
    pub started: u64,
    /// Microseconds since the start of the run.
    pub ended: u64,
    /// How the server was stopped while they were let go; `None` where it was not.
    pub frozen: Option<Freeze>,
    /// How its sockets were let go together; `None` where they were not.
    pub means: Option<Means>,
    /// Nanoseconds from the first to the last release; `None` with fewer than two released sockets.
    pub release_spread: Option<u64>,
    /// How many sockets were left out, since they were not connected at the instant at which the server's port opened.
    /// `None` where there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<u32>,
    /// One for each socket that was attempted.
    pub observations: Vec<Observation>,
}

#[cfg(test)]
mod tests {
    use super::Freeze;

    #[test]
    fn only_what_stood_still_can_prove_that_another_process_serves() {
        let of = |stopped, spoke| Freeze { stopped, spoke, dealt: false, lasted: 0 };
        assert!(of(true, true).misses_the_server() && !of(true, true).holds());
        assert!(!of(false, true).misses_the_server() && !of(false, true).holds());
        assert!(of(true, false).holds());
    }
}
