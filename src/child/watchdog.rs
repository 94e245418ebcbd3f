//! Ends a group when we were killed without a word.
//!
//! A shell in a group of its own waits for a line on a pipe that only this process can write to. A line means that the
//! group is gone already; the end of the pipe without a line means that we are. The surprising rule: where there is no
//! shell, there is no watchdog, and nobody is told: it is a second net, below the group's own drop.

use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};

/// What the shell does; `$0` is the group. Of the ways to write it, dash and bash agree on this one.
const SCRIPT: &str = "read -r word || kill -s KILL -- \"-$0\"";

/// Waits beside a group.
#[derive(Debug)]
pub(super) struct Watchdog {
    shell: Child,
    pipe: ChildStdin,
}

impl Watchdog {
    /// Begins to watch over a group.
    pub(super) fn start(group: i32) -> Option<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT]).arg(group.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Whoever interrupts us at the keyboard must not take the watchdog along.
        #[cfg(unix)]
        command.process_group(0);
        let mut shell = command.spawn().ok()?;
        let pipe = shell.stdin.take()?;
        Some(Self { shell, pipe })
    }

    /// The group is gone: its number may soon be another's.
    pub(super) async fn dismiss(mut self) {
        let _ = self.pipe.write_all(b"gone\n").await;
        let _ = self.pipe.flush().await;
        drop(self.pipe);
        let _ = self.shell.wait().await;
    }
}
