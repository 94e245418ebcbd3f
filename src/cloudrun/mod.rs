//! The control plane: what does Google say about the service and its revisions, and who may change them?
//!
//! Takes settings of access and gives services, revisions and tokens; adds and removes tags and writes traffic for
//! those who decide. It never judges a revision. The surprising rule: the API may ignore the etag of a write, so that
//! after each write the service is read again and the generation must have moved by exactly one.

mod answers;
mod cause;
mod client;
mod container;
mod credentials;
mod error;
mod http;
mod lenient;
pub mod logs;
mod ready;
mod retry;
mod scaling;
mod secrets;
mod tagging;
mod untagging;
pub mod wire;
mod write;

pub use answers::{Operation, Status};
pub use client::{Client, Invokers, PatchError};
pub use container::{Container, ContainerStatus, HttpGet, StartupProbe};
pub use credentials::{CredentialError, id_token};
pub use error::{About, ApiError};
pub use ready::{ReadyOutcome, await_ready};
pub use scaling::Scaling;
pub use tagging::{AddedTag, Adding, TagError, TagToAdd, add_tag, tag_address};
pub use untagging::{Removal, remove_tag};

pub(crate) use retry::Backoff;
pub(crate) use write::{WriteError, write_traffic};
