//! Google's own clients, unmodified, against the emulator; and what they would notice if it broke.
//!
//! Each script in `tests/clients` drives one pinned client over REST through whole stories and prints what it saw in
//! the client's own types. Beside them stand checks of the documented shape of the API, each with the mutants that it
//! must notice: a proxy between check and emulator breaks one behaviour on the wire.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/backends.rs"]
pub mod backends;
#[path = "clients/checks.rs"]
mod checks;
#[path = "clients/mutants.rs"]
mod mutants;
#[path = "clients/node.rs"]
mod node;
#[path = "clients/proxy.rs"]
mod proxy;
#[path = "clients/python.rs"]
mod python;
#[path = "clients/shapes.rs"]
mod shapes;
#[path = "clients/support.rs"]
mod support;
#[path = "clients/table.rs"]
mod table;
