//! A frame as it is remembered: what kind, what shape, is it an error, is it the declared answer?
//!
//! Takes the bytes of one message and gives a small value. It never keeps the bytes. The surprising rule: two frames
//! are alike when their *shape* is, not their text, since greetings carry times and ids.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::envelope::Envelope;
use super::shape::{Own, is_error, shape};
use super::whose::{Whose, of_nonce, of_user};
use crate::trust::{Excerpt, Redactor};

/// How many frames of a socket are kept; the others are counted.
const KEPT: usize = 48;
/// What the declared answer is called, whatever its shape.
const DECLARED: &str = "the declared answer";

/// One frame that came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Microseconds since the start of the run.
    pub at: u64,
    /// Its kind.
    pub kind: FrameKind,
    /// Bytes of its payload.
    pub size: usize,
    /// What it is about; equal for frames that mean the same.
    pub shape: Excerpt,
    /// True when it reports an error.
    pub error: bool,
    /// Whether it is what `--expect` declares; `None` when nothing is declared.
    pub expected: Option<bool>,
    /// Whether it is the greeting that is declared; `None` when none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greeting: Option<bool>,
    /// Its text, shortened.
    pub text: Excerpt,
    /// Which user of the run it names; `None` where none, or where it is declared to be an answer or harmless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Whose>,
    /// Whose nonce it holds; `None` as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Whose>,
}

/// The kinds of frames that are remembered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrameKind {
    /// Text.
    #[default]
    Text,
    /// Binary.
    Binary,
}

impl Frame {
    /// True for the declared greeting. One that reports an error greets nobody.
    pub(crate) fn greets(&self) -> bool {
        self.greeting == Some(true) && !self.error
    }

    /// What kind of answer it may be; frames of one kind answer alike. `None` when an answer is declared and this is none.
    pub(super) fn answer_kind(&self) -> Option<&str> {
        match self.expected {
            None => Some(self.shape.as_str()),
            Some(true) => Some(DECLARED),
            Some(false) => None,
        }
    }
}

/// What the configuration says of one frame.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said {
    /// Whether it is what `--expect` declares; `None` when nothing is declared.
    pub(super) expected: Option<bool>,
    /// Whether it is the greeting that is declared; `None` when none is.
    pub(super) greeting: Option<bool>,
    /// It is declared to report no error.
    pub(super) harmless: bool,
}

/// Remembers one message.
pub(super) fn remember(
    at: u64,
    kind: FrameKind,
    payload: &[u8],
    own: Own<'_>,
    users: &[String],
    said: Said,
    redactor: &Redactor,
) -> Frame {
    let text = String::from_utf8_lossy(&payload[..payload.len().min(64 * 1024)]);
    let envelope = Envelope::open(payload);
    let excused = said.harmless || said.expected == Some(true);
    Frame {
        at,
        kind,
        size: payload.len(),
        shape: Excerpt::new(&redactor.redact(&shape(kind, &text, envelope.as_ref(), own))),
        error: !excused && is_error(&text, envelope.as_ref()),
        expected: said.expected,
        greeting: said.greeting,
        text: Excerpt::new(&redactor.redact_cut(&text)),
        user: envelope.filter(|_| !excused).and_then(|envelope| of_user(&envelope, own.user, users)),
        nonce: if excused { None } else { of_nonce(&text, own.nonce) },
    }
}

/// The text at a JSON pointer (RFC 6901) of a payload, if it is JSON and has one there.
pub(super) fn pointed(payload: &[u8], pointer: &str) -> Option<String> {
    let envelope = Envelope::open(payload)?;
    match envelope.messages.iter().find_map(|message| message.pointer(pointer))? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Whether a frame is kept beside those that were: a server that never falls silent must not push its own answer out.
pub(super) fn is_kept(kept: &[Frame], sent_after: Option<usize>, frame: &Frame) -> bool {
    let since = kept.get(sent_after.unwrap_or(0)..).unwrap_or_default();
    let is_new = || !since.iter().any(|other| other.shape == frame.shape);
    let is_first_expected =
        || frame.expected == Some(true) && !since.iter().any(|other| other.expected == Some(true));
    let is_first_greeting = || frame.greets() && !kept.iter().any(Frame::greets);
    let is_first_error = || frame.error && kept.iter().filter(|other| other.error).count() < KEPT;
    let is_first_own = || {
        let names = |other: &Frame| (other.user == Some(Whose::Own), other.nonce == Some(Whose::Own));
        names(frame) != (false, false)
            && !since.iter().any(|other| other.shape == frame.shape && names(other) == names(frame))
    };
    let room = since.len() < 2 * KEPT;
    since.len() < KEPT
        || is_first_error()
        || is_first_expected()
        || is_first_greeting()
        || (room && (is_new() || is_first_own()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_reports_no_error() {
        let error = |said| {
            let own = Own { user: "", nonce: "" };
            remember(0, FrameKind::Text, br#"{"type":"error"}"#, own, &[], said, &Redactor::default()).error
        };
        assert!(error(Said::default()));
        assert!(error(Said { expected: Some(false), ..Said::default() }));
        assert!(!error(Said { expected: Some(true), ..Said::default() }));
        assert!(!error(Said { harmless: true, ..Said::default() }));
        assert!(
            error(Said { greeting: Some(true), ..Said::default() }),
            "declared to come, and not to be harmless"
        );
    }

    #[test]
    fn a_server_that_never_falls_silent_cannot_push_its_answer_out() {
        let heartbeat = |error, expected, shape: &str| Frame {
            shape: Excerpt::new(shape),
            error,
            expected,
            ..Frame::default()
        };
        let mut kept: Vec<Frame> = (0..KEPT).map(|_| heartbeat(false, None, "heartbeat")).collect();
        assert!(!is_kept(&kept, None, &heartbeat(false, None, "heartbeat")));
        let sent = Some(kept.len());
        for _ in 0..KEPT {
            assert!(is_kept(&kept, sent, &heartbeat(false, None, "heartbeat")));
            kept.push(heartbeat(false, None, "heartbeat"));
        }
        assert!(!is_kept(&kept, sent, &heartbeat(false, None, "heartbeat")));
        assert!(is_kept(&kept, sent, &heartbeat(false, None, "answer")));
        assert!(is_kept(&kept, sent, &heartbeat(false, Some(true), "heartbeat")));
        assert!(is_kept(&kept, sent, &heartbeat(true, None, "heartbeat")));
        let greeting = Frame { greeting: Some(true), ..heartbeat(false, None, "heartbeat") };
        assert!(is_kept(&kept, sent, &greeting));
        kept.push(greeting.clone());
        assert!(!is_kept(&kept, sent, &greeting));
    }
}
