//! What counts as an answer, on servers of common protocols: each defect was approved once, each healthy twin blocked.
//!
//! The servers live in the test, on loopback, and end with it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "answers/misdirected.rs"]
mod misdirected;
#[path = "answers/refused.rs"]
mod refused;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, interval_at, sleep};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, accept_async};

/// Enough rounds for a pass within seconds, and an answer that is not waited for too long.
const QUICK: &str = "timeouts: { answer: 1s, serves-hold: 500ms }\nrace: { tolerated: 5% }\n";
/// What comes before this is lost, where handlers are attached late.
const ATTACHED: Duration = Duration::from_millis(20);
/// A racy start takes this long.
const WINDOW: Duration = Duration::from_millis(5);

/// What a server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Greets, ticks and never answers.
    MuteTicker,
    /// Greets, ticks, and loses what comes at the 101.
    LostTicker,
    /// Loses what comes before its greeting, which has an id of its own each time.
    LostUuid,
    /// Refuses whoever comes while another is being made, in Socket.IO's words.
    RacySocketIo,
    /// The same in Phoenix's.
    RacyPhoenix,
    /// The same in `SignalR`'s.
    RacySignalR,
    /// Healthy: greets with how many are there.
    Online,
    /// Healthy: greets with one of three sentences.
    Tips,
    /// Healthy: greets and tells the time.
    Clock,
    /// Healthy: streams lines of a log, some of them of errors.
    Logs,
    /// Healthy: answers once and closes.
    OneShot,
    /// Healthy: says nothing of itself and answers.
    Plain,
    /// Healthy: answers in other words each time.
    Chatty,
    /// Healthy: ticks with a number and answers with one.
    Numbers,
    /// Healthy: Engine.IO's ping comes soon, and whoever sends no pong for as long again is gone.
    Pinging,
    /// Refuses those that only listen, by their turn: two before and two behind those from which answers are learned.
    Late,
}

/// From Engine.IO's opening to its ping, and from that to the end without a pong.
const PING: Duration = Duration::from_millis(1500);

