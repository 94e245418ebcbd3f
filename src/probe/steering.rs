//! What a campaign asks of whoever judges it while it runs.
//!
//! The one trait of this crate: the prober must know when enough was seen, and must not know why. It takes rounds in
//! the order of their starts, each only when all earlier ones of its stage are decided.

use super::learned::Learned;
use super::observation::{Round, Stage};

/// Decides how long a campaign goes on.
pub trait Steering {
    /// What comes unasked is known from here on; `None`: no single socket was served.
    fn learned(&mut self, learned: Option<&Learned>);

    /// A round is over. Rounds of one stage come in the order of their starts.
    fn record(&mut self, round: &Round);

    /// Whether another round of this stage is worth starting while `in_flight` of it are not recorded yet.
    fn wants(&self, stage: Stage, in_flight: u32) -> bool;

    /// True when rounds with nothing else in flight would tell more: failures that overlap count as one event.
    fn prefers_quiet(&self) -> bool;

    /// True when nothing that follows could approve any more: it only helps to say what kind of failure it is.
    fn has_failed(&self) -> bool;

    /// True when nothing more needs to be seen.
    fn has_passed(&self) -> bool;
}
