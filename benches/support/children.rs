//! This very program again, as a server in a process of its own, so that its time and memory are not counted as ours.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use rustix::process::{Signal, set_parent_process_death_signal};

use super::{front, greeter, racy};

/// A server in another process; dropped, it ends.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its process.
    pub(crate) process: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts a command that prints its port.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("an installed program starts");
        let mut port = String::new();
        let output = process.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut port).expect("the server prints its port");
        let port: u16 = port.trim().parse().expect("a port");
        Self { address: (Ipv4Addr::LOCALHOST, port).into(), process }
    }

    /// Starts this program as a server of a kind.
    pub(crate) fn of_kind(kind: &str, arguments: &[String]) -> Self {
        // It must not outlive us.
        Self::start(Command::new(this()).args(["--serve", kind, "0", "--tied"]).args(arguments))
    }
}

/// This very program.
pub(crate) fn this() -> std::path::PathBuf {
    std::env::current_exe().expect("this program has a path")
}

/// Serves, where this process was started for that: `--serve KIND PORT [--tied] …`.
pub(crate) fn serve() -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [serve, kind, port, rest @ ..] = arguments.as_slice() else { return false };
    if serve != "--serve" {
        return false;
    }
    let rest = match rest {
        [tied, rest @ ..] if tied == "--tied" => {
            let _ = set_parent_process_death_signal(Some(Signal::KILL));
            rest
        }
        rest => rest,
    };
    revgate::probe::raise_descriptor_limit();
    let port: u16 = port.parse().expect("a port");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port");
    // N sockets at once need a backlog of N.
    let backlog = nix::sys::socket::Backlog::new(4096).expect("a backlog");
    nix::sys::socket::listen(&listener, backlog).expect("a longer backlog");
    let mut output = std::io::stdout();
    let _ = writeln!(output, "{}", listener.local_addr().expect("a bound socket").port());
    let _ = output.flush();
    match kind.as_str() {
        "threads" => racy::serve_on_threads(&listener, rest.iter().any(|word| word == "spin")),
        "greeter" => greeter::serve(listener, rest),
        "front" => front::serve(&listener, rest),
        other => panic!("no server of the kind {other}"),
    }
    true
}
