//! How it is asked: arguments, environment, files, terminal.
//!
//! Takes what was typed and gives the exit code. It is the sole reader of the environment and the sole writer to the
//! terminal. The surprising rule: an empty `REVGATE_*` counts as absent, since CI systems pass inputs that nobody set
//! as empty variables.

mod arguments;
mod check;
mod emulator;
mod environment;
mod explain;
mod input;
mod judge;
mod options;
mod output;
mod promote;
mod rehearse;
mod secrets;
mod signals;
mod surroundings;

pub use arguments::command;
pub use output::Failure;

use clap::ArgMatches;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::exit::Exit;

/// The wall clock, read once, at the start of the program.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// The wall clock.
    pub started_at: Timestamp,
    /// The monotonic clock at the same moment.
    pub epoch: Instant,
}

/// Runs what was asked. Errors have not been shown yet.
pub async fn run(matches: &ArgMatches, clock: Clock) -> Result<Exit, Failure> {
    match matches.subcommand() {
        Some(("check", matches)) => Box::pin(check::run(matches, clock)).await,
        Some(("promote", matches)) => Box::pin(promote::run(matches, clock)).await,
        Some(("judge", matches)) => judge::run(matches),
        Some(("rehearse", matches)) => Box::pin(rehearse::run(matches, clock)).await,
        Some(("emulator", matches)) => Box::pin(emulator::run(matches, clock)).await,
        Some(("explain", matches)) => explain::run(matches),
        _ => Ok(Exit::Usage),
    }
}
