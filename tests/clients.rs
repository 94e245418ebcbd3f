//! Google's own clients, unmodified, against the emulator.
//!
//! Each script in `tests/clients` drives one pinned client over REST through whole stories and prints what it saw in
//! the client's own types.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/backends.rs"]
pub mod backends;
#[path = "clients/node.rs"]
mod node;
#[path = "clients/python.rs"]
mod python;
#[path = "clients/support.rs"]
mod support;
