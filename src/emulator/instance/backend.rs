//! The two kinds of instance behind one name.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};

use super::Process;
use crate::emulator::sample::Sample;

/// What answers the requests of a revision.
#[derive(Debug, Clone)]
pub(crate) enum Backend {
    /// In this process.
    Sample(Arc<Sample>),
    /// A child process that listens on loopback.
    Process(Arc<Process>),
}

/// Why a revision cannot serve, as its conditions say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failure {
    /// A value of `revisionReason`.
    pub(crate) reason: Cow<'static, str>,
    /// The message for people.
    pub(crate) message: String,
}

impl Backend {
    /// Starts it and waits until it listens.
    pub(crate) async fn start(&self) -> Result<(), ()> {
        match self {
            Self::Sample(_) => Ok(()),
            Self::Process(process) => process.start().await,
        }
    }

    /// Waits until it has ended by itself; for ever, for what cannot.
    pub(crate) async fn ended(&self) {
        match self {
            Self::Sample(_) => std::future::pending().await,
            Self::Process(process) => process.ended().await,
        }
    }

    /// True once it ran and has ended.
    pub(crate) fn has_ended(&self) -> bool {
        match self {
            Self::Sample(_) => false,
            Self::Process(process) => process.has_ended(),
        }
    }

    /// Takes its CPU away, as Cloud Run does between requests.
    pub(crate) fn freeze(&self) {
        if let Self::Process(process) = self {
            process.freeze();
        }
    }

    /// Gives it back.
    pub(crate) fn thaw(&self) {
        if let Self::Process(process) = self {
            process.thaw();
        }
    }
}
