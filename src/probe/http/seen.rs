//! What was seen of HTTP endpoints: facts, with times, and no opinion but what the wire alone can tell.
//!
//! These values are what a recorded run holds. They never contain a byte that was not escaped and redacted. The surprising
//! rule: an answer as it should be keeps its status alone, and only one that is not keeps an excerpt, so that a thousand
//! requests make a small record.

use serde::{Deserialize, Serialize};

use crate::probe::PlatformPage;
use crate::trust::Excerpt;

/// What was seen of HTTP endpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiSeen {
    /// Each, in the order of the file.
    pub endpoints: Vec<EndpointSeen>,
    /// Why nothing could be asked; `None` where it could.
    pub no_client: Option<Excerpt>,
}

/// What was seen of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSeen {
    /// `GET /health`, for example.
    pub name: Excerpt,
    /// True for a path that Google's front end answers itself.
    pub is_swallowed: bool,
    /// Statuses that are due, as they were written.
    pub statuses: Vec<String>,
    /// How long an answer may take, in milliseconds.
    pub within: u64,
    /// How often it was to be asked one after the other.
    pub times: u32,
    /// How often it was to be asked at once.
    pub at_once: u32,
    /// What came, in the order of asking.
    pub answers: Vec<Answer>,
}

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Number of the request in this run, by which the platform's log names it; 0 in old records.
    #[serde(default)]
    pub number: u32,
    /// Whether it was asked together with others.
    pub at_once: bool,
    /// When it was sent, in microseconds since the start of the run.
    pub began: u64,
    /// From there to the end of the answer, in microseconds; the connection is part of it.
    pub took: u64,
    /// When the token that it carried expired, by its own claim; `None` two seconds and more before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<u64>,
    /// What came.
    pub result: Answered,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "result")]
pub enum Answered {
    /// An answer that meets all conditions.
    Right {
        /// Its status.
        status: u16,
    },
    /// An answer that does not.
    Wrong {
        /// Its status.
        status: u16,
        /// What is wrong about it.
        what: Excerpt,
        /// The beginning of its body.
        body: Excerpt,
    },
    /// The platform's own page, and no answer of the application's.
    Platform {
        /// Its status.
        status: u16,
        /// Which page.
        page: PlatformPage,
    },
    /// No whole answer in time.
    TimedOut,
    /// No answer, or one that broke off.
    Broken {
        /// What happened.
        what: Excerpt,
    },
    /// It never left this machine, or the host's name was not found.
    NotSent {
        /// Why not.
        what: Excerpt,
    },
    /// The run was over before the answer.
    Cut,
}
