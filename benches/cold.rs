//! How many cold starts find what a server lacks for some milliseconds after its port opened.
//!
//! `cargo bench --bench cold`; with `-- --quick` three starts of ten. Ours is the product's local stage. After each of
//! its processes the others have a fresh one each: they ask `/health` ten times a second until it is well, as people
//! do, and then gather ten sockets.
#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

pub mod support;

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use revgate::config::Pattern;
use revgate::probe::{Plan, Prober, Stage};
use revgate::trust::Redactor;
use support::backends::{fastapi_command, node_command};
use support::clients::{Client, Order, baselines};
use support::figures::{Line, machine, measures, publish, quick, share, table};
use support::product::{Count, aside, fails, settings};
use tokio::runtime::Runtime;
use tokio::time::Instant;

/// For how many milliseconds something is missing.
const MISSING: [u32; 2] = [10, 50];
/// Fresh processes of each client in each cell.
const STARTS: u32 = 10;
/// Sockets of a burst.
const SOCKETS: usize = 10;

/// A server: its name, and its command in a mode.
type Entry = (&'static str, fn(&str) -> String);

fn main() -> ExitCode {
    let starts = if quick() { 3 } else { STARTS };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else { return ExitCode::FAILURE };
    let (mut clients, problem) = baselines(true, None);
    let mut text = format!("Share of {starts} cold starts that find it. {} before", machine());
    let mut problems = problem.unwrap_or_default();
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    let measures = measures("cold");
    let mut measures = measures.iter();
    let servers: [Entry; 2] = [("FastAPI", fastapi_command), ("Node", node_command)];
    for (name, command) in servers {
        let command = std::panic::catch_unwind(|| command("startup-race"));
        let mut cells = Vec::new();
        for missing in MISSING {
            let found = match &command {
                Ok(command) => measure(&runtime, command, &mut clients, missing, starts),
                Err(_) => Vec::new(),
            };
            let counts = [0, 1, 2].map(|client| found.get(client).copied());
            lines.extend(measures.next().map(|measure| Line::found(measure, counts, starts as usize)));
            cells.push(found);
        }
        if command.is_err() {
            let _ = writeln!(problems, "\nERROR: {name} cannot be installed");
        }
        let names = std::iter::once("revgate").chain(clients.iter().map(|(client, _)| *client));
        rows.extend(names.enumerate().map(|(index, client)| {
            let shares = cells.iter().map(|found| cell(found, index, starts));
            [name.to_owned(), client.to_owned()].into_iter().chain(shares).collect::<Vec<_>>()
        }));
    }
    let mut head = vec!["server".to_owned(), "client".to_owned()];
    head.extend(MISSING.map(|missing| format!("T = {missing} ms")));
    let _ = write!(text, ", {} after.\n\n{}{problems}", machine(), table(&head, &rows));
    publish("cold", &text, &lines);
    ExitCode::SUCCESS
}

fn cell(found: &[usize], index: usize, starts: u32) -> String {
    found.get(index).map_or("-".to_owned(), |found| share(*found, starts as usize))
}

/// For each client, how many of its processes showed it; ours come first.
fn measure(
    runtime: &Runtime,
    command: &str,
    clients: &mut [(&'static str, Client)],
    missing: u32,
    starts: u32,
) -> Vec<usize> {
    let command = format!("env BACKEND_WINDOW_MS={missing} {command}");
    let words = shlex::split(&command).expect("a command");
    let mut settings = settings("path: '/ws?user={{nonce}}'\n");
    settings.race.patterns = vec![Pattern::Cold];
    settings.race.cold_budget *= 10;
    let plan = Plan::local(&settings, 1);
    let mut found = vec![0; clients.len() + 1];
    let over = |round: &revgate::probe::Round| {
        found[0] += usize::from(fails(round));
        for (index, (_, client)) in clients.iter_mut().enumerate() {
            found[index + 1] += usize::from(aside(|| naive(runtime, &words, client)));
        }
    };
    let mut steering = Count::new(Stage::Cold, starts, over);
    let prober = |at| Prober::new(at, &settings, None, Redactor::default(), Instant::now(), 0);
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
    found
}

/// Ends with its owner.
struct Fresh(Child);

impl Drop for Fresh {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// True when a gather shows it at a fresh process that says that it is well.
fn naive(runtime: &Runtime, words: &[String], client: &mut Client) -> bool {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let address = free.expect("a free port");
    let port = address.port().to_string();
    let words: Vec<String> = words.iter().map(|word| word.replace("$PORT", &port)).collect();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env("PORT", &port).stdin(Stdio::null()).stdout(Stdio::null());
    let _fresh = Fresh(command.stderr(Stdio::null()).spawn().expect("an installed program starts"));
    let until = Instant::now() + Duration::from_mins(1);
    while !is_well(address) {
        assert!(Instant::now() < until, "{words:?} is never well");
        std::thread::sleep(Duration::from_millis(100));
    }
    let order = Order { sockets: SOCKETS, ..Order::pair(address, "/ws?user=u".to_owned()) };
    let opened = client.open(runtime, &order);
    let failed = opened.failed;
    client.close(opened);
    failed > 0
}

/// True when `/health` answers 200.
fn is_well(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
