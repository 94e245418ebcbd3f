//! What comes unasked, and how answers look: learned from single sockets before anything is judged.
//!
//! Takes what single quiet sockets showed: of some that never sent anything, and of some that sent after listening. Gives
//! what is due unasked, what comes again and again, and which frames answer. It never looks at the wire. The surprising
//! rule: a frame answers only when every socket that sent got its like afterwards and no socket got its like later than
//! with the greeting, unless it had sent; where nothing is left, an answer cannot be told and nobody may pass. Its limit:
//! a frame that comes by itself less often than the listening lasted (four seconds, or twice as long as an answer takes)
//! and yet right after each send is taken for an answer.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::observation::{Observation, Opening, Phase};
use super::whose::Whose;

/// Frames that come within so many microseconds of a socket's first are its greeting; a shape that is seen twice over a
/// longer time comes again and again.
const GREETING: u64 = 500_000;

/// What comes unasked, and how answers look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// Shapes that came unasked in every socket, with the smallest number of their frames: so many are due. Plain text is
    /// counted alone, since its words may be another's every time.
    pub due: BTreeMap<String, u32>,
    /// The smallest number of frames of the greeting, but for those that come again and again.
    pub at_least: u32,
    /// How often each kind of frame came unasked, at the most.
    pub unasked: BTreeMap<String, u32>,
    /// Shapes that come again and again, as heartbeats do: never due, never counted, never an answer.
    pub recurring: BTreeSet<String>,
    /// Kinds of frames that came unasked after the greeting: never an answer.
    pub late: BTreeSet<String>,
    /// Kinds of frames that answer; `None` while nothing was sent, or where an answer cannot be told.
    pub answered: Option<BTreeSet<String>>,
    /// Shapes whose frames name the user that they are for, on every socket: at least two users'.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub of_user: BTreeSet<String>,
    /// Shapes of answers that hold the nonce of what was sent, on every socket that sent: at least two.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub of_nonce: BTreeSet<String>,
    /// By when everything had come that comes unasked once: microseconds from the 101, at the most.
    pub settled: u64,
    /// How long a socket that sent was open, in microseconds, at the most.
    pub talked: u64,
    /// How long a socket that never sent was open, in microseconds, at the most.
    pub listened: u64,
    /// How many sockets this was learned from.
    pub sockets: u32,
}

impl Learned {
    /// True when the frame at `index` is more than what comes unasked, and looks like an answer as far as that is known.
    pub(super) fn is_answer(&self, frames: &[Frame], index: usize) -> bool {
        let Some(frame) = frames.get(index) else { return false };
        let Some(kind) = frame.answer_kind() else { return false };
        let known = self.answered.as_ref().is_none_or(|answered| answered.contains(kind));
        known && !self.is_anothers(frame) && self.is_extra(frames, index, kind)
    }

    fn is_extra(&self, frames: &[Frame], index: usize, kind: &str) -> bool {
        let so_far = frames.iter().take(index + 1).filter(|other| other.answer_kind() == Some(kind)).count();
        let by_itself = self.recurring.contains(kind) || self.late.contains(kind);
        !by_itself && so_far > self.unasked.get(kind).map_or(0, |&most| most as usize)
    }

    /// True when every frame that is due unasked is among these, `before` of which came before anything was sent.
    pub(super) fn is_greeted(&self, frames: &[Frame], before: Option<u32>) -> bool {
        let before = before.map_or(usize::MAX, |before| before as usize);
        let unasked = |index: usize| index < before || !self.is_answer(frames, index);
        let counted = |(index, frame): &(usize, &Frame)| {
            let sent_to_another = *index >= before && self.is_anothers(frame);
            let recurring = self.recurring.contains(frame.shape.as_str());
            !recurring && !sent_to_another && !self.is_of_another_user(frame) && unasked(*index)
        };
        let own = |frame: &&Frame| !self.is_of_another_user(frame);
        let came = |shape: &str| frames.iter().filter(own).filter(|f| f.shape.as_str() == shape).count();
        frames.iter().enumerate().filter(counted).count() >= self.at_least as usize
            && self.due.iter().all(|(shape, &due)| came(shape) >= due as usize)
    }

    /// True for a frame of a kind that names the user whom it is for, and names another user of the run.
    fn is_of_another_user(&self, frame: &Frame) -> bool {
        frame.user == Some(Whose::Another) && self.of_user.contains(frame.shape.as_str())
    }

    /// True for a frame that is meant for another user, or answers what another socket sent.
    fn is_anothers(&self, frame: &Frame) -> bool {
        let answers_another =
            frame.nonce == Some(Whose::Another) && self.of_nonce.contains(frame.shape.as_str());
        answers_another || self.is_of_another_user(frame)
    }

