//! A conversation as it is to be: what is sent, what must come and in which order, and what must never come.
//!
//! Values only, checked when they were made. The surprising rule: a frame's *type* is looked for in three places, since
//! the envelope of an agent's events changes from one event to the next, and the event does not.

use std::time::Duration;

use super::super::settings::{Conversation, Expect};
use super::super::template::Template;

/// A named conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// Its name.
    pub name: String,
    /// Frames that no step expects, and that are not `ignore`d, fail a run.
    pub strict: bool,
    /// What must come unasked before the first step, in any order.
    pub welcome: Vec<Wanted>,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What must never come, from the 101 to the close.
    pub forbid: Vec<Rule>,
    /// What `strict` passes over.
    pub ignore: Vec<Rule>,
    /// What is said whenever certain frames come, from the 101 to our close.
    pub answers: Vec<Answer>,
    /// What is done afterwards, whatever happened, while the socket is open.
    pub cleanup: Vec<Step>,
}

/// One step of a flow.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A text is sent.
    Send(Message),
    /// A frame is waited for.
    Expect(Box<Wanted>),
    /// Several are waited for, in any order.
    AnyOrder(Vec<Wanted>),
    /// So long it is only listened.
    Wait(Duration),
}

/// A text to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The text.
    pub text: Template,
    /// Whether it is JSON, so that values are escaped for it.
    pub json: bool,
}

/// A frame that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// What it is called in reports.
    pub name: String,
    /// How it is told.
    pub pattern: FramePattern,
    /// How long it may take since the last frame that was due; `None`: as long as any answer.
    pub within: Option<Duration>,
    /// How often it comes at least; 0 for one that may be missing.
    pub at_least: u32,
    /// How often it comes at most; `None` for any number.
    pub at_most: Option<u32>,
    /// The name of the frame of the same step after each of which this one comes once.
    pub follows: Option<String>,
    /// What is taken out of it: a name, and the pointers of which the first that exists gives it.
    pub capture: Vec<(String, Vec<String>)>,
}

/// Frames that are forbidden, passed over or shared.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What it is called in reports.
    pub name: String,
    /// How they are told.
    pub pattern: FramePattern,
    /// Why, in the words of whoever wrote it.
    pub because: Option<String>,
}

/// What is said whenever a frame comes that asks for it, as a heartbeat does. Such a frame is no step's.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// How such frames are told.
    pub on: FramePattern,
    /// What is taken out of each for its own answer: a name, and the pointers of which the first that exists gives it.
    pub capture: Vec<(String, Vec<String>)>,
    /// What is said.
    pub message: Message,
}

/// How a frame is told: all conditions must hold. One without any matches every frame.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FramePattern {
    /// One of these stands under `type` or `event`, at the root, under `data` or under `payload`.
    pub types: Vec<Template>,
    /// The JSON holds at least this.
    pub json: Option<Template>,
    /// The text matches this regular expression.
    pub regex: Option<Template>,
    /// A place in the JSON, and what stands there.
    pub pointed: Option<Pointed>,
}

/// A place in the JSON of a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Pointed {
    /// JSON pointers (RFC 6901): the first that exists counts.
    pub pointers: Vec<String>,
    /// What stands there.
    pub holds: Holds,
}

/// What stands at a place.
#[derive(Debug, Clone, PartialEq)]
pub enum Holds {
    /// Anything at all.
    Anything,
    /// This JSON.
    Json(Template),
    /// A text that matches this regular expression; of what is no text, its JSON.
    Regex(Template),
}

impl FramePattern {
    /// The names of what must have been captured before a frame can be told.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        self.templates().flat_map(Template::captures)
    }

    /// All its texts.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        let pointed = self.pointed.as_ref().and_then(|pointed| match &pointed.holds {
            Holds::Anything => None,
            Holds::Json(template) | Holds::Regex(template) => Some(template),
        });
        self.types.iter().chain(&self.json).chain(&self.regex).chain(pointed)
    }
}

impl Flow {
    /// The conversation of every other socket as a flow: what is sent, and its answer.
    pub(crate) fn plain(conversation: &Conversation) -> Self {
        let send = conversation.send.as_ref().map(|text| {
            let json = text.source().trim_start().starts_with(['{', '[']);
            Step::Send(Message { text: text.clone(), json })
        });
        let pattern = match &conversation.expect {
            Some(Expect::JsonSubset(json)) => FramePattern { json: Some(json.clone()), ..Default::default() },
            Some(Expect::Regex(regex)) => FramePattern { regex: Some(regex.clone()), ..Default::default() },
            None => FramePattern::default(),
        };
        let answer = Wanted {
            name: "the answer".to_owned(),
            pattern,
            within: None,
            at_least: 1,
            at_most: Some(1),
            follows: None,
            capture: Vec::new(),
        };
        Self {
            name: "send and expect".to_owned(),
            strict: false,
            welcome: Vec::new(),
            steps: send.into_iter().chain([Step::Expect(Box::new(answer))]).collect(),
            forbid: Vec::new(),
            ignore: Vec::new(),
            answers: Vec::new(),
            cleanup: Vec::new(),
        }
    }

    /// All texts that its steps send; what it answers depends on what comes.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.steps.iter().chain(&self.cleanup).filter_map(|step| match step {
            Step::Send(message) => Some(message),
            _ => None,
        })
    }

    /// All its texts with places for values.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        let steps = self.steps.iter().chain(&self.cleanup);
        let sent = steps.clone().filter_map(|step| match step {
            Step::Send(message) => Some(&message.text),
            _ => None,
        });
        let wanted = self.welcome.iter().chain(steps.flat_map(Step::wanted)).map(|wanted| &wanted.pattern);
        let rules = self.forbid.iter().chain(&self.ignore).map(|rule| &rule.pattern);
        let patterns = wanted.chain(rules).chain(self.answers.iter().map(|answer| &answer.on));
        let said = self.answers.iter().map(|answer| &answer.message.text);
        sent.chain(said).chain(patterns.flat_map(FramePattern::templates))
    }

    /// The names of all that it captures.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        self.captured_at().map(|(name, _)| name)
    }

    /// The same, each with the pointers that it is taken from.
    pub(crate) fn captured_at(&self) -> impl Iterator<Item = (&str, &[String])> {
        let of_steps = self.steps.iter().flat_map(Step::wanted);
        let captures = self.welcome.iter().chain(of_steps).flat_map(|wanted| &wanted.capture);
        captures.map(|(name, pointers)| (name.as_str(), pointers.as_slice()))
    }
}

impl Step {
    /// The frames that it waits for.
    pub fn wanted(&self) -> &[Wanted] {
        match self {
            Self::Expect(wanted) => std::slice::from_ref(&**wanted),
            Self::AnyOrder(wanted) => wanted,
            Self::Send(_) | Self::Wait(_) => &[],
        }
    }
}
