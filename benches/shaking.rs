//! What makes threads race that were stopped while a pair arrived: each means that was thought of, side by side.
//!
//! `cargo bench --bench shaking`; with `-- --quick` a tenth of the rounds. The server is stopped by this bench itself
//! and not by the product, so that means can be tried which the product has not; the first lines are what it has. A
//! window that *waits* lets go of the processor, as most do; one that *computes* keeps it.
#![cfg(target_os = "linux")]

pub mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use revgate::probe::{Offer, Releaser};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use support::children::{Server, serve};
use support::clients::{DECIDED_WITHIN, Order, arm, greeted};
use support::figures::{machine, publish, quick, share, table};
use support::racy::{python_threads_command, rust_threads_command};
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// Microseconds from the check to the act.
const WINDOWS: [u32; 3] = [5, 50, 200];
/// Rounds of each means in each cell.
const ROUNDS: usize = 100;

/// What is done to a server while a pair arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    /// Nothing.
    Left,
    /// It is stopped, and goes on.
    Stopped,
    /// Its threads go on on different cores.
    Dealt,
    /// All its threads go on on one core.
    OneCore,
    /// It is stopped and goes on again and again, in a seeded rhythm of this many microseconds on average.
    Rhythm(u64),
    /// The same on one core.
    RhythmOnOneCore(u64),
    /// It has a tiny share of processor time.
    Quota,
}

const MEANS: [(&str, Means); 8] = [
    ("left alone", Means::Left),
    ("stopped", Means::Stopped),
    ("stopped, dealt out to the cores", Means::Dealt),
    ("stopped, all on one core", Means::OneCore),
    ("stopped, then a rhythm of 50 µs", Means::Rhythm(50)),
    ("stopped, then a rhythm of 200 µs", Means::Rhythm(200)),
    ("stopped, one core, a rhythm of 50 µs", Means::RhythmOnOneCore(50)),
    ("stopped, 1 ms of processor in 20 ms", Means::Quota),
];

fn main() {
    if serve() {
        return;
    }
    let rounds = if quick() { ROUNDS / 10 } else { ROUNDS };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else { return };
    let releaser = Releaser::within(Offer::ALL);
    let mut text = format!("Share of {rounds} pairs that find the race. {} before", machine());
    let mut rows = Vec::new();
    let mut problems = String::new();
    let rust = |kind: &str| [rust_threads_command(), vec!["0".to_owned(), kind.to_owned()]].concat();
    let python = std::panic::catch_unwind(|| [python_threads_command(), vec!["0".to_owned()]].concat());
    if python.is_err() {
        problems.push_str("\nERROR: there is no Python with threads\n");
    }
    for (name, words) in [
        ("Rust threads, a window that waits", Ok(rust("wait"))),
        ("Rust threads, a window that computes", Ok(rust("spin"))),
        ("Python threads, a window that waits", python),
    ] {
        let Ok(words) = words else { continue };
        let server = Server::start(Command::new(&words[0]).args(&words[1..]));
        let group = Quota::new();
        if let Err(reason) = &group {
            problems = format!("\nNo quota can be set here: {reason}\n");
        }
        rows.extend(measure(&runtime, &releaser, name, &server, group.ok().as_ref(), rounds));
    }
    let mut head = vec!["server".to_owned(), "means".to_owned()];
    head.extend(WINDOWS.map(|window| format!("W = {window} µs")));
    let _ = write!(text, ", {} after.\n\n{}{problems}", machine(), table(&head, &rows));
    publish("shaking", &text, &[]);
}

/// A line for each means on one server; the means take turns.
fn measure(
    runtime: &Runtime,
    releaser: &Releaser,
    name: &str,
    server: &Server,
    quota: Option<&Quota>,
    rounds: usize,
) -> Vec<Vec<String>> {
    let means: Vec<_> =
        MEANS.into_iter().filter(|(_, means)| *means != Means::Quota || quota.is_some()).collect();
    let mut rows: Vec<Vec<String>> =
        means.iter().map(|(means, _)| vec![name.to_owned(), (*means).to_owned()]).collect();
    for window in WINDOWS {
        let mut found = vec![0_usize; means.len()];
        for round in 0..rounds {
            for (index, (_, means)) in means.iter().enumerate() {
                let path = format!("/?user=u{window}-{round}-{index}&us={window}");
                let order = Order::pair(server.address, path);
                let shaken = Shaken { process: process(server), seed: round as u64, quota };
                found[index] += usize::from(runtime.block_on(pair(releaser, &order, &shaken, *means)) > 0);
            }
        }
        for (row, found) in rows.iter_mut().zip(found) {
            row.push(share(found, rounds));
        }
    }
    rows
}

