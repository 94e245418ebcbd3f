//! What must a socket show, and has it shown it?
//!
//! Takes the frames of a socket, what was sent and what is known to come unasked; says what is still due. It never
//! looks at the wire. The surprising rule: an answer is only what comes *besides* the unasked frames, so that a lost
//! first message followed by the welcome is not taken for answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::observation::{Observation, Opening};

/// What comes unasked, and how answers look: learned from single quiet sockets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// Shapes that came unasked in every one of them: these are due.
    pub due: Vec<String>,
    /// The smallest number of frames that came unasked.
    pub at_least: u32,
    /// How often each shape came unasked, at the most.
    pub unasked: BTreeMap<String, u32>,
    /// Unasked shapes that also came, once more, as the answer.
    pub answers: Vec<String>,
    /// How many sockets this was learned from.
    pub sockets: u32,
}

/// How far a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Frames that come unasked are still due.
    Greeting,
    /// The text may be sent.
    MaySend,
    /// The answer is still due.
    Answer,
    /// Everything due has come.
    Satisfied,
    /// An error frame came: nothing more is worth waiting for.
    Error,
}

/// What the configuration declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// A text is sent.
    pub send: bool,
    /// An answer is described.
    pub expect: bool,
}

/// Where a socket stands after `frames`, `sent_after` of which came before the text was sent.
pub fn standing(
    frames: &[Frame],
    sent_after: Option<u32>,
    declared: Declared,
    learned: Option<&Learned>,
) -> Standing {
    if frames.iter().any(|frame| frame.error) {
        return Standing::Error;
    }
    let greeted = is_greeted(frames, learned, declared);
    match (declared.send, sent_after) {
        (true, Some(before)) if !is_answered(frames, before, declared, learned) => Standing::Answer,
        (true, Some(_)) if greeted => Standing::Satisfied,
        (true, None) if greeted => Standing::MaySend,
        (false, _) if greeted && is_declared(frames, declared) => Standing::Satisfied,
        _ => Standing::Greeting,
    }
}

/// True when every frame that is due unasked has come. Before anything is known: when any frame came, or at once
/// where a text is going to be sent.
fn is_greeted(frames: &[Frame], learned: Option<&Learned>, declared: Declared) -> bool {
    let Some(learned) = learned else { return !frames.is_empty() || declared.send };
    let enough = frames.len() >= learned.at_least as usize && (declared.send || !frames.is_empty());
    enough && learned.due.iter().all(|shape| frames.iter().any(|frame| frame.shape.as_str() == shape))
}

/// Without a text to send, `--expect` describes one of the unasked frames.
fn is_declared(frames: &[Frame], declared: Declared) -> bool {
    !declared.expect || frames.iter().any(|frame| frame.expected == Some(true))
}

fn is_answered(frames: &[Frame], before: u32, declared: Declared, learned: Option<&Learned>) -> bool {
    let later = frames.iter().enumerate().skip(before as usize);
    let mut candidates = later.filter(|(_, frame)| !declared.expect || frame.expected == Some(true));
    match learned {
        None => candidates.next().is_some(),
        Some(learned) => candidates.any(|(index, frame)| learned.is_extra(frames, index, frame)),
    }
}

impl Learned {
    /// True when the frame at `index` is more than what comes unasked.
    fn is_extra(&self, frames: &[Frame], index: usize, frame: &Frame) -> bool {
        let shape = frame.shape.as_str();
        let Some(&unasked) = self.unasked.get(shape) else { return true };
        let so_far = frames[..=index].iter().filter(|other| other.shape == frame.shape).count();
        self.answers.iter().any(|answer| answer == shape) && so_far > unasked as usize
    }
}

