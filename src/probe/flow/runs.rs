//! The runs of a flow, alone and at once, and what they show of each other.
//!
//! Takes what is asked for and the prober; gives what was seen. It never judges. The surprising rule: what is captured in a
//! run is known to be its mark only when it has come, so that everything that came on any socket is searched at the end.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::super::prober::Prober;
use super::super::series::Series;
use super::super::spec::SocketSpec;
use super::barrier;
use super::condition::Condition;
use super::conversation::{Errand, Held, Places, hold};
use super::isolation::searched;
use super::marks::{Lookout, Mark};
use super::seen::{AgentAsked, AgentSeen, Company};
use crate::config::{AgentSettings, Captured, Costs, Flow, IsolationSettings, Values};

/// Which of the configured checks are to run.
#[derive(Debug, Clone, Copy)]
pub struct FlowsAsked<'a> {
    /// `agent`.
    pub agent: Option<&'a AgentSettings>,
    /// Whether its runs count, and not only what they show of each other.
    pub agent_counts: bool,
    /// `isolation`.
    pub isolation: Option<&'a IsolationSettings>,
    /// The age at which the revision ends every request; `None` where it is not known.
    pub request_timeout: Option<Duration>,
}

/// The age at which Cloud Run ends a request where the revision says nothing else.
const USUAL_TIMEOUT: Duration = Duration::from_mins(5);
/// How long before that age a conversation ends that has nothing more to do.
const MARGIN: Duration = Duration::from_secs(5);

/// Some runs of one flow.
struct Batch<'a> {
    flow: &'a Flow,
    within: Duration,
    company: Company,
    size: u32,
}

/// Runs the flows as often as is asked.
pub async fn run_flows(
    prober: &Prober,
    asked: FlowsAsked<'_>,
    series: &mut Series,
    cut: &CancellationToken,
) -> AgentSeen {
    let users = u32::try_from(prober.users.len().max(1)).unwrap_or(u32::MAX);
    let plain = Flow::plain(&prober.conversation);
    let batches = batches(asked, &plain, users);
    let costs = asked.agent.map(|agent| agent.costs).or(asked.isolation.map(|isolation| isolation.costs));
    let mut runner = Runner { prober, asked, shared: shared(asked), held: Vec::new(), costs, number: 0 };
    for batch in &batches {
        // A run costs money: after the first that failed the rest would only say so again.
        if cut.is_cancelled() || runner.held.iter().any(|held| held.run.has_failed()) {
            break;
        }
        runner.run(batch, series, cut).await;
    }
    let isolation = asked.isolation.map(|settings| {
        let flows: Vec<&Flow> = batches.iter().map(|batch| batch.flow).collect();
        searched(prober, settings, &runner.held, &flows)
    });
    let agent = asked.agent.filter(|_| asked.agent_counts).map(|agent| AgentAsked {
        flow: agent.flow.name.clone(),
        alone: agent.runs,
        at_once: agent.at_once,
        rounds: agent.rounds,
        users,
        latency: agent.latency,
    });
    AgentSeen { agent, runs: runner.held.into_iter().map(|held| held.run).collect(), isolation }
}

fn batches<'a>(asked: FlowsAsked<'a>, plain: &'a Flow, users: u32) -> Vec<Batch<'a>> {
    let mut batches = Vec::new();
    if let Some(agent) = asked.agent {
        let batch = |company, size| Batch { flow: &agent.flow, within: agent.within, company, size };
        if asked.agent_counts {
            batches.extend((0..agent.runs).map(|_| batch(Company::Alone, 1)));
        }
        let own = asked.isolation.is_some_and(|isolation| isolation.own.is_some());
        if asked.agent_counts || !own {
            let rounds = 1..=agent.rounds;
            batches.extend(rounds.map(|round| batch(Company::Together(round), agent.at_once.min(users))));
        }
    }
    if let Some(own) = asked.isolation.and_then(|isolation| isolation.own.as_ref()) {
        let flow = own.flow.as_ref().unwrap_or(plain);
        let size = own.at_once.min(users);
        batches.push(Batch { flow, within: own.within, company: Company::Isolation, size });
    }
    batches
}

/// The tests for frames that may show others. They name no socket's values.
fn shared(asked: FlowsAsked<'_>) -> Vec<Condition> {
    let values = Values { user: "", nonce: "", round: 0 };
    let rules = asked.isolation.iter().flat_map(|isolation| &isolation.shared);
    rules.filter_map(|rule| Condition::new(&rule.pattern, values, &Captured::new())).collect()
}

struct Runner<'a> {
    prober: &'a Prober,
    asked: FlowsAsked<'a>,
    shared: Vec<Condition>,
    held: Vec<Held>,
    costs: Option<Costs>,
    number: u32,
}

impl Runner<'_> {
    /// One batch: all of its conversations at once, each of a user of its own.
    async fn run(&mut self, batch: &Batch<'_>, series: &mut Series, cut: &CancellationToken) {
        let users = self.prober.users.len().max(1);
        let first = self.held.len();
        let specs: Vec<SocketSpec> =
            (0..batch.size as usize).map(|index| series.socket(Some((first + index) % users))).collect();
        // Whoever has to wait waits before he opens: a socket that says nothing for so long may rightly be closed.
        let tokens = self.prober.first_messages();
        self.prober.room(&specs, tokens + batch.flow.messages().count(), cut).await;
        self.prober.turn(&specs, tokens, cut).await;
        let lookout = self.asked.isolation.map(|_| self.lookout(&specs));
        let a_second = self.costs.map_or(1, |costs| costs.openings_per_second.max(1));
        let places = barrier::places(specs.len()).into_iter().zip(barrier::places(specs.len()));
        let oldest = self.asked.request_timeout.unwrap_or(USUAL_TIMEOUT).saturating_sub(MARGIN);
        let mut holding = Vec::new();
        for (index, (spec, (start, end))) in (0_u32..).zip(specs.into_iter().zip(places)) {
            self.number += 1;
            let user = spec.user.unwrap_or(0);
            let pace = self.prober.accounts.of(user);
            let errand = Errand {
                prober: self.prober,
                flow: batch.flow,
                within: batch.within,
                number: self.number,
                company: batch.company,
                spec,
                shared: &self.shared,
                lookout: lookout.as_ref(),
                delay: Duration::from_secs(u64::from(index / a_second)),
                oldest,
            };
            holding.push(hold(errand, Places { start, end }, pace, cut));
        }
        self.held.extend(join_all(holding).await);
    }

    /// What earlier conversations and those of this batch are known by at its start.
    fn lookout(&self, specs: &[SocketSpec]) -> Lookout {
        let mark = |text: &str, run: u32, user: &str, kind: &str| Mark {
            text: text.to_owned(),
            run,
            user: user.to_owned(),
            kind: kind.to_owned(),
        };
        let mut marks = Vec::new();
        let mut users = BTreeSet::new();
        for held in &self.held {
            let run = &held.run;
            marks.push(mark(&held.nonce, run.number, &run.user, "nonce"));
            marks.extend(held.captured.iter().map(|(name, text)| mark(text, run.number, &run.user, name)));
            users.insert((run.user.clone(), run.number));
        }
        for (number, spec) in (self.number + 1..).zip(specs) {
            let user = self.prober.user_name(spec.user);
            marks.push(mark(&spec.nonce, number, user, "nonce"));
            users.insert((user.to_owned(), number));
        }
        marks.extend(users.iter().map(|(user, run)| mark(user, *run, user, "user")));
        Lookout::new(marks)
    }
}

#[cfg(test)]
mod tests;
