//! Servers that take one socket for another: every frame that is due comes, and it is somebody else's.

use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::time::sleep;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use super::{WINDOW, gate};

/// What a server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Keeps the current user where all sockets see it, and greets whoever is there a moment later.
    OneUser,
    /// Keeps the text to be answered where all sockets see it.
    OneText,
    /// Greets with a session that is not there yet, while another one is being made.
    HalfBuilt,
    /// Healthy: tells everybody who has come and what anybody says.
    Room,
    /// Healthy: whoever came last hosts the room, and all are told so.
    Host,
}

/// What the sockets of one server share.
#[derive(Debug)]
struct Shared {
    user: Mutex<String>,
    text: Mutex<String>,
    room: broadcast::Sender<String>,
}

/// One socket, to its end.
async fn talk(stream: TcpStream, manner: Manner, shared: &Shared) -> Option<()> {
    let mut user = String::new();
    #[expect(clippy::result_large_err, reason = "the type of a callback")]
    let look = |request: &Request, response: Response| {
        request.uri().path().trim_start_matches('/').clone_into(&mut user);
        Ok(response)
    };
    let mut socket = accept_hdr_async(stream, look).await.ok()?;
    let mut room = shared.room.subscribe();
    shared.user.lock().unwrap().clone_from(&user);
    sleep(WINDOW).await;
    let last = shared.user.lock().unwrap().clone();
    let (greeted, host) = if manner == Manner::OneUser { (&last, &user) } else { (&user, &last) };
    let more = match manner {
        Manner::Host => format!(r#","host":"{host}""#),
        Manner::HalfBuilt if *host != user => r#","session":null"#.to_owned(),
        Manner::HalfBuilt => format!(r#","session":"s-{user}""#),
        _ => String::new(),
    };
    let greeting = format!(r#"{{"type":"welcome","user":"{greeted}"{more}}}"#);
    socket.send(Message::text(greeting)).await.ok()?;
    if manner == Manner::Room {
        let _ = shared.room.send(format!(r#"{{"type":"joined","user":"{user}"}}"#));
    }
    loop {
        tokio::select! {
            told = room.recv() => socket.send(Message::text(told.ok()?)).await.ok()?,
            message = socket.next() => {
                let Message::Text(text) = message?.ok()? else { continue };
                let mut text = text.as_str().to_owned();
                if manner == Manner::OneText {
                    shared.text.lock().unwrap().clone_from(&text);
                    sleep(WINDOW).await;
                    shared.text.lock().unwrap().clone_into(&mut text);
                }
                let answer = format!(r#"{{"type":"said","from":"{user}","text":"{text}"}}"#);
                if manner == Manner::Room {
                    let _ = shared.room.send(answer);
                } else {
                    socket.send(Message::text(answer)).await.ok()?;
                }
            }
        }
    }
}

async fn assert_check(manner: Manner, more: &str, code: i32, words: &str) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let (user, text) = (Mutex::default(), Mutex::default());
    let shared = Arc::new(Shared { user, text, room: broadcast::channel(1000).0 });
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move { talk(stream, manner, &shared).await });
        }
    });
    // Few clean rounds are enough, and few failing ones are run.
    let config = "path: /{{user}}\nusers: [ann, ben, cid, dan, eve, fay]\nrace: { tolerated: 40%, rounds: 8 }\n\
                  timeouts: { answer: 1s, hold: 50ms, serves-hold: 500ms }\n";
    let greets_wrongly = matches!(manner, Manner::OneUser | Manner::HalfBuilt);
    let patterns = if greets_wrongly { "control,users" } else { "control,users,first-message" };
    let (ended, said) = gate(url, "ping {{nonce}}", patterns, format!("{config}{more}")).await;
    serving.abort();
    assert_eq!(ended, code, "{manner:?}\n{said}");
    assert!(said.contains(words), "{manner:?}: {words}\n{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn anothers_greeting_and_anothers_answer_are_failures() {
    let words = "users: what came is another user's, and its own never did: \"{\"type\":\"welcome\"";
    assert_check(Manner::OneUser, "", 10, words).await;
    let words = "what came is the answer to another socket, and its own never did: \"{\"type\":\"said\"";
    assert_check(Manner::OneText, "", 10, words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greeting_is_what_it_is_declared_to_be() {
    let half = "users: the declared greeting never came, so that nothing was sent; 1 frames came, the last \"{\"type\":\"welcome\"";
    assert_check(Manner::HalfBuilt, "greeting: { session: 's-{{user}}' }\n", 10, half).await;
    assert_check(Manner::Host, "greeting: '\"user\":\"{{user}}\"'\n", 0, "APPROVED").await;
    let never = "if a healthy socket is greeted otherwise, or only after the first message, mend or leave out `greeting:`";
    assert_check(Manner::Room, "greeting: { type: hello }\n", 10, never).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_declared_is_nobodys() {
    assert_check(Manner::OneUser, "harmless: { type: welcome }\n", 0, "APPROVED").await;
    assert_check(Manner::OneText, "expect: { type: said }\n", 0, "APPROVED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_tells_of_others_is_approved() {
    assert_check(Manner::Room, "", 0, "APPROVED").await;
    assert_check(Manner::Host, "", 0, "APPROVED").await;
}
