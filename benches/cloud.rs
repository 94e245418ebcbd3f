//! How often a pair finds a same-user race over a path like that to Cloud Run: TLS, a front end that ends it, the server.
//!
//! `cargo bench --bench cloud`; with `-- --quick` a tenth of the rounds. One way takes 5 ms, with a jitter of 2 ms that
//! packets of an instant share and an exponential one of 0.3 ms of each packet's own. Front end and server are processes
//! of their own. Ours is a whole campaign, as a run does it; after each of its rounds the others have theirs, and all
//! hold their sockets.
#![cfg(target_os = "linux")]

pub mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use revgate::config::Pattern;
use revgate::probe::{Capacity, Offer, Plan, Releaser, Stage};
use support::children::Server;
use support::clients::{Client, Order, baselines};
use support::figures::{Line, machine, measures, publish, quick, ratio, share, short, table};
use support::product::{Count, aside, campaign, fails, prober, settings};
use support::tls;
use tokio::runtime::Runtime;

/// Microseconds from the check to the act.
const WINDOWS: [u32; 3] = [50, 200, 1000];
/// Rounds of each client in each cell.
const ROUNDS: u32 = 120;
/// How fine the path's timers are: the first is what README shows. An event loop's tick of a millisecond delivers much
/// in one batch that came apart.
const WAYS: [(&str, u32); 2] = [("fine timers", 0), ("ticks of 1 ms", 1000)];
/// Microseconds one way, of the shared jitter's deviation, of each packet's own mean.
const PATH: [u32; 3] = [5000, 2000, 300];
/// Rounds of the lowest numbers are not counted: the single sockets before them had the same numbers, and users.
const UNCOUNTED: u32 = 6;

fn main() -> ExitCode {
    if support::children::serve() {
        return ExitCode::SUCCESS;
    }
    tls::trusting(measure)
}

fn measure(folder: &Path) {
    let rounds = if quick() { ROUNDS / 10 } else { ROUNDS };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else { return };
    let server = Server::of_kind("threads", &[]);
    let mut clients =
        vec![("revgate's releaser alone", Client::Ours(Arc::new(Releaser::within(Offer::ALL))))];
    let (naive, problem) = baselines(true, Some(&tls::certificate(folder)));
    clients.extend(naive);
    let mut text = format!("Share of {rounds} pairs that find the race. {} before", machine());
    let mut rows = Vec::new();
    let mut shown = Vec::new();
    for (way, tick) in WAYS {
        let mut arguments = vec![server.address.to_string(), folder.display().to_string()];
        arguments.extend(PATH.iter().chain([&tick]).map(u32::to_string));
        let front = Server::of_kind("front", &arguments);
        let found: Vec<Vec<usize>> =
            WINDOWS.map(|window| cell(&runtime, &front, &mut clients, folder, window, rounds)).to_vec();
        let names = std::iter::once("revgate").chain(clients.iter().map(|(name, _)| *name));
        rows.extend(names.enumerate().map(|(client, name)| {
            let mut row = vec![way.to_owned(), name.to_owned()];
            row.extend(found.iter().map(|found| share(found[client], rounds as usize)));
            row.push(short(per_thousand(found[0][client], rounds)));
            row
        }));
        if tick == 0 {
            shown = found;
        }
    }
    let own = f64::from(PATH[2]);
    let mut bound = vec![WAYS[0].0.to_owned(), "released at one instant, and served in none".to_owned()];
    bound.extend(WINDOWS.map(|window| format!("{:.2}", 1.0 - (-f64::from(window) / own).exp())));
    rows.push(bound);
    let mut head = vec!["way".to_owned(), "client".to_owned()];
    head.extend(WINDOWS.map(|window| format!("W = {window} µs")));
    head.push("failing rounds in 1000 sockets, W = 50 µs".to_owned());
    let _ = write!(text, ", {} after.\n\n{}{}", machine(), table(&head, &rows), problem.unwrap_or_default());
    publish("cloud", &text, &lines(&shown, rounds));
}

fn per_thousand(found: usize, rounds: u32) -> f64 {
    ratio(found, 2 * rounds as usize) * 1000.0
}

/// For each client, how many rounds found the race; ours come first.
fn cell(
    runtime: &Runtime,
    front: &Server,
    clients: &mut [(&'static str, Client)],
    folder: &Path,
    window: u32,
    rounds: u32,
) -> Vec<usize> {
    // Both ways lead to the same server, which remembers its users.
    let port = front.address.port();
    let yaml = format!(
        "path: '/?user=o{port}-{window}-{{{{round}}}}&us={window}'\nlimits: {{ openings-per-second: 10000, sockets-per-run: 100000 }}\ntimeouts: {{ hold: 20ms }}\n"
    );
    let mut settings = settings(&yaml);
    settings.race.patterns = vec![Pattern::SameUser];
    settings.race.time_budget *= 10;
    let mut plan = Plan::new(&settings, Capacity::default(), 1);
    plan.held = 0;
    plan.alone_rounds = u32::MAX;
    let connector = tls::connector(folder);
    let mut found = vec![0_usize; clients.len() + 1];
    let over = |round: &revgate::probe::Round| {
        if round.number <= UNCOUNTED {
            return;
        }
        found[0] += usize::from(fails(round));
        for (index, (_, client)) in clients.iter_mut().enumerate() {
            let path = format!("/?user=b{port}-{window}-{}-{index}&us={window}", round.number);
            let order = Order { tls: Some(connector.clone()), ..Order::pair(front.address, path) };
            found[index + 1] += aside(|| {
                let opened = client.open(runtime, &order);
                let failed = opened.failed;
                client.close(opened);
                usize::from(failed > 0)
            });
        }
    };
    let mut steering = Count::new(Stage::SameUser, rounds + UNCOUNTED, over);
    let prober = prober(runtime, &format!("wss://{}", front.address), &settings);
    runtime.block_on(campaign(prober, &plan, &mut steering));
    drop(steering);
    found
}

fn lines(found: &[Vec<usize>], rounds: u32) -> Vec<Line> {
    let measures = measures("cloud");
    // Ours, tokio's and Python's; the second is our releaser without a campaign.
    let counts = |found: &Vec<usize>| [0, 2, 3].map(|client| found.get(client).copied());
    let shares =
        found.iter().zip(measures).map(|(f, measure)| Line::found(measure, counts(f), rounds as usize));
    let mut lines: Vec<Line> = shares.collect();
    let cells = counts(&found[0])
        .map(|found| found.map_or("-".to_owned(), |found| short(per_thousand(found, rounds))));
    lines.push(Line { measure: measures[3], cells, ..Line::found(measures[3], counts(&found[0]), 1) });
    lines
}
