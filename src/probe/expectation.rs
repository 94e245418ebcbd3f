//! What must a socket show, and has it shown it?
//!
//! Takes the frames of a socket, what was sent and what is known to come unasked; says what is still due. It never
//! looks at the wire. The surprising rule: an answer is only what comes *besides* the unasked frames, so that a lost
//! first message followed by the welcome is not taken for answered; and only what is known to answer.

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::learned::Learned;
use crate::config::Conversation;

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// A text is sent.
    pub send: bool,
    /// An answer is described.
    pub expect: bool,
    /// A greeting is described.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub greeting: bool,
}

impl Declared {
    /// What is declared of a conversation.
    pub(super) fn of(conversation: &Conversation) -> Self {
        Self {
            send: conversation.send.is_some(),
            expect: conversation.expect.is_some(),
            greeting: conversation.greeting.is_some(),
        }
    }
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
    let greeted = is_greeted(frames, sent_after, learned, declared);
    match (declared.send, sent_after) {
        (true, Some(before)) if !is_answered(frames, before, learned) => Standing::Answer,
        (true, Some(_)) if greeted => Standing::Satisfied,
        (true, None) if greeted => Standing::MaySend,
        (false, _) if greeted && is_declared(frames, declared) => Standing::Satisfied,
        _ => Standing::Greeting,
    }
}

/// True when every frame that is due unasked has come, the declared greeting in any case. As long as that is being learned:
/// when any frame came, or at once where a text is going to be sent.
fn is_greeted(
    frames: &[Frame],
    sent_after: Option<u32>,
    learned: Option<&Learned>,
    declared: Declared,
) -> bool {
    if declared.greeting && !has_greeting(frames, sent_after, learned) {
        return false;
    }
    let something = declared.send || !frames.is_empty();
    match learned.filter(|learned| learned.answered.is_some()) {
        Some(learned) => something && learned.is_greeted(frames, sent_after),
        None => something,
    }
}

/// True when the declared greeting came; an answer that looks like it is none.
pub(crate) fn has_greeting(frames: &[Frame], sent_after: Option<u32>, learned: Option<&Learned>) -> bool {
    let before = sent_after.map_or(usize::MAX, |before| before as usize);
    let answers = |index| learned.is_some_and(|learned| learned.is_answer(frames, index));
    let mut frames = frames.iter().enumerate();
    frames.any(|(index, frame)| frame.greets() && (index < before || !answers(index)))
}

/// Without a text to send, `--expect` describes one of the unasked frames.
fn is_declared(frames: &[Frame], declared: Declared) -> bool {
    !declared.expect || frames.iter().any(|frame| frame.expected == Some(true))
}

