//! What may be chosen about the sample agent backend.
//!
//! Values only. A behaviour concerns the sockets that are drawn by `rate` from a seeded generator, so that the same
//! seed and the same order of openings misbehave alike; the other sockets meet a healthy server.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::emulator::wait;

/// What the sample backend does with the sockets that `rate` draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// Healthy.
    #[default]
    Fixed,
    /// The service behind the socket is set only `window` after the first connection; sooner ones get 1011.
    StartupRace,
    /// Two sockets of one user inside `window`: the second to finish its set-up gets 1011.
    CheckThenAct,
    /// As check-then-act, for one thing that all users share; it is gone when the last socket leaves.
    LazySingleton,
    /// 503 to everything.
    #[serde(rename = "always-503")]
    Always503,
    /// Reads the upgrade and never answers.
    NeverAnswers,
    /// 404 to the upgrade.
    NotFound,
    /// 200 to the upgrade.
    OkWithoutUpgrade,
    /// Accepts and says nothing.
    Silent,
    /// Accepts and resets the connection.
    Abort,
    /// Close 1000 first thing.
    #[serde(rename = "close-1000")]
    Close1000,
    /// Close 1008 first thing.
    #[serde(rename = "close-1008")]
    Close1008,
    /// Close 1011 first thing.
    #[serde(rename = "close-1011")]
    Close1011,
    /// An error frame, then 1011.
    #[serde(rename = "error-then-1011")]
    ErrorThen1011,
    /// One good frame, then 1011.
    #[serde(rename = "one-frame-then-1011")]
    OneFrameThen1011,
    /// A correct answer, half a second later 1011; also when nothing was asked for a second.
    #[serde(rename = "pong-then-1011")]
    PongThen1011,
    /// 503 to the upgrade; `/health` is well.
    #[serde(rename = "refuse-503")]
    Refuse503,
    /// 403 to the upgrade; `/health` is well.
    #[serde(rename = "refuse-403")]
    Refuse403,
    /// The same as never-answers, under the name the rate tests use.
    Hang,
    /// Resets the connection instead of answering the upgrade.
    Reset,
    /// Escape sequences, bidi controls and workflow commands in bodies, frames and the close reason.
    HostileText,
    /// Says back every secret that it was sent.
    EchoSecrets,
    /// Healthy, but for its heartbeat, which never comes.
    HeartbeatNever,
    /// A binary message ends the connection without a close frame.
    BinaryCrash,
    /// The agent dies, `agent_dies_after` its start, with close 1011.
    AgentDies,
    /// A fallback plays all five events.
    AgentFallback,
    /// The welcome says that services are missing.
    DegradedWelcome,
    /// A tool is completed before it was executed.
    AgentOutOfOrder,
    /// The last event of a run never comes.
    AgentIncomplete,
    /// The last event of a run is of whichever run was begun last.
    AgentLeak,
}

/// What the 101 says about the subprotocols that were offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubprotocolEcho {
    /// `jwt-auth` when it was offered, else nothing.
    #[default]
    JwtAuth,
    /// The exact `jwt.<token>` that was offered.
    Token,
    /// The first one offered.
    First,
    /// Nothing, ever.
    None,
}

/// How a bad or missing token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JwtRefusal {
    /// 401 instead of the upgrade.
    #[default]
    #[serde(rename = "status-401")]
    Status401,
    /// The upgrade, an error frame, and close 1008.
    #[serde(rename = "close-1008")]
    Close1008,
    /// Not properly: the upgrade, and close 1011.
    #[serde(rename = "close-1011")]
    Close1011,
    /// Not properly: the upgrade, and the connection ends without a close frame.
    Abort,
    /// Not at all: the upgrade, and nothing ever comes.
    Silence,
    /// Not at all: it is served like a good one.
    Accept,
}

/// The settings of one sample backend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleBackend {
    /// What it does wrong.
    pub behaviour: Behaviour,
    /// The share of sockets, 0.0 to 1.0, that meet the behaviour.
    pub rate: f64,
    /// The width of a race; zero takes the behaviour's own (start-up race 50 ms, the others 1 ms).
    #[serde(with = "wait")]
    pub window: Duration,
    /// The path of the WebSocket.
    pub path: String,
    /// Name the revision in the 101 (`x-revision`), in plain answers and in the welcome frame.
    pub echo_revision: bool,
    /// Name the instance in the 101 (`x-instance`), in plain answers and in the welcome frame.
    pub echo_instance: bool,
    /// When set, each socket needs a JWT signed with it (HS256).
    pub jwt_secret: Option<String>,
    /// How a bad token is refused.
    pub jwt_refusal: JwtRefusal,
    /// Which subprotocol is echoed.
    pub subprotocol_echo: SubprotocolEcho,
    /// Time between two application heartbeats.
    #[serde(with = "wait")]
    pub heartbeat: Duration,
    /// Time between two agent events.
    #[serde(with = "wait")]
    pub agent_step: Duration,
    /// When the agent of agent-dies dies; zero is 7 s.
    #[serde(with = "wait")]
    pub agent_dies_after: Duration,
    /// The seed that decides which sockets `rate` draws.
    pub seed: u64,
}

impl Default for SampleBackend {
    fn default() -> Self {
        Self {
            behaviour: Behaviour::Fixed,
            rate: 1.0,
            window: Duration::ZERO,
            path: "/ws".to_owned(),
            echo_revision: false,
            echo_instance: false,
            jwt_secret: None,
            jwt_refusal: JwtRefusal::default(),
            subprotocol_echo: SubprotocolEcho::default(),
            heartbeat: Duration::from_secs(25),
            agent_step: Duration::from_millis(20),
            agent_dies_after: Duration::ZERO,
            seed: 7,
        }
    }
}

impl SampleBackend {
    /// A backend with this behaviour and everything else as by default.
    pub fn new(behaviour: Behaviour) -> Self {
        Self { behaviour, ..Self::default() }
    }

    /// When the agent dies.
    pub(crate) fn agent_death(&self) -> Duration {
        if self.agent_dies_after.is_zero() { Duration::from_secs(7) } else { self.agent_dies_after }
    }

    /// The width of the race in force.
    pub(crate) fn race_window(&self) -> Duration {
        match self.behaviour {
            _ if !self.window.is_zero() => self.window,
            Behaviour::StartupRace => Duration::from_millis(50),
            _ => Duration::from_millis(1),
        }
    }
}
