//! FastAPI and Node behind a revision's name.

use std::{collections::BTreeSet, time::Duration};

use futures_util::SinkExt as _;
use revgate::emulator::{Deployment, Emulator, EmulatorOptions, Workload};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    backends,
    support::{Socket, entries_with, eventually, frame, named, open_with, options, read_out, with},
};

fn servers() -> [(&'static str, String); 2] {
    [("fastapi", backends::fastapi_command("fixed")), ("node", backends::node_command("fixed"))]
}

/// A revision of this command whose instances take one request each.
fn single(command: String) -> Deployment {
    let deployment = Deployment::new(Workload::Command(command));
    named("demo-a", Deployment { concurrency: Some(1), max_instances: Some(8), ..deployment })
}

/// Opens a socket; gives it with the process that answered.
async fn connect(url: &str) -> (Socket, i32) {
    let (socket, response) = open_with(url, "/ws?user=ann", &[]).await.unwrap();
    let process = response.headers()["x-instance"].to_str().unwrap().parse().unwrap();
    (socket, process)
}

/// Whether a process is there and no zombie, and the letter of its state.
fn state(process: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let letter = stat.rsplit_once(") ")?.1.chars().next()?;
    (letter != 'Z').then_some(letter)
}

async fn answers(socket: &mut Socket) -> bool {
    let ping = json!({"type": "ping", "nonce": "n"}).to_string();
    socket.send(Message::text(ping)).await.unwrap();
    loop {
        let answer = frame(socket).await;
        if answer["type"] == "pong" {
            return answer["nonce"] == "n";
        }
    }
}

#[tokio::test]
async fn five_sockets_at_concurrency_one_make_five_processes_and_none_is_left() {
    for (name, command) in servers() {
        let emulator = with(options(), vec![single(command)]).await;
        let url = emulator.service_url().unwrap();
        let mut held = Vec::new();
        for _ in 0..5 {
            held.push(connect(&url).await);
        }
        let processes: BTreeSet<i32> = held.iter().map(|(_, process)| *process).collect();
        assert_eq!(processes.len(), 5, "{name}");
        for (socket, _) in &mut held {
            assert!(answers(socket).await, "{name}");
        }
        drop(held);
        emulator.shutdown().await;
        eventually("no process is left", || async { processes.iter().all(|id| state(*id).is_none()) }).await;
    }
}

#[tokio::test]
async fn a_cold_start_race_is_in_fresh_instances_only() {
    let mode = "startup-race";
    for command in [backends::fastapi_command(mode), backends::node_command(mode)] {
        // Long enough that a socket which waited for its instance meets the window on any machine.
        let env = [("BACKEND_WINDOW_MS".to_owned(), "1500".to_owned())].into();
        let emulator = with(options(), vec![Deployment { env, ..single(command) }]).await;
        let url = emulator.service_url().unwrap();
        // The first instance was up before anybody came.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (mut warm, process) = connect(&url).await;
        assert!(answers(&mut warm).await);
        let (mut cold, other) = connect(&url).await;
        assert_ne!(process, other);
        assert_eq!(read_out(&mut cold).await.1.map(|(code, _)| code), Some(1011));
        drop(cold);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (mut later, same) = connect(&url).await;
        assert_eq!(same, other, "the slot that the failed socket left");
        assert!(answers(&mut later).await, "the same instance, warm");
    }
}

#[tokio::test]
async fn each_request_of_a_kept_connection_is_one_of_its_own() {
    for (name, command) in servers() {
        let one = Deployment { max_instances: Some(1), ..single(command) };
        let emulator = with(options(), vec![one]).await;
        let url = emulator.service_url().unwrap();
        let client = reqwest::Client::new();
        for _ in 0..3 {
            assert_eq!(client.get(format!("{url}/health")).send().await.unwrap().status(), 200, "{name}");
        }
        // The one slot there is was given back each time, by a client that would have kept the connection.
        assert!(answers(&mut connect(&url).await.0).await, "{name}");
        let filter = "logName:requests AND httpRequest.requestUrl:health";
        let body = json!({"resourceNames": ["projects/demo-project"], "filter": filter});
        let entries = format!("{}/v2/entries:list", emulator.api_endpoint());
        let answer = client.post(entries).json(&body).send().await.unwrap();
        let answer: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(answer["entries"].as_array().map(Vec::len), Some(3), "{name}: {answer}");
    }
}

async fn logged(emulator: &Emulator, words: &str) {
    eventually(words, || async { emulator.logs("demo-a").iter().any(|line| line.contains(words)) }).await;
}

#[tokio::test]
async fn a_process_that_is_killed_takes_its_sockets_along_and_the_next_request_gets_another() {
    for (name, command) in servers() {
        let emulator = with(options(), vec![single(command)]).await;
        let url = emulator.service_url().unwrap();
        let (mut socket, process) = connect(&url).await;
        let killed = std::process::Command::new("kill").args(["-9", &process.to_string()]).status();
        assert!(killed.unwrap().success());
        assert_eq!(read_out(&mut socket).await.1, None, "{name}: no close frame");
        logged(&emulator, "Container terminated on signal 9.").await;
        let (mut socket, next) = connect(&url).await;
        assert_ne!(process, next, "{name}");
        assert!(answers(&mut socket).await, "{name}");
    }
}

#[tokio::test]
async fn a_kept_instance_that_is_killed_is_followed_by_another_though_nobody_asks() {
    let kept = Deployment { min_instances: 1, ..single(backends::fastapi_command("fixed")) };
    let emulator = with(options(), vec![kept]).await;
    let url = emulator.service_url().unwrap();
    let (socket, process) = connect(&url).await;
    drop(socket);
    let killed = std::process::Command::new("kill").args(["-9", &process.to_string()]).status();
    assert!(killed.unwrap().success());
    eventually("another starts", || async {
        entries_with(&emulator, "MANUAL_OR_CUSTOMER_MIN_INSTANCE").await == 1
    })
    .await;
    let (mut socket, next) = connect(&url).await;
    assert_ne!(process, next);
    assert!(answers(&mut socket).await);
}

#[tokio::test]
async fn between_requests_an_instance_stands_still_where_that_is_asked_for() {
    let throttled = EmulatorOptions { throttle: true, ..options() };
    let emulator = with(throttled, vec![single(backends::fastapi_command("fixed"))]).await;
    let url = emulator.service_url().unwrap();
    let (mut socket, process) = connect(&url).await;
    assert!(answers(&mut socket).await);
    assert_ne!(state(process), Some('T'), "it runs while somebody is there");
    drop(socket);
    eventually("it is stopped", || async { state(process) == Some('T') }).await;
    let (mut socket, same) = connect(&url).await;
    assert_eq!(same, process);
    assert!(answers(&mut socket).await);
    drop(socket);
    emulator.shutdown().await;
    eventually("it is gone", || async { state(process).is_none() }).await;
}
