//! Why it could not be found out.

use crate::cloudrun::{ApiError, CredentialError, TagError};
use crate::config::ServiceName;
use crate::judge::sequential::SettingsError;
use crate::probe::{AddressError, CampaignError, TokenError, TooFewDescriptors};
use crate::revision::{self, LocateError, NoRivalAddress, Unreachable, command, tag::TagTooLong};

/// Why a run gave no evidence.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The control plane could not be asked.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// There are no credentials for what must be asked.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// The candidate could not be told from the others.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// The service cannot be reached from here.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The candidate has no address of its own.
    #[error(transparent)]
    Address(#[from] revision::AddressError),
    /// The revision that serves has no address of its own.
    #[error(transparent)]
    Rival(#[from] NoRivalAddress),
    /// The tag's name is too long for this service.
    #[error(transparent)]
    TagTooLong(#[from] TagTooLong),
    /// The tag could not be added.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// The tag has no address yet.
    #[error("tag {tag} of the candidate has no usable address in the status of {service}")]
    TagWithoutAddress {
        /// The tag.
        tag: String,
        /// The service.
        service: Box<ServiceName>,
    },
    /// The address cannot be used.
    #[error(transparent)]
    Unusable(#[from] AddressError),
    /// The application's token could not be minted.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The campaign could not begin.
    #[error(transparent)]
    Campaign(#[from] CampaignError),
    /// More sockets than this machine lets us open.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// The settings guarantee nothing.
    #[error("the settings of the test guarantee nothing: {0}")]
    Settings(SettingsError),
    /// Neither a service nor an address.
    #[error("neither a service nor an address is named")]
    NoAddress,
    /// The run was interrupted.
    #[error("interrupted")]
    Interrupted,
    /// The candidate's tag leads elsewhere: what is under way was ended. No run ends with it.
    #[error("the tag no longer leads to the candidate")]
    TagLost,
    /// The run was ended in the middle of conversations, and what they began may go on.
    #[error("{cause}; {left}")]
    Conversing {
        /// Why it ended.
        cause: Box<EngineError>,
        /// What was not cleaned up.
        left: String,
    },
    /// The run ended without evidence, and the tag that it added is still there.
    #[error("{cause}; {left}")]
    TagLeft {
        /// Why there is no evidence.
        cause: Box<EngineError>,
        /// Why the tag is still there.
        left: TagError,
    },
}

impl EngineError {
    /// The next command to type.
    pub fn help(&self) -> String {
        match self {
            Self::Api(error) => error.help(),
            Self::Credentials(error) => error.help(),
            Self::Locate(error) => error.help(),
            Self::Unreachable(error) => error.help(),
            Self::Address(error) => error.help(),
            Self::Rival(error) => error.help(),
            Self::TagTooLong(error) => error.help(),
            Self::Tag(error) => error.help(),
            Self::TagWithoutAddress { service, .. } => {
                format!("run it again once this shows the address: {}", command::describe(service))
            }
            Self::Unusable(error) => error.help(),
            Self::Token(error) => error.help(),
            Self::Campaign(_) => {
                "run it again; if it stays so, see whether the tag is still there: \
                 gcloud run services describe SERVICE --region REGION --project PROJECT"
                    .to_owned()
            }
            Self::Descriptors(error) => {
                format!("{}; or lower limits.sockets-at-once in revgate.yaml", error.help())
            }
            Self::Settings(_) => "look at `tolerated:` and `noise:` under `race:` in revgate.yaml".to_owned(),
            Self::NoAddress => {
                "name one: revgate check --project P --region R --service S, or revgate check --url wss://HOST".to_owned()
            }
            Self::Interrupted | Self::TagLost => "what this run added was removed: run it again".to_owned(),
            Self::Conversing { .. } => {
                "see whether the service still works on what they began, and tell the flow how that is ended: \
                 revgate explain agent"
                    .to_owned()
            }
            Self::TagLeft { left, .. } => left.help(),
        }
    }

    /// What a run that ended so leaves undone, each with what to do about it; nothing, where it ended cleanly. Whatever else
    /// it ended with besides the signal left nothing behind.
    pub(super) fn left(&self) -> Vec<String> {
        match self {
            Self::Conversing { left, .. } => vec![format!("{left}; {}", self.help())],
            Self::TagLeft { cause, left } => {
                let tag = format!("{left}; {}", left.help());
                cause.left().into_iter().chain([tag]).collect()
            }
            _ => Vec::new(),
        }
    }

    /// True when the one who typed the command is at fault.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Locate(_)
                | Self::Address(_)
                | Self::Rival(_)
                | Self::TagTooLong(_)
                | Self::Unusable(AddressError::Unusable(_))
                | Self::Token(_)
                | Self::Descriptors(_)
                | Self::Settings(_)
                | Self::NoAddress
        ) || matches!(self, Self::Tag(TagError::Taken { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_left_behind_is_left_undone() {
        assert!(EngineError::NoAddress.left().is_empty() && EngineError::Interrupted.left().is_empty());
        let conversing = EngineError::Conversing {
            cause: Box::new(EngineError::Interrupted),
            left: "one was under way".to_owned(),
        };
        assert!(conversing.left()[0].starts_with("one was under way; see whether"), "{conversing:?}");
    }
}
