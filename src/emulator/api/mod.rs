//! What does the Admin API answer?
//!
//! JSON of the public v2 API over HTTP/1.1, made from the emulator's state. Targets are routed by path alone, so that
//! a client may reach it as its HTTP proxy with absolute-form targets. Enums come in as names or numbers and go out as
//! names; 64-bit integers are strings; what is zero, false or empty has no key.

mod control;
mod dispatch;
mod entries;
mod error;
mod listener;
mod operations;
mod read;
mod render;
mod render_revision;
mod route;
mod write;

pub(crate) use dispatch::serve;
pub(crate) use listener::ApiListener;
