//! How many rounds of two a second are decided over a path with a round trip of 10 ms: in lanes, and one by one.
//!
//! `cargo bench --bench rate`; with `-- --quick` a third of the time. Ours is a whole campaign whose limits are lifted,
//! counted from its first round in lanes, and each of its rounds is held for a quarter of a second as in every run; the
//! others open a pair, wait until it is greeted, drop it and open the next.
#![cfg(target_os = "linux")]

pub mod support;

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use revgate::config::Pattern;
use revgate::probe::{Capacity, Company, Plan, Round, Stage};
use support::children::Server;
use support::clients::{Order, baselines};
use support::figures::{Line, machine, measures, publish, quick, short, table, times_more};
use support::product::{Count, campaign, fails, prober, settings};
use tokio::runtime::Runtime;
use tokio::time::Instant;

/// Of the path, in microseconds.
const ROUND_TRIP: u32 = 10_000;
/// A third of a campaign's time may pass before it takes to lanes: it is so long.
const TIME: Duration = Duration::from_secs(15);
/// Sockets at once.
const AT_ONCE: [u32; 3] = [200, 600, 2000];

fn main() -> ExitCode {
    if support::children::serve() {
        return ExitCode::SUCCESS;
    }
    let time = if quick() { TIME / 3 } else { TIME };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else { return ExitCode::FAILURE };
    revgate::probe::raise_descriptor_limit();
    let server = Server::of_kind("greeter", &[ROUND_TRIP.to_string()]);
    let mut text = format!("Rounds of two a second, all of them served. {} before", machine());
    let mut rows = Vec::new();
    let at_once = if quick() { &AT_ONCE[1..2] } else { &AT_ONCE[..] };
    let ours: Vec<f64> = at_once.iter().map(|at_once| lanes(&runtime, &server, *at_once, time)).collect();
    for (at_once, rate) in at_once.iter().zip(&ours) {
        rows.push(vec![format!("revgate, {at_once} sockets at once"), short(*rate)]);
    }
    let (clients, problem) = baselines(true, None);
    let mut theirs = Vec::new();
    for (name, mut client) in clients {
        let until = Instant::now() + time / 3;
        let (began, mut rounds) = (Instant::now(), 0_u32);
        while Instant::now() < until {
            let opened = client.open(&runtime, &Order::pair(server.address, "/".to_owned()));
            assert_eq!(opened.failed, 0, "{name} was not served");
            client.close(opened);
            rounds += 1;
        }
        theirs.push(f64::from(rounds) / began.elapsed().as_secs_f64());
        rows.push(vec![name.to_owned(), short(theirs[theirs.len() - 1])]);
    }
    let head = ["client".to_owned(), "rounds a second".to_owned()];
    let _ = write!(text, ", {} after.\n\n{}{}", machine(), table(&head, &rows), problem.unwrap_or_default());
    let best = ours.iter().copied().fold(0.0, f64::max);
    let measures = measures("rate");
    let cell = |index: usize| theirs.get(index).map_or("-".to_owned(), |rate| short(*rate));
    let cells = [short(best), cell(0), cell(1)];
    publish("rate", &text, &[Line { measure: measures[0], cells, ratio: times_more(best, &theirs) }]);
    ExitCode::SUCCESS
}

/// Rounds a second of a campaign once it has taken to lanes.
fn lanes(runtime: &Runtime, server: &Server, at_once: u32, time: Duration) -> f64 {
    let yaml = format!(
        "path: /\nlimits: {{ sockets-at-once: {at_once}, openings-per-second: 1000000, sockets-per-run: 10000000 }}\n"
    );
    let mut settings = settings(&yaml);
    settings.race.patterns = vec![Pattern::SameUser];
    settings.race.time_budget = time;
    let mut plan = Plan::new(&settings, Capacity::default(), 1);
    plan.held = 0;
    plan.alone_rounds = 0;
    plan.quiet_rounds = 0;
    let (mut first, mut last, mut rounds) = (u64::MAX, 0, 0_u32);
    let over = |round: &Round| {
        assert!(!fails(round), "a round was not served: {round:?}");
        if round.company == Company::Lanes {
            first = first.min(round.started);
            last = last.max(round.ended);
            rounds += 1;
        }
    };
    let mut steering = Count::new(Stage::SameUser, u32::MAX / 2, over);
    steering.at_once = u32::MAX;
    let prober = prober(runtime, &format!("ws://{}", server.address), &settings);
    runtime.block_on(campaign(prober, &plan, &mut steering));
    drop(steering);
    f64::from(rounds) / Duration::from_micros(last.saturating_sub(first).max(1)).as_secs_f64()
}
