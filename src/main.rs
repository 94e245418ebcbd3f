//! revgate.
fn main() {}
