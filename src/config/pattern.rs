//! The patterns in which sockets are let go, each judged on its own.
//!
//! Names, in the order of a plan; what a round of each looks like is for `probe` to say. The surprising rule: three of
//! them need the server's own process, and exist only where a command that starts it was typed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One way of provoking a race. Each is judged on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// The very first contact with the revision: a burst.
    FirstContact,
    /// One socket at a time: what happens without any race.
    Control,
    /// Sockets of distinct users, released together.
    Users,
    /// Two sockets of the same user, released together.
    SameUser,
    /// Two sockets that send at once, without waiting for anything.
    FirstMessage,
    /// A served socket dropped without a word, and its user back at the same instant.
    Reconnect,
    /// Two sockets of the same user, the second 0 to 100 ms after the first.
    Stagger,
    /// As `Users`, while the server is stopped: all of it is there when it goes on. Needs the process.
    FrozenUsers,
    /// As `SameUser`, while the server is stopped. Needs the process.
    FrozenSameUser,
    /// A burst at the instant at which a fresh process opens its port. Needs the process.
    Cold,
}

impl Pattern {
    /// All patterns, in the order of the plan.
    pub const ALL: [Self; 10] = [
        Self::FirstContact,
        Self::Control,
        Self::Users,
        Self::SameUser,
        Self::FirstMessage,
        Self::Reconnect,
        Self::Stagger,
        Self::FrozenUsers,
        Self::FrozenSameUser,
        Self::Cold,
    ];

    /// Those that need the server's process; run wherever it is there and none are named.
    pub const LOCAL: [Self; 3] = [Self::FrozenUsers, Self::FrozenSameUser, Self::Cold];

    /// Those that are run where none are named.
    pub const DEFAULT: [Self; 5] =
        [Self::FirstContact, Self::Control, Self::Users, Self::SameUser, Self::FirstMessage];

    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstContact => "first-contact",
            Self::Control => "control",
            Self::Users => "users",
            Self::SameUser => "same-user",
            Self::FirstMessage => "first-message",
            Self::Reconnect => "reconnect",
            Self::Stagger => "stagger",
            Self::FrozenUsers => "frozen-users",
            Self::FrozenSameUser => "frozen-same-user",
            Self::Cold => "cold",
        }
    }

    /// True for one that needs the server's process.
    pub fn is_local(self) -> bool {
        Self::LOCAL.contains(&self)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
