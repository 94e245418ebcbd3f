//! What the tests share: an emulator that is quick, and clients that are plain.

use std::{future::Future, time::Duration};

use futures_util::StreamExt as _;
use revgate::emulator::{Behaviour, Deployment, Emulator, EmulatorOptions, Faults, SampleBackend, Workload};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest, handshake::client::Response},
};

pub(crate) type Socket = WebSocketStream<TcpStream>;

/// Far longer than anything here takes; only a defect reaches it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) fn options() -> EmulatorOptions {
    EmulatorOptions {
        pace: Duration::from_millis(20),
        ..EmulatorOptions::new("2026-11-23T20:28:12Z".parse().unwrap())
    }
}

pub(crate) fn sample(behaviour: Behaviour) -> Deployment {
    Deployment::new(Workload::Sample(SampleBackend::new(behaviour)))
}

pub(crate) fn named(name: &str, deployment: Deployment) -> Deployment {
    Deployment { revision: Some(name.to_owned()), ..deployment }
}

pub(crate) fn tagged(tag: &str, deployment: Deployment) -> Deployment {
    Deployment { tag: Some(tag.to_owned()), ..deployment }
}

/// An emulator with these revisions, each settled.
pub(crate) async fn with(options: EmulatorOptions, deployments: Vec<Deployment>) -> Emulator {
    let emulator = Emulator::start(options).await.unwrap();
    for deployment in deployments {
        emulator.deploy(deployment).await.unwrap();
        settled(&emulator).await;
    }
    emulator
}

/// Two healthy revisions: `demo-a` with all traffic, `demo-b` with the tag `candidate`.
pub(crate) async fn two() -> Emulator {
    let a = named("demo-a", sample(Behaviour::Fixed));
    let b = tagged("candidate", named("demo-b", sample(Behaviour::Fixed)));
    with(options(), vec![a, b]).await
}

pub(crate) async fn settled(emulator: &Emulator) {
    tokio::time::timeout(DEADLINE, emulator.settled()).await.expect("settles");
}

pub(crate) fn faults(emulator: &Emulator, change: impl FnOnce(&mut Faults)) {
    let mut faults = emulator.faults();
    change(&mut faults);
    emulator.set_faults(faults);
}

pub(crate) fn path(tail: &str) -> String {
    format!("/v2/projects/demo-project/locations/us-central1/{tail}")
}

/// Calls the API; gives status and body.
pub(crate) async fn call(emulator: &Emulator, method: &str, tail: &str, body: Option<Value>) -> (u16, Value) {
    let url = format!("{}{}", emulator.api_endpoint(), path(tail));
    let mut request = reqwest::Client::new().request(method.parse().unwrap(), url);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["server"], "ESF");
    (response.status().as_u16(), response.json().await.unwrap())
}

pub(crate) async fn get(emulator: &Emulator, tail: &str) -> Value {
    let (status, body) = call(emulator, "GET", tail, None).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// How many entries of the log have these words.
pub(crate) async fn entries_with(emulator: &Emulator, words: &str) -> usize {
    let body = json!({
        "resourceNames": ["projects/demo-project"], "filter": format!("textPayload:\"{words}\""), "pageSize": 1000,
    });
    let url = format!("{}/v2/entries:list", emulator.api_endpoint());
    let response = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    let listed: Value = response.json().await.unwrap();
    listed["entries"].as_array().map_or(0, Vec::len)
}

/// Opens a socket at a URL of the front end, with more header fields.
pub(crate) async fn open_with(
    url: &str,
    path: &str,
    fields: &[(&'static str, &str)],
) -> Result<(Socket, Response), tungstenite::Error> {
    let authority = url.strip_prefix("http://").unwrap();
    let mut request = format!("ws://{authority}{path}").into_client_request().unwrap();
    for (name, value) in fields {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(authority).await.unwrap();
    client_async(request, stream).await
}

pub(crate) async fn open(url: &str) -> Socket {
    open_with(url, "/ws", &[]).await.unwrap().0
}

/// The next frame as JSON, or as text where it is none.
pub(crate) async fn frame(socket: &mut Socket) -> Value {
    match tokio::time::timeout(DEADLINE, socket.next()).await.expect("a frame in time") {
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap_or_else(|_| text.as_str().into()),
        other => panic!("no text frame: {other:?}"),
    }
}

/// Reads to the end: the types of the frames, and the close code with its reason; `None` without a close frame.
pub(crate) async fn read_out(socket: &mut Socket) -> (Vec<String>, Option<(u16, String)>) {
    let mut types = Vec::new();
    let mut close = None;
    let read = async {
        while let Some(Ok(message)) = socket.next().await {
            match message {
                Message::Text(text) => {
                    let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
                    types.push(value["type"].as_str().unwrap_or("text").to_owned());
                }
                Message::Close(frame) => {
                    close = frame.map(|frame| (u16::from(frame.code), frame.reason.as_str().to_owned()));
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(DEADLINE, read).await.expect("the socket ends");
    (types, close)
}

/// Asks again until it is so.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    let ask = async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, ask).await.unwrap_or_else(|_| panic!("never: {what}"));
}
