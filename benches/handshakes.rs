//! How many handshakes a second a client makes, and what each costs it in processor time; plain and with TLS.
//!
//! `cargo bench --bench handshakes`; with `-- --quick` a fifth of the handshakes. All open a socket, wait for the
//! greeting and close it cleanly, a hundred at a time. Ours is a whole campaign with everything that it remembers of each
//! socket. The server is a process of its own, whose time is not counted; TLS sessions are resumed where the client does.
#![cfg(target_os = "linux")]

pub mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use revgate::config::Pattern;
use revgate::probe::{Capacity, Plan, Stage};
use support::children::Server;
use support::clients::Order;
use support::costs::processor_time;
use support::figures::{
    Line, machine, measures, percentile, publish, quick, short, table, times_less, times_more,
};
use support::naive::{self, Cost};
use support::product::{Count, campaign, fails, prober, settings};
use support::tls;
use tokio::runtime::Runtime;
use tokio::time::Instant;

/// Handshakes of a client in one turn, plain and with TLS.
const HANDSHAKES: [usize; 2] = [10_000, 4_000];
/// Turns.
const TURNS: usize = 3;
/// Sockets at once.
const AT_ONCE: usize = 100;

fn main() -> ExitCode {
    if support::children::serve() {
        return ExitCode::SUCCESS;
    }
    tls::trusting(measure)
}

fn measure(folder: &Path) {
    revgate::probe::raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else { return };
    let mut text = format!("Handshakes a second · µs of processor time for each. {} before", machine());
    let mut figures = Vec::new();
    for (secure, count) in [false, true].into_iter().zip(HANDSHAKES) {
        let count = if quick() { count / 5 } else { count };
        figures.push(turns(&runtime, secure.then_some(folder), count));
    }
    let names = ["revgate", "tokio-tungstenite, 2 threads", "Python websockets"];
    let rows = names.iter().enumerate().map(|(client, name)| {
        let mut row = vec![(*name).to_owned()];
        row.extend(figures.iter().map(|figures| {
            figures[client].map_or("-".to_owned(), |cost| format!("{:.0} · {:.0}", cost.rate, cost.processor))
        }));
        row
    });
    let head = ["client", "plain", "TLS"].map(str::to_owned);
    let _ = write!(text, ", {} after.\n\n{}", machine(), table(&head, &rows.collect::<Vec<_>>()));
    let measures = measures("handshakes");
    let lines = [(0, false), (1, false), (0, true), (1, true)];
    let lines: Vec<Line> =
        measures.iter().zip(lines).map(|(measure, (way, dear))| line(measure, &figures[way], dear)).collect();
    publish("handshakes", &text, &lines);
}

fn line(measure: &'static str, figures: &[Option<Cost>; 3], dear: bool) -> Line {
    let of = |cost: &Cost| if dear { cost.processor } else { cost.rate };
    let others: Vec<f64> = figures[1..].iter().flatten().map(of).collect();
    let ours = figures[0].as_ref().map_or(f64::NAN, of);
    let cells = figures.map(|cost| cost.as_ref().map_or("-".to_owned(), |cost| short(of(cost))));
    Line { measure, cells, ratio: if dear { times_less(ours, &others) } else { times_more(ours, &others) } }
}

/// The median of each client; they take turns.
fn turns(runtime: &Runtime, folder: Option<&Path>, count: usize) -> [Option<Cost>; 3] {
    let arguments = folder.map(|folder| folder.display().to_string());
    let arguments: Vec<String> = std::iter::once("0".to_owned()).chain(arguments).collect();
    let server = Server::of_kind("greeter", &arguments);
    let order = Order { tls: folder.map(tls::connector), ..Order::pair(server.address, "/".to_owned()) };
    let trusted = folder.map(tls::certificate);
    let mut costs: [Vec<Cost>; 3] = Default::default();
    for _ in 0..TURNS {
        costs[0].push(ours(runtime, &server, folder.is_some(), count));
        costs[1].push(naive::tokio(runtime, &order, count, AT_ONCE));
        costs[2].extend(naive::python(&order, count / 4, AT_ONCE, trusted.as_deref()));
    }
    costs.map(|turns| {
        let median = |of: fn(&Cost) -> f64| percentile(&turns.iter().map(of).collect::<Vec<_>>(), 50);
        let cost = Cost { rate: median(|cost| cost.rate), processor: median(|cost| cost.processor) };
        (!turns.is_empty()).then_some(cost)
    })
}

/// Rounds of a hundred, each armed while the one before it is answered.
fn ours(runtime: &Runtime, server: &Server, secure: bool, count: usize) -> Cost {
    let yaml = "path: /\nlimits: { sockets-at-once: 1000, openings-per-second: 1000000, sockets-per-run: 10000000 }\ntimeouts: { hold: 0s }\n";
    let mut settings = settings(yaml);
    settings.race.patterns = vec![Pattern::Users];
    let mut plan = Plan::new(&settings, Capacity::default(), 1);
    (plan.held, plan.alone_rounds, plan.quiet_rounds) = (0, 0, 0);
    plan.strata.iter_mut().for_each(|stratum| stratum.sockets = u32::try_from(AT_ONCE).unwrap_or(2));
    let mut began = (Instant::now(), 0.0);
    let rounds = u32::try_from(count / AT_ONCE).unwrap_or(1);
    let mut steering = Count::new(Stage::Users, rounds, |round| assert!(!fails(round), "not served"));
    steering.at_once = u32::MAX;
    steering.begun = Box::new(|| began = (Instant::now(), processor_time()));
    let scheme = if secure { "wss" } else { "ws" };
    let prober = prober(runtime, &format!("{scheme}://{}", server.address), &settings);
    runtime.block_on(campaign(prober, &plan, &mut steering));
    drop(steering);
    let opened = f64::from(rounds * plan.sockets_of(Stage::Users));
    Cost { rate: opened / began.0.elapsed().as_secs_f64(), processor: (processor_time() - began.1) / opened }
}
