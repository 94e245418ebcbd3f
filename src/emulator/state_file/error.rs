//! What can be wrong with a state file.

use std::{io, path::Path};

/// Why a state file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another emulator writes it. The user's fault.
    #[error("another emulator has it{}", by.map_or_else(String::new, |by| format!(", process {by}")))]
    Locked {
        /// The process, where it says so.
        by: Option<u32>,
    },
    /// It is there and cannot be read, or it is no file. The machine's or the user's fault.
    #[error("it cannot be read: {source}")]
    Unreadable {
        /// What the operating system said.
        source: io::Error,
    },
    /// It cannot be written. The machine's or the user's fault.
    #[error("it cannot be written: {source}")]
    Unwritable {
        /// What the operating system said.
        source: io::Error,
    },
    /// It is no JSON, or not what an emulator writes. Whose fault, the place tells.
    #[error("it is damaged: {reason}")]
    Damaged {
        /// What is wrong, with line and column where there are any.
        reason: String,
    },
    /// It is something else. The user's fault.
    #[error("it is no emulator's state")]
    Foreign,
    /// A newer revgate wrote it.
    #[error("it has version {version}, and this revgate knows {known}", known = super::format::VERSION)]
    Newer {
        /// Its version.
        version: u64,
    },
    /// It is of another place than this emulator. The user's fault.
    #[error("it is of region {region} of project {project}, and this emulator is not")]
    Elsewhere {
        /// The project of the file.
        project: String,
        /// The region of the file.
        region: String,
    },
    /// The port of a service or of a tag is taken.
    #[error("port {port}, which stands for {of}, cannot be opened: {source}")]
    Port {
        /// The port; 0 for any free one.
        port: u16,
        /// The service or the tag.
        of: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// What ran in a revision must not, or cannot, be run again. The user's fault.
    #[error("revision {revision} cannot be started again: {reason}")]
    Revision {
        /// The revision's short name.
        revision: String,
        /// Why.
        reason: String,
    },
}

impl StateError {
    /// The next command to type, or the next thing to look at.
    pub(crate) fn help(&self, file: &Path) -> String {
        let name = file.display().to_string();
        let file = shlex::try_quote(&name).unwrap_or_default();
        let anew = format!("keep it and begin anew: mv {file} {file}.old");
        match self {
            Self::Locked { by: Some(by) } => {
                format!("end that one: kill {by}; or name another file: revgate emulator --state FILE")
            }
            Self::Locked { by: None } => "name another file: revgate emulator --state FILE".to_owned(),
            Self::Unreadable { .. } => format!("look who may read it: ls -l {file}"),
            Self::Unwritable { .. } => {
                "name a file in a folder that exists and can be written: revgate emulator --state FILE"
                    .to_owned()
            }
            Self::Damaged { .. } => format!("mend it there, or {anew}"),
            Self::Foreign => {
                format!("it was left as it is; name another file: revgate emulator --state FILE, or {anew}")
            }
            Self::Newer { .. } => format!("start the revgate that wrote it, or {anew}"),
            Self::Elsewhere { project, region } => {
                format!("start: revgate emulator --state {file} --project {project} --region {region}")
            }
            Self::Port { port: 0, .. } => "check the limit of open files: ulimit -n".to_owned(),
            Self::Port { port, .. } => format!(
                "see who has it: ss -ltnp 'sport = :{port}'; or let it be a free one: write 0 in the place of {port} \
                 under \"ports\" in {file}"
            ),
            Self::Revision { .. } => format!(
                "start it with the --images of before and, where you know its commands, with: revgate emulator --state \
                 {file} --allow-commands"
            ),
        }
    }
}
