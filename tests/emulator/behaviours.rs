//! Each behaviour of the sample backend, at least once.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{SinkExt as _, StreamExt as _, future::join_all};
use jsonwebtoken::{EncodingKey, Header, encode};
use revgate::emulator::{
    Behaviour, Deployment, Emulator, JwtRefusal, SampleBackend, Scenario, SubprotocolEcho, Workload,
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message};

use super::support::{DEADLINE, Socket, frame, open, open_with, options, read_out, with};

const NOW: i64 = 1_795_465_692;

async fn started(backend: SampleBackend) -> (Emulator, String) {
    let emulator = with(options(), vec![Deployment::new(Workload::Sample(backend))]).await;
    let url = emulator.service_url().unwrap();
    (emulator, url)
}

async fn behaving(behaviour: Behaviour) -> (Emulator, String) {
    started(SampleBackend::new(behaviour)).await
}

/// How an opening was refused: the status, or 0 for no answer at all.
async fn refusal(url: &str) -> u16 {
    match open_with(url, "/ws", &[]).await {
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        Err(_) => 0,
        Ok(_) => panic!("it opened"),
    }
}

async fn say(socket: &mut Socket, value: &Value) {
    socket.send(Message::text(value.to_string())).await.unwrap();
}

/// Reads what a healthy server says unasked.
async fn greeted(socket: &mut Socket) {
    assert_eq!(frame(socket).await["type"], "handshake_validation");
    assert_eq!(frame(socket).await["type"], "ping");
    let ready = frame(socket).await;
    assert_eq!(
        (&ready["type"], &ready["data"]["event"]),
        (&json!("system_message"), &json!("connection_established"))
    );
}

/// Opens two sockets at once: how many were closed with 1011 before a first frame, and the others.
async fn pair(url: &str, paths: [&str; 2]) -> (u32, Vec<Socket>) {
    let opened = join_all(paths.map(|path| open_with(url, path, &[]))).await;
    let (mut lost, mut kept) = (0, Vec::new());
    for opened in opened {
        let mut socket = opened.unwrap().0;
        match tokio::time::timeout(DEADLINE, socket.next()).await.expect("a frame in time") {
            Some(Ok(Message::Close(Some(frame)))) => {
                assert_eq!(u16::from(frame.code), 1011);
                assert_eq!(frame.reason.as_str(), "Factory init failed");
                lost += 1;
            }
            Some(Ok(Message::Text(_))) => kept.push(socket),
            other => panic!("neither a frame nor a close: {other:?}"),
        }
    }
    (lost, kept)
}

