//! What is said on an open socket, and how it ends.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::{Instant, interval_at, sleep_until, timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{
    agent,
    refusal::{Refused, refuse},
    settings::Behaviour,
    state::Sample,
    text,
};
use crate::emulator::front::{Client, Head};

/// Time between a correct answer and the 1011 of pong-then-1011.
const SECOND_THOUGHT: Duration = Duration::from_millis(500);
/// Time after which pong-then-1011 closes a socket that asks nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a closing server waits for the client's close.
const CLOSING: Duration = Duration::from_secs(5);

/// An accepted socket.
#[derive(Debug)]
pub(crate) struct Socket<'a> {
    /// The instance.
    pub(crate) sample: &'a Sample,
    /// What this socket meets.
    pub(crate) behaviour: Behaviour,
    /// Whether the service was set when it came.
    pub(crate) set_up: bool,
    /// Its request.
    pub(crate) head: &'a Head,
    /// The stream.
    pub(crate) stream: WebSocketStream<&'a mut Client>,
}

/// How a conversation ends.
#[derive(Debug)]
pub(super) enum End {
    /// The client has left, or is gone.
    Left,
    /// The server is gone, without a close frame.
    Gone,
    /// The server closes.
    Close(u16, &'static str),
}

/// Holds the conversation to its end.
pub(crate) async fn run(mut socket: Socket<'_>, user: Result<String, String>) {
    let end = match &user {
        Ok(user) => behave(&mut socket, user).await,
        Err(reason) => match refuse(&mut socket, reason).await {
            Refused::End(end) => end,
            Refused::Accepted => behave(&mut socket, "anonymous").await,
        },
    };
    match end {
        End::Left => socket.sample.say("WebSocket left"),
        End::Gone => socket.sample.log().push("stderr", "ERROR WebSocket handler raised".to_owned()),
        End::Close(code, reason) => socket.close(code, reason).await,
    }
}

async fn behave(socket: &mut Socket<'_>, user: &str) -> End {
    match socket.behaviour {
        Behaviour::StartupRace if !socket.set_up => End::Close(1011, "service not ready"),
        Behaviour::CheckThenAct => race(socket, user, user).await,
        Behaviour::LazySingleton => race(socket, "the one and only", user).await,
        Behaviour::Silent => socket.listen().await,
        Behaviour::Close1000 => End::Close(1000, ""),
        Behaviour::Close1008 => End::Close(1008, "policy violation"),
        Behaviour::Close1011 => End::Close(1011, "internal error"),
        Behaviour::ErrorThen1011 => {
            socket.send(&text::error("Service initialization failed")).await;
            End::Close(1011, "internal error")
        }
        Behaviour::OneFrameThen1011 => {
            if let Some(ready) = text::welcome(socket.sample, socket.behaviour, user).pop() {
                socket.send(&ready).await;
            }
            End::Close(1011, "internal error")
        }
        Behaviour::HostileText => {
            socket.send(&json!({"type": text::HOSTILE, "error": text::HOSTILE})).await;
            socket.send_text(text::HOSTILE.to_owned()).await;
            End::Close(1011, text::HOSTILE)
        }
        Behaviour::EchoSecrets => {
            let secrets = text::secrets(socket.head);
            socket.send(&secrets).await;
            healthy(socket, user).await
        }
        _ => healthy(socket, user).await,
    }
}

/// Sets up what `key` stands for, as only one may.
async fn race(socket: &mut Socket<'_>, key: &str, user: &str) -> End {
    let sample = socket.sample;
    match sample.race.enter(key, sample.settings.race_window()).await {
        Some(_hold) => healthy(socket, user).await,
        None => End::Close(1011, "Factory init failed"),
    }
}

async fn healthy(socket: &mut Socket<'_>, user: &str) -> End {
    for frame in text::welcome(socket.sample, socket.behaviour, user) {
        if !socket.send(&frame).await {
            return End::Left;
        }
    }
    // A clock cannot be set beyond its end, and a state file may say anything.
    let every = socket.sample.settings.heartbeat.clamp(Duration::from_millis(1), Duration::from_hours(24));
    let mut heartbeat = interval_at(Instant::now() + every, every);
    let doomed = socket.behaviour == Behaviour::PongThen1011;
    let mut doom = Instant::now() + PATIENCE;
    let mut answered = false;
    loop {
        tokio::select! {
            message = socket.stream.next() => {
                let Some(Ok(message)) = message else { return End::Left };
                if socket.behaviour == Behaviour::BinaryCrash && message.is_binary() {
                    return End::Gone;
                }
                if let Err(end) = reply(socket, user, message).await {
                    return end;
                }
                if !std::mem::replace(&mut answered, true) {
                    doom = Instant::now() + SECOND_THOUGHT;
                }
            }
            _ = heartbeat.tick(), if socket.behaviour != Behaviour::HeartbeatNever => {
                let now = socket.sample.now().to_string();
                if !socket.send(&json!({"type": "heartbeat", "timestamp": now})).await {
                    return End::Left;
                }
            }
            () = sleep_until(doom), if doomed => return End::Close(1011, "internal error"),
        }
    }
}

/// Answers one message; how the socket ends, where it does not go on.
async fn reply(socket: &mut Socket<'_>, user: &str, message: Message) -> Result<(), End> {
    let gone = |sent: bool| if sent { Ok(()) } else { Err(End::Left) };
    let text = match message {
        Message::Text(text) => text,
        Message::Binary(bytes) => return gone(socket.stream.send(Message::Binary(bytes)).await.is_ok()),
        // tungstenite answers pings and closes by itself.
        _ => return Ok(()),
    };
    match text::agent_request(&text) {
        None => gone(socket.send(&text::answer(&text)).await),
        Some((_, None)) => gone(socket.send(&text::error("start_agent needs payload.user_request")).await),
        Some((message, Some(request))) => agent::run(socket, user, &message, request).await,
    }
}

impl Socket<'_> {
    /// Reads and says nothing.
    pub(super) async fn listen(&mut self) -> End {
        while matches!(self.stream.next().await, Some(Ok(_))) {}
        End::Left
    }

    pub(super) async fn send(&mut self, frame: &Value) -> bool {
        self.send_text(frame.to_string()).await
    }

    async fn send_text(&mut self, text: String) -> bool {
        self.stream.send(Message::text(text)).await.is_ok()
    }

    async fn close(&mut self, code: u16, reason: &'static str) {
        if code == 1011 {
            let reason = reason.escape_debug();
            let message = format!("WebSocket closed with {code}: {reason}");
            let line = json!({ "severity": "ERROR", "message": message });
            self.sample.log().push("stderr", line.to_string());
        } else {
            self.sample.say(format!("WebSocket closed with {code}"));
        }
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
        if self.stream.close(Some(frame)).await.is_err() {
            return;
        }
        let stream = &mut self.stream;
        let _ = timeout(CLOSING, async { while matches!(stream.next().await, Some(Ok(_))) {} }).await;
    }
}