    /// The first frame that came to this socket and is meant for another. What others sent may have been told to
    /// everybody before this one had sent anything.
    pub(crate) fn misdirected<'a>(&self, frames: &'a [Frame], before: Option<u32>) -> Option<&'a Frame> {
        let before = before.map_or(usize::MAX, |before| before as usize);
        let mut frames = frames.iter().enumerate();
        let found = frames.find(|(index, frame)| {
            self.is_of_another_user(frame) || *index >= before && self.is_anothers(frame)
        });
        found.map(|(_, frame)| frame)
    }

    /// True when something is due unasked, and all of it came.
    pub(crate) fn greets(&self, frames: &[Frame], before: Option<u32>) -> bool {
        self.at_least > 0 && self.is_greeted(frames, before)
    }

    /// True when this socket, which nothing ended, got something after it had sent that may have been its answer and may not:
    /// binary frames and numbers have one shape each, and here they come by themselves, too.
    pub(super) fn hides_answer(&self, observation: &Observation) -> bool {
        let before = observation.sent_after.map_or(usize::MAX, |before| before as usize);
        let hidden = |kind: &str| {
            matches!(kind, "binary" | "number") && (self.recurring.contains(kind) || self.late.contains(kind))
        };
        let ended = observation.end.as_ref().is_some_and(|end| end.phase != Phase::Closing);
        let frames = &observation.frames;
        let after = frames.iter().skip(before).filter(|frame| !is_ping(frames, frame));
        !ended && after.filter_map(Frame::answer_kind).any(hidden)
    }

    /// True when sockets that sent were open longer than any was only listened to.
    pub(super) fn heard_too_little(&self) -> bool {
        self.talked > self.listened
    }
}

/// Learns from single sockets that opened and met no error; `None` when there is none. `heard` never sent anything; `talked`
/// sent after listening, or had nothing to send.
pub fn learn(heard: &[&Observation], talked: &[&Observation]) -> Option<Learned> {
    let healthy = |o: &&&Observation| {
        matches!(o.opening, Opening::Opened { .. }) && !o.frames.iter().any(|frame| frame.error)
    };
    let heard: Vec<&Observation> = heard.iter().filter(healthy).copied().collect();
    let talked: Vec<&Observation> = talked.iter().filter(healthy).copied().collect();
    let sources: Vec<&Observation> = heard.iter().chain(&talked).copied().collect();
    if sources.is_empty() {
        return None;
    }
    let mut recurring: BTreeSet<String> = sources.iter().flat_map(|o| recurring_of(unasked_of(o))).collect();
    recurring.extend(sources.iter().filter_map(|o| ping_of(&o.frames)));
    let counts: Vec<BTreeMap<String, u32>> =
        sources.iter().map(|o| count(greeting(o, &recurring).map(|frame| frame.shape.as_str()))).collect();
    let prompt = |o: &&Observation| greeting(o, &recurring).filter(|frame| !is_late(o, frame)).count();
    let at_least = sources.iter().map(prompt).min().unwrap_or(0);
    let mut unasked = BTreeMap::new();
    for source in &sources {
        for (kind, count) in count(unasked_of(source).iter().filter_map(Frame::answer_kind)) {
            let most = unasked.entry(kind).or_insert(0);
            *most = count.max(*most);
        }
    }
    // A late text is one of many that differ: nobody waits for it.
    let awaited = |o: &Observation, frame: &Frame| !(is_late(o, frame) && is_text(frame.shape.as_str()));
    let settled = |o: &&Observation| {
        let awaited = greeting(o, &recurring).filter(|frame| awaited(o, frame));
        awaited.map(|frame| since_opening(o, frame.at)).max()
    };
    let longest = |of: &[&Observation]| of.iter().map(|o| open_for(o)).max().unwrap_or(0);
    let mut learned = Learned {
        due: due(&counts),
        at_least: u32::try_from(at_least).unwrap_or(u32::MAX),
        unasked,
        late: sources.iter().flat_map(|o| late_of(o)).collect(),
        answered: None,
        of_user: of_user(&sources),
        of_nonce: of_nonce(&talked),
        settled: sources.iter().filter_map(settled).max().unwrap_or(0),
        talked: longest(&talked),
        listened: longest(&heard),
        sockets: u32::try_from(sources.len()).unwrap_or(u32::MAX),
        recurring,
    };
    learned.answered = if heard.is_empty() { None } else { answered(&talked, &learned) };
    Some(learned)
}

/// What answers: kinds that came, besides what comes unasked, to every socket that sent. `None` when that is nothing.
fn answered(talked: &[&Observation], learned: &Learned) -> Option<BTreeSet<String>> {
    if !talked.is_empty() && talked.iter().all(|o| o.sent_after.is_none()) {
        return Some(BTreeSet::new());
    }
    let kinds = |o: &&Observation| -> BTreeSet<String> {
        let before = o.sent_after.map_or(usize::MAX, |before| before as usize);
        let after = (before..o.frames.len()).filter(|&index| learned.is_answer(&o.frames, index));
        after.filter_map(|index| o.frames.get(index)?.answer_kind().map(str::to_owned)).collect()
    };
    let common = talked.iter().map(kinds).reduce(|one, other| &one & &other)?;
    (!common.is_empty()).then_some(common)
}

