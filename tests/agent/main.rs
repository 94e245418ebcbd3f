//! Whole conversations with real agent backends, through the binary: FastAPI on uvicorn, and Node with `ws`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../support/backends.rs"]
pub mod backends;

mod answered;
mod backend;
mod counted;
mod examples;
mod failures;
mod hostile;
mod interrupted;
mod isolated;
mod positions;
mod rehearsed;
mod secrets;
