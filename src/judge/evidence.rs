//! All that a verdict is made of: what a recorded run holds.
//!
//! Takes no decision. Everything right of *probe* is a function of this value, so `revgate judge FILE` gives the same
//! verdict as the run did. The surprising rule: evidence from another API endpoint than Google's is marked as
//! rehearsed, once, here, and never loses that mark.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::interruption::Interruption;
use super::logs::LogsSeen;
use super::tag_loss::TagLoss;
use super::watch::Watch;
use crate::config::{
    Asked, CheckName, Echo, ReadyTokens, Selection, ServiceName, Settings, TokenOrigin, Trimmed,
};
use crate::probe::{
    AgentSeen, ApiSeen, AuthSeen, Baseline, Calibration, FramesSeen, HoldSeen, Learned, Opening, Plan, Round,
    StopReason,
};
use crate::trust::Excerpt;

/// Version of the recorded form; raised when an old one can no longer be read.
pub const EVIDENCE_VERSION: u32 = 5;

/// The evidence of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// [`EVIDENCE_VERSION`].
    pub version: u32,
    /// The program that recorded it.
    pub recorded_by: String,
    /// The wall clock at the start.
    pub started_at: Timestamp,
    /// How long the run took, in milliseconds.
    pub took_ms: u64,
    /// What was gated.
    pub target: Target,
    /// Which checks were asked for.
    pub selection: Selection,
    /// A dry run: nothing was opened.
    pub dry_run: bool,
    /// The command that asked for it, redacted.
    pub asked: Asked,
    /// What the candidate's conditions said.
    pub ready: ReadyEvidence,
    /// What proves that the candidate was reached.
    pub identity: IdentityEvidence,
    /// What a process of the server of our own was put through; `None` where there is none.
    pub local: Option<Local>,
    /// What was opened and what came of it; `None` when nothing was.
    pub probing: Option<Probing>,
    /// What was seen of what the configuration asked for.
    pub configured: ConfiguredEvidence,
    /// How the revision that serves compares; `None` where that was not asked, or nobody serves.
    pub baseline: Option<Baseline>,
    /// What was seen of the serving revision's errors; `None` where nobody else serves, or nothing is known of it.
    pub watch: Option<Watch>,
    /// Milliseconds that each part took.
    pub times: Vec<(CheckName, u64)>,
    /// How far it had come when a signal ended it; `None` for a run that went to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<Interruption>,
    /// How the candidate's tag was lost meanwhile; `None` where it was not, or there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_loss: Option<TagLoss>,
}

impl Evidence {
    /// The revision that each opened socket named, where it named one. Sockets of whole conversations count where they
    /// named any: a flow need not bring the frame that does.
    pub(super) fn echoes<'a>(&'a self, probing: &'a Probing) -> Vec<Option<&'a str>> {
        let rounds = probing.rounds.iter().filter(|round| round.stage.is_judged());
        let single = rounds.flat_map(|round| &round.observations);
        let single = single.filter(|o| matches!(o.opening, Opening::Opened { .. }));
        let runs = self.configured.agent.iter().flat_map(|agent| &agent.runs);
        let runs = runs.map(|run| &run.observation).filter(|o| o.echo.is_some());
        single.chain(runs).map(|o| o.echo.as_ref().map(Excerpt::as_str)).collect()
    }
}

/// What was seen for the checks that the configuration asks for; `None` for what was not asked for, or not reached.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfiguredEvidence {
    /// Whole conversations, which show `agent` and `isolation`.
    pub agent: Option<AgentSeen>,
    /// Bad tokens.
    pub auth: Option<AuthSeen>,
    /// Sockets that were kept.
    pub hold: Option<HoldSeen>,
    /// HTTP endpoints.
    pub api: Option<ApiSeen>,
    /// Bad frames.
    pub frames: Option<FramesSeen>,
    /// The revision's log.
    pub logs: Option<LogsSeen>,
    /// When each part was under way, in their order.
    pub windows: Vec<Window>,
    /// Checks that had fewer at once than were asked for, since the revision holds no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trimmed: Vec<Trimmed>,
    /// What every socket carried that may change what was seen.
    #[serde(default, skip_serializing_if = "Carried::is_nothing")]
    pub carried: Carried,
}

/// What the upgrade requests carried that may lead a server down another path than its users'. Names, never values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Carried {
    /// Configured headers that servers know for those of tests.
    pub test_headers: Vec<String>,
    /// One ready token for several users.
    pub shared_token: bool,
    /// Seconds from the start of the run to the end of the first token that is not made anew; negative where it had ended.
    pub token_left: Option<i64>,
}

/// How the names of headers begin by which a server tells tests from users.
const OF_TESTS: [&str; 2] = ["x-test", "x-e2e"];

impl Carried {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// What these settings make a socket carry; the run starts at `now`, in seconds since 1970.
    pub(crate) fn of(settings: &Settings, now: i64) -> Self {
        let is_of_tests = |name: &&String| {
            let lower = name.to_ascii_lowercase();
            OF_TESTS.iter().any(|start| {
                lower.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            })
        };
        let endpoints = settings.configured.api.iter().flat_map(|api| &api.endpoints);
        let of_endpoints = endpoints.flat_map(|endpoint| &endpoint.headers).map(|header| &header.name);
        let of_sockets = settings.conversation.headers.iter().map(|(name, _)| name);
        let mut names: Vec<String> = of_sockets.chain(of_endpoints).filter(is_of_tests).cloned().collect();
        names.sort();
        names.dedup();
        let (mut one, mut token_left) = (false, None);
        if let Some(TokenOrigin::Ready { tokens, command }) =
            settings.token.as_ref().map(|token| &token.origin)
        {
            one = matches!(tokens, ReadyTokens::OfAll(_));
            let expiry = tokens.first_expiry().filter(|_| command.is_none());
            token_left = expiry.map(|(at, _)| at.saturating_sub(now));
        }
        Self { test_headers: names, shared_token: one && settings.users.len() > 1, token_left }
    }
}

