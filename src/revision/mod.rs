//! The candidate: which revision is it, is it ready, can it be reached, and what does its traffic add up to?
//!
//! Takes what the API said (a service, its revisions) and gives values: a candidate, a readiness, traffic entries to be
//! written. Pure: it asks nothing and writes nothing. The surprising rule: `latestReadyRevision` is never taken for the
//! readiness of a candidate, since a revision deployed without traffic may never become it.

mod address;
mod cold;
pub mod command;
mod lead;
mod locate;
mod reach;
mod readiness;
mod serving;
mod snapshot;
pub mod tag;
pub mod traffic;

pub use address::{AddressError, AddressPlan, choose_address};
pub use cold::cold_start;
pub use lead::{Lead, lead};
pub use locate::{CandidateTag, LocateError, Located, Serving, locate};
pub use reach::{Unreachable, reachable};
pub use readiness::{Readiness, readiness};
pub use serving::{NoRivalAddress, Rival, rival};
pub use snapshot::TrafficSnapshot;