#[tokio::test]
async fn fixed_greets_answers_and_runs_an_agent() {
    let (_emulator, url) = behaving(Behaviour::Fixed).await;
    let mut socket = open(&url).await;
    greeted(&mut socket).await;
    say(&mut socket, &json!({"type": "ping", "nonce": "n7"})).await;
    assert_eq!(frame(&mut socket).await, json!({"type": "pong", "nonce": "n7"}));
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(frame(&mut socket).await, json!({"type": "echo", "text": "hello"}));
    say(&mut socket, &json!({"type": "start_agent", "payload": {"user_request": "two words"}})).await;
    for name in ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"] {
        assert_eq!(frame(&mut socket).await["type"], name);
    }
    say(&mut socket, &json!({"type": "start_agent", "payload": {}})).await;
    assert_eq!(frame(&mut socket).await["type"], "error");
    socket.close(None).await.unwrap();
    assert_eq!(read_out(&mut socket).await.0, Vec::<String>::new());
    for path in ["/", "/health", "/health/ready"] {
        assert_eq!(reqwest::get(format!("{url}{path}")).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn heartbeats_come_by_themselves() {
    let (_emulator, url) =
        started(SampleBackend { heartbeat: Duration::from_millis(5), ..SampleBackend::default() }).await;
    let mut socket = open(&url).await;
    greeted(&mut socket).await;
    assert_eq!(frame(&mut socket).await["type"], "heartbeat");
}

#[tokio::test]
async fn refusals_of_the_opening() {
    for (behaviour, status) in [
        (Behaviour::Always503, 503),
        (Behaviour::Refuse503, 503),
        (Behaviour::Refuse403, 403),
        (Behaviour::NotFound, 404),
        (Behaviour::OkWithoutUpgrade, 200),
        (Behaviour::Reset, 0),
    ] {
        let (_emulator, url) = behaving(behaviour).await;
        assert_eq!(refusal(&url).await, status, "{behaviour:?}");
        let health = reqwest::get(format!("{url}/health")).await.unwrap().status().as_u16();
        assert_eq!(health, if behaviour == Behaviour::Always503 { 503 } else { 200 });
    }
}

#[tokio::test]
async fn hanging_and_silence_last() {
    // Nothing to wait for: that nothing comes is all that can be seen.
    let patience = Duration::from_millis(200);
    for behaviour in [Behaviour::NeverAnswers, Behaviour::Hang] {
        let (_emulator, url) = behaving(behaviour).await;
        assert!(tokio::time::timeout(patience, open(&url)).await.is_err(), "{behaviour:?}");
    }
    let (_emulator, url) = behaving(Behaviour::Silent).await;
    let mut socket = open(&url).await;
    say(&mut socket, &json!({"type": "ping"})).await;
    assert!(tokio::time::timeout(patience, socket.next()).await.is_err());
}

#[tokio::test]
async fn endings_after_the_accept() {
    let welcome = ["handshake_validation", "ping", "system_message"].as_slice();
    for (behaviour, types, code) in [
        (Behaviour::Abort, [].as_slice(), None),
        (Behaviour::Close1000, &[], Some(1000)),
        (Behaviour::Close1008, &[], Some(1008)),
        (Behaviour::Close1011, &[], Some(1011)),
        (Behaviour::ErrorThen1011, &["error"], Some(1011)),
        (Behaviour::OneFrameThen1011, &["system_message"], Some(1011)),
        (Behaviour::PongThen1011, welcome, Some(1011)),
    ] {
        let (_emulator, url) = behaving(behaviour).await;
        let (seen, close) = read_out(&mut open(&url).await).await;
        assert_eq!(
            (seen.as_slice(), close.map(|close| close.0)),
            (&types.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>()[..], code),
            "{behaviour:?}"
        );
    }
}

#[tokio::test]
async fn a_correct_pong_then_1011() {
    let (_emulator, url) = behaving(Behaviour::PongThen1011).await;
    let mut socket = open(&url).await;
    greeted(&mut socket).await;
    say(&mut socket, &json!({"type": "ping", "nonce": 3})).await;
    assert_eq!(frame(&mut socket).await, json!({"type": "pong", "nonce": 3}));
    assert_eq!(read_out(&mut socket).await.1.unwrap().0, 1011);
}

#[tokio::test]
async fn startup_race_hits_the_first_contact_only() {
    let (_emulator, url) = started(SampleBackend {
        window: Duration::from_millis(300),
        ..SampleBackend::new(Behaviour::StartupRace)
    })
    .await;
    let (_, close) = read_out(&mut open(&url).await).await;
    assert_eq!(close, Some((1011, "service not ready".to_owned())));
    super::support::eventually("the service is set", || async {
        reqwest::get(format!("{url}/health")).await.unwrap().status() == 200
    })
    .await;
    greeted(&mut open(&url).await).await;
}

#[tokio::test]
async fn check_then_act_races_for_each_user_and_arms_again() {
    let window = Duration::from_millis(250);
    let (emulator, url) =
        started(SampleBackend { window, ..SampleBackend::new(Behaviour::CheckThenAct) }).await;
    for _ in 0..3 {
        let (lost, kept) = pair(&url, ["/ws?user=ann", "/ws?user=ann"]).await;
        assert_eq!((lost, kept.len()), (1, 1));
        let (lost, others) = pair(&url, ["/ws?user=bob", "/ws?user=eve"]).await;
        assert_eq!((lost, others.len()), (0, 2));
        for mut socket in kept.into_iter().chain(others) {
            socket.close(None).await.unwrap();
            read_out(&mut socket).await;
        }
        wait_for_leaving(&emulator).await;
    }
}

/// All sockets that were accepted have ended, by the revision's own log.
async fn wait_for_leaving(emulator: &Emulator) {
    super::support::eventually("every socket has left", || async {
        let state: Value = reqwest::get(format!("{}/__emulator/state", emulator.api_endpoint()))
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let logs = state["services"]["demo"]["logs"].as_object().unwrap().values().next().unwrap().clone();
        let count = |text: &str| {
            logs.as_array().unwrap().iter().filter(|line| line.as_str().unwrap().contains(text)).count()
        };
        count("accepted") == count("left") + count("closed with")
    })
    .await;
}

#[tokio::test]
async fn lazy_singleton_races_across_users() {
    let window = Duration::from_millis(250);
    let (_emulator, url) =
        started(SampleBackend { window, ..SampleBackend::new(Behaviour::LazySingleton) }).await;
    let (lost, kept) = pair(&url, ["/ws?user=ann", "/ws?user=bob"]).await;
    assert_eq!((lost, kept.len()), (1, 1));
    let mut late = open_with(&url, "/ws?user=eve", &[]).await.unwrap().0;
    greeted(&mut late).await;
}

#[tokio::test]
async fn a_rate_hits_its_share_and_the_same_ones_again() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let (_emulator, url) =
            started(SampleBackend { rate: 0.33, ..SampleBackend::new(Behaviour::Refuse503) }).await;
        let mut refused = Vec::new();
        for _ in 0..60 {
            refused.push(open_with(&url, "/ws", &[]).await.is_err());
        }
        runs.push(refused);
    }
    let count = runs[0].iter().filter(|refused| **refused).count();
    assert!((8..35).contains(&count), "{count} of 60");
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn hostile_text_comes_raw() {
    let (_emulator, url) = behaving(Behaviour::HostileText).await;
    let mut socket = open(&url).await;
    let (_, close) = read_out(&mut socket).await;
    let (code, reason) = close.unwrap();
    assert_eq!(code, 1011);
    let body = reqwest::get(format!("{url}/refuse")).await.unwrap().text().await.unwrap();
    for text in [reason, body] {
        assert!(
            text.contains("\u{1b}[31m") && text.contains('\u{202e}') && text.contains("\n::error::injected")
        );
    }
}

#[tokio::test]
async fn secrets_are_said_back() {
    let (_emulator, url) = behaving(Behaviour::EchoSecrets).await;
    let fields = [("authorization", "Bearer s3cret"), ("x-serverless-authorization", "Bearer t0ken")];
    let mut socket = open_with(&url, "/ws", &fields).await.unwrap().0;
    let said = frame(&mut socket).await;
    assert_eq!(said["authorization"], "Bearer s3cret");
    assert_eq!(said["x_serverless_authorization"], "Bearer t0ken");
    greeted(&mut socket).await;
    let refused =
        reqwest::Client::new().get(format!("{url}/refuse")).bearer_auth("s3cret").send().await.unwrap();
    assert_eq!(refused.status(), 403);
    assert!(refused.text().await.unwrap().contains("s3cret"));
}

fn token(secret: &str, expires: i64) -> String {
    let claims = json!({"sub": "ann", "exp": expires});
    encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

#[tokio::test]
async fn tokens_are_verified_from_header_subprotocol_query_and_cookie() {
    let secure = SampleBackend {
        jwt_secret: Some("a secret".into()),
        subprotocol_echo: SubprotocolEcho::Token,
        ..SampleBackend::default()
    };
    let (_emulator, url) = started(secure).await;
    let good = token("a secret", NOW + 600);
    let header = format!("Bearer {good}");
    assert!(open_with(&url, "/ws", &[("authorization", &header)]).await.is_ok());
    assert!(open_with(&url, &format!("/ws?token={good}"), &[]).await.is_ok());
    assert!(open_with(&url, "/ws", &[("cookie", &format!("a=b; token={good}"))]).await.is_ok());
    assert!(open_with(&url, "/ws", &[("cookie", &format!("a=b; other={good}"))]).await.is_err());
    let protocol = format!("jwt.{}", URL_SAFE_NO_PAD.encode(&good));
    let offered = [("sec-websocket-protocol", protocol.as_str())];
    let (mut socket, response) = open_with(&url, "/ws", &offered).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], protocol.as_str());
    assert_eq!(frame(&mut socket).await["data"]["user_id"], "ann");
    for bad in [token("another", NOW + 600), token("a secret", NOW - 600), "x".to_owned()] {
        let header = format!("Bearer {bad}");
        let refused = open_with(&url, "/ws", &[("authorization", &header)]).await;
        assert!(matches!(refused, Err(tungstenite::Error::Http(response)) if response.status() == 401));
    }
    assert_eq!(refusal(&url).await, 401);
}

