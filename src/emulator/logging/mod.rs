//! What has the project's log of a service to tell?
//!
//! Entries as Cloud Logging keeps them: what instances write, what the platform says of them, and one entry a request,
//! written when the request or the socket ends. Takes words and gives JSON of the public API and a filter over it. It
//! never reads the routing. The surprising rule: an entry is there at once and seen only when the lag of the faults is
//! over, so that whoever counts too early counts nothing.

mod filter;
mod journal;

pub(crate) use filter::Filter;
#[cfg(test)]
pub(crate) use journal::KEPT;
pub(crate) use journal::{Journal, Origin, Request, is_missing};
