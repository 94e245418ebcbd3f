//! Opens a loopback port and hands every connection on.
//!
//! The backlog is long: a burst of a thousand handshakes must not be thinned out by the emulator itself.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::{TcpListener, TcpSocket};

use super::{connection, gate::Entrance};
use crate::emulator::state::World;

/// Connections that wait to be accepted; the kernel may cap it (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;

/// Listens on a loopback port; 0 takes a free one.
pub(crate) fn bind(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    socket.listen(BACKLOG)
}

/// Opens a port for `entrance` and serves it until the emulator stops; gives the port.
pub(crate) fn listen(world: &Arc<World>, entrance: Entrance) -> io::Result<u16> {
    let listener = bind(0)?;
    let port = listener.local_addr()?.port();
    let owned = Arc::clone(world);
    world.tasks.spawn(async move {
        tokio::select! {
            () = owned.stop.cancelled() => {}
            () = accept(&owned, &listener, &entrance) => {}
        }
    });
    Ok(port)
}

async fn accept(world: &Arc<World>, listener: &TcpListener, entrance: &Entrance) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, mostly: others will close some.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let owned = Arc::clone(world);
        let entrance = entrance.clone();
        world.tasks.spawn(async move {
            let stop = owned.stop.clone();
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection::serve(&owned, &entrance, stream) => {}
            }
        });
    }
}
