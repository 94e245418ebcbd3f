//! `agent:` is what it takes to find out whether whole conversations run to their end, alone and by several users at once.
//!
//! Takes the sources; gives the settings, or `None` where nobody asks. It opens nothing. The surprising rule: more runs
//! than `limits: agent-runs` allows are an error and not cut, since a run costs money and a check of fewer runs than were
//! asked for is another check.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::flow::{self, Flow};
use super::locate::KeyPath;
use super::scalars::Text;
use super::secrets::Lookup;
use super::settings::Limits;
use super::sources::{Sources, Spot};
use super::values::{self, Flaw};

/// `agent:` as it was written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct AgentModel {
    flow: Option<Text>,
    runs: Option<Text>,
    at_once: Option<Text>,
    rounds: Option<Text>,
    within: Option<Text>,
    latency: Option<LatencyModel>,
}

/// `agent: latency:` as it was written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct LatencyModel {
    p50: Option<Text>,
    p95: Option<Text>,
    p99: Option<Text>,
}

/// What the check `agent` is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentSettings {
    /// The conversation.
    pub flow: Flow,
    /// Runs one after another, none beside them. Default 3.
    pub runs: u32,
    /// Runs at once, each by a user of its own. Default 5.
    pub at_once: u32,
    /// How often so many are run at once. Default 1.
    pub rounds: u32,
    /// How long a whole run may take. Default 60 s.
    pub within: Duration,
    /// How long from a run's first step to its completion, at most.
    pub latency: Latency,
    /// What runs may cost.
    pub costs: Costs,
}

/// Limits of the time from a run's first step to its completion; `None` where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Of half of the runs.
    pub p50: Option<Duration>,
    /// Of 95 of 100.
    pub p95: Option<Duration>,
    /// Of 99 of 100.
    pub p99: Option<Duration>,
}

/// What whole conversations may cost the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// Runs in all. Default 50.
    pub agent_runs: u32,
    /// Messages of one user within any minute; `None` for any number.
    pub messages_per_minute: Option<u32>,
    /// Openings a second.
    pub openings_per_second: u32,
    /// Sockets open at once.
    pub sockets_at_once: u32,
}

impl AgentSettings {
    /// How many runs are asked for.
    pub fn total(&self) -> u32 {
        self.runs.saturating_add(self.at_once.saturating_mul(self.rounds))
    }

    /// What it will cost, in one line.
    pub(crate) fn words(&self, users: usize) -> String {
        let at_once = self.at_once.min(u32::try_from(users).unwrap_or(u32::MAX));
        let mut words = format!(
            "agent: flow {}, {} alone and {} × {at_once} at once, at most {} s each",
            self.flow.name,
            counted(self.runs, "run"),
            self.rounds,
            self.within.as_secs()
        );
        if at_once < self.at_once {
            let are = if users == 1 { "is" } else { "are" };
            let users = counted(at_once, "user");
            let _ = write!(words, "; {} at once were asked for, and there {are} {users}", self.at_once);
        }
        let sends = u32::try_from(self.flow.messages().count()).unwrap_or(u32::MAX);
        let answers = if self.flow.answers.is_empty() { "" } else { ", and answers to what asks for them" };
        let (sends, limit) = (counted(sends, "message"), counted(self.costs.agent_runs, "run"));
        let _ = write!(words, "; {sends} a run{answers}; limits: {limit}");
        if let Some(messages) = self.costs.messages_per_minute {
            let _ = write!(words, ", {messages} messages a minute of one user");
        }
        words
    }
}

