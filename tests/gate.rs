//! The gate through its binary, against the emulator's misbehaving backends.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/backends.rs"]
pub mod backends;

#[path = "gate/access.rs"]
mod access;
#[path = "gate/baseline.rs"]
mod baseline;
#[path = "gate/cold.rs"]
mod cold;
#[path = "gate/control.rs"]
mod control;
#[path = "gate/interrupts.rs"]
mod interrupts;
#[path = "gate/leftovers.rs"]
mod leftovers;
#[path = "gate/lost_tags.rs"]
mod lost_tags;
#[path = "gate/parrot.rs"]
mod parrot;
#[path = "gate/parts.rs"]
mod parts;
#[path = "gate/pipeline.rs"]
mod pipeline;
#[path = "gate/promotion.rs"]
mod promotion;
#[path = "gate/refusals.rs"]
mod refusals;
#[path = "gate/repeats.rs"]
mod repeats;
#[path = "gate/secrets.rs"]
mod secrets;
#[path = "gate/signals.rs"]
mod signals;
#[path = "gate/support.rs"]
mod support;
#[path = "gate/verdicts.rs"]
mod verdicts;
#[path = "gate/watch.rs"]
mod watch;
