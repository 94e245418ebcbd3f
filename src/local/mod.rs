//! The server itself, as a process of our own: what can be provoked only where it can be stopped and started.
//!
//! Takes the command, the settings and whoever judges meanwhile; gives rounds, as the probing of an address does. It
//! says nothing of the revision that is deployed: whoever typed the command says that it is the same program. The
//! surprising rule: nobody else is served by such a process, so the limits that protect a service do not hold here.

mod cold;
mod server;
mod stage;

pub use stage::{LocalRun, NotStarted, run};
