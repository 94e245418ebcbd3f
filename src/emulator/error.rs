//! What can keep the emulator itself from working.
//!
//! Takes nothing, gives one error type for all of `emulator`. A revision that fails to start is *not* among these:
//! that is an outcome, and it stands in the revision's conditions as it would on Cloud Run.

use std::{io, path::PathBuf};

use super::state_file::StateError;

/// Why the emulator, or something asked of it, could not be started.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// The loopback port is taken, or the process may not listen. The user's or the machine's fault.
    #[error("cannot listen on 127.0.0.1:{port}: {source}")]
    Listen {
        /// The port that was asked for; 0 stands for any free one.
        port: u16,
        /// What the operating system said.
        source: io::Error,
    },
    /// The command of a revision has an unclosed quote or no word at all. The user's fault.
    #[error("the command `{command}` is not a list of words: a quote is left open, or it is empty")]
    Command {
        /// The command as it was given.
        command: String,
    },
    /// The scenario file is not what `Scenario` describes. The user's fault.
    #[error("the scenario is not valid: {source}")]
    Scenario {
        /// Where and why, in the parser's words.
        source: serde_yaml::Error,
    },
    /// The file that says what runs in the place of an image is no such map. The user's fault.
    #[error("the map of images is not valid: {source}")]
    Images {
        /// Where and why, in the parser's words.
        source: serde_yaml::Error,
    },
    /// A scenario without revisions leaves nothing to emulate. The user's fault.
    #[error("the scenario names no revision")]
    NoRevision,
    /// A deployment that Cloud Run would refuse. The user's fault.
    #[error("the deployment is not possible: {reason}")]
    Deployment {
        /// The refusal in the API's own words.
        reason: String,
    },
    /// The file that the state is kept in cannot be used.
    #[error("the state file {}: {reason}", file.display())]
    State {
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: StateError,
    },
}

impl EmulatorError {
    /// The next command to type, or the next thing to look at.
    pub fn help(&self) -> String {
        match self {
            Self::Listen { port: 0, .. } => "check the limit of open files: ulimit -n".to_owned(),
            Self::Listen { .. } => {
                "let the emulator choose a free port: revgate emulator --port 0".to_owned()
            }
            Self::Command { .. } => {
                "quote the command as a whole, as in: revgate rehearse --exec 'uvicorn app:app --port $PORT'"
                    .to_owned()
            }
            Self::Scenario { .. } | Self::NoRevision => {
                "start from the smallest one: {\"revisions\": [{\"behaviour\": \"fixed\"}]}".to_owned()
            }
            Self::Images { .. } => {
                "write one line an image: \"us-docker.pkg.dev/demo/app/web:v1\": uvicorn app:app --port $PORT"
                    .to_owned()
            }
            Self::State { file, reason } => reason.help(file),
            Self::Deployment { .. } => "see what is deployed: curl ADDRESS/__emulator/state".to_owned(),
        }
    }
}
