//! What has a revision written?
//!
//! A bounded ring of lines of all its instances, a broadcast of each as it comes, and an entry of each in the project's
//! log. A slow listener loses lines, never the revision time.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::broadcast;

use crate::emulator::{
    logging::{Journal, Origin},
    options::LogLine,
};

/// Lines kept for each revision; the oldest go first.
const KEPT: usize = 10_000;

/// The log of one revision.
#[derive(Debug)]
pub(crate) struct Log {
    lines: Mutex<VecDeque<String>>,
    listeners: broadcast::Sender<LogLine>,
    journal: Arc<Journal>,
}

/// What one instance adds to it.
#[derive(Debug, Clone)]
pub(crate) struct InstanceLog {
    log: Arc<Log>,
    origin: Origin,
}

impl Log {
    /// An empty log that also tells `listeners` and `journal`.
    pub(crate) fn new(listeners: broadcast::Sender<LogLine>, journal: Arc<Journal>) -> Self {
        Self { lines: Mutex::default(), listeners, journal }
    }

    /// The lines kept, oldest first.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl InstanceLog {
    /// The part of an instance.
    pub(crate) fn new(log: Arc<Log>, origin: Origin) -> Self {
        Self { log, origin }
    }

    /// Adds one line.
    pub(crate) fn push(&self, stream: &'static str, text: String) {
        self.log.journal.line(&self.origin, stream, &text);
        self.keep(stream, text);
    }

    /// Adds that the platform gave the instance up.
    pub(crate) fn failed(&self, text: String) {
        self.told("ERROR", &text);
        self.keep("system", text);
    }

    fn keep(&self, stream: &'static str, text: String) {
        let mut lines = self.log.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(text.clone());
        drop(lines);
        let Origin { revision, instance, .. } = self.origin.clone();
        // Nobody listening is no error.
        let _ = self.log.listeners.send(LogLine { revision, instance, stream, text });
    }

    /// Adds what the platform says about the instance to the project's log, and not to what the revision wrote.
    pub(crate) fn told(&self, severity: &str, text: &str) {
        self.log.journal.system(&self.origin, severity, text);
    }

    /// Whose log it is.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }
}
