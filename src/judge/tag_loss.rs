//! A tag that led elsewhere while the candidate was probed at its address: what of the run still counts.
//!
//! Takes the evidence of such a run and gives what of it is the candidate's for certain: what was over when the tag was
//! last seen to lead there. The surprising rule: failures behind that count no more than passes do: who took the tag away
//! broke them, or they are another revision's.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::check::{Check, Outcome};
use super::evidence::{ConfiguredEvidence, Evidence};
use super::interruption::Part;
use crate::config::CheckName;
use crate::probe::{Baseline, Round, StopReason};
use crate::revision::command;

/// How a tag was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagLoss {
    /// The tag.
    pub tag: String,
    /// Short name of the revision that has it now, or had it meanwhile; `None` where nobody has it.
    pub holder: Option<String>,
    /// True where it leads to the candidate again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
    /// When it was last seen to lead to the candidate, in microseconds since the start of the run; zero where it never was.
    pub last_seen: u64,
    /// When it was known to lead elsewhere, in microseconds since the start of the run.
    pub noticed: u64,
}

impl TagLoss {
    /// What became of the tag.
    pub fn words(&self) -> String {
        let Self { tag, holder, back, noticed, .. } = self;
        let seconds = noticed / 1_000_000;
        match (holder, back) {
            (Some(holder), false) => {
                format!("tag {tag} was moved to {holder} by somebody, seen at {seconds} s")
            }
            (None, false) => format!("tag {tag} is gone: somebody took it away, seen at {seconds} s"),
            (Some(holder), true) => {
                format!("tag {tag} was moved to {holder} by somebody, and back, seen at {seconds} s")
            }
            (None, true) => {
                format!(
                    "tag {tag} was gone meanwhile: somebody took it away and put it back, seen at {seconds} s"
                )
            }
        }
    }

    /// True for a round that was over while the tag was seen to lead to the candidate.
    pub fn counts(&self, round: &Round) -> bool {
        round.ended <= self.last_seen
    }
}

impl Evidence {
    /// The evidence without what may not be the candidate's, since its tag led elsewhere: all that a report may show.
    pub fn counted(&self) -> Cow<'_, Self> {
        let Some(loss) = &self.tag_loss else { return Cow::Borrowed(self) };
        let mut kept = self.clone();
        if let Some(probing) = &mut kept.probing {
            let all = probing.rounds.len();
            probing.rounds.retain(|round| loss.counts(round));
            if probing.rounds.len() < all {
                probing.stopped = StopReason::TagLost;
                if let Some(cold) = &mut probing.cold {
                    cold.stopped = StopReason::TagLost;
                }
            }
        }
        let whole = |baseline: &Baseline| baseline.pairs.iter().all(|pair| loss.counts(&pair.candidate));
        kept.baseline = kept.baseline.filter(whole);
        kept.configured = kept.configured.counted(loss);
        Cow::Owned(kept)
    }
}

impl ConfiguredEvidence {
    /// The parts that were over while the tag was seen to lead to the candidate.
    fn counted(self, loss: &TagLoss) -> Self {
        let over = |check: CheckName| {
            let mut windows = self.windows.iter().filter(|window| window.check == check);
            windows.any(|window| window.ended.saturating_mul(1000) <= loss.last_seen)
        };
        Self {
            agent: self.agent.filter(|_| over(CheckName::Agent)),
            hold: self.hold.filter(|_| over(CheckName::Hold)),
            api: self.api.filter(|_| over(CheckName::Api)),
            auth: self.auth.filter(|_| over(CheckName::Auth)),
            frames: self.frames.filter(|_| over(CheckName::Frames)),
            // What excuses its entries may have been left out.
            logs: None,
            windows: self.windows,
            trimmed: self.trimmed,
            carried: self.carried,
        }
    }

    /// True where there is something of what shows a check.
    fn has(&self, part: Part) -> bool {
        match part {
            Part::Agent => self.agent.is_some(),
            Part::Hold => self.hold.is_some(),
            Part::Api => self.api.is_some(),
            Part::Auth => self.auth.is_some(),
            Part::Frames => self.frames.is_some(),
            Part::Logs => self.logs.is_some(),
            Part::Local | Part::Ready | Part::Rounds | Part::Baseline => true,
        }
    }
}

/// The check `identity` of such a run.
pub(super) fn identity(loss: &TagLoss, evidence: &Evidence) -> Check {
    let check = Check::bare(CheckName::Identity, Outcome::Inconclusive, loss.words());
    let check = check.with_evidence(json!({ "by": "tag", "lost": loss }));
    check.with_help(who(evidence))
}

fn who(evidence: &Evidence) -> String {
    let service = evidence.target.service.as_ref();
    service.map_or_else(
        || "run it again".to_owned(),
        |service| format!("see who changed the traffic, then run it again: {}", command::describe(service)),
    )
}

/// What is not known of the other checks is not for a lack of their own, where nothing that counts was seen for them.
pub(super) fn held_back(check: Check, evidence: &Evidence) -> Check {
    let Some(loss) = &evidence.tag_loss else { return check };
    let configured = &evidence.configured;
    let fits_none = configured.trimmed.iter().any(|trimmed| trimmed.check == check.name && trimmed.left == 0);
    if check.outcome != Outcome::Inconclusive || configured.has(Part::of(check.name)) || fits_none {
        return check;
    }
    let words = format!("not run to its end: {}", loss.words());
    let check = Check::bare(check.name, Outcome::Inconclusive, words);
    // Where `identity` runs, it says what to do.
    if evidence.selection.runs(CheckName::Identity) {
        check.with_help("see identity")
    } else {
        check.with_help(who(evidence))
    }
}
