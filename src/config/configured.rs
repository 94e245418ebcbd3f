//! The checks that are asked for by being configured, each with its settings.
//!
//! Takes the sources and gives one value for all of them. It decides nothing about the checks that every run has. The
//! surprising rule: an empty block asks too; a block that is not there does not.

use super::agent::{self, AgentSettings};
use super::api::{self, ApiSettings};
use super::auth::{self, AuthSettings};
use super::checks::CheckName;
use super::error::ConfigError;
use super::file::FileConfig;
use super::frames::{self, FramesSettings};
use super::hold::{self, HoldSettings};
use super::isolation::{self, IsolationSettings};
use super::logs::{self, LogsSettings};
use super::settings::Limits;
use super::sources::Sources;
use super::typed::Typed;

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
    /// What each of them will cost, in one line; of those that `runs` names.
    pub(crate) fn words(&self, users: usize, runs: impl Fn(CheckName) -> bool) -> Vec<String> {
        let agent = self.agent.as_ref().map(|agent| (CheckName::Agent, agent.words(users)));
        let isolation = self.isolation.as_ref().map(|own| (CheckName::Isolation, own.words(users)));
        let all = [agent, isolation].into_iter().flatten();
        all.filter(|(name, _)| runs(*name)).map(|(_, words)| words).collect()
    }

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
}

/// What a rehearsal on the sample backend asks for: the reference flow, in a few runs, and what they show of each other.
const REHEARSED: &str = "agent: { flow: reference-agent, runs: 1, at-once: 3, within: 20s }\nisolation: {}\n";

/// What a rehearsal on the sample backend asks for.
pub(crate) fn rehearsed(limits: &Limits) -> Result<ConfiguredChecks, ConfigError> {
    let file = FileConfig::parse("the rehearsal", REHEARSED.as_bytes())?;
    let typed = Typed::default();
    configured(&Sources { typed: &typed, file: &file }, limits)
}

/// All of them.
pub(crate) fn configured(sources: &Sources<'_>, limits: &Limits) -> Result<ConfiguredChecks, ConfigError> {
    let agent = agent::agent(sources, limits)?;
    Ok(ConfiguredChecks {
        isolation: isolation::isolation(sources, limits, agent.as_ref())?,
        agent,
        auth: auth::auth(sources)?,
        hold: hold::hold(sources)?,
        api: api::api(sources)?,
        frames: frames::frames(sources)?,
        logs: logs::logs(sources)?,
    })
}
