//! What the benches share.
#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

#[path = "../../tests/support/backends.rs"]
pub mod backends;
pub(crate) mod clients;
pub(crate) mod figures;
pub(crate) mod server;