/// Shapes of which every frame names its socket's own user, on sockets of at least two users: one user's name may stand
/// there by chance.
fn of_user(sources: &[&Observation]) -> BTreeSet<String> {
    let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut others = BTreeSet::new();
    for source in sources {
        for frame in &source.frames {
            match (frame.user, &source.user) {
                (Some(Whose::Own), Some(user)) => {
                    users.entry(frame.shape.as_str()).or_default().insert(user);
                }
                _ => {
                    others.insert(frame.shape.as_str());
                }
            }
        }
    }
    let certain = users.into_iter().filter(|(shape, users)| users.len() > 1 && !others.contains(shape));
    certain.map(|(shape, _)| shape.to_owned()).collect()
}

/// Shapes of which every frame that came after sending holds its socket's own nonce, on at least two sockets.
fn of_nonce(talked: &[&Observation]) -> BTreeSet<String> {
    let mut sockets: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    let mut others = BTreeSet::new();
    for source in talked {
        let before = source.sent_after.map_or(usize::MAX, |before| before as usize);
        for frame in source.frames.iter().skip(before) {
            if frame.nonce == Some(Whose::Own) {
                sockets.entry(frame.shape.as_str()).or_default().insert(source.socket);
            } else {
                others.insert(frame.shape.as_str());
            }
        }
    }
    let certain = sockets.into_iter().filter(|(shape, sockets)| sockets.len() > 1 && !others.contains(shape));
    certain.map(|(shape, _)| shape.to_owned()).collect()
}

/// Shapes that came in all of them, but for plain text, with their smallest number.
fn due(counts: &[BTreeMap<String, u32>]) -> BTreeMap<String, u32> {
    let Some((first, others)) = counts.split_first() else { return BTreeMap::new() };
    let least = |(shape, count): (&String, &u32)| {
        let others = others.iter().map(|counts| counts.get(shape).copied().unwrap_or(0)).min();
        let least = others.map_or(*count, |others| others.min(*count));
        (least > 0 && !is_text(shape)).then(|| (shape.clone(), least))
    };
    first.iter().filter_map(least).collect()
}

/// What came unasked and not again and again.
fn greeting<'a>(
    observation: &'a Observation,
    recurring: &'a BTreeSet<String>,
) -> impl Iterator<Item = &'a Frame> {
    unasked_of(observation).iter().filter(|frame| !recurring.contains(frame.shape.as_str()))
}

fn unasked_of(observation: &Observation) -> &[Frame] {
    let end = observation.sent_after.map_or(observation.frames.len(), |before| before as usize);
    &observation.frames[..end.min(observation.frames.len())]
}

fn count<'a>(kinds: impl Iterator<Item = &'a str>) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for kind in kinds {
        *counts.entry(kind.to_owned()).or_insert(0) += 1;
    }
    counts
}

/// Shapes, and kinds of answers, that come again after more than the time of a greeting.
pub(super) fn recurring_of(frames: &[Frame]) -> BTreeSet<String> {
    let mut first: BTreeMap<&str, u64> = BTreeMap::new();
    let mut recurring = BTreeSet::new();
    for frame in frames {
        for name in names(frame) {
            let first = *first.entry(name).or_insert(frame.at);
            if frame.at.saturating_sub(first) > GREETING {
                recurring.insert(name.to_owned());
            }
        }
    }
    recurring.extend(ping_of(frames));
    recurring
}

/// The shape of Engine.IO's ping, where one came on a socket that Engine.IO opened. Once is enough: it waits for the pong.
fn ping_of(frames: &[Frame]) -> Option<String> {
    frames.iter().find(|frame| is_ping(frames, frame)).map(|ping| ping.shape.as_str().to_owned())
}

/// True for Engine.IO's ping: the packet type alone, on a socket whose first packet says that it is open.
fn is_ping(frames: &[Frame], frame: &Frame) -> bool {
    let is_engine = frames.first().is_some_and(|first| first.shape.as_str().starts_with("packet 0 "));
    is_engine && frame.text.as_str() == "2"
}

/// What may answer and came unasked after the greeting.
fn late_of(observation: &Observation) -> BTreeSet<String> {
    let late = unasked_of(observation).iter().filter(|frame| is_late(observation, frame));
    late.filter_map(|frame| frame.answer_kind().map(str::to_owned)).collect()
}

fn is_late(observation: &Observation, frame: &Frame) -> bool {
    let first = observation.frames.first().map_or(frame.at, |first| first.at);
    frame.at.saturating_sub(first) > GREETING
}

/// The words of a plain text may be another's every time.
fn is_text(shape: &str) -> bool {
    shape.starts_with("text")
}

/// A frame's shape, and what it is called where it may be the declared answer.
fn names(frame: &Frame) -> impl Iterator<Item = &str> {
    let kind = frame.answer_kind().filter(|kind| *kind != frame.shape.as_str());
    std::iter::once(frame.shape.as_str()).chain(kind)
}

fn since_opening(observation: &Observation, at: u64) -> u64 {
    at.saturating_sub(observation.timeline.answered.unwrap_or(at))
}

/// From the 101 until we began to close, or the socket ended.
fn open_for(observation: &Observation) -> u64 {
    let times = &observation.timeline;
    since_opening(observation, times.closing.unwrap_or(times.ended))
}

#[cfg(test)]
mod tests;
