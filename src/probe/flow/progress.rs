//! How far is a conversation, and what does the frame that came mean for it?
//!
//! Takes a flow and the values of one socket; is told each frame, and says what is due. Pure: it neither sends nor waits.
//! The surprising rule: a frame of a later step that comes before an earlier one is due is *out of order*, and not passed
//! over until the time is up, but only up to the next text that is sent: an answer cannot come before its question.

use std::time::Duration;

use super::condition::Condition;
use super::incoming::Incoming;
use crate::config::{Answer, Captured, Escaping, Flow, FramePattern, Message, Rule, Step, Values, Wanted};
use crate::trust::Redactor;

/// What a conversation needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Due {
    /// The first step may begin.
    Begin,
    /// This is sent.
    Send(String),
    /// A text that names what was never captured.
    Unfilled(String),
    /// It is only listened.
    Wait(Duration),
    /// This frame.
    Frame {
        /// What it is called.
        name: String,
        /// How long it may take; `None`: as long as any answer.
        within: Option<Duration>,
        /// It may be missing.
        optional: bool,
    },
    /// Everything has come.
    Nothing,
}

/// What a frame means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It was due.
    Due(String),
    /// Nothing.
    PassedOver,
    /// It asks for this answer.
    Answered(String),
    /// It is forbidden: by this rule, for this reason.
    Forbidden(String, Option<String>),
    /// It reports an error.
    Error,
    /// It came before another was due.
    OutOfOrder {
        /// What it is.
        came: String,
        /// What was due first.
        due: String,
    },
    /// Nothing expects it, in a strict flow.
    Unexpected,
}

/// One of the things that a conversation goes through.
enum Stop<'f> {
    Begin,
    Send(&'f Message),
    Wait(Duration),
    Frames(Vec<Awaited<'f>>),
}

/// A frame that is due, how often it came, and how it is told.
struct Awaited<'f> {
    wanted: &'f Wanted,
    came: u32,
    condition: Option<Condition>,
}

impl Awaited<'_> {
    /// Its name; of one that cannot be told yet, with what is missing.
    fn called(&self) -> String {
        let name = self.wanted.name.clone();
        if self.condition.is_some() {
            return name;
        }
        let named: Vec<String> =
            self.wanted.pattern.captures().map(|name| format!("{{{{capture.{name}}}}}")).collect();
        format!("{name} (by {}, which no frame has given)", named.join(", "))
    }

    fn is_full(&self) -> bool {
        self.wanted.at_most.is_some_and(|most| self.came >= most)
    }
}

/// A rule and how its frames are told.
struct Ruled<'f> {
    rule: &'f Rule,
    condition: Option<Condition>,
}

/// An answer and how what it answers is told.
struct Answering<'f> {
    answer: &'f Answer,
    condition: Option<Condition>,
}

/// The progress of one conversation.
pub(super) struct Progress<'f> {
    values: Values<'f>,
    stops: Vec<Stop<'f>>,
    position: usize,
    forbid: Vec<Ruled<'f>>,
    ignore: Vec<Ruled<'f>>,
    answers: Vec<Answering<'f>>,
    strict: bool,
    /// What was taken out of frames.
    pub(super) captured: Captured,
}

impl<'f> Progress<'f> {
    /// Before the first frame.
    pub(super) fn new(flow: &'f Flow, values: Values<'f>) -> Self {
        let mut stops = Vec::new();
        if !flow.welcome.is_empty() {
            stops.push(frames(&flow.welcome));
        }
        stops.push(Stop::Begin);
        stops.extend(flow.steps.iter().map(stop));
        Self::of(flow, values, stops, Captured::new(), flow.strict)
    }

    /// The cleanup of a flow, with what was captured in the conversation.
    pub(super) fn of_cleanup(flow: &'f Flow, values: Values<'f>, captured: Captured) -> Self {
        Self::of(flow, values, flow.cleanup.iter().map(stop).collect(), captured, false)
    }

    fn of(
        flow: &'f Flow,
        values: Values<'f>,
        stops: Vec<Stop<'f>>,
        captured: Captured,
        strict: bool,
    ) -> Self {
        let ruled = |rules: &'f [Rule]| rules.iter().map(|rule| Ruled { rule, condition: None }).collect();
        let mut progress = Self {
            values,
            stops,
            position: 0,
            forbid: ruled(&flow.forbid),
            ignore: ruled(&flow.ignore),
            answers: flow.answers.iter().map(|answer| Answering { answer, condition: None }).collect(),
            strict,
            captured,
        };
        progress.fill();
        progress
    }

