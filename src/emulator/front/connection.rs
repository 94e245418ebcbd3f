//! One request, from its head to its end.
//!
//! The sample backend gets the stream itself, a process gets a splice, with the fields that the platform adds. A reset
//! by the instance is passed on as a reset; an instance that closes without a byte becomes the platform's 503, and a
//! request that has lasted too long the platform's 504. The surprising rule: a socket that has lasted too long ends
//! without a close frame, as users of Cloud Run report it.

use std::{fmt::Write as _, io, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    net::{TcpStream, tcp::OwnedReadHalf},
    time::{Instant, sleep, timeout},
};

use super::{
    affinity,
    client::Client,
    gate::{self, Entrance, Mishap},
    head::{Head, Received},
    pages::Page,
};
use crate::emulator::{
    faults::Cut,
    instance::{Backend, Instances, Process, Slot, Unserved},
    logging::{Origin, Request},
    sample,
    state::World,
};

/// How long a client may take to read an answer and leave.
const LEAVE: Duration = Duration::from_secs(1);
/// The size of a splice's buffer.
const BUFFER: usize = 16 * 1024;
/// How often a connection to an instance that has just ended is tried with another one.
const ATTEMPTS: u32 = 3;
/// How long its end may take to be noticed.
const NOTICE: Duration = Duration::from_millis(50);

/// Serves one request, and whatever follows it on its connection.
pub(crate) async fn serve(world: &Arc<World>, entrance: &Entrance, client: &mut Client, received: &Received) {
    let began = (world.clock.now(), Instant::now());
    let trace = received.head.trace().map_or_else(|| world.trace(), str::to_owned);
    let routed = match gate::route(world, entrance, &received.head) {
        Ok(routed) => routed,
        Err(refusal) => return finish(client, &page(world, &refusal, received.head.path())).await,
    };
    world.clock.pass(routed.delay).await;
    match routed.mishap {
        Some(Mishap::Drop) => return,
        Some(Mishap::Reset) => return client.reset(),
        None => {}
    }
    let mut instance = None;
    let outcome = match routed.to {
        Err(refusal) => Outcome::Page(refusal),
        Ok(instances) => {
            let bytes = received.with_fields(&fields(&received.head, &trace, client.is_secure()));
            let request = (routed.revision.as_str(), received, bytes.as_slice());
            let passing = pass_on(&instances, request, client, &mut instance);
            timeout(instances.recipe().timeout, passing).await.unwrap_or(Outcome::TimedOut)
        }
    };
    let said = end(world, client, received, outcome).await;
    let origin = Origin { service: entrance.service.clone(), revision: routed.revision, instance };
    record(world, &origin, (&received.head, client, trace), began, said);
}

/// The fields that Cloud Run adds to a request, where the client has not sent them.
fn fields(head: &Head, trace: &str, is_secure: bool) -> String {
    let span = &trace[..16];
    let scheme = if is_secure { "https" } else { "http" };
    let mut fields = String::new();
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", scheme),
        ("x-cloud-trace-context", &format!("{trace}/{};o=0", u64::from_str_radix(span, 16).unwrap_or(1))),
        ("traceparent", &format!("00-{trace}-{span}-00")),
    ] {
        if head.field(name).is_none() {
            let _ = write!(fields, "{name}: {value}\r\n");
        }
    }
    fields
}

/// How a request ended.
enum Outcome {
    /// By its instance.
    Answered,
    /// By its instance, with a reset.
    Reset,
    /// Without an answer: the page is yet to be written.
    Page(Page),
    /// Too late.
    TimedOut,
}

/// Says to the client what the instance did not; gives what the log says of it.
async fn end(
    world: &World,
    client: &mut Client,
    received: &Received,
    outcome: Outcome,
) -> Option<&'static str> {
    let page_due = match outcome {
        Outcome::Answered => return None,
        Outcome::Reset => {
            client.reset();
            return None;
        }
        Outcome::TimedOut if client.status().is_some() => {
            let cut = world.lock().faults.timeout_cut;
            if cut == Cut::Reset {
                client.reset();
            } else {
                finish(client, b"").await;
            }
            return Page::TimedOut.said();
        }
        Outcome::TimedOut => Page::TimedOut,
        Outcome::Page(page) => page,
    };
    finish(client, &page(world, &page_due, received.head.path())).await;
    page_due.said()
}