#[tokio::test]
async fn a_bad_token_may_be_refused_by_1008() {
    let secure = SampleBackend {
        jwt_secret: Some("a secret".into()),
        jwt_refusal: JwtRefusal::Close1008,
        ..SampleBackend::default()
    };
    let (_emulator, url) = started(secure).await;
    let (types, close) = read_out(&mut open(&url).await).await;
    assert_eq!((types, close.unwrap().0), (vec!["error".to_owned()], 1008));
}

#[tokio::test]
async fn a_scenario_from_text() {
    let text = r"
service: checkout
pace: 10ms
revisions:
  - name: checkout-a
  - {name: checkout-b, behaviour: close-1011, tag: candidate, labels: {commit: abc}, created_minutes_ago: 3}
faults: {new_tag_404_for: never}
";
    let scenario = Scenario::parse(text).unwrap();
    let started_at = "2026-11-23T20:28:12Z".parse().unwrap();
    let emulator = Emulator::start_scenario(&scenario, None, started_at).await.unwrap();
    let url = emulator.tag_url("candidate").unwrap();
    assert_eq!(refusal(&url).await, 404);
    emulator.set_faults(revgate::emulator::Faults::default());
    assert_eq!(read_out(&mut open(&url).await).await.1.unwrap().0, 1011);
    greeted(&mut open(&emulator.service_url().unwrap()).await).await;
}
