//! Instances of the emulator that are real servers, and the emulator as a program: what scales, races, dies and is left.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/backends.rs"]
pub mod backends;
#[path = "emulator/support.rs"]
#[expect(dead_code, reason = "the emulator's own tests use the rest")]
mod support;

#[path = "instances/hour.rs"]
mod hour;
#[path = "instances/images.rs"]
mod images;
#[path = "instances/load.rs"]
mod load;
#[path = "instances/many.rs"]
mod many;
#[path = "instances/program.rs"]
mod program;
#[path = "instances/servers.rs"]
mod servers;
