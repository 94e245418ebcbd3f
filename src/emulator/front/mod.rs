//! How does a request reach an instance?
//!
//! One loopback port for a service and one for each tag stand in for the names of run.app. A connection's first head
//! is read whole, as Google's front end does, so a client that holds back the last byte holds back the request; then
//! the bytes go on verbatim and both directions are spliced. It never adds or changes a byte of the application's.
//! One connection stays with one revision: a client that wants the split to count opens a new connection.

mod connection;
mod gate;
mod head;
mod listen;
mod pages;

pub(crate) use connection::finish;
pub(crate) use gate::Entrance;
pub(crate) use head::{Head, Received};
pub(crate) use listen::{bind, listen};