/// What is asked for; `None` where nothing is.
pub(crate) fn agent(
    sources: &Sources<'_>,
    lookup: &Lookup,
    limits: &Limits,
) -> Result<Option<AgentSettings>, ConfigError> {
    let costs = costs(sources, limits)?;
    let flows = flow::flows(sources)?;
    let Some(file) = &sources.file.model.agent else { return Ok(None) };
    let path = KeyPath::of(&["agent"]);
    let Some(flow) = flow::chosen(sources, lookup, &path.key("flow"), file.flow.as_ref())? else {
        let names = flow::names(&flows).join(", ");
        let help = format!("agent: {{ flow: NAME }}, with a name of `flows:` or of revgate's own: {names}");
        return Err(sources.error(&Spot::File(path), Flaw::new("no flow is named").help(help)));
    };
    let number = |written: Option<&Text>, key: &str, default: u32| {
        let found = sources.one(None, written, &["agent", key], |text| values::count(text, 1))?;
        Ok::<u32, ConfigError>(found.map_or(default, |found| found.value))
    };
    let within = sources.one(None, file.within.as_ref(), &["agent", "within"], values::positive_duration)?;
    let within = within.map_or(Duration::from_mins(1), |found| found.value);
    flow::refuse_longer(sources, &flow, within, &path.key("within"))?;
    let settings = AgentSettings {
        flow,
        runs: number(file.runs.as_ref(), "runs", 3)?,
        at_once: number(file.at_once.as_ref(), "at-once", 5)?,
        rounds: number(file.rounds.as_ref(), "rounds", 1)?,
        within,
        latency: latency(sources, file.latency.as_ref(), within)?,
        costs,
    };
    at_most(sources, &path.key("at-once"), settings.at_once, costs)?;
    if settings.total() > costs.agent_runs {
        let message =
            format!("{} runs are asked for, and {} are allowed", settings.total(), costs.agent_runs);
        let help = "raise `agent-runs:` under `limits:`, or lower runs, at-once and rounds";
        return Err(sources.error(&Spot::File(path), Flaw::new(message).help(help)));
    }
    Ok(Some(settings))
}

/// Refuses more conversations at once than sockets are allowed.
pub(crate) fn at_most(
    sources: &Sources<'_>,
    path: &KeyPath,
    at_once: u32,
    costs: Costs,
) -> Result<(), ConfigError> {
    if at_once <= costs.sockets_at_once {
        return Ok(());
    }
    let flaw = Flaw::new(format!(
        "{at_once} conversations at once are more than the limit of {} sockets",
        costs.sockets_at_once
    ));
    Err(sources.error(&Spot::File(path.clone()), flaw.help("raise `sockets-at-once:` under `limits:`")))
}

/// What conversations may cost: the limits that are stated for them, and those of every socket.
pub(crate) fn costs(sources: &Sources<'_>, limits: &Limits) -> Result<Costs, ConfigError> {
    let file = &sources.file.model.limits;
    let limit = |written: Option<&Text>, key: &str| {
        let found = sources.one(None, written, &["limits", key], |text| values::count(text, 1))?;
        Ok::<Option<u32>, ConfigError>(found.map(|found| found.value))
    };
    Ok(Costs {
        agent_runs: limit(file.agent_runs.as_ref(), "agent-runs")?.unwrap_or(50),
        messages_per_minute: limits.messages_per_minute,
        openings_per_second: limits.openings_per_second,
        sockets_at_once: limits.sockets_at_once,
    })
}

/// The limits of latency, each at least as long as the one before and none beyond `most`, after which a run is over.
fn latency(
    sources: &Sources<'_>,
    file: Option<&LatencyModel>,
    most: Duration,
) -> Result<Latency, ConfigError> {
    let limit = |written: Option<&Text>, key: &str| {
        let keys = ["agent", "latency", key];
        let found = sources.one(None, written, &keys, values::positive_duration)?;
        Ok::<Option<Duration>, ConfigError>(found.map(|found| found.value))
    };
    let Some(LatencyModel { p50, p95, p99 }) = file else { return Ok(Latency::default()) };
    let limits = [
        ("p50", limit(p50.as_ref(), "p50")?),
        ("p95", limit(p95.as_ref(), "p95")?),
        ("p99", limit(p99.as_ref(), "p99")?),
    ];
    let mut lower: Option<(&str, Duration)> = None;
    for (key, limit) in limits.iter().filter_map(|(key, limit)| Some((*key, (*limit)?))) {
        if let Some((other, most)) = lower.filter(|(_, most)| limit < *most) {
            let flaw =
                Flaw::new(format!("{limit:?} is less than the {other} ({most:?}), which no {key} can be"))
                    .help("let the limits rise: latency: { p50: 20s, p95: 40s, p99: 50s }");
            return Err(sources.error(&Spot::of(None, &["agent", "latency", key]), flaw));
        }
        if limit > most {
            let flaw = Flaw::new(format!("{limit:?} are allowed here, and a run is over after {most:?}"))
                .help("raise `agent.within:`, which is how long a whole run may take, or lower this");
            return Err(sources.error(&Spot::of(None, &["agent", "latency", key]), flaw));
        }
        lower = Some((key, limit));
    }
    let [(_, p50), (_, p95), (_, p99)] = limits;
    Ok(Latency { p50, p95, p99 })
}

fn counted(count: u32, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
