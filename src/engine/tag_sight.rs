//! What was seen of the candidate's tag, look by look: has it ever led elsewhere, and until when did it surely not?
//!
//! Takes where a tag leads by each read of the service; gives how it was lost. Values only: it asks nobody and reads no
//! clock. The surprising rule: a tag that comes back is lost all the same. Nobody knows whom the sockets in between
//! reached, and a state newer than one in which the tag was in its place is no stale read.

use std::time::Duration;

use crate::judge::TagLoss;
use crate::revision::Lead;

/// One read of the service.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Where the tag leads; `None` where only older states came than one that was known.
    pub(super) lead: Option<Lead>,
    /// The state of the service that was read.
    pub(super) generation: i64,
}

/// What was seen of a tag.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    tag: String,
    /// Where it leads by the newest read.
    lead: Option<Lead>,
    /// The newest state that was read: an older one is a stale read.
    generation: i64,
    /// When it was last seen to lead to the candidate, and in which state; `None` where it never was. It stays what it was
    /// once the tag has been elsewhere.
    there: Option<(Duration, i64)>,
    /// Who had it when it was first seen not to lead to the candidate any more, and when that was.
    strayed: Option<(Option<String>, Duration)>,
}

impl Sight {
    /// A tag of which nothing was seen yet, of a service that had come to this generation.
    pub(super) fn new(tag: &str, generation: i64) -> Self {
        let tag = tag.to_owned();
        Self { tag, lead: None, generation, there: None, strayed: None }
    }

    /// Takes in a read that was asked for at `began` and came at `now`, both since the start of the run.
    pub(super) fn saw(&mut self, seen: &Seen, began: Duration, now: Duration) {
        let Some(lead) = seen.lead.clone().filter(|_| seen.generation >= self.generation) else { return };
        self.generation = seen.generation;
        match &lead {
            Lead::There if self.strayed.is_none() => self.there = Some((began, seen.generation)),
            Lead::There | Lead::Arriving { from: None } => {}
            // On its way back, where that was asked for since; else what is in effect may have been read late.
            Lead::Arriving { from } => {
                if self.there.is_some_and(|(_, generation)| seen.generation > generation) {
                    self.stray(from.clone(), now);
                }
            }
            Lead::Leaving { holder } | Lead::Elsewhere { holder } => self.stray(holder.clone(), now),
        }
        self.lead = Some(lead);
    }

    fn stray(&mut self, holder: Option<String>, now: Duration) {
        self.strayed.get_or_insert((holder, now));
    }

    /// True while it leads to the candidate.
    pub(super) fn is_there(&self) -> bool {
        self.lead == Some(Lead::There)
    }

    /// The newest state of the service that was read.
    pub(super) fn generation(&self) -> i64 {
        self.generation
    }

    /// How it was lost, by all that was seen; `None` where it was not.
    pub(super) fn loss(&self) -> Option<TagLoss> {
        let (first, noticed) = self.strayed.as_ref()?;
        let (holder, back) = match &self.lead {
            Some(Lead::Leaving { holder } | Lead::Elsewhere { holder }) => (holder, false),
            _ => (first, true),
        };
        Some(TagLoss {
            tag: self.tag.clone(),
            holder: holder.clone(),
            back,
            last_seen: self.there.map_or(0, |(began, _)| microseconds(began)),
            noticed: microseconds(*noticed),
        })
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elsewhere(holder: &str) -> Lead {
        Lead::Elsewhere { holder: Some(holder.to_owned()) }
    }

    fn leaving(holder: &str) -> Lead {
        Lead::Leaving { holder: Some(holder.to_owned()) }
    }

    fn arriving(from: Option<&str>) -> Lead {
        Lead::Arriving { from: from.map(str::to_owned) }
    }

    /// What is seen by looks a second apart, each with its generation; the service was known to be at 4.
    fn looked(looks: &[(Lead, i64)]) -> Sight {
        let mut sight = Sight::new("gate", 4);
        for (second, (lead, generation)) in looks.iter().enumerate() {
            let began = Duration::from_secs(second as u64);
            let seen = Seen { lead: Some(lead.clone()), generation: *generation };
            sight.saw(&seen, began, began + Duration::from_millis(500));
        }
        sight
    }

    fn loss(holder: &str, back: bool, last_seen: u64, noticed: u64) -> TagLoss {
        TagLoss { tag: "gate".to_owned(), holder: Some(holder.to_owned()), back, last_seen, noticed }
    }

    #[test]
    fn a_tag_that_stays_is_not_lost() {
        for looks in [
            vec![(Lead::There, 4), (Lead::There, 4)],
            // Somebody else's change, whose addresses are not there yet.
            vec![(Lead::There, 4), (arriving(None), 5), (Lead::There, 5)],
            // What was in effect before, read late.
            vec![(Lead::There, 4), (arriving(Some("s-1")), 4), (Lead::There, 4)],
            // Reads of what was before it.
            vec![(Lead::There, 5), (elsewhere("s-1"), 4), (elsewhere("s-1"), 4), (elsewhere("s-1"), 4)],
            vec![(arriving(Some("s-1")), 4), (Lead::There, 4)],
        ] {
            let sight = looked(&looks);
            assert_eq!((sight.loss(), sight.is_there()), (None, true), "{looks:?}");
        }
    }

    #[test]
    fn one_look_that_finds_it_leaving_or_elsewhere_is_enough() {
        assert_eq!(
            looked(&[(Lead::There, 4), (leaving("s-1"), 5)]).loss(),
            Some(loss("s-1", false, 0, 1_500_000))
        );
        let looks = [(Lead::There, 4), (Lead::There, 4), (elsewhere("s-1"), 5)];
        assert_eq!(looked(&looks).loss(), Some(loss("s-1", false, 1_000_000, 2_500_000)));
        assert_eq!(looked(&[(elsewhere("s-1"), 4)]).loss(), Some(loss("s-1", false, 0, 500_000)));
    }

    #[test]
    fn one_that_comes_back_was_lost_and_what_came_meanwhile_counts_no_more() {
        for gone in [elsewhere("s-1"), leaving("s-1"), arriving(Some("s-1"))] {
            let looks = [(Lead::There, 4), (Lead::There, 4), (gone, 5), (Lead::There, 6), (Lead::There, 6)];
            let sight = looked(&looks);
            assert!(sight.is_there());
            assert_eq!(sight.loss(), Some(loss("s-1", true, 1_000_000, 2_500_000)), "{looks:?}");
        }
    }

    #[test]
    fn what_was_not_read_tells_nothing() {
        let mut sight = looked(&[(Lead::There, 6)]);
        sight.saw(&Seen { lead: None, generation: 6 }, Duration::from_secs(9), Duration::from_secs(9));
        assert_eq!((sight.is_there(), sight.generation(), sight.loss()), (true, 6, None));
    }
}
