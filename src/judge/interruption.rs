//! A run that a signal ended early: how far it had come, and what that leaves of its checks.
//!
//! Takes the evidence of such a run. What was seen until then is kept and shown; what had failed by then stays failed, and
//! nothing else counts. The surprising rule: no such run is ever approved, not even where only its clean-up was cut:
//! somebody had ended it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::check::{Check, Outcome};
use super::evidence::Evidence;
use crate::config::CheckName;

/// A signal that ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// The end of a terminal or of a connection.
    #[serde(rename = "SIGHUP")]
    Hangup,
    /// Ctrl-C.
    #[serde(rename = "SIGINT")]
    Interrupt,
    /// A pipeline's way to end a step.
    #[serde(rename = "SIGTERM")]
    Terminate,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        })
    }
}

/// A part of a run: what a signal can come in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Rounds at a process of our own.
    Local,
    /// From looking for the candidate until it is ready.
    Ready,
    /// Rounds at the candidate's address, which show `identity`, `serves` and `race`.
    Rounds,
    /// Conversations, which show `agent` and `isolation`.
    Agent,
    /// Sockets that are kept.
    Hold,
    /// HTTP endpoints.
    Api,
    /// Bad tokens.
    Auth,
    /// Bad frames.
    Frames,
    /// The revision's log.
    Logs,
    /// The comparison with the revision that serves.
    Baseline,
}

impl Part {
    /// The part that shows a check.
    pub fn of(check: CheckName) -> Self {
        match check {
            CheckName::Ready => Self::Ready,
            CheckName::Identity | CheckName::Serves | CheckName::Race => Self::Rounds,
            CheckName::Agent | CheckName::Isolation => Self::Agent,
            CheckName::Auth => Self::Auth,
            CheckName::Hold => Self::Hold,
            CheckName::Api => Self::Api,
            CheckName::Frames => Self::Frames,
            CheckName::Logs => Self::Logs,
        }
    }

    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Ready => "ready",
            Self::Rounds => "rounds",
            Self::Agent => "agent",
            Self::Hold => "hold",
            Self::Api => "api",
            Self::Auth => "auth",
            Self::Frames => "frames",
            Self::Logs => "logs",
            Self::Baseline => "baseline",
        }
    }
}

/// How far a run had come when a signal ended it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interruption {
    /// The signal; where several came, the first.
    pub signal: Signal,
    /// When it came, in milliseconds since the start of the run.
    pub after_ms: u64,
    /// The part that was under way; `None` between two, and behind the last.
    pub during: Option<Part>,
    /// The parts that were over, in their order.
    pub ran: Vec<Part>,
    /// All that were to run, in their order.
    pub asked: Vec<Part>,
    /// What of the run may be left behind, each with what to do about it.
    pub left: Vec<String>,
}

impl Interruption {
    /// Which signal, when and where, in words without a verb.
    pub fn words(&self) -> String {
        let next = || self.asked.iter().find(|part| !self.ran.contains(part));
        let place = match (self.during, next()) {
            (Some(part), _) => format!("during `{}`", part.name()),
            (None, Some(part)) => format!("before `{}`", part.name()),
            (None, None) => "after the last part".to_owned(),
        };
        let (ran, asked) = (self.ran.len(), self.asked.len());
        let parts = if asked == 1 { "part" } else { "parts" };
        let seconds = self.after_ms / 1000;
        format!("by {} {place}: {ran} of {asked} {parts} ran, in {seconds} s", self.signal)
    }

    /// True where what shows a check was over. What proves identity is looked at until the very end.
    fn had_ended(&self, check: CheckName) -> bool {
        let whole = self.asked.iter().all(|part| self.ran.contains(part));
        self.ran.contains(&Part::of(check)) && (whole || check != CheckName::Identity)
    }
}

/// A check that is no failure shows nothing where a signal came before its end.
pub(super) fn held_back(check: Check, evidence: &Evidence) -> Check {
    let Some(interruption) = &evidence.interrupted else { return check };
    let part = Part::of(check.name);
    let decided = matches!(check.outcome, Outcome::Pass | Outcome::Inconclusive);
    if !decided || !interruption.asked.contains(&part) || interruption.had_ended(check.name) {
        return check;
    }
    let signal = interruption.signal;
    let is_seen = check.evidence.as_object().is_some_and(|seen| !seen.is_empty());
    let words = match (is_seen, interruption.during == Some(part)) {
        (true, _) => format!("{}; {signal} came before its end", check.summary),
        (false, true) => format!("nothing is known: {signal} came in the middle of it"),
        (false, false) if interruption.ran.contains(&part) => {
            format!("nothing is known: {signal} came first")
        }
        (false, false) => format!("not run: {signal} came first"),
    };
    let held = Check::bare(check.name, Outcome::Inconclusive, words).with_evidence(check.evidence);
    if is_seen && !check.help.is_empty() {
        return Check { help: check.help, ..held };
    }
    held.with_help(format!("run it to its end: {}", evidence.asked.repeat(&[])))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn interruption(during: Option<Part>, ran: &[Part]) -> Interruption {
        Interruption {
            signal: Signal::Terminate,
            after_ms: 12_999,
            during,
            ran: ran.to_vec(),
            asked: vec![Part::Ready, Part::Rounds, Part::Hold],
            left: Vec::new(),
        }
    }

    #[test]
    fn it_is_said_where_the_signal_came() {
        let words = |during, ran: &[Part]| interruption(during, ran).words();
        let ready = [Part::Ready];
        let (all, end) = ([Part::Ready, Part::Rounds, Part::Hold], "in 12 s");
        assert_eq!(
            words(Some(Part::Rounds), &ready),
            format!("by SIGTERM during `rounds`: 1 of 3 parts ran, {end}")
        );
        assert_eq!(words(None, &ready), format!("by SIGTERM before `rounds`: 1 of 3 parts ran, {end}"));
        assert_eq!(words(None, &all), format!("by SIGTERM after the last part: 3 of 3 parts ran, {end}"));
    }

    #[test]
    fn what_shows_identity_ends_with_the_run() {
        let most = interruption(Some(Part::Hold), &[Part::Ready, Part::Rounds]);
        assert!(most.had_ended(CheckName::Race) && !most.had_ended(CheckName::Identity));
        assert!(!most.had_ended(CheckName::Hold));
        let all = interruption(None, &[Part::Ready, Part::Rounds, Part::Hold]);
        assert!(all.had_ended(CheckName::Identity) && all.had_ended(CheckName::Hold));
    }

    #[test]
    fn a_signal_is_recorded_by_its_name() {
        for signal in [Signal::Hangup, Signal::Interrupt, Signal::Terminate] {
            assert_eq!(json!(signal), json!(signal.to_string()));
        }
        for part in interruption(None, &[]).asked {
            assert_eq!(json!(part), json!(part.name()));
        }
    }
}
