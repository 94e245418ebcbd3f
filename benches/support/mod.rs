//! What the benches share.
#![expect(clippy::expect_used, reason = "a bench fails by panicking")]
#![allow(dead_code, clippy::allow_attributes, reason = "each bench uses some of it")]

#[path = "../../tests/support/backends.rs"]
pub mod backends;
pub(crate) mod clients;
pub(crate) mod figures;
pub(crate) mod racy;
pub(crate) mod server;
