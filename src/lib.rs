//! revgate: a deploy gate for Google Cloud Run services that speak WebSocket.
//!
//! One run is one walk along this path; every arrow except *probe* and the control-plane calls is a plain function
//! of values:
//!
//! ```text
//! Settings ─ locate ─► Target ─ readiness ─► Plan ─ probe ─► Observations ─ classify ─► Checks ─ judge ─► Verdict ─► Document ─► bytes
//! ```
//!
//! The modules, in the order of that path.

pub mod cli;
pub mod config;
pub mod engine;
pub mod event;
pub mod exit;
pub mod cloudrun;
pub mod revision;
pub mod probe;
pub mod judge;
pub mod report;
pub mod progress;
pub mod promote;
pub mod emulator;
pub mod local;
mod child;
pub mod trust;
