//! SIGINT and SIGTERM: the run ends early, cleans up, and then the code says so.

use crate::engine::Interrupt;
use crate::exit::Exit;
use crate::judge::Signal;

/// Remembers which signal came first; those that come after it change nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Signals {
    pub(super) interrupt: Interrupt,
}

impl Signals {
    /// Listens from now on.
    pub(super) fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let signals = Self::default();
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let heard = signals.interrupt.clone();
        tokio::spawn(async move {
            heard.by(tokio::select! {
                _ = interrupt.recv() => Signal::Interrupt,
                _ = terminate.recv() => Signal::Terminate,
            });
        });
        Ok(signals)
    }

    /// The exit of the signal that came, if one did.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.interrupt.signal().map(|signal| match signal {
            Signal::Interrupt => Exit::Interrupted,
            Signal::Terminate => Exit::Terminated,
        })
    }
}
