//! Very many sockets at once.

use futures_util::{SinkExt as _, future::join_all};
use revgate::emulator::{Behaviour, Deployment};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{frame, named, open_with, options, sample, with};

/// Sockets that are open at once.
const SOCKETS: usize = 2000;

/// Three descriptors a socket would do; what the machine allows is taken.
fn raise_limit() {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_sockets_are_open_at_once_and_each_is_answered() {
    raise_limit();
    let wide = Deployment { concurrency: Some(1000), ..named("demo-a", sample(Behaviour::Fixed)) };
    let emulator = with(options(), vec![wide]).await;
    let url = emulator.service_url().unwrap();
    let opened = join_all((0..SOCKETS).map(|_| open_with(&url, "/ws", &[]))).await;
    let mut sockets: Vec<_> = opened.into_iter().map(|opened| opened.unwrap().0).collect();
    assert_eq!(sockets.len(), SOCKETS);
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
    assert!(join_all(conversations).await.into_iter().all(|right| right), "each its own answer");
    drop(sockets);
    emulator.shutdown().await;
}
