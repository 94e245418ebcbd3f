//! An hour of a watch, at a hundred times the speed: what the emulator remembers has an end.

use std::{process::Stdio, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _, future::join_all};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::{net::TcpStream, process::Command, time::sleep};
use tokio_tungstenite::{client_async, tungstenite::Message};

use crate::load::{SERVICE, memory, started};

/// Emulated seconds in a real one.
const SPEED: u32 = 100;
/// Entries that are there before: as many as are ever kept, or the hour itself would fill the memory.
const BEFORE: usize = 50_000;
/// Entries of one write.
const BATCH: usize = 1000;
/// Users whose sockets come and go while somebody watches.
const USERS: usize = 8;
/// The real time from one look of the watch to the next: five emulated seconds.
const EVERY: Duration = Duration::from_millis(50);

/// Fills the log with entries of another service.
pub(crate) async fn fill(client: &reqwest::Client, address: &str) {
    let entry = json!({
        "logName": "projects/demo-project/logs/run.googleapis.com%2Fstdout",
        "resource": {"type": "cloud_run_revision", "labels": {"service_name": "another", "revision_name": "another-1"}},
        "severity": "ERROR",
        "textPayload": "an error of somebody else, with as many words as such a line has as a rule, and then some more",
    });
    let body = json!({"entries": vec![entry; BATCH]});
    for _ in 0..BEFORE / BATCH {
        let written = client.post(format!("{address}/v2/entries:write")).json(&body).send().await.unwrap();
        assert_eq!(written.status(), 200);
    }
}

/// One socket after the other, for ever: opened, asked, answered, closed.
async fn converse(place: &str) {
    loop {
        let stream = TcpStream::connect(place).await.unwrap();
        let (mut socket, _) = client_async(format!("ws://{place}/ws"), stream).await.unwrap();
        for _ in 0..5 {
            socket.send(Message::text(r#"{"type":"ping"}"#)).await.unwrap();
            socket.next().await.unwrap().unwrap();
            sleep(Duration::from_millis(20)).await;
        }
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    }
}

/// What a watch asks each time: the service, and its errors. Gives the time of its newest entry.
async fn look(client: &reqwest::Client, address: &str) -> Timestamp {
    let asked = client.get(format!("{address}/{SERVICE}")).send().await.unwrap();
    assert_eq!(asked.status(), 200);
    asked.bytes().await.unwrap();
    let of_service = r#"resource.type="cloud_run_revision" AND resource.labels.service_name="demo""#;
    let body = json!({
        "resourceNames": ["projects/demo-project"], "filter": of_service, "orderBy": "timestamp desc", "pageSize": 100,
    });
    let listed = client.post(format!("{address}/v2/entries:list")).json(&body).send().await.unwrap();
    let listed: Value = listed.json().await.unwrap();
    let newest = listed["entries"].as_array().expect("entries of the service");
    assert!(newest.iter().all(|entry| entry["severity"] != "ERROR"), "{listed}");
    newest[0]["timestamp"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_of_a_watch_at_a_hundred_times_the_speed_leaves_nothing_behind() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_revgate"));
    command.args(["emulator", "--speed", &SPEED.to_string()]).stdout(Stdio::null()).kill_on_drop(true);
    let (child, address) = started(command).await;
    let client = reqwest::Client::new();
    fill(&client, &address).await;
    let service: Value =
        client.get(format!("{address}/{SERVICE}")).send().await.unwrap().json().await.unwrap();
    let place = service["uri"].as_str().unwrap().trim_start_matches("http://");

    let watch = async {
        // The first socket's entry comes with its end.
        sleep(Duration::from_secs(1)).await;
        let first = look(&client, &address).await;
        let mut sizes = Vec::new();
        for third in 1..=3 {
            let until = first + SignedDuration::from_mins(20 * third);
            while look(&client, &address).await < until {
                sleep(EVERY).await;
            }
            sizes.push(memory(child.id().unwrap()));
        }
        sizes
    };
    let users = join_all((0..USERS).map(|_| converse(place)));
    let sizes = tokio::select! {
        seen = watch => seen,
        _ = users => unreachable!("they do not end"),
    };
    assert!(sizes[2] * 10 <= sizes[0] * 11, "{sizes:?} KiB");
}
