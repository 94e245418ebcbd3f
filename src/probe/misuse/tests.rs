use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::{
    BadFrame, FileConfig, FramesSettings, Lookup, OwnHeartbeat, Purpose, Settings, Template,
};
use crate::config::{Typed, merge};
use crate::probe::{Address, Prober, Series};
use crate::trust::Redactor;

/// What every usual message is answered with.
const ANSWER: &str = r#"{"type":"pong"}"#;

/// So long that no test waits for it but one that hangs.
const HANGS: Duration = Duration::from_secs(40);

/// A server on loopback that does this with each socket, by its number, from 1 on.
async fn server<F>(serve: impl Fn(u32, WebSocketStream<TcpStream>) -> F + Send + Sync + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let serve = Arc::new(serve);
    tokio::spawn(async move {
        for number in 1.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            let serve = Arc::clone(&serve);
            tokio::spawn(async move {
                if let Ok(socket) = accept_async(stream).await {
                    serve(number, socket).await;
                }
            });
        }
    });
    url
}

/// Answers each text of the usual kind, and tells all texts.
async fn answer(mut socket: WebSocketStream<TcpStream>, mut tell: impl FnMut(&str)) {
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        tell(&text);
        if text.starts_with("hello") {
            let _ = socket.send(Message::text(ANSWER)).await;
        }
    }
}

fn settings(url: &str, limits: &str, frames: &str) -> (Settings, FramesSettings) {
    let text = format!(
        "url: {url}\nusers: [u1, u2]\nsend: 'hello {{{{user}}}}'\nexpect: '{ANSWER}'\n{limits}frames: {{ {frames} }}\n"
    );
    let file = FileConfig::parse("revgate.yaml", text.as_bytes()).unwrap();
    let settings = merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Gate).unwrap().settings;
    let frames = settings.configured.frames.clone().unwrap();
    (settings, frames)
}

/// What is seen; a test that hangs fails.
async fn seen(
    url: &str,
    settings: &Settings,
    frames: &FramesSettings,
    cut: &CancellationToken,
) -> FramesSeen {
    let address = Address::new(&url::Url::parse(url).unwrap()).unwrap();
    let prober = Prober::new(address, settings, None, Redactor::default(), Instant::now(), 0);
    let mut series = Series::after("run".to_owned(), 0);
    let sending = send_bad_frames(&prober, frames, None, None, &mut series, cut);
    timeout(HANGS, sending).await.expect("it does not end")
}

#[tokio::test]
async fn a_bystander_says_no_more_than_its_user_may() {
    let told: Arc<Mutex<BTreeMap<u32, u32>>> = Arc::default();
    let hears = Arc::clone(&told);
    let url = server(move |number, socket| {
        let hears = Arc::clone(&hears);
        answer(socket, move |_| *hears.lock().unwrap().entry(number).or_default() += 1)
    });
    let url = url.await;
    let limits = "limits: { messages-per-minute: 4 }\n";
    let (settings, mut frames) = settings(&url, limits, "kinds: [malformed-json], tries: 1, bystanders: 1");
    let text = Template::parse("beat").unwrap();
    frames.own_heartbeat = Some(OwnHeartbeat { text, every: Duration::from_millis(10) });
    let seen = seen(&url, &settings, &frames, &CancellationToken::new()).await;
    assert!(seen.bystanders[0].answered == Some(true) && seen.bad[0].answered && !seen.cut, "{seen:?}");
    assert_eq!(told.lock().unwrap()[&2], 4, "its message, two heartbeats, and its message again");
}

#[tokio::test]
async fn an_end_of_the_run_is_not_waited_for_by_bystanders() {
    let cut = CancellationToken::new();
    let ends = cut.clone();
    let url = server(move |number, socket| {
        // The first of the bystanders: the others are to follow, one a second.
        if number == 2 {
            ends.cancel();
        }
        answer(socket, |_| ())
    });
    let url = url.await;
    let limits = "limits: { openings-per-second: 1 }\n";
    let (settings, mut frames) = settings(&url, limits, "kinds: [malformed-json], bystanders: 1");
    frames.bystanders = 2 * u32::try_from(HANGS.as_secs()).unwrap();
    let seen = seen(&url, &settings, &frames, &cut).await;
    assert!(seen.cut && seen.bad.is_empty(), "{:?}", seen.bad);
    assert_eq!(seen.bystanders.len(), 80, "what was seen is handed over");
}

#[tokio::test]
async fn an_end_of_the_run_is_heard_while_a_server_does_not_read() {
    let cut = CancellationToken::new();
    let ends = cut.clone();
    let url = server(move |number, socket| {
        let ends = ends.clone();
        async move {
            if number < 3 {
                return answer(socket, |_| ()).await;
            }
            // By then it has been sent what it does not read.
            sleep(Duration::from_millis(1500)).await;
            ends.cancel();
            std::future::pending::<()>().await;
            drop(socket);
        }
    });
    let url = url.await;
    let limits = "timeouts: { answer: 300s }\n";
    let (settings, frames) = settings(&url, limits, "largest: 15MiB, kinds: [far-over], bystanders: 1");
    let seen = seen(&url, &settings, &frames, &cut).await;
    let [bad] = seen.bad.as_slice() else { panic!("{seen:?}") };
    assert!(bad.kind == BadFrame::FarOver && bad.sent && bad.bad_at.is_some(), "{bad:?}");
    assert!(bad.observation.timeline.cut.is_some(), "{bad:?}");
}

#[tokio::test]
async fn a_bystander_that_is_closed_in_the_end_is_lost() {
    let url = server(|number, mut socket| async move {
        if number != 2 {
            return answer(socket, |_| ()).await;
        }
        // Its second message is one too many.
        let mut messages = 0;
        while let Some(Ok(message)) = socket.next().await {
            messages += u32::from(message.is_text());
            if messages == 2 {
                break;
            }
            if message.is_text() {
                let _ = socket.send(Message::text(ANSWER)).await;
            }
        }
        let _ = socket.close(None).await;
        while let Some(Ok(_)) = socket.next().await {}
    });
    let url = url.await;
    let (settings, frames) = settings(&url, "", "kinds: [malformed-json], tries: 1, bystanders: 1");
    let seen = seen(&url, &settings, &frames, &CancellationToken::new()).await;
    let [bystander] = seen.bystanders.as_slice() else { panic!("{seen:?}") };
    let (lost, bad_at) = (bystander.lost, seen.bad[0].bad_at);
    assert!(bystander.answered == Some(false) && lost.is_some() && bad_at < lost, "{bystander:?}");
}
