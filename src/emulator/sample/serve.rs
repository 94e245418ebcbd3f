//! One connection to the sample backend.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

use super::{
    conversation::{self, Socket},
    opening::{self, Opening},
    settings::Behaviour,
    state::Sample,
    text, token,
};
use crate::emulator::front::{Client, Received, finish};

/// Serves one connection whose first head is read.
pub(crate) async fn serve(sample: &Sample, stream: &mut Client, received: &Received) {
    let head = &received.head;
    if opening::is_upgrade(head) && head.path() == sample.settings.path {
        return open(sample, stream, received).await;
    }
    let (status, content_type, body) = text::plain(sample, head);
    sample.say(format!("{} {} {status}", head.method, head.path()));
    finish(stream, &opening::plain(sample, (status, content_type, &body))).await;
}

async fn open(sample: &Sample, stream: &mut Client, received: &Received) {
    let head = &received.head;
    let behaviour = sample.draw();
    let user = token::user(sample, head);
    // The start-up's clock runs from the first socket, whatever becomes of it.
    let set_up = sample.is_set_up();
    match opening::decide(sample, behaviour, head, &user) {
        Opening::Refuse(status, body) => {
            sample.say(format!("WebSocket {} {status}", head.path()));
            finish(stream, &opening::plain(sample, (status, "text/plain", &body))).await;
        }
        Opening::Hang => {
            let mut sink = [0; 1024];
            while matches!(stream.read(&mut sink).await, Ok(count) if count > 0) {}
        }
        Opening::Reset => stream.reset(),
        Opening::Accept => {
            if stream.write_all(&opening::accept(sample, head)).await.is_err() {
                return;
            }
            if behaviour == Behaviour::Abort {
                return stream.reset();
            }
            let early = received.bytes[received.head_length..].to_vec();
            let socket = WebSocketStream::from_partially_read(stream, early, Role::Server, None).await;
            sample.say(format!("WebSocket {} accepted", head.path()));
            let socket = Socket { sample, behaviour, set_up, head, stream: socket };
            conversation::run(socket, user).await;
        }
    }
}
