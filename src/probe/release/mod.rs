//! Letting armed sockets go together.
//!
//! Takes streams on which the whole upgrade request but its last byte was written, and sends that byte on each as
//! closely together as this machine can; gives back the instant of each send and by which means it was done. It never
//! reads. The surprising rule: what comes last is made ready before the first goes (under TLS the last record is
//! encrypted beforehand), and a socket that cannot take its bytes at that instant is finished afterwards, so that one
//! slow socket cannot spread the others.

mod means;
#[cfg(target_os = "linux")]
mod pair;
mod releaser;
#[cfg(target_os = "linux")]
mod ring;
#[cfg(target_os = "linux")]
mod shot;
mod tail;
#[cfg(test)]
mod tests;

pub use means::{Means, Offer};
pub use releaser::{Released, Releaser};
pub(in crate::probe) use tail::socket as socket_of;