    /// Makes the tests that can be made by now.
    fn fill(&mut self) {
        let Self { values, captured, .. } = self;
        let made = |slot: &mut Option<Condition>, pattern: &FramePattern| {
            // What names a capture is made anew: the same name may have been captured again.
            if slot.is_none() || pattern.captures().next().is_some() {
                *slot = Condition::new(pattern, *values, captured);
            }
        };
        for stop in &mut self.stops {
            if let Stop::Frames(awaited) = stop {
                for one in awaited {
                    made(&mut one.condition, &one.wanted.pattern);
                }
            }
        }
        for ruled in &mut self.ignore {
            made(&mut ruled.condition, &ruled.rule.pattern);
        }
        for answering in &mut self.answers {
            made(&mut answering.condition, &answering.answer.on);
        }
        for ruled in &mut self.forbid {
            made(&mut ruled.condition, &ruled.rule.pattern);
            ruled.condition = ruled.condition.take().map(Condition::forbidding);
        }
    }

    /// What is due now. What needs no waiting any more is left behind.
    pub(super) fn due(&mut self) -> Due {
        for index in self.position..self.stops.len() {
            let Stop::Frames(awaited) = &self.stops[index] else { break };
            if let Some(one) = unsatisfied(awaited) {
                let within = one.wanted.within;
                return Due::Frame { name: one.called(), within, optional: false };
            }
        }
        while let Some(stop) = self.stops.get(self.position) {
            match stop {
                Stop::Frames(awaited) => {
                    let absent = |one: &&Awaited<'_>| one.came == 0 && one.wanted.follows.is_none();
                    if let Some(one) = awaited.iter().find(absent) {
                        let within = one.wanted.within;
                        return Due::Frame { name: one.wanted.name.clone(), within, optional: true };
                    }
                    self.position += 1;
                }
                Stop::Begin => return Due::Begin,
                Stop::Wait(time) => return Due::Wait(*time),
                Stop::Send(message) => {
                    let filled = filled(message, self.values, &self.captured);
                    let missing = || {
                        let mut names = message.text.captures();
                        names.find(|name| !self.captured.contains_key(*name)).unwrap_or_default().to_owned()
                    };
                    return filled.map_or_else(|| Due::Unfilled(missing()), Due::Send);
                }
            }
        }
        Due::Nothing
    }

    /// What is due is done, or given up.
    pub(super) fn pass(&mut self) {
        self.position += 1;
    }

    /// What a frame means that is forbidden.
    pub(super) fn forbidden(&self, incoming: &Incoming<'_>) -> Option<Meaning> {
        let Ruled { rule, .. } = self.forbid.iter().find(|ruled| ruled.matches(incoming))?;
        Some(Meaning::Forbidden(rule.name.clone(), rule.because.clone()))
    }

    /// Whether a strict flow passes a frame over.
    pub(super) fn ignores(&self, incoming: &Incoming<'_>) -> bool {
        self.ignore.iter().any(|ruled| ruled.matches(incoming))
    }

    /// What is due, and why a frame that came is not what is due though it looks like it.
    pub(super) fn missed(&self, incoming: &Incoming<'_>, redactor: &Redactor) -> Option<(String, String)> {
        let waits = self.stops.get(self.position..)?.iter().map_while(|stop| match stop {
            Stop::Frames(awaited) => Some(awaited),
            _ => None,
        });
        let due = waits.into_iter().find_map(|awaited| unsatisfied(awaited))?;
        let condition = due.condition.as_ref()?;
        let words = if condition.matches(incoming) {
            "it is answered by a rule of `answers`, and so no step's".to_owned()
        } else {
            condition.missed(incoming, redactor)?
        };
        Some((due.called(), words))
    }

