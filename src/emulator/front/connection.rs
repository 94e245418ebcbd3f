//! One connection, from its first byte to its last.
//!
//! The sample backend gets the stream itself, a process gets a splice. A reset by the instance is passed on as a
//! reset; an instance that closes without a byte becomes the platform's 503, as it does on Cloud Run.

use std::{io, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{Instant, timeout},
};

use super::{
    gate::{self, Entrance, Routed},
    head::{Head, Received, read_head},
    pages::Page,
};
use crate::emulator::{
    instance::{Backend, Instances, Unserved},
    logging::{Origin, Request},
    sample,
    state::World,
};

/// How long a client may take to read an answer and leave.
const LEAVE: Duration = Duration::from_secs(1);
/// The size of a splice's buffer.
const BUFFER: usize = 16 * 1024;

/// Serves one connection.
pub(crate) async fn serve(world: &Arc<World>, entrance: &Entrance, mut stream: TcpStream) {
    // Without it a held-back last byte could wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let received = match read_head(&mut stream).await {
        Ok(Some(received)) => received,
        Ok(None) => return,
        Err(_) => return finish(stream, &page(world, &Page::BadRequest, "/")).await,
    };
    let began = (world.clock.now(), Instant::now());
    let (revision, to) = match gate::route(world, entrance, &received.head) {
        Ok(Routed { revision, to }) => (revision, to),
        Err(refusal) => return finish(stream, &page(world, &refusal, received.head.path())).await,
    };
    let (instance, outcome) = match to {
        Ok(instances) => pass_on(world, &instances, stream, &received).await,
        Err(refusal) => (None, refuse(world, refusal, stream, &received).await),
    };
    let origin = Origin { service: entrance.service.clone(), revision, instance };
    record(world, &origin, &received.head, began, &outcome);
}

/// How a request ended: a status of the instance's, if it gave one, or a page in its place.
enum Outcome {
    Answered(Option<u16>),
    Page(Page),
}

async fn refuse(world: &World, refusal: Page, stream: TcpStream, received: &Received) -> Outcome {
    finish(stream, &page(world, &refusal, received.head.path())).await;
    Outcome::Page(refusal)
}

/// Waits for a slot of an instance and hands the request to it; gives the instance that took it.
async fn pass_on(
    world: &World,
    instances: &Arc<Instances>,
    stream: TcpStream,
    received: &Received,
) -> (Option<String>, Outcome) {
    let slot = match instances.take().await {
        Ok(slot) => slot,
        Err(Unserved::Full) => return (None, refuse(world, Page::RateExceeded, stream, received).await),
        Err(Unserved::NotStarted) => {
            return (None, refuse(world, Page::NotAvailable, stream, received).await);
        }
    };
    let outcome = match &slot.backend {
        Backend::Sample(backend) => Outcome::Answered(sample::serve(backend, stream, received).await),
        Backend::Process(process) => match process.connect().await {
            Ok(instance) => splice(world, stream, instance, received).await,
            Err(_) => refuse(world, Page::NotAvailable, stream, received).await,
        },
    };
    (Some(slot.id.clone()), outcome)
}

/// Writes the request's entry: now that it has ended, as Cloud Run does.
fn record(
    world: &World,
    origin: &Origin,
    head: &Head,
    (began, since): (Timestamp, Instant),
    outcome: &Outcome,
) {
    let (status, said) = match outcome {
        Outcome::Answered(status) => (*status, None),
        Outcome::Page(page) => (Some(page.status()), page.said()),
    };
    let host = head.field("host").unwrap_or_default();
    world.journal.request(
        origin,
        &Request {
            method: &head.method,
            url: format!("http://{host}{}", head.target),
            user_agent: head.field("user-agent"),
            trace: head.trace().map_or_else(|| world.trace(), str::to_owned),
            status,
            began,
            latency: since.elapsed(),
            said,
        },
    );
}

/// Writes a last answer and lets the client read it before the connection goes.
///
/// Closing with bytes unread would reset the connection and could destroy the answer on its way.
pub(crate) async fn finish(mut stream: TcpStream, answer: &[u8]) {
    if stream.write_all(answer).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    let mut sink = vec![0; BUFFER];
    let drain = async { while matches!(stream.read(&mut sink).await, Ok(count) if count > 0) {} };
    let _ = timeout(LEAVE, drain).await;
}

fn page(world: &World, page: &Page, path: &str) -> Vec<u8> {
    page.render(path, &world.trace(), world.clock.now())
}

async fn splice(world: &World, client: TcpStream, instance: TcpStream, received: &Received) -> Outcome {
    let (mut client_in, client_out) = client.into_split();
    let (instance_in, mut instance_out) = instance.into_split();
    let up = async {
        // An instance that stops reading may still have an answer on its way: only `down` ends the splice early.
        if instance_out.write_all(&received.bytes).await.is_ok() {
            let _ = tokio::io::copy(&mut client_in, &mut instance_out).await;
        }
        let _ = instance_out.shutdown().await;
        Ok(())
    };
    let mut outcome = Outcome::Answered(None);
    let down = answer(world, instance_in, client_out, (received.head.path(), &mut outcome));
    let _ = tokio::try_join!(up, down);
    outcome
}

/// Copies the instance's bytes to the client; stands in for an instance that has none.
async fn answer(
    world: &World,
    mut instance: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    (path, outcome): (&str, &mut Outcome),
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut any = false;
    loop {
        match instance.read(&mut buffer).await {
            Ok(0) | Err(_) if !any => {
                *outcome = Outcome::Page(Page::Malformed);
                client.write_all(&page(world, &Page::Malformed, path)).await?;
                return client.shutdown().await;
            }
            Ok(0) => return client.shutdown().await,
            Ok(count) => {
                if !std::mem::replace(&mut any, true) {
                    *outcome = Outcome::Answered(status(&buffer[..count]));
                }
                client.write_all(&buffer[..count]).await?;
            }
            Err(error) => {
                let _ = client.as_ref().set_zero_linger();
                return Err(error);
            }
        }
    }
}

/// The status in the first bytes of an answer.
fn status(bytes: &[u8]) -> Option<u16> {
    let line = bytes.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(line).ok()?.parse().ok()
}
