//! How often one round finds a race between a check and its act, W µs apart, with and without stopping the server:
//! measured, not tested.
//!
//! `WITH` names the server: `rust` (threads of its own, and W is spun), `threads` or `fastapi` (`PY` names a Python that
//! has their packages). `ROUNDS` and `N`, sockets of a round, may be given. Half of the frozen rounds deal the threads
//! out to the cores; each cell says how many were found without and with that.
//!
//! `WITH=rust cargo test --lib probe::measure::table -- --ignored --nocapture`
#![expect(clippy::disallowed_methods, reason = "a measurement is told by variables what to measure")]

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::Instant;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::lanes::Lanes;
use super::{Company, EndKind, Plan, Prober, Round, Stage};
use crate::config::{FileConfig, Lookup, Purpose, Typed, merge};
use crate::local::Server;
use crate::trust::Redactor;

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[test]
#[ignore = "not a test: the racy server of the measurement"]
fn serve() {
    let Some(window) = variable("WINDOW_US") else { return };
    let window = Duration::from_micros(window.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let port: u16 = variable("PORT").unwrap().parse().unwrap();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let names: Arc<Mutex<HashSet<String>>> = Arc::default();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let names = Arc::clone(&names);
            tokio::spawn(async move {
                let mut name = String::new();
                #[expect(clippy::result_large_err, reason = "the library's own signature")]
                let look = |request: &Request, response: Response| {
                    request.uri().path().clone_into(&mut name);
                    Ok(response)
                };
                let Ok(mut socket) = accept_hdr_async(stream, look).await else { return };
                if !names.lock().unwrap().contains(&name) {
                    let until = Instant::now() + window;
                    while Instant::now() < until {
                        std::hint::spin_loop();
                    }
                    if !names.lock().unwrap().insert(name.clone()) {
                        let frame = CloseFrame { code: CloseCode::Error, reason: "lost".into() };
                        let _ = socket.close(Some(frame)).await;
                    }
                }
                while let Some(Ok(message)) = socket.next().await {
                    if matches!(message, Message::Text(_)) && socket.send(message).await.is_err() {
                        break;
                    }
                }
                names.lock().unwrap().remove(&name);
            });
        }
    });
}

fn command(server: &str, window: u64) -> Vec<String> {
    let root = env!("CARGO_MANIFEST_DIR");
    let line = match server {
        "rust" => format!(
            "env WINDOW_US={window} {} --ignored --exact probe::measure::serve",
            std::env::current_exe().unwrap().display()
        ),
        other => {
            let python = variable("PY").unwrap();
            let run = match other {
                "threads" => format!("{root}/tests/backends/threads/server.py"),
                _ => format!(
                    "-m uvicorn --app-dir {root}/tests/backends/fastapi app:app --port $PORT --log-level warning"
                ),
            };
            format!("env BACKEND_MODE=check-then-act BACKEND_WINDOW_MS=0.{window:03} {python} {run}")
        }
    };
    shlex::split(&line).unwrap()
}

fn found(round: &Round) -> bool {
    round
        .observations
        .iter()
        .filter_map(|o| o.end.as_ref())
        .any(|end| matches!(end.kind, EndKind::CloseFrame { code: Some(1011), .. } | EndKind::NoCloseFrame))
}

/// Rounds that found the race: without and with threads dealt out to the cores.
async fn measure(server: &str, window: u64, way: &str, rounds: u32, sockets: u32) -> [usize; 2] {
    let yaml = "path: /ws?user={{user}}\nsend: '{\"type\":\"ping\",\"nonce\":\"1\"}'\nusers: [a, b, c, d, e, f, g, h]\nlimits: {sockets-per-user: 20}\n";
    let file = FileConfig::parse("t", yaml.as_bytes()).unwrap();
    let merged = merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Rehearsal).unwrap();
    let mut settings = merged.settings;
    settings.race.patterns = crate::config::Pattern::LOCAL.to_vec();
    let mut plan = Plan::local(&settings, 1);
    plan.strata.iter_mut().filter(|s| s.sockets == 2).for_each(|s| s.sockets = sockets);
    let running = Server::start(&command(server, window)).await.unwrap();
    assert!(!running.open_within(Duration::from_secs(20), 1).await.is_empty(), "{:?}", running.lines());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let address = running.address().unwrap();
    let mut prober = Prober::new(address, &settings, None, Redactor::default(), Instant::now(), 0);
    if way != "plain" {
        prober = prober.freezing(Arc::new(running.freezer()));
    }
    let mut lanes = Lanes::new(Arc::new(prober), &plan, "m".to_owned());
    for _ in 0..rounds {
        let lane = lanes.arm(Stage::FrozenSameUser, Company::Alone, None).await;
        let _ = lane.let_go().await;
        lanes.drain().await;
    }
    let rounds = lanes.into_rounds();
    running.end().await;
    let dealt = |round: &&Round| round.frozen.is_some_and(|freeze| freeze.dealt);
    let all = rounds.iter().filter(|round| found(round)).count();
    let of_dealt = rounds.iter().filter(dealt).filter(|round| found(round)).count();
    [all - of_dealt, of_dealt]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn table() {
    let server = variable("WITH").unwrap_or_else(|| "rust".to_owned());
    let rounds: u32 = variable("ROUNDS").map_or(40, |text| text.parse().unwrap());
    let sockets: u32 = variable("N").map_or(2, |text| text.parse().unwrap());
    let ways = variable("WAYS").unwrap_or_else(|| "plain,freeze".to_owned());
    for way in ways.split(',') {
        let mut line = format!("{server:8} {way:12}");
        for window in [5, 50, 200] {
            let found = measure(&server, window, way, rounds, sockets).await;
            let _ = write!(line, "  W={window}: {} + {} dealt of {rounds}", found[0], found[1]);
        }
        println!("{line}");
    }
}
