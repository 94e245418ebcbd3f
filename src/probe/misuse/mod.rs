//! What no well-behaved client does: bad tokens and bad frames, beside sockets that must not suffer from it.

mod auth;
mod bystander;
mod commit;
mod frames;
mod tokens;

pub use auth::{AuthSeen, BadTokenSeen, send_bad_tokens};
pub use bystander::Bystander;
pub use frames::{BadFrameSeen, FramesSeen, send_bad_frames};

#[cfg(test)]
mod tests;
