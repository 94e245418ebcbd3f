//! Very many calls of the API.
//!
//! `cargo test --test instances -- --ignored --nocapture calls`

use std::{process::Stdio, time::Duration};

use axum::Router;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    time::Instant,
};

/// Callers at once.
const CALLERS: usize = 16;
/// Calls of each caller in a third of the run.
const CALLS: usize = 1250;
pub(crate) const SERVICE: &str = "v2/projects/demo-project/locations/us-central1/services/demo";

/// A third of the run: three calls in four read, and one in four writes the traffic that is there. Gives how many were
/// answered as they should be, and the calls a second.
async fn third(address: &str, traffic: &Value) -> (usize, f64) {
    let begun = Instant::now();
    let callers = (0..CALLERS).map(|_| async {
        let client = reqwest::Client::new();
        let mut right = 0;
        for call in 0..CALLS {
            let request = match call % 4 {
                0 => client.get(format!("{address}/{SERVICE}")),
                1 => client.get(format!("{address}/{SERVICE}/revisions")),
                2 => client
                    .get(format!("{address}/apis/serving.knative.dev/v1/namespaces/demo-project/services")),
                _ => client.patch(format!("{address}/{SERVICE}?updateMask=traffic")).json(traffic),
            };
            let answer = request.send().await.unwrap();
            right += usize::from(answer.status() == 200);
            answer.bytes().await.unwrap();
        }
        right
    });
    let right = join_all(callers).await.into_iter().sum();
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = (CALLERS * CALLS) as f64 / begun.elapsed().as_secs_f64();
    (right, rate)
}

/// The memory of a process in KiB; 0 where the system does not tell.
pub(crate) fn memory(process: u32) -> u64 {
    let told = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = told.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// An emulator that answers at a port of its own, and the address of its API.
pub(crate) async fn started(mut command: Command) -> (Child, String) {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port().to_string();
    let child = command.args(["--port", &port]).spawn().unwrap();
    let address = format!("http://127.0.0.1:{port}");
    while reqwest::get(format!("{address}/__emulator/about")).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (child, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute of the whole machine"]
async fn sixty_thousand_calls_are_answered_and_leave_nothing_behind() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_revgate"));
    command.arg("emulator").stdout(Stdio::null()).kill_on_drop(true);
    let (child, address) = started(command).await;
    let service: Value = reqwest::get(format!("{address}/{SERVICE}")).await.unwrap().json().await.unwrap();
    let traffic = json!({"traffic": service["traffic"]});
    let mut sizes = Vec::new();
    for number in 1..=3 {
        let (right, rate) = third(&address, &traffic).await;
        sizes.push(memory(child.id().unwrap()));
        println!(
            "third {number}: {right} of {} right, {rate:.0} calls a second, {sizes:?} KiB",
            CALLERS * CALLS
        );
        assert_eq!(right, CALLERS * CALLS);
    }
    // The last requests and operations are kept, and nothing else: both are full after the first third.
    assert!(sizes[2] * 10 <= sizes[0] * 11, "{sizes:?} KiB");

    let bare = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", bare.local_addr().unwrap());
    let text = service.to_string();
    let application = Router::new().fallback(move || std::future::ready(text.clone()));
    let server = tokio::spawn(async move { axum::serve(bare, application).await.unwrap() });
    let (_, rate) = third(&address, &traffic).await;
    println!("a bare server that always says the same: {rate:.0} calls a second");
    server.abort();
}