    /// What a frame means, and what it changes.
    pub(super) fn take(&mut self, incoming: &Incoming<'_>, is_error: bool) -> Meaning {
        if let Some(forbidden) = self.forbidden(incoming) {
            return forbidden;
        }
        if let Some(answered) = self.answered(incoming) {
            return answered;
        }
        let mut early = None;
        let mut blocked = None;
        let mut known = false;
        for index in self.position..self.stops.len() {
            let awaited = match &self.stops[index] {
                Stop::Frames(awaited) => awaited,
                // What comes while it is only listened has come.
                Stop::Wait(_) => continue,
                Stop::Begin | Stop::Send(_) => break,
            };
            if let Some(due) = &blocked {
                let later = awaited.iter().find(|one| one.matches(incoming));
                early = early.or(later.map(|one| (one.wanted.name.clone(), String::clone(due))));
                continue;
            }
            for (place, one) in awaited.iter().enumerate().filter(|(_, one)| one.matches(incoming)) {
                if one.is_full() {
                    known = true;
                } else if let Some(leader) = leader(awaited, one).filter(|leader| one.came >= leader.came) {
                    early = early.or(Some((one.wanted.name.clone(), leader.wanted.name.clone())));
                } else {
                    return self.came(index, place, incoming);
                }
            }
            blocked = unsatisfied(awaited).map(|one| one.wanted.name.clone());
        }
        match early {
            _ if is_error => Meaning::Error,
            Some((came, due)) => Meaning::OutOfOrder { came, due },
            None if self.strict && !known && !self.ignores(incoming) => Meaning::Unexpected,
            None => Meaning::PassedOver,
        }
    }

    /// What a frame means that asks for an answer, whatever else it matches. One whose answer names what was not captured
    /// stays without.
    fn answered(&self, incoming: &Incoming<'_>) -> Option<Meaning> {
        let asks = |one: &&Answering<'_>| one.condition.as_ref().is_some_and(|c| c.matches(incoming));
        let Answering { answer, .. } = self.answers.iter().find(asks)?;
        let mut captured = self.captured.clone();
        for (name, pointers) in &answer.capture {
            captured.extend(incoming.captured(pointers).map(|value| (name.clone(), value)));
        }
        let text = filled(&answer.message, self.values, &captured);
        Some(text.map_or(Meaning::PassedOver, Meaning::Answered))
    }

    fn came(&mut self, index: usize, place: usize, incoming: &Incoming<'_>) -> Meaning {
        let waits = self.stops[self.position..index].iter().any(|stop| matches!(stop, Stop::Wait(_)));
        if !waits {
            self.position = index;
        }
        let Stop::Frames(awaited) = &mut self.stops[index] else { return Meaning::PassedOver };
        let one = &mut awaited[place];
        one.came += 1;
        let wanted = one.wanted;
        for (name, pointers) in &wanted.capture {
            if let Some(value) = incoming.captured(pointers) {
                self.captured.insert(name.clone(), value);
            }
        }
        if !wanted.capture.is_empty() {
            self.fill();
        }
        Meaning::Due(wanted.name.clone())
    }
}

impl Awaited<'_> {
    fn matches(&self, incoming: &Incoming<'_>) -> bool {
        self.condition.as_ref().is_some_and(|condition| condition.matches(incoming))
    }
}

impl Ruled<'_> {
    fn matches(&self, incoming: &Incoming<'_>) -> bool {
        self.condition.as_ref().is_some_and(|condition| condition.matches(incoming))
    }
}

/// A text with its values; `None` while it names something that was not captured.
fn filled(message: &Message, values: Values<'_>, captured: &Captured) -> Option<String> {
    let escaping = if message.json { Escaping::Json } else { Escaping::None };
    message.text.fill_captured(values, captured, escaping)
}

fn stop(step: &Step) -> Stop<'_> {
    match step {
        Step::Send(message) => Stop::Send(message),
        Step::Wait(time) => Stop::Wait(*time),
        Step::Expect(_) | Step::AnyOrder(_) => frames(step.wanted()),
    }
}

fn frames(wanted: &[Wanted]) -> Stop<'_> {
    Stop::Frames(wanted.iter().map(|wanted| Awaited { wanted, came: 0, condition: None }).collect())
}

/// The frame after each of which this one comes once.
fn leader<'a, 'f>(awaited: &'a [Awaited<'f>], one: &Awaited<'f>) -> Option<&'a Awaited<'f>> {
    let name = one.wanted.follows.as_ref()?;
    awaited.iter().find(|other| &other.wanted.name == name)
}

/// The first frame that must still come.
fn unsatisfied<'a, 'f>(awaited: &'a [Awaited<'f>]) -> Option<&'a Awaited<'f>> {
    awaited.iter().find(|one| {
        one.came < one.wanted.at_least || leader(awaited, one).is_some_and(|leader| one.came < leader.came)
    })
}

#[cfg(test)]
mod tests;
