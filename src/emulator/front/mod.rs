//! How does a request reach an instance?
//!
//! One port for a service and one for each tag stand in for the names of run.app, which are known on every port besides.
//! A connection's first head is read whole, as Google's front end does, so a client that holds back the last byte holds
//! back the request; then both directions are spliced. Of the application's bytes it adds and changes none, but for the
//! cookie where session affinity is asked for. The surprising rule: a connection ends with its first answer, so that
//! every request is routed, admitted and logged for itself, and takes a slot no longer than it lasts.

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
