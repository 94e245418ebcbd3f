//! How does an emulator survive its end?
//!
//! All that the control plane knows is kept in one file, if one is named: services, revisions, traffic, tags, policies,
//! operations and ports. Takes the world and gives a file, and the other way round. Instances, faults, logs and the calls
//! of the past are not kept. The surprising rule: an answer of the API leaves only when all that it can show is on disk,
//! so that what a client has seen survives `kill -9`; changes that wait for one write of the file share the next.

mod check;
mod disk;
mod error;
mod format;
mod keeper;
mod restore;
mod snapshot;

pub(crate) use disk::Disk;
pub use error::StateError;
pub(crate) use format::StateFile;
pub(crate) use keeper::{Written, keep, kept};
pub(crate) use restore::{restore, resume};
