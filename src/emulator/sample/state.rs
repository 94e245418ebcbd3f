//! What one sample instance remembers between sockets.

use std::sync::{Mutex, OnceLock, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::time::Instant;

use super::{
    agent::AgentRun,
    race::CheckThenAct,
    settings::{Behaviour, SampleBackend},
};
use crate::emulator::{instance::InstanceLog, state::draw};

/// One instance of the sample backend.
#[derive(Debug)]
pub(crate) struct Sample {
    /// What was chosen about it.
    pub(crate) settings: SampleBackend,
    /// The race of check-then-act and lazy-singleton.
    pub(crate) race: CheckThenAct,
    log: InstanceLog,
    started: (Timestamp, Instant),
    first_contact: OnceLock<Instant>,
    draws: Mutex<StdRng>,
    /// The agent's run that was begun last.
    pub(crate) latest_run: Mutex<Option<AgentRun>>,
}

impl Sample {
    /// A fresh instance; `now` is for checking tokens.
    pub(crate) fn new(settings: SampleBackend, log: InstanceLog, now: Timestamp) -> Self {
        let draws = Mutex::new(StdRng::seed_from_u64(settings.seed));
        Self {
            settings,
            race: CheckThenAct::default(),
            log,
            started: (now, Instant::now()),
            first_contact: OnceLock::new(),
            draws,
            latest_run: Mutex::new(None),
        }
    }

    /// What it wrote.
    pub(crate) fn log(&self) -> &InstanceLog {
        &self.log
    }

    /// The revision's short name.
    pub(crate) fn revision(&self) -> &str {
        &self.log.origin().revision
    }

    /// The instance's id.
    pub(crate) fn instance(&self) -> &str {
        self.log.origin().instance.as_deref().unwrap_or_default()
    }

    /// Writes a line to its standard output.
    pub(crate) fn say(&self, line: impl Into<String>) {
        self.log.push("stdout", line.into());
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        let (wall, monotonic) = self.started;
        SignedDuration::try_from(monotonic.elapsed())
            .ok()
            .and_then(|elapsed| wall.checked_add(elapsed).ok())
            .unwrap_or(wall)
    }

    /// What the next socket meets: the chosen behaviour by `rate`, else a healthy server.
    pub(crate) fn draw(&self) -> Behaviour {
        let mut draws = self.draws.lock().unwrap_or_else(PoisonError::into_inner);
        if draw(&mut draws, self.settings.rate) { self.settings.behaviour } else { Behaviour::Fixed }
    }

    /// Whether the service behind the sockets is set yet; the first call starts its start-up.
    pub(crate) fn is_set_up(&self) -> bool {
        let first = self.first_contact.get_or_init(Instant::now);
        self.settings.behaviour != Behaviour::StartupRace || first.elapsed() >= self.settings.race_window()
    }
}
