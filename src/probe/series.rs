//! Numbers and texts of sockets that are opened outside of rounds.
//!
//! Gives each socket what no other of this run has, following on those of its rounds. The surprising rule: a socket's
//! text begins with the run's own, so that a log's entries can be told to be of this run.

use super::spec::SocketSpec;

/// The sockets of a run that belong to no round.
#[derive(Debug, Clone)]
pub struct Series {
    run: String,
    last: u32,
}

impl Series {
    /// After so many sockets of the run of this text.
    pub fn after(run: String, sockets: u32) -> Self {
        Self { run, last: sockets }
    }

    /// The next socket, of the user of this index; `None` where it has none.
    pub(super) fn socket(&mut self, user: Option<usize>) -> SocketSpec {
        self.last += 1;
        SocketSpec { number: self.last, user, nonce: format!("{}-{}", self.run, self.last) }
    }

    /// The text of the whole run.
    pub fn run(&self) -> &str {
        &self.run
    }
}
