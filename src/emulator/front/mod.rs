//! How does a request reach an instance?
//!
//! One port for a service and one for each tag stand in for the names of run.app, which are known on every port besides.
//! A connection's first head is read whole, as Google's front end does, so a client that holds back the last byte holds
//! back the request; then the bytes go on verbatim and both directions are spliced. Of the application's bytes it adds
//! and changes none, but for the cookie where session affinity is asked for.
//! One connection stays with one revision: a client that wants the split to count opens a new connection.

mod affinity;
mod client;
mod connection;
mod gate;
mod head;
mod hosts;
mod identity;
mod listen;
mod pages;
mod tls;

pub(crate) use client::Client;
pub(crate) use connection::finish;
pub(crate) use gate::Entrance;
pub(crate) use head::{Head, Received};
pub(crate) use hosts::Zone;
pub(crate) use listen::{listen, listen_for_api};
pub use tls::{Tls, TlsError};
