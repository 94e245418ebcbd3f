//! What has a revision written?
//!
//! A bounded ring of lines, and a broadcast of each as it comes. A slow listener loses lines, never the revision time.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use tokio::sync::broadcast;

use crate::emulator::options::LogLine;

/// Lines kept for each revision; the oldest go first.
const KEPT: usize = 10_000;

/// The log of one revision.
#[derive(Debug)]
pub(crate) struct Log {
    revision: String,
    lines: Mutex<VecDeque<String>>,
    listeners: broadcast::Sender<LogLine>,
}

impl Log {
    /// An empty log that also tells `listeners`.
    pub(crate) fn new(revision: &str, listeners: broadcast::Sender<LogLine>) -> Self {
        Self { revision: revision.to_owned(), lines: Mutex::default(), listeners }
    }

    /// Adds one line.
    pub(crate) fn push(&self, stream: &'static str, text: String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(text.clone());
        drop(lines);
        // Nobody listening is no error.
        let _ = self.listeners.send(LogLine { revision: self.revision.clone(), stream, text });
    }

    /// The lines kept, oldest first.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
