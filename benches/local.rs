//! The local stage as a run does it: how often a pair finds a race of microseconds at a server that is stopped while the
//! pair arrives, against what people write first at the very same process.
//!
//! `cargo bench --bench local`; with `-- --quick` a tenth of the rounds. The product starts and stops the server; after
//! each of its rounds the others have theirs, and all hold their sockets.
#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

pub mod support;

use std::cell::Cell;
use std::fmt::Write as _;
use std::net::SocketAddr;

use revgate::config::Pattern;
use revgate::probe::{Plan, Prober, Stage};
use revgate::trust::Redactor;
use support::clients::{Client, Order, baselines};
use support::figures::{Line, machine, measures, publish, quick, share, table};
use support::product::{Count, aside, fails, settings};
use support::racy::{fastapi_command, node_command, python_threads_command, rust_threads_command};
use tokio::runtime::Runtime;
use tokio::time::Instant;

/// Microseconds from the check to the act.
const WINDOWS: [u32; 3] = [5, 50, 200];
/// Rounds in each cell.
const ROUNDS: u32 = 60;
/// Rounds of the lowest numbers are not counted: the single sockets before them had the same numbers, and users.
const UNCOUNTED: u32 = 6;

/// A server: its name, and the words that start it.
type Entry = (&'static str, fn() -> Vec<String>);

const SERVERS: [Entry; 4] = [
    ("FastAPI, uvicorn", fastapi_command),
    ("Node, ws", node_command),
    ("Python, a thread a socket", python_threads_command),
    ("Rust, a thread a socket", rust_threads_command),
];

fn main() {
    if support::children::serve() {
        return;
    }
    let rounds = if quick() { ROUNDS / 5 } else { ROUNDS };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else { return };
    let (mut clients, problem) = baselines(true, None);
    let mut text = format!("Share of {rounds} pairs that find the race. {} before", machine());
    let mut problems = problem.unwrap_or_default();
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    let measures = measures("local");
    for ((name, command), measure) in SERVERS.into_iter().zip(measures) {
        let cells = match std::panic::catch_unwind(command) {
            Ok(words) => WINDOWS.map(|window| Cells::measure(&runtime, &words, &mut clients, window, rounds)),
            Err(panic) => {
                let reason = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                let _ = writeln!(problems, "\nERROR: a server is missing: {reason}");
                WINDOWS.map(|_| Cells::default())
            }
        };
        rows.extend(Cells::rows(name, &cells));
        lines.push(cells[0].line(measure));
    }
    let mut head = vec!["server".to_owned(), "client".to_owned()];
    head.extend(WINDOWS.map(|window| format!("W = {window} µs")));
    let _ = write!(text, ", {} after.\n\n{}{problems}", machine(), table(&head, &rows));
    publish("local", &text, &lines);
}

/// Of each client: rounds that found the race, and all.
#[derive(Debug, Clone, Default)]
struct Cells {
    /// Ours, by where the threads went on.
    ours: Vec<(String, usize, usize)>,
    tokio: (usize, usize),
    python: (usize, usize),
}

impl Cells {
    fn measure(
        runtime: &Runtime,
        words: &[String],
        clients: &mut [(&'static str, Client)],
        window: u32,
        rounds: u32,
    ) -> Self {
        let mut settings = settings(&format!(
            "path: '/?user=o{{{{round}}}}&us={window}'\nlimits: {{ sockets-per-user: 4 }}\n"
        ));
        settings.race.patterns = vec![Pattern::FrozenSameUser];
        let plan = Plan::local(&settings, 1);
        let words = [words, &["$PORT".to_owned()]].concat();
        let address: Cell<Option<SocketAddr>> = Cell::new(None);
        let mut cells = Self::default();
        let over = |round: &revgate::probe::Round| {
            if round.number <= UNCOUNTED {
                return;
            }
            let manner = round.frozen.map_or("not stopped".to_owned(), |freeze| manner(&freeze));
            cells.count(&manner, fails(round));
            let Some(server) = address.get() else { return };
            for (index, (_, client)) in clients.iter_mut().enumerate() {
                let order = Order::pair(server, format!("/?user=b{}-{index}&us={window}", round.number));
                let failed = aside(|| {
                    let opened = client.open(runtime, &order);
                    let failed = opened.failed;
                    client.close(opened);
                    failed
                });
                let counted =
                    if matches!(client, Client::JoinAll) { &mut cells.tokio } else { &mut cells.python };
                *counted = (counted.0 + usize::from(failed > 0), counted.1 + 1);
            }
        };
        let mut steering = Count::new(Stage::FrozenSameUser, rounds + UNCOUNTED, over);
        let prober = |at: revgate::probe::Address| {
            address.set(at.display().strip_prefix("ws://").and_then(|text| text.parse().ok()));
            Prober::new(at, &settings, None, Redactor::default(), Instant::now(), 0)
        };
        let run = format!("{:016x}", rand::random::<u64>());
        runtime
            .block_on(revgate::local::run(
                &words,
                &plan,
                prober,
                &mut steering,
                &run,
                &tokio_util::sync::CancellationToken::new(),
            ))
            .expect("a local stage");
        drop(steering);
        cells
    }

    fn count(&mut self, manner: &str, failed: bool) {
        if !self.ours.iter().any(|(known, ..)| known == manner) {
            self.ours.push((manner.to_owned(), 0, 0));
        }
        for (_, found, all) in self.ours.iter_mut().filter(|(known, ..)| known == manner) {
            (*found, *all) = (*found + usize::from(failed), *all + 1);
        }
    }

    fn all(&self) -> (usize, usize) {
        self.ours.iter().fold((0, 0), |sum, (_, found, all)| (sum.0 + found, sum.1 + all))
    }

    /// The lines of one server.
    fn rows(name: &str, cells: &[Self]) -> Vec<Vec<String>> {
        let of = |client: &str, counted: &dyn Fn(&Self) -> (usize, usize)| {
            let shares = cells.iter().map(counted).map(|(found, all)| share(found, all));
            [name.to_owned(), client.to_owned()].into_iter().chain(shares).collect()
        };
        let mut manners: Vec<String> =
            cells.iter().flat_map(|c| c.ours.iter().map(|m| m.0.clone())).collect();
        manners.sort();
        manners.dedup();
        let mut rows = vec![of("revgate", &Self::all)];
        rows.extend(manners.iter().map(|manner| {
            let counted = |cells: &Self| {
                let mut same = cells.ours.iter().filter(|(known, ..)| known == manner);
                same.next().map_or((0, 0), |(_, found, all)| (*found, *all))
            };
            of(&format!("revgate, {manner}"), &counted)
        }));
        rows.push(of("tokio join_all, 2 threads", &|cells: &Self| cells.tokio));
        rows.push(of("Python websockets, gather", &|cells: &Self| cells.python));
        rows
    }

    fn line(&self, measure: &'static str) -> Line {
        let counts = [self.all(), self.tokio, self.python];
        Line::found(measure, counts.map(|(found, all)| (all > 0).then_some(found)), self.all().1)
    }
}

/// Where the threads of the server went on.
fn manner(freeze: &revgate::probe::Freeze) -> String {
    if freeze.dealt { "threads dealt out to the cores" } else { "threads on one core" }.to_owned()
}
