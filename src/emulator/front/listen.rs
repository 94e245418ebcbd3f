//! Opens ports and hands every request on: to the service that its port or its host name stands for, or to the API.
//!
//! Every port listens on loopback, and on one more address where that was asked for. Names of run.app are known on every
//! port, also in a request to a proxy: so clients that have one, or that are told where a name is, need no other names.
//! The surprising rule: a port speaks TLS to whoever begins with a TLS handshake, where there is a certificate, and
//! plain HTTP to all others. The backlog is long: a burst of a thousand handshakes must not be thinned out here.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
    time::timeout,
};

use super::{
    client::Client,
    connection,
    gate::Entrance,
    head::{Received, read_head},
    hosts::{Zone, is_run_app},
    pages::Page,
};
use crate::emulator::state::World;

/// Connections that wait to be accepted; the kernel may cap it (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;
/// API connections that wait to be served.
const WAITING: usize = 1024;
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The first byte of a TLS handshake.
const TLS: u8 = 0x16;
/// How often a port that is free on loopback but not on the other address is given back for another one.
const ATTEMPTS: u32 = 20;

/// To whom a port belongs.
#[derive(Debug, Clone)]
enum Owner {
    /// To a service or a tag.
    Service(Entrance),
    /// To the API.
    Api(mpsc::Sender<Client>),
}

/// Opens a port for `entrance`, 0 for a free one, and serves it until the emulator stops; gives the port.
pub(crate) fn listen(world: &Arc<World>, entrance: Entrance, port: u16) -> io::Result<u16> {
    serve(world, port, &Owner::Service(entrance))
}

/// Opens the API's port; gives it with the connections whose first request is for the API.
pub(crate) fn listen_for_api(world: &Arc<World>, port: u16) -> io::Result<(u16, mpsc::Receiver<Client>)> {
    let (sender, receiver) = mpsc::channel(WAITING);
    Ok((serve(world, port, &Owner::Api(sender))?, receiver))
}

fn serve(world: &Arc<World>, port: u16, owner: &Owner) -> io::Result<u16> {
    let listeners = open(world.options.bind, port)?;
    let port = listeners[0].local_addr()?.port();
    for listener in listeners {
        let (emulator, owner) = (Arc::clone(world), owner.clone());
        world.tasks.spawn(async move {
            tokio::select! {
                () = emulator.stop.cancelled() => {}
                () = accept(&emulator, &listener, &owner) => {}
            }
        });
    }
    Ok(port)
}

/// The listeners of a port, one at least; 0 takes a port that is free on all addresses.
fn open(address: IpAddr, port: u16) -> io::Result<Vec<TcpListener>> {
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    // All addresses have loopback among them.
    if address == loopback || address.is_unspecified() {
        return Ok(vec![bind(address, port)?]);
    }
    let mut attempt = 1;
    loop {
        let first = bind(loopback, port)?;
        match bind(address, first.local_addr()?.port()) {
            Ok(second) => return Ok(vec![first, second]),
            Err(error) if port != 0 || attempt == ATTEMPTS => return Err(error),
            Err(_) => attempt += 1,
        }
    }
}

fn bind(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(address, port))?;
    socket.listen(BACKLOG)
}

async fn accept(world: &Arc<World>, listener: &TcpListener, owner: &Owner) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, mostly: others will close some.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let (emulator, owner) = (Arc::clone(world), owner.clone());
        world.tasks.spawn(async move {
            let stop = emulator.stop.clone();
            tokio::select! {
                () = stop.cancelled() => {}
                () = receive(&emulator, &owner, stream) => {}
            }
        });
    }
}

/// Reads the first request of a connection and hands it on.
async fn receive(world: &Arc<World>, owner: &Owner, stream: TcpStream) {
    // Without it a held-back last byte could wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let Some(mut client) = greet(world, stream).await else { return };
    loop {
        let received = match read_head(&mut client).await {
            Ok(Some(received)) => received,
            Ok(None) => return,
            Err(_) => {
                let page = connection::page(world, &Page::BadRequest, "/");
                return connection::finish(&mut client, &page).await;
            }
        };
        if !is_tunnel(&received) {
            return hand_on(world, owner, client, received).await;
        }
        if client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_err() {
            return;
        }
        let Some(stream) = client.into_plain() else { return };
        let Some(inside) = greet(world, stream).await else { return };
        client = inside;
    }
}

/// A request for a tunnel to a name of run.app, whose end is here.
fn is_tunnel(received: &Received) -> bool {
    received.head.method == "CONNECT"
        && is_run_app(&received.head.target)
        && received.bytes.len() == received.head_length
}

/// The connection, after its TLS handshake if it begins with one.
async fn greet(world: &World, stream: TcpStream) -> Option<Client> {
    let Some(tls) = &world.options.tls else { return Some(Client::plain(stream)) };
    let mut first = [0];
    if stream.peek(&mut first).await.ok()? == 0 || first[0] != TLS {
        return Some(Client::plain(stream));
    }
    let shaken = timeout(HANDSHAKE, tls.accept(stream)).await.ok()?;
    shaken.ok().map(Client::tls)
}

async fn hand_on(world: &Arc<World>, owner: &Owner, mut client: Client, received: Received) {
    let host = received.head.host().unwrap_or_default();
    let entrance = match owner {
        _ if is_run_app(host) => {
            let zone = Zone { project: &world.options.project, region: &world.options.region };
            let Some((service, tag)) = zone.read(host) else {
                let page = connection::page(world, &Page::UnknownHost, received.head.path());
                return connection::finish(&mut client, &page).await;
            };
            Entrance { service, tag }
        }
        Owner::Service(entrance) => entrance.clone(),
        Owner::Api(api) => {
            client.unread(received.bytes);
            // Nobody takes it any more when the emulator ends.
            let _ = api.send(client).await;
            return;
        }
    };
    connection::serve(world, &entrance, &mut client, &received.into_origin_form()).await;
}
