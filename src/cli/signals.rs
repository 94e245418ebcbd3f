//! SIGHUP, SIGINT and SIGTERM: the run ends early, cleans up, and then the code says so.
//!
//! The surprising rule: a SIGHUP that was ignored when the program began stays ignored: whoever types `nohup` wants the
//! run to outlive the terminal. Where the kernel does not tell (there is no `/proc`) a child is asked, which inherits that.

use std::convert::Infallible;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use tokio::signal::unix::{Signal as Listener, SignalKind, signal};

use crate::engine::Interrupt;
use crate::exit::Exit;
use crate::judge::Signal;
use crate::progress::Manner;

/// What the kernel knows of this process, besides how each signal is dealt with.
const STATUS: &str = "/proc/self/status";

/// Remembers which signal came first; those that come after it change nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Signals {
    pub(super) interrupt: Interrupt,
}

impl Signals {
    /// Listens from now on.
    pub(super) fn listen() -> std::io::Result<Self> {
        let signals = Self::default();
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let status = std::fs::read_to_string(STATUS).unwrap_or_default();
        let ignored = ignores(&status, SignalKind::hangup()).or_else(|| outlives(&mut hung_up()));
        // Where nobody can tell, a tag that stays behind is worse than a run that outlives its terminal.
        let heeded = ignored != Some(true);
        let mut hangup = if heeded { Some(signal(SignalKind::hangup())?) } else { None };
        let heard = signals.interrupt.clone();
        tokio::spawn(async move {
            loop {
                heard.by(tokio::select! {
                    () = next(hangup.as_mut()) => Signal::Hangup,
                    () = next(Some(&mut interrupt)) => Signal::Interrupt,
                    () = next(Some(&mut terminate)) => Signal::Terminate,
                });
            }
        });
        Ok(signals)
    }

    /// Does `work`, and says on standard error what becomes of each signal that comes meanwhile.
    pub(super) async fn telling<T>(&self, manner: Manner, words: &str, work: impl Future<Output = T>) -> T {
        let mut latest = self.interrupt.latest();
        let told = async {
            loop {
                if let Some(signal) = latest.borrow_and_update().filter(|_| manner != Manner::None) {
                    let _ = writeln!(anstream::stderr(), "note: {signal}: {words}");
                }
                if latest.changed().await.is_err() {
                    std::future::pending::<Infallible>().await;
                }
            }
        };
        tokio::select! {
            biased;
            done = work => done,
            never = told => match never {},
        }
    }

    /// The exit of the signal that came, if one did.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.interrupt.signal().map(|signal| match signal {
            Signal::Hangup => Exit::HungUp,
            Signal::Interrupt => Exit::Interrupted,
            Signal::Terminate => Exit::Terminated,
        })
    }
}

/// The next signal of one kind; never, where nobody listens for it.
async fn next(listener: Option<&mut Listener>) {
    let heard = match listener {
        Some(listener) => listener.recv().await,
        None => None,
    };
    if heard.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Whether a process with this status ignores a signal; `None` where it does not say.
fn ignores(status: &str, signal: SignalKind) -> Option<bool> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    // The first signal has the lowest bit.
    let bit = u32::try_from(signal.as_raw_value() - 1).ok()?;
    Some(mask.checked_shr(bit)? & 1 == 1)
}

/// A process that sends itself a SIGHUP.
fn hung_up() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "kill -HUP $$"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Whether a process goes on to its end, rather than being killed by a signal; `None` where neither is seen.
fn outlives(command: &mut Command) -> Option<bool> {
    let ended = command.status().ok()?;
    if ended.success() { Some(true) } else { ended.signal().map(|_| false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_tells_what_the_kernel_tells() {
        let ignoring = "trap '' HUP; exec \"$@\"";
        for (outer, ignored) in
            [(["env", "--default-signal=HUP"].as_slice(), false), (&["sh", "-c", ignoring, "sh"], true)]
        {
            let asked = hung_up();
            let mut under = Command::new(outer[0]);
            under.args(&outer[1..]).arg(asked.get_program()).args(asked.get_args());
            assert_eq!(outlives(&mut under), Some(ignored), "{under:?}");
        }
        assert_eq!(outlives(&mut Command::new("false")), None);
    }

    #[test]
    fn what_is_ignored_is_told_by_its_bit() {
        let status = |mask: &str| format!("Name:\trevgate\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\n");
        let hangup = |mask: &str| ignores(&status(mask), SignalKind::hangup());
        assert_eq!(hangup("0000000000000001"), Some(true));
        assert_eq!(hangup("0000000000001000"), Some(false), "only SIGPIPE, which Rust ignores");
        assert_eq!(hangup("0000000000001001"), Some(true));
        assert_eq!(ignores(&status("0000000000004000"), SignalKind::terminate()), Some(true));
        assert_eq!(hangup("?"), None);
        assert_eq!(ignores("Name:\trevgate\n", SignalKind::hangup()), None);
    }
}
