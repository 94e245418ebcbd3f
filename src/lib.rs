//! revgate.
