//! How a run is shown while it goes on.
//!
//! Takes the engine's events from a channel; one task owns the screen (standard error), so a slow terminal never moves
//! a probe. It never decides anything. On a terminal there is one live line; elsewhere one plain line an event, and of
//! rounds only every hundredth, since a CI log is read from its end.

mod watch;

pub use watch::{Manner, watch};