/// Learns from quiet single sockets that opened and met no error; `None` when there is none.
///
/// Each of them was first only listened to; what came until the text was sent came unasked.
pub fn learn(observations: &[&Observation]) -> Option<Learned> {
    let sources: Vec<&&Observation> = observations
        .iter()
        .filter(|o| matches!(o.opening, Opening::Opened { .. }) && !o.frames.iter().any(|frame| frame.error))
        .collect();
    let counts: Vec<BTreeMap<String, u32>> = sources.iter().map(|o| count_shapes(unasked_of(o))).collect();
    let first = counts.first()?;
    let due = first.keys().filter(|shape| counts.iter().all(|count| count.contains_key(*shape)));
    let mut unasked = BTreeMap::new();
    for (shape, count) in counts.iter().flatten() {
        let most = unasked.entry(shape.clone()).or_insert(0);
        *most = (*most).max(*count);
    }
    // Greetings whose shapes differ from socket to socket can still be counted; repeated shapes (heartbeats) cannot.
    let at_least = counts.iter().map(BTreeMap::len).min().unwrap_or(0);
    let answers = sources
        .iter()
        .flat_map(|o| o.frames.iter().skip(unasked_of(o).len()))
        .map(|frame| frame.shape.as_str().to_owned())
        .filter(|shape| unasked.contains_key(shape))
        .collect::<std::collections::BTreeSet<_>>();
    Some(Learned {
        due: due.cloned().collect(),
        at_least: u32::try_from(at_least).unwrap_or(u32::MAX),
        answers: answers.into_iter().collect(),
        sockets: u32::try_from(sources.len()).unwrap_or(u32::MAX),
        unasked,
    })
}

fn unasked_of(observation: &Observation) -> &[Frame] {
    let end = observation.sent_after.map_or(observation.frames.len(), |before| before as usize);
    &observation.frames[..end.min(observation.frames.len())]
}

fn count_shapes(frames: &[Frame]) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for frame in frames {
        *counts.entry(frame.shape.as_str().to_owned()).or_insert(0) += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::super::frame::FrameKind;
    use super::*;
    use crate::trust::Excerpt;

    const SENDS: Declared = Declared { send: true, expect: false };

    fn frames(shapes: &[&str]) -> Vec<Frame> {
        shapes
            .iter()
            .map(|shape| Frame {
                at: 0,
                kind: FrameKind::Text,
                size: 1,
                shape: Excerpt::new(shape),
                error: *shape == "error",
                expected: None,
                text: Excerpt::default(),
            })
            .collect()
    }

    fn welcome() -> Learned {
        Learned {
            due: vec!["welcome".to_owned()],
            at_least: 1,
            unasked: BTreeMap::from([("welcome".to_owned(), 1)]),
            answers: Vec::new(),
            sockets: 2,
        }
    }

    #[test]
    fn a_late_welcome_is_no_answer() {
        let learned = welcome();
        let standing = |shapes: &[&str], sent| standing(&frames(shapes), sent, SENDS, Some(&learned));
        assert_eq!(standing(&["welcome"], Some(0)), Standing::Answer);
        assert_eq!(standing(&["welcome", "pong"], Some(0)), Standing::Satisfied);
        assert_eq!(standing(&["pong"], Some(0)), Standing::Greeting);
        assert_eq!(standing(&["welcome"], None), Standing::MaySend);
        assert_eq!(standing(&["welcome", "error"], Some(1)), Standing::Error);
    }

    #[test]
    fn silence_never_satisfies() {
        let nothing = Declared { send: false, expect: false };
        assert_eq!(standing(&[], None, nothing, None), Standing::Greeting);
        assert_eq!(standing(&[], None, nothing, Some(&Learned::default())), Standing::Greeting);
        assert_eq!(standing(&frames(&["x"]), None, nothing, None), Standing::Satisfied);
        assert_eq!(standing(&[], Some(0), SENDS, None), Standing::Answer);
    }

    #[test]
    fn an_answer_of_an_unasked_shape_is_counted() {
        let mut learned = welcome();
        learned.answers = vec!["welcome".to_owned()];
        assert_eq!(standing(&frames(&["welcome"]), Some(0), SENDS, Some(&learned)), Standing::Answer);
        assert_eq!(
            standing(&frames(&["welcome", "welcome"]), Some(1), SENDS, Some(&learned)),
            Standing::Satisfied
        );
    }
}
