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
use support::figures::{machine, publish, table};
use support::racy::{self, Racy};
use tokio::runtime::Runtime;

/// Microseconds from the check to the act.
const WINDOWS: [u32; 5] = [5, 20, 50, 200, 1000];
/// Rounds of each client in each cell.
const ROUNDS: usize = 100;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let rounds = if quick { ROUNDS / 10 } else { ROUNDS };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else { return };
    let ours = |offer| Client::Ours(Arc::new(Releaser::within(offer)));
    let mut clients = vec![
        ("revgate", ours(Offer::ALL)),
        ("revgate, no priority", ours(Offer { priority: false, ..Offer::ALL })),
        ("revgate, tight loop only", ours(Offer::NONE)),
    ];
    let (naive, problem) = baselines(true);
    clients.extend(naive);
    let mut text = format!("Share of {rounds} rounds of two that find the race. {} before", machine());
    let mut problems = problem.unwrap_or_default();
    let mut rows = Vec::new();
    for start in [racy::threads, racy::event_loop, racy::fastapi, racy::node] {
        match std::panic::catch_unwind(start) {
            Ok(server) => rows.extend(measure(&runtime, &server, &mut clients, rounds)),
            Err(panic) => {
                let reason = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                let _ = writeln!(problems, "\nERROR: a server is missing: {reason}");
            }
        }
    }
    let mut head = vec!["server".to_owned(), "client".to_owned()];
    head.extend(WINDOWS.map(|window| format!("W = {window} µs")));
    let _ = write!(text, ", {} after.\n\n{}{problems}", machine(), table(&head, &rows));
    publish("detection", &text);
}

/// A line for each client on one server.
fn measure(
    runtime: &Runtime,
    server: &Racy,
    clients: &mut [(&'static str, Client)],
    rounds: usize,
) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> =
        clients.iter().map(|(name, _)| vec![server.name.to_owned(), (*name).to_owned()]).collect();
    for window in WINDOWS {
        let mut found = vec![0_usize; clients.len()];
        for round in 0..rounds {
            for (index, (_, client)) in clients.iter_mut().enumerate() {
                let path = format!("/?user=u{window}-{round}-{index}&us={window}");
                let order = Order { server: server.address, path, sockets: 2, greeted: true };
                let opened = client.open(runtime, &order);
                found[index] += usize::from(opened.failed > 0);
                client.close(opened);
            }
        }
        for (row, found) in rows.iter_mut().zip(found) {
            row.push(format!("{}.{:02}", found / rounds, found % rounds * 100 / rounds));
        }
    }
    rows
}
