//! Tokens of every kind, carried in every way, at a real server that verifies them; and none of them shown anywhere.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/backends.rs"]
pub mod backends;

#[path = "tokens/echo.rs"]
mod echo;
#[path = "tokens/everywhere.rs"]
mod everywhere;
#[path = "tokens/places.rs"]
mod places;
#[path = "tokens/secrecy.rs"]
mod secrecy;
#[path = "tokens/support.rs"]
mod support;
#[path = "tokens/verified.rs"]
mod verified;
