//! Instances that start when there is no room, and go when nobody comes.

use std::{collections::BTreeSet, time::Duration};

use revgate::emulator::{Behaviour, Deployment, Emulator, EmulatorOptions, SampleBackend, Workload};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};
use tokio_tungstenite::tungstenite;

use super::support::{
    DEADLINE, Socket, call, entries_with, eventually, frame, named, open, open_with, options, settled, with,
};

/// A WebSocket server is not needed to take a slot: it answers with its process id and keeps the connection.
const KEEPER: &str = r#"python3 -u -c '
import os, socket, threading
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
def keep(peer):
    if not peer.recv(4096): return
    text = str(os.getpid()).encode() + b"."
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: " + str(len(text)).encode() + b"\r\n\r\n" + text)
    while peer.recv(4096): pass
    peer.close()
while True:
    threading.Thread(target=keep, args=(listener.accept()[0],), daemon=True).start()
'"#;

fn scaled(workload: Workload) -> Deployment {
    let deployment = Deployment { concurrency: Some(1), max_instances: Some(5), ..Deployment::new(workload) };
    named("demo-a", deployment)
}

fn echoing() -> Workload {
    Workload::Sample(SampleBackend { echo_instance: true, ..SampleBackend::new(Behaviour::Fixed) })
}

/// Opens a socket; gives it with the instance that its 101 names.
async fn instance(url: &str) -> (Socket, String) {
    let (socket, response) = open_with(url, "/ws", &[]).await.unwrap();
    (socket, response.headers()["x-instance"].to_str().unwrap().to_owned())
}

fn status(refused: Result<(Socket, tungstenite::handshake::client::Response), tungstenite::Error>) -> u16 {
    match refused {
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        other => panic!("no refusal: {other:?}"),
    }
}

#[tokio::test]
async fn five_requests_at_concurrency_one_make_five_processes_that_end_with_the_emulator() {
    let emulator = with(options(), vec![scaled(Workload::Command(KEEPER.to_owned()))]).await;
    let url = emulator.service_url().unwrap();
    let authority = url.strip_prefix("http://").unwrap();
    let (mut held, mut processes) = (Vec::new(), BTreeSet::new());
    for _ in 0..5 {
        let mut stream = TcpStream::connect(authority).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b".") {
            stream.read_buf(&mut answer).await.unwrap();
        }
        let answer = String::from_utf8(answer).unwrap();
        let id = answer.rsplit("\r\n\r\n").next().unwrap().trim_end_matches('.');
        processes.insert(id.parse::<i32>().unwrap());
        held.push(stream);
    }
    assert_eq!(processes.len(), 5, "{processes:?}");
    drop(held);
    emulator.shutdown().await;
    eventually("no process is left", || async { processes.iter().all(|id| !is_alive(*id)) }).await;
}

#[tokio::test]
async fn an_instance_takes_as_many_as_it_may_and_the_next_starts_another() {
    let two = Deployment { concurrency: Some(2), ..scaled(echoing()) };
    let emulator = with(options(), vec![two]).await;
    let url = emulator.service_url().unwrap();
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(instance(&url).await);
    }
    let ids: Vec<&str> = held.iter().map(|(_, id)| id.as_str()).collect();
    assert!(ids[0] == ids[1] && ids[2] == ids[3] && ids[4] == ids[5], "{ids:?}");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 3, "{ids:?}");
    assert!(ids.iter().all(|id| id.len() == 34 && id.starts_with("00")), "{ids:?}");
}

#[tokio::test]
async fn beyond_the_most_instances_requests_queue_and_are_then_sent_away() {
    let short =
        Deployment { max_instances: Some(2), queue_for: Duration::from_millis(300), ..scaled(echoing()) };
    let emulator = with(options(), vec![short]).await;
    let url = emulator.service_url().unwrap();
    let first = instance(&url).await;
    let second = instance(&url).await;
    assert_eq!(status(open_with(&url, "/ws", &[]).await), 429);
    let long = Deployment { queue_for: Duration::MAX, ..scaled(echoing()) };
    drop((first, second));
    let long = Deployment { max_instances: Some(1), ..long };
    let emulator = with(options(), vec![long]).await;
    let url = emulator.service_url().unwrap();
    let (held, id) = instance(&url).await;
    let waiting = tokio::spawn(async move { instance(&url).await.1 });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished(), "it queues");
    drop(held);
    assert_eq!(waiting.await.unwrap(), id, "the slot that became free");
}

#[tokio::test]
async fn a_request_that_queues_for_a_revision_is_sent_away_when_that_is_deleted() {
    let one = Deployment { max_instances: Some(1), queue_for: Duration::MAX, ..scaled(echoing()) };
    let emulator = with(options(), vec![one]).await;
    let url = emulator.service_url().unwrap();
    let _held = instance(&url).await;
    let waiting = tokio::spawn(async move { status(open_with(&url, "/ws", &[]).await) });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished(), "it queues");
    assert_eq!(call(&emulator, "DELETE", "services/demo", None).await.0, 200);
    assert_eq!(tokio::time::timeout(DEADLINE, waiting).await.expect("an answer").unwrap(), 503);
}

#[tokio::test]
async fn an_idle_instance_goes_and_a_kept_one_stays() {
    for kept in [0, 1] {
        let quick =
            Deployment { idle_after: Duration::from_millis(50), min_instances: kept, ..scaled(echoing()) };
        let emulator = with(options(), vec![quick]).await;
        let url = emulator.service_url().unwrap();
        let (held, before) = instance(&url).await;
        drop(held);
        let again = || async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            instance(&url).await.1 != before
        };
        if kept == 0 {
            eventually("another instance", again).await;
        } else {
            assert!(!again().await, "the one that is kept");
        }
    }
}

