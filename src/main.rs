//! Parse, start the runtime, run one command, return the exit code.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use revgate::cli::{self, Clock};

fn main() -> ExitCode {
    let matches = match cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // A closed pipe must not turn help into a crash.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    // The one crypto provider, before any client is built.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: the runtime could not start: {error}");
            return ExitCode::from(1);
        }
    };
    let ended = runtime.block_on(async { cli::run(&matches, clock()).await });
    // What still runs is dropped, and with it every group of child processes: without waiting, only a shell of this machine
    // would see to their end. A name's resolution cannot be dropped and must not hold the end up.
    runtime.shutdown_timeout(Duration::from_secs(2));
    ExitCode::from(match ended {
        Ok(exit) => exit.code(),
        Err(failure) => {
            failure.show();
            failure.exit.code()
        }
    })
}

#[expect(clippy::disallowed_methods, reason = "the wall clock is read here, once")]
fn clock() -> Clock {
    Clock { started_at: jiff::Timestamp::now(), epoch: tokio::time::Instant::now() }
}
