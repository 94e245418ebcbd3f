//! Numbers and texts of sockets that are opened outside of rounds.
//!
//! Gives each socket what no other of this run has, following on those of its rounds. The surprising rule: a socket's
//! text begins with the run's own, so that a log's entries can be told to be of this run, and ends in digits that follow
//! from its number, so that no such text is the beginning of another, and none becomes another by what stands behind it.

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
        let nonce = format!("{}-{}", self.run, self.last);
        SocketSpec { number: self.last, user, nonce: format!("{nonce}-{:08x}", digest(&nonce)) }
    }

    /// The text of the whole run.
    pub fn run(&self) -> &str {
        &self.run
    }
}

/// Digits that follow from a text and look like no other's (FNV-1a, 32 bits).
fn digest(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |digest, byte| (digest ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_text_of_a_socket_stands_in_that_of_another() {
        let mut series = Series::after("0123456789abcdef".to_owned(), 0);
        let texts: Vec<String> = (0..2000).map(|_| series.socket(None).nonce).collect();
        assert!(texts[0].starts_with("0123456789abcdef-1-"), "{}", texts[0]);
        let ends: BTreeSet<&str> = texts.iter().filter_map(|text| text.get(text.len() - 8..)).collect();
        assert_eq!(ends.len(), 2000, "each end is its own");
        assert!(texts.iter().all(|text| *text == text.to_ascii_lowercase()), "upper case stays apart");
    }
}
