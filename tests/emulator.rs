//! The emulator over real sockets: its API, its front end, and each behaviour of its sample backend.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::similar_names,
    reason = "a test fails by panicking"
)]

#[path = "emulator/api.rs"]
mod api;
#[path = "emulator/behaviours.rs"]
mod behaviours;
#[path = "emulator/front.rs"]
mod front;
#[path = "emulator/instances.rs"]
mod instances;
#[path = "emulator/support.rs"]
mod support;
