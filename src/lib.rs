//! revgate.

pub mod judge;
