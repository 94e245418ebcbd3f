//! What does the evidence say, and how sure may we be?
//!
//! Takes the evidence of a run and gives findings, checks and one verdict. Pure functions and values: nothing here
//! does I/O, reads a clock or draws a random number, so that a verdict can be repeated from its record. The unit is
//! always the round and never the socket: failures inside one round are almost one event, and counting them apart
//! would make ten sockets look like ten trials.

mod advice;
mod agent;
mod api;
mod auth;
mod baseline;
mod bench;
mod beta;
mod check;
mod checks;
mod classify;
mod cold;
mod evidence;
mod frames;
mod hold;
mod identity;
mod interruption;
mod isolation;
mod label;
mod live;
mod local;
mod logs;
mod race;
mod seen;
pub mod sequential;
pub mod statistics;
mod tag_loss;
mod tally;
mod verdict;
mod watch;

pub use baseline::{Pairing, in_question, is_served, rules_of};
pub use check::{Check, Outcome};
pub use classify::{Class, Finding, Kind, Rules};
pub use evidence::{
    AddressKind, Carried, ColdEvidence, ConfiguredEvidence, EVIDENCE_VERSION, Evidence, IdentityEvidence,
    Local, LogProof, Probing, ReadyEvidence, RequestLog, Target, Window,
};
pub use interruption::{Interruption, Part, Signal};
pub use live::{LiveJudge, Progress};
pub use local::{LOCAL_FLOOR, REMOTE_FLOOR};
pub use logs::{Logged, LoggedKind, LogsRead, LogsSeen};
pub(crate) use logs::{excused, severity};
pub use seen::classify;
pub use tag_loss::TagLoss;
pub use tally::Tally;
pub use verdict::{Judgement, Verdict, judge};
pub use watch::Watch;
