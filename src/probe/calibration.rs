//! Can this prober, on this machine, see a race that is there?
//!
//! Starts a racy server of our own on loopback, on a thread of its own, and runs twenty pairs against it by the very
//! code that a run uses; gives how many it found. It touches nothing but loopback and ends with its caller. The
//! surprising rule: the server's check and its act lie one millisecond apart, so a prober that misses it could not have
//! seen a race of an ordinary width either.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::sync::CancellationToken;

use super::lanes::Lanes;
use super::observation::{Company, EndKind, Round, Stage, in_microseconds};
use super::plan::{Capacity, Plan};
use super::prober::Prober;
use super::transport::Address;
use crate::config::{Conversation, Limits, Pattern, RaceSettings, Settings, Template};
use crate::trust::Redactor;

/// Rounds of two that are run.
const ROUNDS: u32 = 20;
/// Of these, so many must show the race (a busy machine may miss two).
const ENOUGH: u32 = 18;
/// Between the bundled server's check and its act.
const WINDOW: Duration = Duration::from_millis(1);

/// How much of the bundled race a prober found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calibration {
    /// Rounds that were run.
    pub rounds: u32,
    /// Rounds in which one of the two sockets was closed with 1011.
    pub found: u32,
    /// Between the server's check and its act, in microseconds.
    pub window: u64,
}

impl Calibration {
    /// True when it may judge others.
    pub fn is_enough(&self) -> bool {
        self.rounds >= ROUNDS && self.found >= ENOUGH
    }
}

/// Runs the pairs. An error means that loopback could not be used.
pub async fn calibrate(settings: &Settings) -> io::Result<Calibration> {
    let server = Server::start()?;
    let unusable = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
    let settings = aimed(settings).map_err(|error| unusable(&error))?;
    let url = url::Url::parse(&server.url).map_err(|error| unusable(&error))?;
    let address = Address::new(&url).map_err(|error| unusable(&error))?;
    let plan = Plan::new(&settings, Capacity::default(), 1);
    let prober = Prober::new(address, &settings, None, Redactor::default(), Instant::now(), 0);
    let mut lanes = Lanes::new(Arc::new(prober), &plan, "calibration".to_owned());
    for _ in 0..ROUNDS {
        let lane = lanes.arm(Stage::SameUser, Company::Quiet, None).await;
        let _ = lane.let_go().await;
    }
    lanes.drain().await;
    let rounds = lanes.into_rounds();
    let count = |rounds: usize| u32::try_from(rounds).unwrap_or(u32::MAX);
    Ok(Calibration {
        rounds: count(rounds.len()),
        found: count(rounds.iter().filter(|round| shows_the_race(round)).count()),
        window: in_microseconds(WINDOW),
    })
}

/// The settings of the run, aimed at the bundled server; a user for each round, since earlier ones are still held.
fn aimed(settings: &Settings) -> Result<Settings, crate::config::TemplateError> {
    Ok(Settings {
        conversation: Conversation {
            greeting: None,
            harmless: None,
            closes: Vec::new(),
            path: Template::parse("/{{user}}")?,
            headers: Vec::new(),
            subprotocols: Vec::new(),
            require_subprotocol: false,
            send: Some(Template::parse("ping")?),
            expect: None,
        },
        token: None,
        users: (1..=ROUNDS).map(|number| format!("user-{number}")).collect(),
        echo: None,
        race: RaceSettings { patterns: vec![Pattern::SameUser], ..RaceSettings::default() },
        limits: Limits { openings_per_second: 10_000, ..Limits::default() },
        ..settings.clone()
    })
}

fn shows_the_race(round: &Round) -> bool {
    round.observations.iter().any(|observation| {
        observation
            .end
            .as_ref()
            .is_some_and(|end| matches!(end.kind, EndKind::CloseFrame { code: Some(1011), .. }))
    })
}

/// The bundled racy server, until it is dropped.
struct Server {
    url: String,
    stop: CancellationToken,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

type Names = Arc<Mutex<HashSet<String>>>;

impl Server {
    fn start() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let url = format!("ws://{}", listener.local_addr()?);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        // A runtime of its own: on the prober's, the two would take turns instead of racing.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("calibration".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener) => {}
                    () = stopped.cancelled() => {}
                }
            });
        })?;
        Ok(Self { url, stop })
    }
}

async fn accept(listener: std::net::TcpListener) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let names = Names::default();
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&names)));
    }
}

/// Looks whether the name is there, takes its time, puts it there: and fails when another did meanwhile.
async fn serve(stream: TcpStream, names: Names) {
    let mut name = String::new();
    #[expect(clippy::result_large_err, reason = "the library's own signature")]
    let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        request.uri().path().clone_into(&mut name);
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr_async(stream, look).await else { return };
    let names = || names.lock().unwrap_or_else(PoisonError::into_inner);
    if !names().contains(&name) {
        let _ = tokio::task::spawn_blocking(|| std::thread::sleep(WINDOW)).await;
        let lost = !names().insert(name);
        if lost {
            let frame = CloseFrame { code: CloseCode::Error, reason: "factory init failed".into() };
            let _ = socket.close(Some(frame)).await;
        }
    }
    while let Some(Ok(message)) = socket.next().await {
        if matches!(message, Message::Text(_)) && socket.send(message).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Lookup, Purpose, Typed, merge};

    #[tokio::test]
    async fn this_prober_sees_the_bundled_race() {
        let settings =
            merge(&Typed::default(), None, &Lookup::default(), Purpose::Rehearsal).unwrap().settings;
        let calibration = calibrate(&settings).await.unwrap();
        assert_eq!(calibration.rounds, ROUNDS);
        assert!(calibration.found > 0, "{calibration:?}");
    }
}
