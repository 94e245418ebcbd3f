//! What the benches share.
#![expect(clippy::expect_used, reason = "a bench fails by panicking")]
#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::cast_precision_loss,
    reason = "each bench uses some of it, and counts are small"
)]

#[path = "../../tests/support/backends.rs"]
pub mod backends;
pub(crate) mod children;
pub(crate) mod clients;
pub(crate) mod costs;
pub(crate) mod figures;
pub(crate) mod front;
pub(crate) mod greeter;
pub(crate) mod naive;
pub(crate) mod product;
pub(crate) mod racy;
pub mod readme;
pub(crate) mod server;
pub(crate) mod tls;