/// True when, after `before` frames, one came that answers.
pub(crate) fn is_answered(frames: &[Frame], before: u32, learned: Option<&Learned>) -> bool {
    let mut after = before as usize..frames.len();
    match learned {
        None => after.any(|index| frames.get(index).is_some_and(|frame| frame.answer_kind().is_some())),
        Some(learned) => after.any(|index| learned.is_answer(frames, index)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::trust::Excerpt;

    const SENDS: Declared = Declared { send: true, expect: false, greeting: false };

    fn frames(shapes: &[&str]) -> Vec<Frame> {
        shapes
            .iter()
            .map(|shape| Frame { shape: Excerpt::new(shape), error: *shape == "error", ..Frame::default() })
            .collect()
    }

    fn welcome(answered: &[&str]) -> Learned {
        Learned {
            due: BTreeMap::from([("welcome".to_owned(), 1)]),
            at_least: 1,
            unasked: BTreeMap::from([("welcome".to_owned(), 1)]),
            answered: Some(answered.iter().map(|&kind| kind.to_owned()).collect()),
            ..Learned::default()
        }
    }

    #[test]
    fn a_late_welcome_is_no_answer() {
        let learned = welcome(&["pong"]);
        let standing = |shapes: &[&str], sent| standing(&frames(shapes), sent, SENDS, Some(&learned));
        assert_eq!(standing(&["welcome"], Some(0)), Standing::Answer);
        assert_eq!(standing(&["welcome", "pong"], Some(0)), Standing::Satisfied);
        assert_eq!(standing(&["pong"], Some(0)), Standing::Greeting);
        assert_eq!(standing(&["welcome"], None), Standing::MaySend);
        assert_eq!(standing(&["welcome", "error"], Some(1)), Standing::Error);
    }

    #[test]
    fn a_declared_greeting_is_due_whatever_is_known() {
        let declared = Declared { greeting: true, ..SENDS };
        let came = |is_it| {
            let mut frames = frames(&["welcome", "pong"]);
            frames[0].greeting = Some(is_it);
            frames[1].greeting = Some(false);
            frames
        };
        for learned in [None, Some(&welcome(&["pong"]))] {
            assert_eq!(standing(&came(true), Some(1), declared, learned), Standing::Satisfied);
            assert_eq!(standing(&came(false), Some(1), declared, learned), Standing::Greeting);
            assert_eq!(standing(&came(true)[..1], None, declared, learned), Standing::MaySend);
            assert_eq!(standing(&came(false)[..1], None, declared, learned), Standing::Greeting);
        }
        // Sent at the 101: the answer holds what the greeting should have held.
        let mut half_built = came(false);
        half_built[1].greeting = Some(true);
        let learned = welcome(&["pong"]);
        assert_eq!(standing(&half_built, Some(0), declared, Some(&learned)), Standing::Greeting);
        assert_eq!(standing(&came(true), Some(0), declared, Some(&learned)), Standing::Satisfied);
    }

    #[test]
    fn silence_never_satisfies() {
        let nothing = Declared::default();
        assert_eq!(standing(&[], None, nothing, None), Standing::Greeting);
        assert_eq!(standing(&[], None, nothing, Some(&Learned::default())), Standing::Greeting);
        assert_eq!(standing(&frames(&["x"]), None, nothing, None), Standing::Satisfied);
        assert_eq!(standing(&[], Some(0), SENDS, None), Standing::Answer);
    }

    #[test]
    fn only_what_answered_while_learning_is_an_answer() {
        let learned = Learned { recurring: BTreeSet::from(["tick".to_owned()]), ..welcome(&["pong"]) };
        let standing = |shapes: &[&str], sent| standing(&frames(shapes), sent, SENDS, Some(&learned));
        assert_eq!(standing(&["welcome", "tick", "tick"], Some(0)), Standing::Answer, "a heartbeat");
        assert_eq!(standing(&["welcome", "joined"], Some(0)), Standing::Answer, "never seen before");
        assert_eq!(standing(&["welcome", "joined", "pong"], Some(0)), Standing::Satisfied);
    }

    #[test]
    fn an_answer_of_an_unasked_shape_is_counted() {
        let learned = welcome(&["welcome"]);
        assert_eq!(standing(&frames(&["welcome"]), Some(0), SENDS, Some(&learned)), Standing::Answer);
        assert_eq!(
            standing(&frames(&["welcome", "welcome"]), Some(1), SENDS, Some(&learned)),
            Standing::Satisfied
        );
    }

    #[test]
    fn a_greeting_whose_words_differ_is_counted_without_answers_and_heartbeats() {
        let learned = Learned {
            at_least: 1,
            recurring: BTreeSet::from(["tick".to_owned()]),
            answered: Some(BTreeSet::from(["pong".to_owned()])),
            ..Learned::default()
        };
        let standing = |shapes: &[&str]| standing(&frames(shapes), Some(0), SENDS, Some(&learned));
        assert_eq!(standing(&["text any tip", "pong"]), Standing::Satisfied);
        assert_eq!(standing(&["tick", "pong"]), Standing::Greeting);
        assert_eq!(standing(&["pong", "pong"]), Standing::Greeting);
    }
}