impl Manner {
    fn greeting(self, number: usize) -> Option<String> {
        match self {
            Self::MuteTicker | Self::LostTicker | Self::Clock | Self::Logs => {
                Some(r#"{"type":"hello"}"#.to_owned())
            }
            Self::LostUuid => Some(format!(
                r#"{{"type":"welcome","msg":"your id is 5e3f0b52-abcd-4dcb-8f3a-{number:012x}"}}"#
            )),
            Self::Online => Some(format!("{} users online", number % 7)),
            Self::Tips => Some(["Tip: save often", "Tip: use search", "Tip: read on"][number % 3].to_owned()),
            Self::RacySocketIo | Self::Pinging => Some(format!(r#"0{{"sid":"{number}","upgrades":[]}}"#)),
            Self::RacyPhoenix
            | Self::RacySignalR
            | Self::OneShot
            | Self::Plain
            | Self::Chatty
            | Self::Numbers
            | Self::Late => None,
        }
    }

    fn tick(self, number: usize) -> Option<(Duration, String)> {
        match self {
            Self::MuteTicker | Self::LostTicker => {
                Some((Duration::from_millis(400), r#"{"type":"tick"}"#.to_owned()))
            }
            Self::Numbers => Some((Duration::from_millis(400), "7".to_owned())),
            Self::Pinging => Some((PING, "2".to_owned())),
            Self::Clock => Some((Duration::from_millis(900), r#"{"type":"clock"}"#.to_owned())),
            Self::Logs => {
                let level = if number.is_multiple_of(3) { "error" } else { "info" };
                Some((Duration::from_millis(50), format!(r#"{{"level":"{level}","message":"x"}}"#)))
            }
            _ => None,
        }
    }

    /// The answer, to one who came while another was being made.
    fn answer(self, refused: bool, number: usize) -> &'static str {
        match (self, refused) {
            (Self::Numbers, _) => "42",
            (Self::Chatty, _) => ["Yes, of course", "No, not at all", "Perhaps, who knows"][number % 3],
            (Self::RacySocketIo, true) => r#"44{"message":"factory init failed"}"#,
            (Self::RacySocketIo | Self::Pinging, false) => r#"40{"sid":"x"}"#,
            (Self::RacyPhoenix, true) => r#"["1","1","room:1","phx_reply",{"status":"error","response":{}}]"#,
            (Self::RacyPhoenix, false) => r#"["1","1","room:1","phx_reply",{"status":"ok","response":{}}]"#,
            (Self::RacySignalR, true) => "{\"error\":\"init failed\"}\u{1e}",
            (Self::RacySignalR, false) => "{}\u{1e}",
            (Self::Online | Self::Tips | Self::OneShot | Self::Plain, _) => "pong",
            _ => r#"{"type":"pong"}"#,
        }
    }

    fn is_racy(self) -> bool {
        matches!(self, Self::RacySocketIo | Self::RacyPhoenix | Self::RacySignalR)
    }
}

/// What the sockets of one server share.
#[derive(Debug, Default)]
struct Shared {
    opened: AtomicUsize,
    busy: AtomicBool,
}

/// One socket, to its end.
async fn talk(mut socket: WebSocketStream<TcpStream>, manner: Manner, shared: &Shared) -> Option<()> {
    let number = shared.opened.fetch_add(1, Ordering::SeqCst);
    let opened = Instant::now();
    let loses = matches!(manner, Manner::LostTicker | Manner::LostUuid);
    if manner == Manner::LostUuid {
        sleep(ATTACHED).await;
        // What has come meanwhile is lost.
        while let Ok(Some(Ok(_))) = tokio::time::timeout(Duration::from_millis(1), socket.next()).await {}
    }
    if let Some(text) = manner.greeting(number) {
        socket.send(Message::text(text)).await.ok()?;
    }
    let every = manner.tick(0).map_or(Duration::from_hours(1), |tick| tick.0);
    let mut ticks = interval_at(opened + every, every);
    let mut ticked = number;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                ticked += 1;
                if manner == Manner::Pinging && ticked > number + 1 {
                    return None;
                }
                socket.send(Message::text(manner.tick(ticked)?.1)).await.ok()?;
            }
            message = socket.next() => {
                if !message?.ok()?.is_text() { continue; }
                let early = loses && manner != Manner::LostUuid && opened.elapsed() < ATTACHED;
                if early || manner == Manner::MuteTicker { continue; }
                let refused = manner.is_racy() && shared.busy.swap(true, Ordering::SeqCst);
                if manner.is_racy() && !refused {
                    sleep(WINDOW).await;
                    shared.busy.store(false, Ordering::SeqCst);
                }
                socket.send(Message::text(manner.answer(refused, number))).await.ok()?;
                if manner == Manner::OneShot {
                    let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
                    return socket.close(Some(frame)).await.ok();
                }
            }
        }
    }
}

/// The exit code and what was said, of a check of such a server.
async fn check(manner: Manner, more: &str) -> (i32, String) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let shared = Arc::new(Shared::default());
    let serving = tokio::spawn(async move {
        let mut accepted = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            accepted += 1;
            if manner == Manner::Late && [1, 2, 5, 6].contains(&accepted) {
                let refusal = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
                let _ = (stream.read(&mut [0; 4096]).await, stream.write_all(refusal).await);
                continue;
            }
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let socket = accept_async(stream).await.ok()?;
                talk(socket, manner, &shared).await
            });
        }
    });
    let patterns = if manner == Manner::Late { "control" } else { "first-contact,control,first-message" };
    let checked = gate(url, "ping", patterns, format!("{QUICK}{more}")).await;
    serving.abort();
    checked
}

/// The exit code and what was said, of a check of the server at `url`.
async fn gate(url: String, send: &'static str, patterns: &'static str, config: String) -> (i32, String) {
    let checked = tokio::task::spawn_blocking(move || {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("revgate.yaml"), config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_revgate"));
        command.env_clear().current_dir(folder.path()).stdin(Stdio::null());
        command.args(["check", "--url", &url, "--send", send, "--skip", "ready,identity"]);
        command.args(["--no-calibration", "--pattern", patterns, "--time-budget", "40s"]);
        command.args(["--color", "never", "--progress", "none"]);
        let output = command.output().unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap_or(-1), text)
    });
    checked.await.unwrap()
}

async fn assert_check(manner: Manner, more: &str, code: i32, words: &str) {
    let (ended, text) = check(manner, more).await;
    assert_eq!(ended, code, "{manner:?}\n{text}");
    assert!(text.contains(words), "{manner:?}: {words}\n{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_is_no_answer() {
    assert_check(Manner::LostTicker, "", 10, "no answer to what was sent").await;
    assert_check(Manner::MuteTicker, "", 10, "no answer to what was sent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greeting_with_an_id_of_its_own_is_no_answer() {
    assert_check(Manner::LostUuid, "", 10, "first-message: no answer to what was sent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_common_protocols_are_no_answers() {
    assert_check(Manner::RacySocketIo, "", 10, "error frame \"44{").await;
    assert_check(Manner::RacyPhoenix, "", 10, "error frame \"[").await;
    assert_check(Manner::RacySignalR, "", 10, "error frame \"{").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn healthy_servers_that_were_blocked_are_approved() {
    let all = [Manner::Online, Manner::Tips, Manner::Clock, Manner::Logs, Manner::Plain, Manner::Pinging];
    for manner in all {
        assert_check(manner, "", 0, "APPROVED").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_could_not_listen_says_so_and_asks_for_no_pattern() {
    let (code, text) = check(Manner::Late, "").await;
    assert!(code == 11 && !text.contains("--expect"), "{text}");
    let words = "the socket that sends nothing did not open, so that nobody knows what comes unasked: HTTP 500 instead of 101";
    assert!(text.contains(words), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_after_the_answer_is_declared_or_fails() {
    assert_check(Manner::OneShot, "closes: [1000]\n", 0, "APPROVED").await;
    assert_check(Manner::OneShot, "", 10, "`closes: [").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_told_is_inconclusive_until_it_is_declared() {
    let words = "an answer to what was sent cannot be told from what comes unasked";
    assert_check(Manner::Chatty, "", 11, words).await;
    assert_check(Manner::Chatty, "", 11, "describe the answer with --expect PATTERN").await;
    assert_check(Manner::Chatty, "expect: '^(Yes|No|Perhaps), '\n", 0, "APPROVED").await;
    assert_check(Manner::Numbers, "", 11, words).await;
    assert_check(Manner::Numbers, "expect: '^42$'\n", 0, "APPROVED").await;
}
