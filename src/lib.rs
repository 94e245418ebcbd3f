//! revgate.

pub mod emulator;
