//! What a held socket costs in memory, at 10 000 of them: ours and the kernel's, plain and with TLS.
//!
//! `cargo bench --bench memory`; with `-- --quick` 1 000. Each client holds its sockets in a process of its own, and so
//! does the server. Of the client's process the growth of its resident memory is counted; of the kernel half of what it
//! holds more for sockets, since both ends are on this machine. Where the limit of descriptors is too low for 10 000,
//! nothing is measured.
#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

pub mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use revgate::probe::{Capacity, Plan, Stage, check_descriptors};
use support::children::{Server, this};
use support::clients::{Order, connected};
use support::costs::{kernel, kernel_source, resident};
use support::figures::{Line, machine, measures, publish, quick, table, times_less};
use support::product::{Count, campaign, prober, settings};
use support::{naive, tls};
use tokio::runtime::Runtime;

/// Sockets that are held.
const SOCKETS: u32 = 10_000;
/// Opened before the first look, so that what is needed once is there.
const WARM: u32 = 100;

fn main() -> ExitCode {
    if support::children::serve() {
        return ExitCode::SUCCESS;
    }
    tls::trusting(|folder| {
        let arguments: Vec<String> = std::env::args().collect();
        match arguments.iter().position(|argument| argument == "--hold").map(|at| &arguments[at + 1..]) {
            Some([client, address, secure, count, ..]) => {
                hold(client, address, (secure == "tls").then_some(folder), count.parse().unwrap_or(SOCKETS));
            }
            _ => measure(folder),
        }
    })
}

fn measure(folder: &Path) {
    let count = if quick() { SOCKETS / 10 } else { SOCKETS };
    let measures = measures("memory");
    if let Err(few) = check_descriptors(count + WARM) {
        let lines = measures.iter().map(|measure| Line {
            measure,
            cells: ["-", "-", "-"].map(str::to_owned),
            ratio: "-".to_owned(),
        });
        let text = format!("ERROR: nothing was measured: {few}\nhelp: {}\n", few.help());
        publish("memory", &text, &lines.collect::<Vec<_>>());
        return;
    }
    let mut text = format!(
        "KB a held socket at {count}: of the process + of the kernel ({}); how many fit into a GB. {} before",
        kernel_source(),
        machine()
    );
    let mut rows = ["revgate", "tokio-tungstenite", "Python websockets"].map(|name| vec![name.to_owned()]);
    let mut lines = Vec::new();
    for (secure, measure) in [false, true].into_iter().zip(measures) {
        let folder = secure.then_some(folder);
        let ours = held("revgate", folder, count);
        let tokio = held("tokio", folder, count);
        let python = held_in_python(folder, count / 5).map(|user| (user, ours.1));
        let all = [Some(ours), Some(tokio), python];
        let words = all
            .map(|sizes| sizes.map_or("-".to_owned(), |(user, kernel)| format!("{user:.1} + {kernel:.1}")));
        for ((row, sizes), words) in rows.iter_mut().zip(all).zip(&words) {
            row.push(words.clone());
            row.push(
                sizes
                    .map_or("-".to_owned(), |(user, kernel)| format!("{:.0}", 1_048_576.0 / (user + kernel))),
            );
        }
        let sums: Vec<f64> = all[1..].iter().flatten().map(|(user, kernel)| user + kernel).collect();
        lines.push(Line { measure, cells: words, ratio: times_less(ours.0 + ours.1, &sums) });
    }
    let head = ["client", "plain", "in a GB", "TLS", "in a GB"].map(str::to_owned);
    let _ = write!(text, ", {} after.\n\n{}", machine(), table(&head, &rows));
    publish("memory", &text, &lines);
}

fn greeter(folder: Option<&Path>) -> Server {
    let folder = folder.map(|folder| folder.display().to_string());
    Server::of_kind("greeter", &std::iter::once("0".to_owned()).chain(folder).collect::<Vec<_>>())
}

/// Kilobytes a socket, of a client's process and of the kernel.
fn held(client: &str, folder: Option<&Path>, count: u32) -> (f64, f64) {
    let server = greeter(folder);
    let mut command = Command::new(this());
    let way = if folder.is_some() { "tls" } else { "plain" };
    // The first two words are those of this process: it is inside already.
    command.args(std::env::args().skip(1).take(2));
    command.args(["--hold", client, &server.address.to_string(), way, &count.to_string()]);
    let output = command.stderr(std::process::Stdio::inherit()).output().expect("this program starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let figures: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert_eq!(figures.len(), 2, "{client} says {said:?}");
    (figures[0], figures[1] / 2.0)
}

fn held_in_python(folder: Option<&Path>, count: u32) -> Option<f64> {
    let server = greeter(folder);
    let order = Order::pair(server.address, "/".to_owned());
    naive::python_memory(&order, count as usize, folder.map(tls::certificate).as_deref())
}

/// In a process of its own: opens, holds, and prints what each socket takes.
fn hold(client: &str, address: &str, folder: Option<&Path>, count: u32) {
    revgate::probe::raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    if client == "revgate" {
        hold_ours(&runtime, address, folder.is_some(), count);
    } else {
        runtime.block_on(hold_naive(address, folder, count));
    }
}

/// As `serves` holds its single sockets. Ends the process's part as soon as all are there.
fn hold_ours(runtime: &Runtime, address: &str, secure: bool, count: u32) {
    let yaml = "path: /\nlimits: { sockets-at-once: 100000, openings-per-second: 1000000, sockets-per-run: 10000000 }\ntimeouts: { serves-hold: 10m }\nrace: { time-budget: 1h }\n";
    let settings = settings(yaml);
    let mut plan = Plan::new(&settings, Capacity::default(), 1);
    plan.strata.clear();
    plan.held = u32::MAX;
    let scheme = if secure { "wss" } else { "ws" };
    let prober = prober(runtime, &format!("{scheme}://{address}"), &settings);
    let mut steering = Count::new(Stage::Held, u32::MAX / 2, |_| {});
    let (tell, told) = std::sync::mpsc::channel();
    let before = std::cell::Cell::new((0.0, 0.0));
    steering.at_once = count + WARM;
    steering.asked = Box::new(move |in_flight| {
        if in_flight == WARM {
            before.set((resident(), kernel()));
        } else if in_flight == count + WARM {
            let _ = tell.send(before.get());
        }
    });
    let done = async {
        let waiting = tokio::task::spawn_blocking(move || told.recv());
        let before = waiting.await.expect("no panic").expect("all are opened");
        tokio::time::sleep(Duration::from_secs(1)).await;
        say(before, count);
    };
    runtime.block_on(async {
        tokio::select! {
            _ = campaign(prober, &plan, &mut steering) => {}
            () = done => {}
        }
    });
}

async fn hold_naive(address: &str, folder: Option<&Path>, count: u32) {
    let server = address.parse().expect("an address");
    let order = Order { tls: folder.map(tls::connector), ..Order::pair(server, "/".to_owned()) };
    let order = &order;
    let open = |count: u32| async move {
        let sockets = iter(0..count).map(|_| connected(order)).buffer_unordered(50).collect::<Vec<_>>();
        sockets.await.into_iter().map(|socket| socket.expect("a greeted socket")).collect::<Vec<_>>()
    };
    let warm = open(WARM).await;
    let before = (resident(), kernel());
    let held = open(count).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    say(before, count);
    drop((warm, held));
}

fn say(before: (f64, f64), count: u32) {
    let each = |kilobytes: f64| kilobytes / f64::from(count);
    let text = format!("{} {}\n", each(resident() - before.0), each(kernel() - before.1));
    let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
}
