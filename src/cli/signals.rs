//! SIGINT and SIGTERM: the run ends early, cleans up, and then the code says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

/// Remembers which signal came.
#[derive(Debug, Clone, Default)]
pub(super) struct Signals {
    /// Cancelled by the first signal.
    pub(super) token: CancellationToken,
    which: Arc<AtomicU8>,
}

impl Signals {
    /// Listens from now on.
    pub(super) fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let signals = Self::default();
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let heard = signals.clone();
        tokio::spawn(async move {
            let which = tokio::select! {
                _ = interrupt.recv() => Exit::Interrupted,
                _ = terminate.recv() => Exit::Terminated,
            };
            heard.which.store(which.code(), Ordering::SeqCst);
            heard.token.cancel();
        });
        Ok(signals)
    }

    /// The exit of the signal that came, if one did.
    pub(super) fn exit(&self) -> Option<Exit> {
        [Exit::Interrupted, Exit::Terminated]
            .into_iter()
            .find(|exit| exit.code() == self.which.load(Ordering::SeqCst))
    }
}
