//! A server whose second socket of a user ends the first: single sockets of that user must be single to tell.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_util::sync::CancellationToken;

use super::gate;

/// How the socket of each user is ended.
type Users = Mutex<BTreeMap<String, CancellationToken>>;

/// One socket, to its end, which may be that the same user comes again.
async fn talk(stream: TcpStream, users: &Users) -> Option<()> {
    let mut user = String::new();
    #[expect(clippy::result_large_err, reason = "the type of a callback")]
    let look = |request: &Request, response: Response| {
        request.uri().path().clone_into(&mut user);
        Ok(response)
    };
    let mut socket = accept_hdr_async(stream, look).await.ok()?;
    let end = CancellationToken::new();
    if let Some(older) = users.lock().unwrap().insert(user, end.clone()) {
        older.cancel();
    }
    let answering = async {
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(Message::text("pong")).await.ok()?;
            }
        }
        Some(())
    };
    end.run_until_cancelled(answering).await?
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_socket_that_ends_the_first_is_not_called_flaky() {
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
    assert!(said.contains("same-user: TCP ended") || said.contains("same-user: TCP reset"), "{said}");
    let words = "rounds of same-user fail, and 0 of ";
    assert!(said.contains("labelled RACE") && said.contains(words), "{said}");
}
