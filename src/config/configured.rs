//! The checks that are asked for by being configured, each with its settings.
//!
//! Takes the sources and gives one value for all of them. It decides nothing about the checks that every run has. The
//! surprising rule: an empty block asks too; a block that is not there does not.

use std::time::Duration;

use super::agent::{self, AgentSettings};
use super::api::{self, ApiSettings};
use super::auth::{self, AuthSettings};
use super::checks::CheckName;
use super::error::ConfigError;
use super::file::FileConfig;
use super::flow;
use super::frames::{self, FramesSettings, Users};
use super::hold::{self, HoldSettings};
use super::isolation::{self, IsolationSettings};
use super::logs::{self, LogsSettings};
use super::secrets::{Lookup, SecretSource};
use super::settings::{Limits, TokenSettings};
use super::sources::Sources;
use super::template::Template;
use super::typed::Typed;
use crate::trust::Secret;

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

    /// The secrets in the texts of its flows.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let isolation = self.isolation.iter();
        let own = isolation.clone().filter_map(|isolation| isolation.own.as_ref()?.flow.as_ref());
        let flows = self.agent.iter().map(|agent| &agent.flow).chain(own);
        let shared = isolation.flat_map(|isolation| &isolation.shared);
        let shared = shared.flat_map(|rule| rule.pattern.templates());
        flows.flat_map(flow::Flow::templates).chain(shared).flat_map(Template::secrets)
    }

    /// What each of those that `runs` names will cost, a line each, and what should be known before; `cut` is the age at
    /// which the revision ends every request, and so many users are named.
    pub(crate) fn words(
        &self,
        runs: impl Fn(CheckName) -> bool,
        users: usize,
        cut: Option<Duration>,
    ) -> Vec<String> {
        let api = self.api.iter().flat_map(|api| [vec![api.words()], api.warnings()].concat());
        let words = [
            (CheckName::Agent, self.agent.iter().map(|agent| agent.words(users)).collect()),
            (CheckName::Isolation, self.isolation.iter().map(|own| own.words(users)).collect()),
            (CheckName::Hold, self.hold.iter().map(|hold| hold.words(cut)).collect()),
            (CheckName::Api, api.collect()),
            (CheckName::Auth, self.auth.iter().map(AuthSettings::words).collect()),
            (CheckName::Frames, self.frames.iter().map(FramesSettings::words).collect()),
            (CheckName::Logs, self.logs.iter().map(LogsSettings::words).collect::<Vec<_>>()),
        ];
        words.into_iter().filter(|(name, _)| runs(*name)).flat_map(|(_, words)| words).collect()
    }
}

/// The secrets that they will want.
pub(crate) fn needed(sources: &Sources<'_>) -> Result<Vec<SecretSource>, ConfigError> {
    Ok([api::needed(sources)?, flow::needed(sources)?, isolation::needed(sources)?].concat())
}

/// What all of them are measured by.
pub(crate) struct Around<'a> {
    /// What was read from outside.
    pub(crate) lookup: &'a Lookup,
    /// The application's token; `None` where there is none.
    pub(crate) token: Option<&'a TokenSettings>,
    /// What the run may cost.
    pub(crate) limits: &'a Limits,
    /// How many users there are.
    pub(crate) users: Users,
}

/// What a rehearsal on the sample backend asks for: the reference flow, in a few runs, and what they show of each other.
const REHEARSED: &str = "agent: { flow: reference-agent, runs: 1, at-once: 3, within: 20s }\nisolation: {}\n";

/// What a rehearsal on the sample backend asks for.
pub(crate) fn rehearsed(limits: &Limits) -> Result<ConfiguredChecks, ConfigError> {
    let file = FileConfig::parse("the rehearsal", REHEARSED.as_bytes())?;
    let typed = Typed::default();
    let lookup = Lookup::default();
    let around = Around { lookup: &lookup, token: None, limits, users: Users::Nobody };
    configured(&Sources { typed: &typed, file: &file }, &around)
}

/// All of them.
pub(crate) fn configured(
    sources: &Sources<'_>,
    around: &Around<'_>,
) -> Result<ConfiguredChecks, ConfigError> {
    let &Around { lookup, token, limits, users } = around;
    let agent = agent::agent(sources, lookup, limits)?;
    let hold = hold::hold(sources, limits, users)?;
    let own_heartbeat = hold.as_ref().and_then(|hold| hold.own_heartbeat.clone());
    let frames = frames::frames(sources, limits, users)?;
    Ok(ConfiguredChecks {
        isolation: isolation::isolation(sources, lookup, limits, agent.as_ref())?,
        agent,
        auth: auth::auth(sources, token, limits)?,
        hold,
        api: api::api(sources, lookup, limits)?,
        frames: frames.map(|frames| FramesSettings { own_heartbeat, ..frames }),
        logs: logs::logs(sources)?,
    })
}
