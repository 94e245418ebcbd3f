//! Sockets that are only kept open, so that what they take stays taken.
//!
//! Takes open sockets whose round is over and gives nothing more of them. The surprising rule: they are read all the
//! time, or a server that pings would hear nothing and close them.

use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::task::TaskTracker;

use super::line::CLOSE_TIME;
use super::transport::Wire;

/// Sockets that are only kept open; dropped, they close.
#[derive(Debug)]
pub(crate) struct Ballast {
    close: watch::Sender<()>,
    sockets: TaskTracker,
}

impl Ballast {
    /// Nothing is kept yet.
    pub(super) fn new() -> Self {
        Self { close: watch::Sender::new(()), sockets: TaskTracker::new() }
    }

    /// Keeps a socket until all are closed, or its server ends it.
    pub(super) fn keep(&self, mut stream: WebSocketStream<Wire>) {
        let mut close = self.close.subscribe();
        self.sockets.spawn(async move {
            loop {
                tokio::select! {
                    message = stream.next() => if !matches!(message, Some(Ok(_))) { return },
                    _ = close.changed() => break,
                }
            }
            let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
            let leave = async {
                let _ = stream.close(Some(frame)).await;
                while let Some(Ok(_)) = stream.next().await {}
            };
            let _ = timeout(CLOSE_TIME, leave).await;
        });
    }

    /// Closes all, and waits until they are gone.
    pub(super) async fn close(&self) {
        self.close.send_replace(());
        self.sockets.close();
        self.sockets.wait().await;
    }
}