#[tokio::test]
async fn a_kept_instance_that_dies_again_and_again_is_not_started_without_a_pause_however_fast_the_clock() {
    let dying = r#"python3 -c '
import os, socket, time
socket.create_server(("127.0.0.1", int(os.environ["PORT"]))).accept()
time.sleep(0.2)
'"#;
    let kept = Deployment { min_instances: 1, ..scaled(Workload::Command(dying.to_owned())) };
    let emulator = with(EmulatorOptions { speed: 1000, ..options() }, vec![kept]).await;
    let began = Instant::now();
    let starts = || entries_with(&emulator, "Starting new instance");
    eventually("some starts", || async { starts().await >= 4 }).await;
    let seconds = began.elapsed().as_secs_f64();
    assert!(seconds >= 2.0, "four starts have three pauses of a second, but took {seconds} s");
}

#[tokio::test]
async fn a_kept_instance_that_does_not_come_up_again_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    // The first serves until it is asked, the second does not come up, the third does.
    let command = format!(
        r#"sh -c 'cd {}; echo >> starts; case $(wc -l < starts) in
            2) exit 3;;
            *) exec python3 -c "
import os, socket, time
listener = socket.create_server((\"127.0.0.1\", int(os.environ[\"PORT\"])))
while not listener.accept()[0].recv(1): pass
";;
        esac'"#,
        folder.path().display()
    );
    let kept = Deployment { min_instances: 1, ..scaled(Workload::Command(command)) };
    let emulator = with(options(), vec![kept]).await;
    reqwest::get(emulator.service_url().unwrap()).await.unwrap();
    eventually("a third one", || async {
        std::fs::read_to_string(folder.path().join("starts")).unwrap().lines().count() == 3
    })
    .await;
}

#[tokio::test]
async fn what_the_service_keeps_starts_at_once_and_its_most_is_a_limit() {
    let emulator =
        with(options(), vec![Deployment { queue_for: Duration::from_millis(50), ..scaled(echoing()) }]).await;
    let scaling = json!({"scaling": {"minInstanceCount": 3, "maxInstanceCount": 3}});
    let written = call(&emulator, "PATCH", "services/demo?updateMask=scaling", Some(scaling)).await;
    assert_eq!(written.0, 200, "{written:?}");
    settled(&emulator).await;
    eventually("two more than the first", || async {
        entries_with(&emulator, "MANUAL_OR_CUSTOMER_MIN_INSTANCE").await == 2
    })
    .await;
    let url = emulator.service_url().unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(instance(&url).await.0);
    }
    assert_eq!(status(open_with(&url, "/ws", &[]).await), 429, "its revision may have five");
}

#[tokio::test]
async fn a_service_that_wants_a_hundred_thousand_instances_keeps_a_hundred() {
    let emulator = with(options(), vec![scaled(echoing())]).await;
    let scaling = json!({"scaling": {"scalingMode": "MANUAL", "manualInstanceCount": 100_000}});
    let written = call(&emulator, "PATCH", "services/demo?updateMask=scaling", Some(scaling)).await;
    assert_eq!(written.0, 200, "{written:?}");
    settled(&emulator).await;
    let starts = || async { entries_with(&emulator, "Starting new instance").await };
    eventually("a hundred with the first", || async { starts().await == 100 }).await;
}

#[tokio::test]
async fn without_a_concurrency_one_instance_takes_everything() {
    let emulator = with(options(), vec![named("demo-a", Deployment::new(echoing()))]).await;
    let url = emulator.service_url().unwrap();
    let mut ids = BTreeSet::new();
    let mut held = Vec::new();
    for _ in 0..100 {
        let (socket, id) = instance(&url).await;
        held.push(socket);
        ids.insert(id);
    }
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn a_request_that_needs_an_instance_that_does_not_come_up_gets_the_platforms_page() {
    // It comes up once, for the revision to be ready.
    let once = tempfile::tempdir().unwrap();
    let mark = once.path().join("mark");
    let command = format!(
        "sh -c 'test -e {0} && exit 3; touch {0}; exec python3 -m http.server $PORT --bind 127.0.0.1'",
        mark.display()
    );
    let emulator = with(options(), vec![scaled(Workload::Command(command))]).await;
    let url = emulator.service_url().unwrap();
    let authority = url.strip_prefix("http://").unwrap().to_owned();
    // A request that is not over takes the only slot: half of one.
    let mut held = TcpStream::connect(&authority).await.unwrap();
    let request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n";
    held.write_all(request.as_bytes()).await.unwrap();
    eventually("the page", || async {
        reqwest::get(&url).await.unwrap().text().await.unwrap().contains("not available yet")
    })
    .await;
}

#[tokio::test]
async fn the_sample_names_its_instance_in_the_welcome_too() {
    let emulator: Emulator = with(options(), vec![scaled(echoing())]).await;
    let url = emulator.service_url().unwrap();
    let mut socket = open(&url).await;
    for _ in 0..2 {
        frame(&mut socket).await;
    }
    assert!(frame(&mut socket).await["instance"].as_str().unwrap().starts_with("00"));
}

fn is_alive(process: i32) -> bool {
    std::path::Path::new(&format!("/proc/{process}")).exists()
}
