//! `isolation:` is what it takes to find out whether no user sees what belongs to another.
//!
//! Takes the sources; gives the settings, or `None` where nobody asks. It opens nothing. The surprising rule: it is looked
//! for in the conversations of `agent` where these are the same flow; only otherwise it has conversations of its own.

use std::time::Duration;

use serde::Deserialize;

use super::agent::{AgentSettings, Costs, at_most};
use super::checks::CheckName;
use super::error::ConfigError;
use super::flow::{self, Flow, Reading, Rule, RuleModel};
use super::locate::KeyPath;
use super::scalars::{Several, Text};
use super::secrets::{Lookup, SecretSource};
use super::settings::{Limits, Settings};
use super::sources::{Sources, Spot};
use super::template::Template;
use super::values::{self, Flaw};

/// `isolation:` as it was written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct IsolationModel {
    flow: Option<Text>,
    at_once: Option<Text>,
    within: Option<Text>,
    shared: Option<Several<RuleModel>>,
    captures: Option<Vec<Text>>,
}

/// What the check `isolation` is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct IsolationSettings {
    /// The conversation that is held besides those of `agent`; `None` where it is looked for in these.
    pub own: Option<OwnConversation>,
    /// Frames that may show what belongs to others.
    pub shared: Vec<Rule>,
    /// The captures that belong to one user; `None` for all.
    pub captures: Option<Vec<String>>,
    /// What conversations may cost.
    pub costs: Costs,
}

/// Conversations that are held for `isolation` alone.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnConversation {
    /// The conversation; `None` for the one of every other socket.
    pub flow: Option<Flow>,
    /// How many users at once. Default 5.
    pub at_once: u32,
    /// How long each may take. Default 60 s.
    pub within: Duration,
}

impl IsolationSettings {
    /// What it will cost, in one line.
    pub(crate) fn words(&self, users: usize) -> String {
        match &self.own {
            None => "isolation: looked for in the conversations of agent, no socket of its own".to_owned(),
            Some(own) => {
                let name = own.flow.as_ref().map_or("send and expect", |flow| flow.name.as_str());
                let at_once = own.at_once.min(u32::try_from(users).unwrap_or(u32::MAX));
                format!("isolation: flow {name}, {at_once} at once, at most {} s each", own.within.as_secs())
            }
        }
    }
}

/// The frames that may show others; without `lookup` no secret is put in.
fn shared(sources: &Sources<'_>, lookup: Option<&Lookup>) -> Result<Vec<Rule>, ConfigError> {
    let written = sources.file.model.isolation.as_ref().and_then(|model| model.shared.as_ref());
    let reading = Reading { sources, known: &[], all: &[], lookup };
    reading.rules(&KeyPath::of(&["isolation", "shared"]), written)
}

/// The secrets that they will want.
pub(crate) fn needed(sources: &Sources<'_>) -> Result<Vec<SecretSource>, ConfigError> {
    let rules = shared(sources, None).unwrap_or_default();
    let templates = rules.iter().flat_map(|rule| rule.pattern.templates());
    templates.flat_map(Template::outside).map(|(_, source)| flow::based(source, sources)).collect()
}

/// What is asked for; `None` where nothing is.
pub(crate) fn isolation(
    sources: &Sources<'_>,
    lookup: &Lookup,
    limits: &Limits,
    agent: Option<&AgentSettings>,
) -> Result<Option<IsolationSettings>, ConfigError> {
    let Some(file) = &sources.file.model.isolation else { return Ok(None) };
    let path = KeyPath::of(&["isolation"]);
    let costs = super::agent::costs(sources, limits)?;
    let named = file.flow.as_ref();
    let flow = match (named, agent) {
        (None, Some(agent)) => Some(agent.flow.clone()),
        _ => flow::chosen(sources, lookup, &path.key("flow"), named)?,
    };
    let at_once =
        sources.one(None, file.at_once.as_ref(), &["isolation", "at-once"], |text| values::count(text, 2))?;
    let within =
        sources.one(None, file.within.as_ref(), &["isolation", "within"], values::positive_duration)?;
    let shared = shared(sources, Some(lookup))?;
    let captures = sources.many(None, file.captures.as_ref(), &["isolation", "captures"], |text| {
        let known = flow.iter().flat_map(Flow::captures).any(|name| name == text);
        if known {
            return Ok(text.to_owned());
        }
        Err(Flaw::new(format!("the flow captures nothing called {}", values::quoted(text))))
    })?;
    let wanted = at_once.as_ref().map_or(5, |found| found.value);
    at_most(sources, &path.key("at-once"), wanted, costs)?;
    let shown = agent.is_some_and(|agent| {
        let enough = at_once.as_ref().map_or(2, |found| found.value);
        agent.at_once >= enough && flow.as_ref() == Some(&agent.flow)
    });
    let runs = wanted.saturating_add(agent.map_or(0, AgentSettings::total));
    if !shown && flow.is_some() && runs > costs.agent_runs {
        let message = format!("{runs} runs are asked for, and {} are allowed", costs.agent_runs);
        let excess = Flaw::new(message).help("raise `agent-runs:` under `limits:`, or lower at-once");
        return Err(sources.error(&Spot::File(path.key("at-once")), excess));
    }
    let within = within.map_or(Duration::from_mins(1), |found| found.value);
    if let Some(flow) = flow.as_ref().filter(|_| !shown) {
        flow::refuse_longer(sources, flow, within, &path.key("within"))?;
    }
    let own = OwnConversation { flow, at_once: wanted, within };
    Ok(Some(IsolationSettings {
        own: if shown { None } else { Some(own) },
        shared,
        captures: captures.map(|found| found.value),
        costs,
    }))
}

/// Refuses to look for the leaks of a single user: there is nobody whom anything could leak to.
pub(crate) fn refuse_alone(sources: &Sources<'_>, settings: &Settings) -> Result<(), ConfigError> {
    let is_alone = settings.users.len() < 2 && settings.checks.runs(CheckName::Isolation);
    if settings.configured.isolation.is_none() || !is_alone {
        return Ok(());
    }
    let keys = if sources.file.model.users.is_some() { "users" } else { "isolation" };
    let flaw = Flaw::new("there is one user, and isolation takes two").help(
        "name more: users: [a, b, c] in revgate.yaml, or --user a,b,c; or leave it out: --skip isolation",
    );
    Err(sources.error(&Spot::of(sources.typed.user.as_ref(), &[keys]), flaw))
}
