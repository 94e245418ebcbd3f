//! Very many sockets at once.

use std::process::Stdio;

use futures_util::{SinkExt as _, future::join_all};
use revgate::emulator::{Behaviour, Deployment};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    backends,
    hour::fill,
    load::{SERVICE, memory, started},
    support::{Socket, eventually, frame, named, open_with, options, sample, with},
};

/// Sockets that are open at once.
const SOCKETS: usize = 2000;
/// How often they all come; what an allocator keeps has come to rest in the first half.
const ROUNDS: usize = 8;

/// Three descriptors a socket would do; what the machine allows is taken.
fn raise_limit() {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    }
}

/// Opens them all, and asks each for its own answer.
async fn open_and_ask(url: &str) -> Vec<Socket> {
    let opened = join_all((0..SOCKETS).map(|_| open_with(url, "/ws", &[]))).await;
    let mut sockets: Vec<_> = opened.into_iter().map(|opened| opened.unwrap().0).collect();
    let conversations = sockets.iter_mut().enumerate().map(|(number, socket)| async move {
        let ping = json!({"type": "ping", "nonce": number.to_string()}).to_string();
        socket.send(Message::text(ping)).await.unwrap();
        loop {
            let answer = frame(socket).await;
            if answer["type"] == "pong" {
                return answer["nonce"] == json!(number.to_string());
            }
        }
    });
    let right = join_all(conversations).await.into_iter().filter(|right| *right).count();
    assert_eq!(right, SOCKETS, "each has its own answer");
    sockets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_sockets_are_open_at_once_and_each_is_answered() {
    raise_limit();
    let wide = Deployment { concurrency: Some(1000), ..named("demo-a", sample(Behaviour::Fixed)) };
    let emulator = with(options(), vec![wide]).await;
    drop(open_and_ask(&emulator.service_url().unwrap()).await);
    emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_sockets_reach_processes_again_and_again_and_leave_nothing_behind() {
    raise_limit();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.yaml");
    let revision = json!({"exec": backends::node_command("fixed"), "concurrency": 1000});
    std::fs::write(&file, json!({"revisions": [revision]}).to_string()).unwrap();
    // The limit of most shells, which an emulator must raise by itself.
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -Sn 1024; exec "$0" "$@""#, env!("CARGO_BIN_EXE_revgate"), "emulator"]);
    command.arg("--scenario").arg(file).stdout(Stdio::null()).kill_on_drop(true);
    let (child, address) = started(command).await;
    let service = || async {
        reqwest::get(format!("{address}/{SERVICE}")).await.unwrap().json::<Value>().await.unwrap()
    };
    eventually("it serves", || async {
        service().await["terminalCondition"]["state"] == "CONDITION_SUCCEEDED"
    })
    .await;
    let url = service().await["uri"].as_str().unwrap().to_owned();
    // Entries are kept, up to a number: the sockets' own would fill the memory.
    fill(&reqwest::Client::new(), &address).await;
    let mut sizes = Vec::new();
    for _ in 0..ROUNDS {
        drop(open_and_ask(&url).await);
        sizes.push(memory(child.id().unwrap()));
    }
    assert!(sizes[ROUNDS - 1] * 10 <= sizes[ROUNDS / 2 - 1] * 11, "{sizes:?} KiB");
}
