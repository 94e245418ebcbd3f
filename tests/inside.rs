//! A service looked at from inside: its HTTP endpoints, its log, and what its log proves, through the binary.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/backends.rs"]
pub mod backends;

#[path = "inside/endpoints.rs"]
mod endpoints;
#[path = "inside/entries.rs"]
mod entries;
#[path = "inside/hostile.rs"]
mod hostile;
#[path = "support/memory.rs"]
pub mod memory;
#[path = "inside/proof.rs"]
mod proof;
#[path = "inside/rubbish.rs"]
mod rubbish;
#[path = "inside/secrets.rs"]
mod secrets;
#[path = "gate/support.rs"]
#[expect(dead_code, reason = "it serves another suite first")]
mod support;
#[path = "inside/world.rs"]
mod world;
