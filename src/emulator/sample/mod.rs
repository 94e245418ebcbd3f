//! A small agent backend, healthy or broken in one chosen way.
//!
//! Takes a raw TCP stream with what the front end has read of it, and speaks HTTP/1.1 and WebSocket over it: `/`,
//! `/health`, `/health/ready`, `/refuse` and the socket's path. It shares no code with the client that judges it. Which
//! sockets misbehave is drawn from a seeded generator, so that a run can be repeated.

mod agent;
mod conversation;
mod opening;
mod race;
mod refusal;
mod serve;
mod settings;
mod state;
mod text;
mod token;

pub(crate) use serve::serve;
pub use settings::{Behaviour, JwtRefusal, SampleBackend, SubprotocolEcho};
pub(crate) use state::Sample;
