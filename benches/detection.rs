//! How often one round of two sockets finds a same-user race: ours against what people write first.
//!
//! `cargo bench --bench detection`; with `-- --quick` a tenth of the rounds. The servers are on this machine and
//! reached directly; all clients take turns inside one run, round by round, and all hold their sockets until the round
//! is decided. Every round has a user of its own.
#![cfg(target_os = "linux")]

pub mod support;

use std::fmt::Write as _;
use std::sync::Arc;

use revgate::probe::{Offer, Releaser};
use support::clients::{Client, Order, baselines};
use support::figures::{Line, machine, measures, not_measured, publish, quick, share, table};
use support::racy::{self, Racy};
use tokio::runtime::Runtime;

/// Microseconds from the check to the act.
const WINDOWS: [u32; 5] = [5, 20, 50, 200, 1000];
/// The one that README shows.
const SHOWN: u32 = 50;
/// Rounds of each client in each cell.
const ROUNDS: usize = 100;

fn main() {
    let quick = quick();
    let rounds = if quick { ROUNDS / 10 } else { ROUNDS };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else { return };
    let ours = |offer| Client::Ours(Arc::new(Releaser::within(offer)));
    let mut clients = vec![
        ("revgate", ours(Offer::ALL)),
        ("revgate, no priority", ours(Offer { priority: false, ..Offer::ALL })),
        ("revgate, tight loop only", ours(Offer::NONE)),
    ];
    let (naive, problem) = baselines(true, None);
    clients.extend(naive);
    let mut text = format!("Share of {rounds} rounds of two that find the race. {} before", machine());
    let mut problems = problem.unwrap_or_default();
    let mut rows = Vec::new();
    let mut lines = Vec::new();
    let measures = measures("detection");
    let servers = [racy::threads, racy::event_loop, racy::fastapi, racy::node];
    for (start, measure) in servers.into_iter().zip(measures) {
        let mut found = Vec::new();
        match std::panic::catch_unwind(start) {
            Ok(server) => {
                let names =
                    clients.iter().map(|(client, _)| vec![server.name.to_owned(), (*client).to_owned()]);
                let mut of_server: Vec<Vec<String>> = names.collect();
                for window in WINDOWS {
                    let counts = cell(&runtime, &server, &mut clients, window, rounds);
                    for (row, count) in of_server.iter_mut().zip(&counts) {
                        row.push(share(*count, rounds));
                    }
                    if window == SHOWN {
                        found = counts;
                    }
                }
                rows.extend(of_server);
            }
            Err(panic) => {
                let reason = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                let _ = writeln!(problems, "\nERROR: a server is missing: {reason}");
            }
        }
        lines.push(line(measure, &clients, &found, rounds));
    }
    let mut head = vec!["server".to_owned(), "client".to_owned()];
    head.extend(WINDOWS.map(|window| format!("W = {window} µs")));
    let _ = write!(text, ", {} after.\n\n{}{problems}{}", machine(), table(&head, &rows), not_measured());
    publish("detection", &text, &lines);
}

/// How many rounds of each client found the race on one server.
fn cell(
    runtime: &Runtime,
    server: &Racy,
    clients: &mut [(&'static str, Client)],
    window: u32,
    rounds: usize,
) -> Vec<usize> {
    let mut found = vec![0_usize; clients.len()];
    for round in 0..rounds {
        for (index, (_, client)) in clients.iter_mut().enumerate() {
            let path = format!("/?user=u{window}-{round}-{index}&us={window}");
            let opened = client.open(runtime, &Order::pair(server.address, path));
            found[index] += usize::from(opened.failed > 0);
            client.close(opened);
        }
    }
    found
}

/// The line of README: ours with all means, and both others.
fn line(measure: &'static str, clients: &[(&'static str, Client)], found: &[usize], rounds: usize) -> Line {
    let named = |name: &str| {
        let index = clients.iter().position(|(client, _)| client.starts_with(name))?;
        found.get(index).copied()
    };
    Line::found(measure, ["revgate", "tokio", "Python"].map(named), rounds)
}
