//! The Admin API v2.

pub(crate) mod mask;
pub(crate) mod read;
pub(crate) mod revision;
pub(crate) mod service;
pub(crate) mod write;
