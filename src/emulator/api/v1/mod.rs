//! The Admin API v1, which speaks Knative: what gcloud uses.

mod condition;
pub(crate) mod read;
pub(crate) mod revision;
mod selector;
pub(crate) mod service;
pub(crate) mod write;
