//! How does a command of the user's own become an instance?
//!
//! Takes an argument vector, gives a loopback port on which it listens, or nothing when it ended or its start-up probe
//! failed. The child and all that it starts die with the emulator, also when the runtime is torn down without a word.
//! The surprising rule: the port is never the template's, since several instances share one machine; only the words
//! of the platform name that one.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use tokio::net::TcpStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{InstanceLog, probe::StartupProbe};
use crate::{
    child::{self, Sink, free_port},
    emulator::{knative::RESERVED, logging::Origin},
};

/// What every process of a revision is started from.
#[derive(Debug)]
pub(crate) struct Container {
    /// The command.
    pub(crate) words: Vec<String>,
    /// The template's variables.
    pub(crate) environment: Vec<(String, String)>,
    /// How its start is seen.
    pub(crate) probe: StartupProbe,
    /// The template's port.
    pub(crate) port: u16,
}

/// One child process and its port.
#[derive(Debug)]
pub(crate) struct Process {
    container: Arc<Container>,
    log: InstanceLog,
    running: OnceLock<(u16, child::Process)>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Process {
    /// A process that is not started yet; it ends when `stop` is cancelled.
    pub(crate) fn new(
        container: Arc<Container>,
        log: InstanceLog,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        Self { container, log, running: OnceLock::new(), stop, tasks }
    }

    /// Waits until it has ended; for ever, for one that never ran.
    pub(crate) async fn ended(&self) {
        match self.running.get() {
            Some((_, child)) => child.ended().cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// True once it ran and has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.running.get().is_some_and(|(_, child)| child.ended().is_cancelled())
    }

    /// Opens a connection to it; an error when it does not run.
    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        let running = self.running.get().filter(|(_, child)| !child.ended().is_cancelled());
        let Some((port, _)) = running else { return Err(io::ErrorKind::NotConnected.into()) };
        let stream = TcpStream::connect(("127.0.0.1", *port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Stops it where it stands.
    pub(crate) fn freeze(&self) {
        if let Some((_, child)) = self.running.get() {
            child.group().stop();
        }
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        if let Some((_, child)) = self.running.get() {
            child.group().resume();
        }
    }

    /// Starts the command and waits for its start-up probe; `Err` when it ended first or the probe failed.
    pub(crate) async fn start(&self) -> Result<(), ()> {
        match self.spawn().await {
            Ok((port, ended)) => self.await_started(port, &ended).await,
            Err(error) => {
                let program = self.container.words.first().map_or("", String::as_str);
                self.log.push("system", format!("the command {program} could not be started: {error}"));
                Err(())
            }
        }
    }

    async fn spawn(&self) -> io::Result<(u16, CancellationToken)> {
        let port = free_port().await?;
        let port_text = port.to_string();
        let variables = variables(&self.container.environment, &port_text, self.log.origin());
        let log = self.log.clone();
        let sink: Sink = Arc::new(move |stream, line| log.push(stream, line));
        let child = child::Process::start(&self.container.words, &variables, &sink, &self.stop, &self.tasks)?;
        let ended = child.ended().clone();
        let _ = self.running.set((port, child));
        Ok((port, ended))
    }

    async fn await_started(&self, port: u16, ended: &CancellationToken) -> Result<(), ()> {
        let Container { probe, port: named, .. } = &*self.container;
        let answer = tokio::select! {
            () = ended.cancelled() => return Err(()),
            answer = probe.ask(port) => answer,
        };
        let said = probe.said(answer, *named);
        match answer {
            Ok(_) => self.log.told("INFO", &said),
            Err(_) => self.log.failed(said),
        }
        answer.map(drop).map_err(drop)
    }
}

/// The variables of a process: a template's own, and those of the platform, which it cannot replace.
fn variables<'a>(own: &'a [(String, String)], port: &'a str, origin: &'a Origin) -> Vec<(&'a str, &'a str)> {
    let own = own.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let own = own.filter(|(name, _)| !RESERVED.contains(name));
    let Origin { service, revision, .. } = origin;
    let platform = [port, service, revision, service];
    own.chain(RESERVED.into_iter().zip(platform)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_cannot_replace_what_the_platform_sets() {
        let own = [("PORT", "1"), ("A", "b"), ("K_SERVICE", "x"), ("K_REVISION", "x")];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let origin = Origin { service: "s".into(), revision: "s-1".into(), instance: None };
        let due = [
            ("A", "b"),
            ("PORT", "8081"),
            ("K_SERVICE", "s"),
            ("K_REVISION", "s-1"),
            ("K_CONFIGURATION", "s"),
        ];
        assert_eq!(variables(&own, "8081", &origin), due);
    }
}