/// Waits for a slot of an instance and hands the request to it; names the instance that took it.
async fn pass_on(
    instances: &Arc<Instances>,
    (revision, received, bytes): (&str, &Received, &[u8]),
    client: &mut Client,
    name: &mut Option<String>,
) -> Outcome {
    let met_before = affinity::instance(&received.head, revision);
    let mut attempt = 1;
    loop {
        let slot = match instances.take(met_before.as_deref()).await {
            Ok(slot) => slot,
            Err(Unserved::Full) => return Outcome::Page(Page::RateExceeded),
            Err(Unserved::NotStarted) => return Outcome::Page(Page::NotAvailable),
        };
        *name = Some(slot.id.clone());
        if instances.recipe().affinity && met_before.as_ref() != Some(&slot.id) {
            client.add_field(affinity::field(revision, &slot.id));
        }
        match &slot.backend {
            Backend::Sample(backend) => {
                sample::serve(backend, client, received).await;
                return Outcome::Answered;
            }
            Backend::Process(process) => match connect(process, &slot, attempt).await {
                Some(instance) => return splice(client, instance, bytes).await,
                None if attempt < ATTEMPTS => attempt += 1,
                None => return Outcome::Page(Page::NotAvailable),
            },
        }
    }
}

/// Connects to a process; `None` when it is gone, which may not be known yet.
async fn connect(process: &Process, _slot: &Slot, attempt: u32) -> Option<TcpStream> {
    if let Ok(stream) = process.connect().await {
        return Some(stream);
    }
    sleep(NOTICE * attempt).await;
    None
}

/// Writes the request's entry: now that it has ended, as Cloud Run does.
fn record(
    world: &World,
    origin: &Origin,
    (head, client, trace): (&Head, &Client, String),
    (began, since): (Timestamp, Instant),
    said: Option<&'static str>,
) {
    let scheme = if client.is_secure() { "https" } else { "http" };
    world.journal.request(
        origin,
        &Request {
            method: &head.method,
            url: format!("{scheme}://{}{}", head.host().unwrap_or_default(), head.target),
            user_agent: head.field("user-agent"),
            trace,
            status: client.status(),
            sizes: client.counts(),
            began,
            latency: world.clock.since(since),
            said,
        },
    );
}

/// Writes a last answer and lets the client read it before the connection goes.
///
/// Closing with bytes unread would reset the connection and could destroy the answer on its way.
pub(crate) async fn finish(client: &mut Client, answer: &[u8]) {
    if client.write_all(answer).await.is_err() || client.shutdown().await.is_err() {
        return;
    }
    let mut sink = vec![0; BUFFER];
    let drain = async { while matches!(client.read(&mut sink).await, Ok(count) if count > 0) {} };
    let _ = timeout(LEAVE, drain).await;
}

/// A page of the platform as bytes.
pub(crate) fn page(world: &World, page: &Page, path: &str) -> Vec<u8> {
    page.render(path, &world.trace(), world.clock.now())
}

async fn splice(client: &mut Client, instance: TcpStream, bytes: &[u8]) -> Outcome {
    let (mut client_in, client_out) = split(client);
    let (instance_in, mut instance_out) = instance.into_split();
    let up = async {
        // An instance that stops reading may still have an answer on its way: only `down` ends the splice early.
        if instance_out.write_all(bytes).await.is_ok() {
            let _: io::Result<u64> = copy_in(&mut client_in, &mut instance_out).await;
        }
        let _ = instance_out.shutdown().await;
        Ok(())
    };
    match tokio::try_join!(up, answer(instance_in, client_out)) {
        Ok(_) => Outcome::Answered,
        Err(end) => end,
    }
}

async fn copy_in(
    client: &mut ReadHalf<&mut Client>,
    instance: &mut (impl AsyncWriteExt + Unpin),
) -> io::Result<u64> {
    tokio::io::copy(client, instance).await
}

/// Copies the instance's bytes to the client; an error ends the splice.
async fn answer(mut instance: OwnedReadHalf, mut client: WriteHalf<&mut Client>) -> Result<(), Outcome> {
    let mut buffer = vec![0; BUFFER];
    let mut any = false;
    loop {
        match instance.read(&mut buffer).await {
            Ok(0) | Err(_) if !any => return Err(Outcome::Page(Page::Malformed)),
            Ok(0) => {
                let _ = client.shutdown().await;
                return Ok(());
            }
            Ok(count) => {
                any = true;
                let written = client.write_all(&buffer[..count]).await;
                if written.is_err() || client.flush().await.is_err() {
                    return Err(Outcome::Answered);
                }
            }
            Err(_) => return Err(Outcome::Reset),
        }
    }
}
