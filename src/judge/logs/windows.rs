//! When did badly behaved clients visit the service? Then a healthy application logs errors.
//!
//! Takes the evidence and gives stretches of time. The surprising rule: each is widened by two seconds on either side,
//! since an application writes late and its clock is another.

use crate::config::CheckName;
use crate::judge::evidence::Evidence;
use crate::probe::Stage;

/// How much a stretch is widened on either side, in milliseconds.
const MARGIN: u64 = 2000;

/// Stretches of time, in milliseconds since the start of the run: in order and apart from each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Windows(Vec<(u64, u64)>);

impl Windows {
    /// When sockets were opened that a well-behaved client does not open: bad tokens, bad frames, clients that vanish.
    pub(super) fn of(evidence: &Evidence) -> Self {
        let bad = |check| matches!(check, CheckName::Auth | CheckName::Frames);
        let parts = evidence.configured.windows.iter().filter(|window| bad(window.check));
        Self::merged(parts.map(|window| (window.began, window.ended)).chain(vanishing(evidence)))
    }

    fn merged(parts: impl Iterator<Item = (u64, u64)>) -> Self {
        let mut parts: Vec<(u64, u64)> =
            parts.map(|(from, to)| (from.saturating_sub(MARGIN), to.saturating_add(MARGIN))).collect();
        parts.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for (from, to) in parts {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        Self(merged)
    }

    /// True when this instant lies in one of them.
    pub(super) fn hold(&self, at: u64) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&at))
    }

    /// How much of the time up to `end` lies in none of them, in milliseconds.
    pub(super) fn outside(&self, end: u64) -> u64 {
        let inside: u64 = self.0.iter().map(|(from, to)| (*to).min(end).saturating_sub(*from)).sum();
        end.saturating_sub(inside)
    }
}

/// Rounds in which a client vanishes once it was served.
fn vanishing(evidence: &Evidence) -> impl Iterator<Item = (u64, u64)> + '_ {
    let rounds = evidence.probing.iter().flat_map(|probing| &probing.rounds);
    rounds
        .filter(|round| round.stage == Stage::Reconnect)
        .map(|round| (round.started / 1000, round.ended / 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_widened_and_joined() {
        let windows = Windows::merged([(10_000, 11_000), (1000, 1500), (14_000, 14_001)].into_iter());
        assert_eq!(windows, Windows(vec![(0, 3500), (8000, 16_001)]));
        assert!(windows.hold(3500) && !windows.hold(3501) && windows.hold(8000));
        assert_eq!(windows.outside(20_000), 20_000 - 3500 - 8001);
        assert_eq!(windows.outside(9000), 9000 - 3500 - 1000);
    }
}