impl ConfiguredEvidence {
    /// Takes over what a part has seen.
    pub(crate) fn add(&mut self, seen: Self) {
        self.agent = self.agent.take().or(seen.agent);
        self.auth = self.auth.take().or(seen.auth);
        self.hold = self.hold.take().or(seen.hold);
        self.api = self.api.take().or(seen.api);
        self.frames = self.frames.take().or(seen.frames);
        self.logs = self.logs.take().or(seen.logs);
    }
}

/// When a part of a run was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The part.
    pub check: CheckName,
    /// Milliseconds since the start of the run.
    pub began: u64,
    /// Milliseconds since the start of the run.
    pub ended: u64,
}

/// What was gated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The service; `None` when only an address was given.
    pub service: Option<ServiceName>,
    /// The candidate's short name.
    pub revision: Option<String>,
    /// The candidate's uid.
    pub revision_uid: Option<String>,
    /// Which rule chose it.
    pub rule: String,
    /// Percent of traffic that it already has.
    pub serving_percent: i64,
    /// The revision that has most of the traffic.
    pub previous: Option<String>,
    /// Where sockets were opened, without the path.
    pub address: Option<String>,
    /// The path, as configured.
    pub path: String,
    /// True when the control plane was not Google's.
    pub rehearsed: bool,
    /// Whether the address lies behind Google's front end (or the emulator's).
    pub behind_front_end: bool,
    /// Remarks on how it was found.
    pub notes: Vec<String>,
}

/// What the candidate's conditions said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "state")]
pub enum ReadyEvidence {
    /// Ready.
    Ready {
        /// Remarks, such as a retired revision at 0 %.
        notes: Vec<String>,
    },
    /// Failed for good.
    Failed {
        /// The condition.
        condition: String,
        /// Its reason.
        reason: String,
        /// Its message.
        message: Excerpt,
        /// Where its logs are.
        log: Option<String>,
    },
    /// Not ready when the time was over.
    Late {
        /// How long it was waited for, in seconds.
        waited_s: u64,
        /// What it was waiting for.
        last: String,
    },
    /// There is no control plane to ask.
    Unknown,
}

/// What proves that the candidate was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityEvidence {
    /// What kind of address was probed.
    pub address: AddressKind,
    /// Where answers were to name their revision.
    pub echo: Option<Echo>,
    /// Where answers were to name their instance.
    pub instance_echo: Option<Echo>,
    /// Whether the tag's status named the candidate before probing; `None` without a tag.
    pub before: Option<bool>,
    /// The same after probing.
    pub after: Option<bool>,
    /// What the project's log says of this run's requests; `None` where it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<RequestLog>,
}

/// Which revisions this run's requests reached, by the project's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "result")]
pub enum RequestLog {
    /// It was read.
    Read {
        /// Sockets that had opened, of which each must have an entry.
        due: u32,
        /// Those of them that have none.
        missing: u32,
        /// Sockets and requests of this run that have an entry of the candidate's.
        candidate: u32,
        /// The same of other revisions, by their names.
        others: Vec<(String, u32)>,
        /// How long it took to know, in seconds.
        waited_s: u64,
    },
    /// It could not be read.
    Unread {
        /// Why not.
        why: String,
    },
}

/// What kind of address was probed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "kind")]
pub enum AddressKind {
    /// A tag that this run added under a name never used before.
    FreshTag {
        /// Its name.
        tag: String,
    },
    /// A tag that was there.
    Tag {
        /// Its name.
        tag: String,
    },
    /// `--url`.
    Url,
    /// None yet.
    None,
}

/// What a process of the server of our own was put through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Local {
    /// The command that started it, redacted.
    pub command: String,
    /// Why it never listened; `None` where it did.
    pub not_started: Option<Excerpt>,
    /// The last lines that it wrote.
    pub lines: Vec<Excerpt>,
    /// What was opened there and what came of it.
    pub probing: Option<Probing>,
    /// It failed, and nothing else was looked at.
    pub ended_run: bool,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What was opened and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probing {
    /// What was planned.
    pub plan: Plan,
    /// Whether this prober found the bundled race; `None` when it was not asked, or could not be.
    pub calibration: Option<Calibration>,
    /// What comes unasked.
    pub learned: Option<Learned>,
    /// The shortest time in which TCP was connected, in microseconds; `None` when no single socket was served.
    pub round_trip: Option<u64>,
    /// Rounds, in the order of their starts.
    pub rounds: Vec<Round>,
    /// Why it ended.
    pub stopped: StopReason,
    /// What is known of instances that were made to start; `None` where none were.
    pub cold: Option<ColdEvidence>,
}

/// What is known of instances that were made to start, besides their rounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColdEvidence {
    /// Why no further one was.
    pub stopped: StopReason,
    /// What the project's log says of them; `None` where it was not asked.
    pub log: Option<LogProof>,
}

/// What the project's log says of our sockets and of instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "result")]
pub enum LogProof {
    /// It was read.
    Read {
        /// Numbers of sockets, and the instances that took them.
        instances: Vec<(u32, String)>,
        /// Instances that started while new ones were asked for, and when, in microseconds since the start of the run.
        started: Vec<(String, u64)>,
    },
    /// It could not be read.
    Unread {
        /// Why not.
        why: String,
    },
}
