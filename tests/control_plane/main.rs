//! The client of the control plane against small servers that answer with JSON of the public API.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod promoting;
mod reading;
mod server;
mod tagging;
