//! How does a command of the user's own become an instance?
//!
//! Takes an argument vector, gives a loopback port on which it listens, or nothing when it ended or stayed silent
//! until the deadline (Cloud Run's default start-up probe is a TCP connect, so ours is). The child and all that it starts
//! die with the emulator, also when the runtime is torn down without a word.

use std::{
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::InstanceLog;
use crate::{
    child::{self, Sink, free_port},
    emulator::logging::Origin,
};

/// Time between two start-up probes.
const PROBE_EVERY: Duration = Duration::from_millis(20);

/// What the one container of an instance is called.
const CONTAINER: &str = "\"app-1\" on port 8080";

/// One child process and its port.
#[derive(Debug)]
pub(crate) struct Process {
    words: Vec<String>,
    log: InstanceLog,
    /// Its port, and what tells its end.
    running: OnceLock<(u16, CancellationToken)>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Process {
    /// A process that is not started yet; it ends when `stop` is cancelled.
    pub(crate) fn new(
        words: Vec<String>,
        log: InstanceLog,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        Self { words, log, running: OnceLock::new(), stop, tasks }
    }

    /// True once it ran and has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.running.get().is_some_and(|(_, ended)| ended.is_cancelled())
    }

    /// Opens a connection to it; an error when it does not run.
    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        let running = self.running.get().filter(|(_, ended)| !ended.is_cancelled());
        let Some((port, _)) = running else { return Err(io::ErrorKind::NotConnected.into()) };
        let stream = TcpStream::connect(("127.0.0.1", *port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Starts the command and waits until it listens; `Err` when it ended first or `deadline` passed.
    pub(crate) async fn start(&self, deadline: Duration) -> Result<(), ()> {
        match self.spawn().await {
            Ok(()) => self.await_listening(deadline).await,
            Err(error) => {
                let program = self.words.first().map_or("", String::as_str);
                self.log.push("system", format!("the command {program} could not be started: {error}"));
                Err(())
            }
        }
    }

    async fn spawn(&self) -> io::Result<()> {
        let port = free_port().await?;
        let port_text = port.to_string();
        let Origin { service, revision, .. } = self.log.origin();
        let variables = [
            ("PORT", port_text.as_str()),
            ("K_SERVICE", service),
            ("K_REVISION", revision),
            ("K_CONFIGURATION", service),
        ];
        let log = self.log.clone();
        let sink: Sink = Arc::new(move |stream, line| log.push(stream, line));
        let child = child::Process::start(&self.words, &variables, &sink, &self.stop, &self.tasks)?;
        let _ = self.running.set((port, child.ended().clone()));
        Ok(())
    }

    async fn await_listening(&self, deadline: Duration) -> Result<(), ()> {
        let probe = async {
            while self.running.get().is_some_and(|(_, ended)| !ended.is_cancelled()) {
                if self.connect().await.is_ok() {
                    return Ok(());
                }
                sleep(PROBE_EVERY).await;
            }
            Err(())
        };
        let Ok(listens) = timeout(deadline, probe).await else {
            self.log.push("system", format!("Default STARTUP TCP probe failed 1 time consecutively for container {CONTAINER}. The instance was not started."));
            return Err(());
        };
        listens
    }
}
