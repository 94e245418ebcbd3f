//! The most memory that a run of the binary takes.
//!
//! Asks the system while it runs, and ends a run that does not end by itself: what a hostile server is given is bounded in
//! both. On systems without `/proc` the memory is not known, and told as 0.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Longer than any run takes that is bounded as it should be, also where much else is running.
const WATCHDOG: Duration = Duration::from_mins(3);

/// What a run came to.
#[derive(Debug)]
pub struct Measured {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
    /// The most memory that it took, in KiB; 0 where the system does not tell.
    pub peak: u64,
}

/// Runs the command to its end; its outputs go through files in `folder`.
///
/// # Panics
/// When the command cannot be started, or does not end in time.
pub fn measured(command: &mut Command, folder: &Path) -> Measured {
    let [out, err] = ["out", "err"].map(|name| folder.join(name));
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    let mut child = command.spawn().expect("the binary");
    let status = Path::new("/proc").join(child.id().to_string()).join("status");
    #[expect(clippy::disallowed_methods, reason = "a generous bound on a run that should end by itself")]
    let begun = Instant::now();
    let mut peak = 0;
    let code = loop {
        let told = std::fs::read_to_string(&status).unwrap_or_default();
        let line = told.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = now.unwrap_or(0).max(peak);
        match child.try_wait().unwrap() {
            Some(status) => break status.code().unwrap_or(-1),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
        if begun.elapsed() > WATCHDOG {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?} does not end\n{}", std::fs::read_to_string(&err).unwrap());
        }
    };
    let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    Measured { code, out: read(&out), err: read(&err), peak }
}
