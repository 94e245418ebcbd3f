//! Bad tokens, bad frames and sockets that are held: the checks `auth`, `frames` and `hold` on real servers.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/backends.rs"]
pub mod backends;

#[path = "misuse/auth.rs"]
mod auth;
#[path = "misuse/emulated.rs"]
mod emulated;
#[path = "misuse/frames.rs"]
mod frames;
#[path = "misuse/hold.rs"]
mod hold;
#[path = "misuse/hostile.rs"]
mod hostile;
#[path = "support/memory.rs"]
pub mod memory;
#[path = "misuse/support.rs"]
mod support;
