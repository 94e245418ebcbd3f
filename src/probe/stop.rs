//! Why a campaign ends, or cannot begin.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a campaign could not begin.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// The host was not routed in time.
    #[error("{address} still answers the platform's own 404 after {} s", waited.as_secs())]
    NeverRouted {
        /// The address.
        address: String,
        /// How long it was waited for.
        waited: Duration,
    },
}

/// Why a campaign ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// Nothing more needed to be seen.
    Decided,
    /// The rounds that were allowed are used up.
    Rounds,
    /// The sockets that were allowed are used up.
    Sockets,
    /// The time that was allowed is used up.
    Time,
    /// The revision that serves began to fail.
    ServingErrors,
    /// A signal came.
    Interrupted,
    /// The candidate's tag led elsewhere.
    TagLost,
    /// As many sockets are held as may be open at once.
    Held,
    /// Single sockets were not served, so that more of them would show nothing.
    NotServed,
    /// No socket that sends nothing opened, so that nobody knows what comes unasked.
    Unheard,
    /// What came after a text was sent cannot be told from what comes unasked.
    AnswerUntold,
}
