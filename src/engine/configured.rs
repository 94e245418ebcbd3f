//! What the configuration asks for besides what every run does, in the order of the checks.
//!
//! Takes the prober of a campaign that is over; fills in the evidence. The surprising rule: what no well-behaved client
//! does comes last, so that nothing before it suffers from it, and the log can tell the two apart.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::interruption::{CLEANUP_TIME, HANDOVER_TIME};
use super::{Control, EngineError, Run, milliseconds};
use crate::config::{CheckName, ConfiguredChecks};
use crate::judge::{ConfiguredEvidence, Part, Window};
use crate::probe::{
    AgentSeen, Ending, FlowRun, FlowsAsked, Prober, Series, StopReason, ask_endpoints, hold_sockets,
    run_flows, send_bad_frames, send_bad_tokens,
};

/// What is run, in this order; `isolation` is seen in the same conversations as `agent`.
const PARTS: [CheckName; 5] =
    [CheckName::Agent, CheckName::Hold, CheckName::Api, CheckName::Auth, CheckName::Frames];

/// How often something long is said to be under way.
const TOLD_EVERY: Duration = Duration::from_secs(30);

impl Run<'_> {
    /// Runs what is configured; of what needs a socket nothing where single sockets are not even served.
    pub(super) async fn probe_configured(
        &mut self,
        prober: &Prober,
        control: Option<&Control>,
    ) -> Result<(), EngineError> {
        let probing = self.evidence.probing.as_ref();
        let served = probing.is_none_or(|probing| probing.stopped != StopReason::NotServed);
        let sockets = probing.map_or(0, |p| p.rounds.iter().map(|round| round.observations.len()).sum());
        let mut series = Series::after(self.id.clone(), u32::try_from(sockets).unwrap_or(u32::MAX));
        for part in PARTS {
            if !self.wants(part) {
                continue;
            }
            if !served && part != CheckName::Api {
                self.around.note(format!("{part} is left out: single sockets are not served"));
                self.course.leave_out(Part::of(part));
                continue;
            }
            let trimmed = &self.evidence.configured.trimmed;
            if trimmed.iter().any(|trimmed| trimmed.check == part && trimmed.left == 0) {
                self.course.leave_out(Part::of(part));
                continue;
            }
            self.course.begin(Part::of(part));
            self.around.note(format!("{part}: begins"));
            let began = self.around.epoch.elapsed();
            let cut = control.and_then(|control| control.request_timeout);
            // Boxed, so that a whole run is no larger than its largest part.
            Box::pin(self.probe_part(part, prober, cut, &mut series)).await?;
            let ended = self.around.epoch.elapsed();
            self.evidence.times.push((part, milliseconds(ended.saturating_sub(began))));
            let window = Window { check: part, began: milliseconds(began), ended: milliseconds(ended) };
            self.evidence.configured.windows.push(window);
            self.course.end();
        }
        self.read_logs(prober, control, &mut series).await
    }

    fn wants(&self, part: CheckName) -> bool {
        let runs = |check| self.settings.checks.runs(check);
        runs(part) || (part == CheckName::Agent && runs(CheckName::Isolation))
    }

    async fn probe_part(
        &mut self,
        part: CheckName,
        prober: &Prober,
        request_timeout: Option<Duration>,
        series: &mut Series,
    ) -> Result<(), EngineError> {
        let cut = self.halt().child_token();
        let ConfiguredChecks { agent, isolation, hold, api, auth, frames, .. } = &self.configured;
        let learned = self.evidence.probing.as_ref().and_then(|probing| probing.learned.as_ref());
        let runs = |check| self.settings.checks.runs(check);
        let mut seen = ConfiguredEvidence::default();
        let probing = async {
            match part {
                CheckName::Agent => {
                    let asked = FlowsAsked {
                        agent: agent.as_ref(),
                        agent_counts: runs(CheckName::Agent),
                        isolation: isolation.as_ref().filter(|_| runs(CheckName::Isolation)),
                        request_timeout,
                    };
                    if agent.is_some() || isolation.is_some() {
                        seen.agent = Some(run_flows(prober, asked, series, &cut).await);
                    }
                }
                CheckName::Hold => {
                    if let Some(hold) = hold {
                        let holding = hold_sockets(prober, hold, learned, request_timeout, series, &cut);
                        seen.hold = Some(self.telling("hold", holding).await);
                    }
                }
                CheckName::Api => {
                    if let Some(api) = api {
                        seen.api = Some(ask_endpoints(prober, api, series, &cut).await);
                    }
                }
                CheckName::Auth => {
                    if let Some(auth) = auth {
                        seen.auth = Some(send_bad_tokens(prober, auth, learned, series, &cut).await);
                    }
                }
                _ => {
                    if let Some(frames) = frames {
                        let sending = send_bad_frames(prober, frames, learned, request_timeout, series, &cut);
                        seen.frames = Some(self.telling("frames", Box::pin(sending)).await);
                    }
                }
            }
        };
        let converses = part == CheckName::Agent;
        let within = if converses { CLEANUP_TIME } else { HANDOVER_TIME };
        let hear = || {
            if converses {
                let (why, most) = (self.why_cut(), CLEANUP_TIME.as_secs());
                let words =
                    format!("{why}: conversations that are under way are cleaned up: {most} s at most");
                self.around.note(words);
            }
            cut.cancel();
        };
        let handed_over = self.handing_over(probing, within, hear).await;
        let ended = handed_over.and_then(|()| self.heed());
        let ended = ended.map_err(|cause| self.with_left(cause, converses, seen.agent.as_ref()));
        self.evidence.configured.add(seen);
        ended
    }

    /// An end with what it may have left behind.
    fn with_left(&self, cause: EngineError, converses: bool, seen: Option<&AgentSeen>) -> EngineError {
        match self.left_by(seen).filter(|_| converses) {
            Some(left) => EngineError::Conversing { cause: Box::new(cause), left },
            None => cause,
        }
    }

    /// What conversations that were cut may have left behind; nothing was `seen` of those that were not over in time.
    fn left_by(&self, seen: Option<&AgentSeen>) -> Option<String> {
        let Some(seen) = seen else {
            let most = CLEANUP_TIME.as_secs();
            return Some(format!("the cleanup of its conversations was not over within {most} s"));
        };
        let under_way = |run: &&FlowRun| run.ending == Ending::Cut && run.started.is_some();
        let cut: Vec<&FlowRun> = seen.runs.iter().filter(under_way).collect();
        let undone: Vec<&String> = cut.iter().filter_map(|run| run.cleanup.as_ref()).collect();
        let (number, asked) = (cut.len(), &self.configured);
        let own = asked.isolation.as_ref().and_then(|isolation| isolation.own.as_ref()?.flow.as_ref());
        let mut flows = asked.agent.iter().map(|agent| &agent.flow).chain(own);
        if number == 0 {
            return None;
        }
        if flows.any(|flow| flow.cleanup.is_empty()) {
            return Some(format!("{number} conversations were under way, of a flow without `cleanup:`"));
        }
        let why = undone.first()?;
        Some(format!("the cleanup of {} of {number} conversations was not done: {why}", undone.len()))
    }

    /// Says every now and then that something long is still under way.
    async fn telling<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        tokio::pin!(work);
        loop {
            match timeout(TOLD_EVERY, &mut work).await {
                Ok(done) => return done,
                Err(_) => self.around.note(format!("{what}: {} s so far", began.elapsed().as_secs())),
            }
        }
    }
}
