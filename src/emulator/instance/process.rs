//! How does a command of the user's own become an instance?
//!
//! Takes an argument vector, gives a loopback port on which it listens, or nothing when it ended or stayed silent
//! until the deadline (Cloud Run's default start-up probe is a TCP connect, so ours is). The child leads a process
//! group: servers such as gunicorn fork workers, and only the group's end is the end of them all. The group dies with
//! the emulator, also when the runtime is torn down without a word.

use std::{
    io,
    process::Stdio,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Log, argv::expand};

/// Time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// Time between two start-up probes.
const PROBE_EVERY: Duration = Duration::from_millis(20);

/// One child process and its port.
#[derive(Debug)]
pub(crate) struct Process {
    words: Vec<String>,
    service: String,
    revision: String,
    log: Arc<Log>,
    port: OnceLock<u16>,
    ended: CancellationToken,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Process {
    /// A process that is not started yet; it ends when `stop` is cancelled.
    pub(crate) fn new(
        words: Vec<String>,
        (service, revision): (&str, &str),
        log: Log,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            words,
            service: service.to_owned(),
            revision: revision.to_owned(),
            log: Arc::new(log),
            port: OnceLock::new(),
            ended: CancellationToken::new(),
            stop,
            tasks,
        }
    }

    /// What it wrote.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Opens a connection to it; an error when it does not run.
    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        let port = self.port.get().copied().filter(|_| !self.ended.is_cancelled());
        let Some(port) = port else { return Err(io::ErrorKind::NotConnected.into()) };
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
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
        let variables = [
            ("PORT", port_text.as_str()),
            ("K_SERVICE", &self.service),
            ("K_REVISION", &self.revision),
            ("K_CONFIGURATION", &self.service),
        ];
        let words = expand(&self.words, &variables);
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments).envs(variables).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn()?;
        let _ = self.port.set(port);
        if let Some(stdout) = child.stdout.take() {
            self.tasks.spawn(capture(stdout, "stdout", Arc::clone(&self.log), self.stop.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            self.tasks.spawn(capture(stderr, "stderr", Arc::clone(&self.log), self.stop.clone()));
        }
        let group = Group::of(&child);
        self.tasks.spawn(watch(child, group, Arc::clone(&self.log), self.ended.clone(), self.stop.clone()));
        Ok(())
    }

    async fn await_listening(&self, deadline: Duration) -> Result<(), ()> {
        let probe = async {
            while !self.ended.is_cancelled() {
                if self.connect().await.is_ok() {
                    return Ok(());
                }
                sleep(PROBE_EVERY).await;
            }
            Err(())
        };
        timeout(deadline, probe).await.unwrap_or(Err(()))
    }
}

/// A port that was free a moment ago; the child may still lose it to another process, and then does not start.
async fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?.port())
}

/// Copies the lines of one stream into the log, until it ends or the emulator does.
async fn capture(stream: impl AsyncRead + Unpin, name: &'static str, log: Arc<Log>, stop: CancellationToken) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = tokio::select! {
            () = stop.cancelled() => return,
            read = reader.read_until(b'\n', &mut line) => read,
        };
        if !matches!(read, Ok(count) if count > 0) {
            return;
        }
        log.push(name, String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned());
    }
}

/// Waits for the child's end, or ends it.
async fn watch(
    mut child: Child,
    group: Group,
    log: Arc<Log>,
    ended: CancellationToken,
    stop: CancellationToken,
) {
    tokio::select! {
        status = child.wait() => {
            let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            log.push("system", format!("Container called exit: {how}."));
        }
        () = stop.cancelled() => {
            group.terminate();
            let _ = timeout(GRACE, child.wait()).await;
        }
    }
    ended.cancel();
    // Workers may outlive the leader; the group's drop ends them.
    drop(group);
    let _ = child.wait().await;
}

/// The process group of a child; killed on drop.
#[derive(Debug)]
struct Group {
    #[cfg(unix)]
    leader: Option<rustix::process::Pid>,
}

#[cfg(unix)]
impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self { leader: id.and_then(rustix::process::Pid::from_raw) }
    }

    fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        if let Some(leader) = self.leader {
            // A group that is gone already is what we want.
            let _ = rustix::process::kill_process_group(leader, signal);
        }
    }
}

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        self.signal(rustix::process::Signal::KILL);
    }
}

#[cfg(not(unix))]
impl Group {
    fn of(_child: &Child) -> Self {
        Self {}
    }

    fn terminate(&self) {}
}
