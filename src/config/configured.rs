//! The checks that are asked for by being configured, each with its settings.
//!
//! Takes the sources and gives one value for all of them. It decides nothing about the checks that every run has. The
//! surprising rule: an empty block asks too; a block that is not there does not.

use super::agent::{self, AgentSettings};
use super::api::{self, ApiSettings};
use super::auth::{self, AuthSettings};
use super::checks::CheckName;
use super::error::ConfigError;
use super::frames::{self, FramesSettings};
use super::hold::{self, HoldSettings};
use super::isolation::{self, IsolationSettings};
use super::logs::{self, LogsSettings};
use super::secrets::{Lookup, SecretSource};
use super::settings::Limits;
use super::sources::Sources;

/// What the configuration asks for besides what every run does; `None` for what nobody asks.
#[derive(Debug, Clone, Default)]
pub struct ConfiguredChecks {
    /// `agent:`
    pub agent: Option<AgentSettings>,
    /// `isolation:`
    pub isolation: Option<IsolationSettings>,
    /// `auth:`
    pub auth: Option<AuthSettings>,
    /// `hold:`
    pub hold: Option<HoldSettings>,
    /// `api:`
    pub api: Option<ApiSettings>,
    /// `frames:`
    pub frames: Option<FramesSettings>,
    /// `logs:`
    pub logs: Option<LogsSettings>,
}

impl ConfiguredChecks {
    /// The checks that are asked for.
    pub fn names(&self) -> Vec<CheckName> {
        let all = [
            (CheckName::Agent, self.agent.is_some()),
            (CheckName::Isolation, self.isolation.is_some()),
            (CheckName::Auth, self.auth.is_some()),
            (CheckName::Hold, self.hold.is_some()),
            (CheckName::Api, self.api.is_some()),
            (CheckName::Frames, self.frames.is_some()),
            (CheckName::Logs, self.logs.is_some()),
        ];
        all.into_iter().filter(|(_, asked)| *asked).map(|(name, _)| name).collect()
    }

    /// What each will cost, in one line a check, and what should be known before.
    pub(crate) fn words(&self) -> Vec<(CheckName, String)> {
        let api = self.api.iter().flat_map(|api| [vec![api.words()], api.warnings()].concat());
        let api = api.map(|words| (CheckName::Api, words));
        api.chain(self.logs.iter().map(|logs| (CheckName::Logs, logs.words()))).collect()
    }
}

/// The secrets that they will want.
pub(crate) fn needed(sources: &Sources<'_>) -> Result<Vec<SecretSource>, ConfigError> {
    api::needed(sources)
}

/// All of them.
pub(crate) fn configured(
    sources: &Sources<'_>,
    lookup: &Lookup,
    limits: &Limits,
) -> Result<ConfiguredChecks, ConfigError> {
    Ok(ConfiguredChecks {
        agent: agent::agent(sources)?,
        isolation: isolation::isolation(sources)?,
        auth: auth::auth(sources)?,
        hold: hold::hold(sources)?,
        api: api::api(sources, lookup, limits)?,
        frames: frames::frames(sources)?,
        logs: logs::logs(sources)?,
    })
}