fn process(server: &Server) -> Pid {
    i32::try_from(server.process.id()).ok().and_then(Pid::from_raw).unwrap_or(Pid::INIT)
}

/// How many of a pair failed.
async fn pair(releaser: &Releaser, order: &Order, server: &Shaken<'_>, means: Means) -> usize {
    let mut wires = join_all((0..order.sockets).map(|_| arm(order))).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let before = server.prepare(means);
    releaser.release(&mut wires).await;
    server.go_on(means);
    let reading = wires.into_iter().map(|(wire, _)| timeout(DECIDED_WITHIN, greeted(wire)));
    let sockets = join_all(reading).await;
    server.restore(&before);
    sockets.into_iter().filter(|socket| !matches!(socket, Ok(Some(_)))).count()
}

/// The server of a round.
struct Shaken<'a> {
    process: Pid,
    seed: u64,
    quota: Option<&'a Quota>,
}

impl Shaken<'_> {
    fn signal(&self, signal: Signal) {
        let _ = kill_process(self.process, signal);
    }

    fn threads(&self) -> Vec<Pid> {
        let folder = format!("/proc/{}/task", self.process.as_raw_pid());
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)).collect()
    }

    /// Stops it and puts its threads where they are to go on; gives where they were.
    fn prepare(&self, means: Means) -> Vec<(Pid, CpuSet)> {
        if means == Means::Left {
            return Vec::new();
        }
        if let (Means::Quota, Some(quota)) = (means, self.quota) {
            quota.hold(self.process);
        }
        self.signal(Signal::STOP);
        std::thread::sleep(Duration::from_millis(2));
        let one_core = matches!(means, Means::OneCore | Means::RhythmOnOneCore(_));
        if !one_core && means != Means::Dealt {
            return Vec::new();
        }
        let threads = self.threads().into_iter();
        let before: Vec<_> =
            threads.filter_map(|thread| Some((thread, sched_getaffinity(Some(thread)).ok()?))).collect();
        for (turn, (thread, allowed)) in before.iter().enumerate() {
            let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
            let mut one = CpuSet::new();
            one.set(cores[if one_core { 0 } else { turn % cores.len() }]);
            let _ = sched_setaffinity(Some(*thread), &one);
        }
        before
    }

    /// Lets it go on.
    fn go_on(&self, means: Means) {
        self.signal(Signal::CONT);
        let (Means::Rhythm(mean) | Means::RhythmOnOneCore(mean)) = means else { return };
        let mut state = self.seed;
        let mut pause = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let until = tokio::time::Instant::now() + Duration::from_micros((state >> 33) % (2 * mean));
            while tokio::time::Instant::now() < until {
                std::hint::spin_loop();
            }
        };
        for _ in 0..20 {
            pause();
            self.signal(Signal::STOP);
            pause();
            self.signal(Signal::CONT);
        }
    }

    fn restore(&self, before: &[(Pid, CpuSet)]) {
        for (thread, allowed) in before {
            let _ = sched_setaffinity(Some(*thread), allowed);
        }
        if let Some(quota) = self.quota {
            quota.let_go(self.process);
        }
    }
}

/// A control group with a tiny share of processor time; dropped, it is gone.
struct Quota {
    folder: PathBuf,
    before: PathBuf,
}

impl Quota {
    fn new() -> Result<Self, String> {
        let version_1 = Path::new("/sys/fs/cgroup/cpu");
        let version_2 = Path::new("/sys/fs/cgroup");
        let is_new = version_2.join("cgroup.controllers").exists();
        let before = if is_new { version_2 } else { version_1 }.to_owned();
        let folder = before.join(format!("revgate-bench-{}", std::process::id()));
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        std::fs::create_dir(&folder).map_err(failed)?;
        let group = Self { folder: folder.clone(), before };
        let limits: &[(&str, &str)] = if is_new {
            &[("cpu.max", "1000 20000")]
        } else {
            &[("cpu.cfs_period_us", "20000"), ("cpu.cfs_quota_us", "1000")]
        };
        for (name, value) in limits {
            std::fs::write(folder.join(name), value).map_err(failed)?;
        }
        Ok(group)
    }

    fn hold(&self, process: Pid) {
        let _ = std::fs::write(self.folder.join("cgroup.procs"), process.as_raw_pid().to_string());
    }

    fn let_go(&self, process: Pid) {
        let _ = std::fs::write(self.before.join("cgroup.procs"), process.as_raw_pid().to_string());
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        for process in std::fs::read_to_string(self.folder.join("cgroup.procs")).unwrap_or_default().lines() {
            let _ = std::fs::write(self.before.join("cgroup.procs"), process);
        }
        let _ = std::fs::remove_dir(&self.folder);
    }
}
