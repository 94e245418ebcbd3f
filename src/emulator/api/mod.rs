//! What does the Admin API answer?
//!
//! JSON of the public APIs over HTTP/1.1, made from the emulator's state: `v2`, and `v1`, which speaks Knative and is
//! what gcloud uses; IAM, the log, and what gcloud asks of a project. Targets are routed by path alone, so that a client
//! may reach it as its HTTP proxy with absolute-form targets. Enums come in as names or numbers and go out as names, or as
//! numbers to whom asks for those;
//! 64-bit integers are strings; what is zero, false or empty has no key.

mod control;
mod dispatch;
mod entries;
mod enums;
mod error;
mod form;
mod iam;
mod known;
mod listener;
mod operations;
mod page;
mod route;
mod v1;
mod v2;
mod version;
mod write;

pub(crate) use dispatch::serve;
pub(crate) use listener::ApiListener;
