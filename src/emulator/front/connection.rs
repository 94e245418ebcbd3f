//! One connection, from its first byte to its last.
//!
//! The sample backend gets the stream itself, a process gets a splice. A reset by the instance is passed on as a
//! reset; an instance that closes without a byte becomes the platform's 503, as it does on Cloud Run.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use super::{
    gate::{self, Entrance},
    head::{Received, read_head},
    pages::Page,
};
use crate::emulator::{instance::Backend, sample, state::World};

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
    match gate::route(world, entrance, &received.head) {
        Ok(Backend::Sample(backend)) => sample::serve(&backend, stream, received).await,
        Ok(Backend::Process(process)) => match process.connect().await {
            Ok(instance) => splice(world, stream, instance, &received).await,
            Err(_) => finish(stream, &page(world, &Page::NotAvailable, received.head.path())).await,
        },
        Err(refusal) => finish(stream, &page(world, &refusal, received.head.path())).await,
    }
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

async fn splice(world: &World, client: TcpStream, instance: TcpStream, received: &Received) {
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
    let down = answer(world, instance_in, client_out, received.head.path());
    let _ = tokio::try_join!(up, down);
}

/// Copies the instance's bytes to the client; stands in for an instance that has none.
async fn answer(
    world: &World,
    mut instance: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    path: &str,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut any = false;
    loop {
        match instance.read(&mut buffer).await {
            Ok(0) | Err(_) if !any => {
                client.write_all(&page(world, &Page::Malformed, path)).await?;
                return client.shutdown().await;
            }
            Ok(0) => return client.shutdown().await,
            Ok(count) => {
                any = true;
                client.write_all(&buffer[..count]).await?;
            }
            Err(error) => {
                let _ = client.as_ref().set_zero_linger();
                return Err(error);
            }
        }
    }
}
