//! How close together requests arrive: ours, by each means, against what people write first.
//!
//! `cargo bench --bench release`; with `-- --quick` a tenth of the rounds. All clients take turns inside one run, round
//! by round, so that whatever else the machine does meets all of them. Spread is from the first to the last arrival of
//! a round's requests, by the kernel's stamps at the server.
#![cfg(target_os = "linux")]

pub mod support;

use std::sync::Arc;

use revgate::probe::{Offer, Releaser};
use support::clients::{Client, Order, baselines};
use support::figures::{
    Line, machine, measures, microseconds, not_measured, percentile, publish, quick, short, spread, table,
};
use support::server::StampServer;
use tokio::runtime::Runtime;

/// Sockets a round, and how many rounds of them.
const SIZES: [(usize, usize); 4] = [(2, 400), (10, 300), (100, 60), (1000, 20)];

/// A client and what was measured of it.
struct Entry {
    name: &'static str,
    client: Client,
    /// Microseconds at the server, for each of [`SIZES`].
    spreads: Vec<Vec<f64>>,
    /// Microseconds by its own stamps.
    own: Vec<Vec<f64>>,
}

fn main() {
    let quick = quick();
    revgate::probe::raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else { return };
    let server = StampServer::start();
    let (mut entries, problem) = entries();
    let before = machine();
    for (size, (sockets, rounds)) in SIZES.into_iter().enumerate() {
        for _ in 0..if quick { rounds.div_ceil(10) } else { rounds } {
            for entry in &mut entries {
                round(&runtime, &server, entry, size, sockets);
            }
        }
    }
    let mut text = format!("Spread at the server, µs, p50/p99. {before} before, {} after.\n\n", machine());
    text.push_str(&report(&entries));
    text.push_str(&problem.unwrap_or_default());
    text.push_str(&not_measured());
    publish("release", &text, &lines(&entries));
}

/// The lines of README: ours with all means, and both others; the ratio is the median over the pairs of rounds.
fn lines(entries: &[Entry]) -> Vec<Line> {
    let measures = measures("release");
    let named = |client: &str| entries.iter().find(|entry| entry.name.starts_with(client));
    let clients = [entries.first(), named("tokio"), named("Python")];
    let line = |(size, measure): (usize, &&'static str)| {
        let spreads = clients.map(|entry| entry.map(|entry| entry.spreads[size].as_slice()));
        let ratio = |theirs: &[f64]| {
            let pairs = spreads[0].into_iter().flatten().zip(theirs).map(|(ours, theirs)| theirs / ours);
            percentile(&pairs.collect::<Vec<_>>(), 50)
        };
        let best = spreads[1..].iter().flatten().map(|theirs| ratio(theirs)).fold(f64::NAN, f64::min);
        let cell = |spreads: &[f64]| {
            format!("{} / {}", short(percentile(spreads, 50)), short(percentile(spreads, 99)))
        };
        Line {
            measure,
            cells: spreads.map(|spreads| spreads.map_or("-".to_owned(), cell)),
            ratio: format!("{}×", short(best)),
        }
    };
    measures.iter().enumerate().map(line).collect()
}

/// The clients, and why Python is not among them.
fn entries() -> (Vec<Entry>, Option<String>) {
    let ours = |offer| Client::Ours(Arc::new(Releaser::within(offer)));
    let mut clients = vec![
        ("revgate", ours(Offer::ALL)),
        ("revgate, no priority", ours(Offer { priority: false, ..Offer::ALL })),
        ("revgate, io_uring only", ours(Offer { io_uring: true, ..Offer::NONE })),
        ("revgate, tight loop only", ours(Offer::NONE)),
    ];
    let (naive, problem) = baselines(false, None);
    clients.extend(naive);
    let none = || SIZES.map(|_| Vec::new()).to_vec();
    let entry = |(name, client)| Entry { name, client, spreads: none(), own: none() };
    (clients.into_iter().map(entry).collect(), problem)
}

fn round(runtime: &Runtime, server: &StampServer, entry: &mut Entry, size: usize, sockets: usize) {
    server.expect(sockets);
    let order = Order { server: server.address, path: "/".to_owned(), sockets, greeted: false, tls: None };
    let opened = entry.client.open(runtime, &order);
    assert_eq!(opened.failed, 0, "{} could not open its sockets", entry.name);
    entry.spreads[size].push(spread(&server.arrivals()));
    entry.own[size].extend(opened.own_spread.map(microseconds));
    // The server resets its side first.
    server.expect(0);
    server.arrivals();
    entry.client.close(opened);
}

/// A line for each client, and how many times wider than ours its rounds were, in the median of the pairs of rounds.
fn report(entries: &[Entry]) -> String {
    let mut head = vec!["client".to_owned()];
    for (sockets, _) in SIZES {
        head.extend([format!("N = {sockets}"), "ratio".to_owned()]);
    }
    head.push("by its own stamps, p50".to_owned());
    let row = |entry: &Entry| {
        let mut cells = vec![entry.name.to_owned()];
        for (ours, theirs) in entries[0].spreads.iter().zip(&entry.spreads) {
            let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| theirs / ours).collect();
            cells.push(format!("{} / {}", short(percentile(theirs, 50)), short(percentile(theirs, 99))));
            cells.push(format!("{}×", short(percentile(&ratios, 50))));
        }
        let own: Vec<String> = entry.own.iter().map(|own| short(percentile(own, 50))).collect();
        cells.push(own.join(" · "));
        cells
    };
    table(&head, &entries.iter().map(row).collect::<Vec<_>>())
}
