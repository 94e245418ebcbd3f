//! A server that refuses a user's second socket: single sockets of that user must be single to tell what it is.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;

use super::gate;

/// Whose socket is open.
type Users = Mutex<BTreeSet<String>>;

/// One socket, to its end, or its refusal.
async fn talk(stream: TcpStream, users: &Users) -> Option<()> {
    let mut user = String::new();
    #[expect(clippy::result_large_err, reason = "the type of a callback")]
    let look = |request: &Request, response: Response| {
        request.uri().path().clone_into(&mut user);
        if users.lock().unwrap().insert(user.clone()) {
            return Ok(response);
        }
        let mut refusal = ErrorResponse::default();
        *refusal.status_mut() = StatusCode::FORBIDDEN;
        Err(refusal)
    };
    let mut socket = accept_hdr_async(stream, look).await.ok()?;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() && socket.send(Message::text("pong")).await.is_err() {
            break;
        }
    }
    users.lock().unwrap().remove(&user);
    Some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_socket_that_is_refused_is_neither_flaky_nor_the_token_s_fault() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let users: Arc<Users> = Arc::default();
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let users = Arc::clone(&users);
            tokio::spawn(async move { talk(stream, &users).await });
        }
    });
    let config = "path: /{{user}}\nusers: [ann, ben, cid, dan]\nchecks: { skip: [serves] }\n";
    let (code, said) = gate(url, "ping", "control,same-user", config.to_owned()).await;
    serving.abort();
    assert_eq!(code, 10, "{said}");
    assert!(said.contains("same-user: HTTP 403 instead of 101"), "{said}");
    let words = "rounds of same-user fail, and 0 of ";
    assert!(said.contains("labelled RACE") && said.contains(words), "{said}");
    assert!(said.contains("single sockets are served, so that neither the token"), "{said}");
    assert!(!said.contains("look at the token"), "{said}");
}
