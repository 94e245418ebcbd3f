//! Gives an approved revision the service's requests.
//!
//! Takes a verdict's revision and the traffic as it stood when the check began; writes, awaits and reads back. It never
//! judges. The surprising rule: a change of the traffic by somebody else during the check stops the promotion, since
//! what was approved is then no longer what would be replaced.

mod write;

pub use write::{AFTER_SIGNAL, PromoteError, Promoted, promote};
