//! One child process, from its start to the end of its group.

use std::{
    io,
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader},
    net::TcpListener,
    process::{Child, Command},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{argv::expand, group::Group, watchdog::Watchdog};

/// Time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// Takes what a child says: the stream's name (`stdout`, `stderr`, or `system` for our own words) and one line.
pub(crate) type Sink = Arc<dyn Fn(&'static str, String) + Send + Sync>;

/// A child process that was started.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    group: Arc<Group>,
    ended: CancellationToken,
}

impl Process {
    /// Starts `words`, in which the names of `variables` are replaced; the child has them in its environment too. It ends
    /// when `stop` is cancelled; `tasks` are over when nothing of it is left.
    pub(crate) fn start(
        words: &[String],
        variables: &[(&str, &str)],
        sink: &Sink,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> io::Result<Self> {
        let words = expand(words, variables);
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn()?;
        let group = Arc::new(Group::of(&child));
        let watchdog = group.id().and_then(Watchdog::start);
        if let Some(stdout) = child.stdout.take() {
            tasks.spawn(capture(stdout, "stdout", Arc::clone(sink), stop.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            tasks.spawn(capture(stderr, "stderr", Arc::clone(sink), stop.clone()));
        }
        let process = Self { group: Arc::clone(&group), ended: CancellationToken::new() };
        let watched = Watched { child, group, watchdog, ended: process.ended.clone() };
        tasks.spawn(watched.watch(Arc::clone(sink), stop.clone()));
        Ok(process)
    }

    /// Cancelled when its leader has ended, by itself or by us.
    pub(crate) fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Its group.
    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }
}

/// Ports below those that a machine gives to whoever asks for any, or connects.
const PORTS: std::ops::Range<u32> = 10_000..30_000;
/// How many of them are tried.
const ATTEMPTS: u32 = 200;

/// A port of loopback that was free a moment ago; the child may still lose it to another process, and then does not
/// start.
///
/// It is given to one child only, one after the other from a place drawn once: two children with the same port would be
/// taken for each other, since whoever asks whether one has started is answered by the other.
pub(crate) async fn free_port() -> io::Result<u16> {
    static FIRST: OnceLock<u32> = OnceLock::new();
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let many = PORTS.end - PORTS.start;
    let first = FIRST.get_or_init(|| rand::random_range(0..many));
    for _ in 0..ATTEMPTS {
        let turn = first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % many;
        let port = u16::try_from(PORTS.start + turn).unwrap_or_default();
        if TcpListener::bind(("127.0.0.1", port)).await.is_ok() {
            return Ok(port);
        }
    }
    Ok(TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?.port())
}

/// Bytes of a line that are kept; what is behind them is read and forgotten, so that the child never waits for us.
const LONGEST_LINE: usize = 64 * 1024;

/// Hands over the lines of one stream, until it ends or is to stop.
async fn capture(stream: impl AsyncRead + Unpin, name: &'static str, sink: Sink, stop: CancellationToken) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = tokio::select! {
            () = stop.cancelled() => return,
            read = read_line(&mut reader, &mut line) => read,
        };
        if !matches!(read, Ok(true)) {
            return;
        }
        sink(name, String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned());
    }
}

/// Reads one line, of which at most its beginning is kept; false at the end of the stream.
async fn read_line(reader: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<bool> {
    let mut any = false;
    loop {
        let bytes = reader.fill_buf().await?;
        if bytes.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(bytes.len(), |end| end + 1);
        let kept = length.min(LONGEST_LINE.saturating_sub(line.len()));
        line.extend_from_slice(&bytes[..kept]);
        reader.consume(length);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// A child with all that its end needs.
struct Watched {
    child: Child,
    group: Arc<Group>,
    watchdog: Option<Watchdog>,
    ended: CancellationToken,
}

impl Watched {
    /// Waits for the child's end, or ends it.
    async fn watch(mut self, sink: Sink, stop: CancellationToken) {
        tokio::select! {
            status = self.child.wait() => {
                sink("system", status.map_or_else(|error| error.to_string(), ending));
            }
            () = stop.cancelled() => {
                self.group.terminate();
                let _ = timeout(GRACE, self.child.wait()).await;
            }
        }
        self.ended.cancel();
        // Workers may outlive the leader.
        self.group.kill();
        let _ = self.child.wait().await;
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.dismiss().await;
        }
    }
}

/// How a process ended, in Cloud Run's words.
fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("Container called exit({code})."),
        (None, Some(signal)) => format!("Container terminated on signal {signal}."),
        (None, None) => "Container ended.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn no_port_is_given_twice() {
        let mut ports = std::collections::BTreeSet::new();
        for _ in 0..500 {
            assert!(ports.insert(free_port().await.unwrap()));
        }
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_cut_and_what_follows_is_read() {
        let long = "x".repeat(10 * LONGEST_LINE);
        let text = format!("first\n{long}\nlast");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let sink: Sink = Arc::new(move |_, line| kept.lock().unwrap().push(line));
        capture(text.as_bytes(), "stdout", sink, CancellationToken::new()).await;
        let lengths: Vec<usize> = lines.lock().unwrap().iter().map(String::len).collect();
        assert_eq!(lengths, ["first".len(), LONGEST_LINE, "last".len()]);
    }
}
