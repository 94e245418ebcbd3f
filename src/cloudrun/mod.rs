//! The control plane: what does Google say about the service and its revisions, and who may change them?
//!
//! Takes settings of access and gives services, revisions and tokens; adds and removes tags and writes traffic for
//! those who decide. It never judges a revision. The surprising rule: the API may ignore the etag of a write, so that
//! after each write the service is read again and the generation must have moved by exactly one.

mod answers;
mod lenient;
pub mod wire;

pub use answers::{Operation, Status};
