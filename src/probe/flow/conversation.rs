//! One run of a flow on one socket, from its opening to its end.
//!
//! Takes a flow, a socket and what a run may cost; gives what was seen and what came. It never judges. The surprising rule:
//! the socket is read in every moment, also while a message waits for its turn or a run for the others, and everything that
//! comes is looked at: forbidden is forbidden whenever it comes.

mod cleanup;

use std::time::Duration;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_util::sync::CancellationToken;

use super::super::dialogue::{Dialogue, Heard};
use super::super::observation::{EndKind, Observation, Phase, in_microseconds};
use super::super::pace::Pace;
use super::super::prober::Prober;
use super::super::spec::SocketSpec;
use super::barrier::Place;
use super::condition::{Condition, Incoming};
use super::marks::Lookout;
use super::progress::{Due, Meaning, Progress};
use super::seen::{Came, Company, Ending, FlowRun};
use super::transcript::{Own, Transcript};
use crate::config::{Captured, Flow, Values};
use crate::trust::Excerpt;

/// How many of the frames that were due are kept.
const EVENTS: usize = 64;
/// How long a cleanup may take.
const CLEANUP: Duration = Duration::from_secs(10);

/// What one run is to do.
pub(super) struct Errand<'a> {
    pub(super) prober: &'a Prober,
    pub(super) flow: &'a Flow,
    pub(super) within: Duration,
    pub(super) number: u32,
    pub(super) company: Company,
    pub(super) spec: SocketSpec,
    /// Frames that may show others.
    pub(super) shared: &'a [Condition],
    /// What others are known by; `None` where nobody asks.
    pub(super) lookout: Option<&'a Lookout>,
    /// How long it waits before it opens its socket.
    pub(super) delay: Duration,
}

/// What is left of a run.
pub(super) struct Held {
    pub(super) run: FlowRun,
    pub(super) nonce: String,
    pub(super) captured: Captured,
    pub(super) transcript: Transcript,
}

/// Holds one conversation.
pub(super) async fn hold(errand: Errand<'_>, mut turn: Place, pace: Pace, cut: &CancellationToken) -> Held {
    let user = errand.prober.user_name(errand.spec.user).to_owned();
    let nonce = errand.spec.nonce.clone();
    if !errand.delay.is_zero() {
        let _ = cut.run_until_cancelled(tokio::time::sleep(errand.delay)).await;
    }
    let opening = Dialogue::open(errand.prober, &errand.spec, errand.prober.timeouts.first_contact, cut);
    let values = Values { user: &user, nonce: &nonce, round: errand.number };
    let mut talk = match opening.await {
        Err(observation) => {
            drop(turn);
            let mut run = empty(&errand, &user, *observation);
            run.ending = if cut.is_cancelled() { Ending::Cut } else { Ending::NotOpened };
            return Held { run, nonce, captured: Captured::new(), transcript: Transcript::default() };
        }
        Ok(dialogue) => Talk::new(&errand, values, dialogue, pace),
    };
    let ending = talk.converse(&mut turn).await;
    drop(turn);
    talk.finish(ending, cut).await
}

fn empty(errand: &Errand<'_>, user: &str, observation: Observation) -> FlowRun {
    FlowRun {
        number: errand.number,
        company: errand.company,
        user: user.to_owned(),
        started: None,
        completed: None,
        events: Vec::new(),
        events_total: 0,
        sent: 0,
        paced: 0,
        ending: Ending::NotOpened,
        cleanup: None,
        observation,
    }
}

/// Why listening ended before its time.
enum Stopped {
    /// What came decides.
    By(Ending),
    /// The socket ended.
    End(EndKind),
}

/// A conversation on an open socket.
struct Talk<'a, 'v> {
    errand: &'a Errand<'a>,
    values: Values<'v>,
    dialogue: Dialogue<'a>,
    progress: Progress<'v>,
    transcript: Transcript,
    pace: Pace,
    run_until: Option<Instant>,
    /// Since when what is due has been due.
    changed: Instant,
    started: Option<u64>,
    completed: Option<u64>,
    events: Vec<Came>,
    events_total: u32,
    sent: u32,
    paced: Duration,
    end: Option<(EndKind, Phase)>,
}

impl<'a: 'v, 'v> Talk<'a, 'v> {
    fn new(errand: &'a Errand<'a>, values: Values<'v>, dialogue: Dialogue<'a>, pace: Pace) -> Self {
        Self {
            errand,
            values,
            dialogue,
            progress: Progress::new(errand.flow, values),
            transcript: Transcript::default(),
            pace,
            run_until: None,
            changed: Instant::now(),
            started: None,
            completed: None,
            events: Vec::new(),
            events_total: 0,
            sent: 0,
            paced: Duration::ZERO,
            end: None,
        }
    }

    /// From the welcome to the last step, and a little longer.
    async fn converse(&mut self, barrier: &mut Place) -> Ending {
        let stopped = loop {
            let due = self.progress.due();
            let done = match due {
                Due::Nothing => break self.hold_on().await,
                Due::Begin => self.begin(barrier).await,
                Due::Send(text) => self.send(text).await,
                Due::Unfilled(due) => Err(Stopped::By(Ending::Uncaptured { due })),
                Due::Wait(time) => self.wait(time).await,
                Due::Frame { name, within, optional } => self.await_frame(name, within, optional).await,
            };
            if let Err(stopped) = done {
                break Some(stopped);
            }
        };
        match stopped {
            None if self.dialogue.is_cut() => Ending::Cut,
            None => Ending::Completed,
            Some(Stopped::By(ending)) => ending,
            Some(Stopped::End(kind)) => {
                let due = if self.completed.is_some() { None } else { self.due_name() };
                let phase = match (self.completed, self.started) {
                    (Some(_), _) => Phase::Hold,
                    (None, Some(_)) => Phase::Answer,
                    (None, None) => Phase::Greeting,
                };
                self.end = Some((kind, phase));
                Ending::Ended { due, at: self.errand.prober.now() }
            }
        }
    }

    /// What is due, by its name.
    fn due_name(&mut self) -> Option<String> {
        match self.progress.due() {
            Due::Frame { name, .. } => Some(name),
            Due::Begin => Some("the first step".to_owned()),
            Due::Send(_) | Due::Unfilled(_) => Some("the next message of ours".to_owned()),
            Due::Wait(_) => Some("the end of a wait".to_owned()),
            Due::Nothing => None,
        }
    }

    /// Waits for the others of its round.
    async fn begin(&mut self, barrier: &mut Place) -> Result<(), Stopped> {
        let open = barrier.arrive();
        // Each of the others is bounded by its own opening and welcome.
        let longest = self.errand.prober.timeouts.first_contact + self.errand.within;
        let until = Instant::now() + longest;
        while !open.is_cancelled() && Instant::now() < until {
            let heard = tokio::select! {
                heard = self.dialogue.hear(until) => heard,
                () = open.cancelled() => break,
            };
            self.took(heard)?;
            if self.dialogue.is_cut() {
                return Err(Stopped::By(Ending::Cut));
            }
        }
        self.started = Some(self.errand.prober.now());
        self.run_until = Some(Instant::now() + self.errand.within);
        self.pass();
        Ok(())
    }

    fn pass(&mut self) {
        self.progress.pass();
        self.changed = Instant::now();
    }

    /// Sends a text in its turn. The time that it waits is not the server's.
    async fn send(&mut self, text: String) -> Result<(), Stopped> {
        let now = Instant::now();
        let turn = self.pace.next(now);
        self.listen(turn).await?;
        let waited = turn.saturating_duration_since(now);
        self.run_until = self.run_until.map(|until| until + waited);
        if self.sent == 0 {
            self.started = self.started.map(|started| started + in_microseconds(waited));
        } else {
            self.paced += waited;
        }
        if self.dialogue.is_cut() {
            return Err(Stopped::By(Ending::Cut));
        }
        let said = self.dialogue.say(Message::text(text)).await;
        self.pace.sent(Instant::now());
        self.sent += 1;
        said.map_err(Stopped::End)?;
        self.pass();
        Ok(())
    }

    async fn wait(&mut self, time: Duration) -> Result<(), Stopped> {
        let until = Instant::now() + time;
        self.listen(self.run_until.map_or(until, |end| end.min(until))).await?;
        self.pass();
        Ok(())
    }

    /// Listens until then, to whatever comes.
    async fn listen(&mut self, until: Instant) -> Result<(), Stopped> {
        while Instant::now() < until && !self.dialogue.is_cut() {
            let heard = self.dialogue.hear(until).await;
            self.took(heard)?;
        }
        Ok(())
    }

    async fn await_frame(
        &mut self,
        name: String,
        within: Option<Duration>,
        optional: bool,
    ) -> Result<(), Stopped> {
        let within = within.unwrap_or(self.errand.prober.timeouts.answer);
        let in_time = self.changed + within;
        let until = self.run_until.map_or(in_time, |end| end.min(in_time));
        let heard = self.dialogue.hear(until).await;
        let nothing = heard == Heard::Nothing;
        self.took(heard)?;
        if !nothing {
            return Ok(());
        }
        if self.dialogue.is_cut() {
            return Err(Stopped::By(Ending::Cut));
        }
        if in_time > until {
            let within_ms = milliseconds(self.errand.within);
            return Err(Stopped::By(Ending::TooLong { due: name, within_ms }));
        }
        if optional {
            self.pass();
            return Ok(());
        }
        Err(Stopped::By(Ending::Missing { due: name, waited_ms: milliseconds(within) }))
    }

    /// Everything has come: a little longer nothing may go wrong. A socket that the server closes then in peace has ended
    /// as conversations do.
    async fn hold_on(&mut self) -> Option<Stopped> {
        self.completed = Some(self.errand.prober.now());
        let until = Instant::now() + self.errand.prober.timeouts.hold;
        self.listen(until).await.err()
    }

    fn took(&mut self, heard: Heard) -> Result<(), Stopped> {
        match heard {
            Heard::Message(_, payload) => self.message(&payload),
            Heard::End(kind) => Err(Stopped::End(kind)),
            Heard::Pong(_) | Heard::Nothing => Ok(()),
        }
    }

    fn message(&mut self, payload: &Bytes) -> Result<(), Stopped> {
        let prober = self.errand.prober;
        let at = prober.now();
        let incoming = Incoming::new(payload);
        self.overhear(at, payload, &incoming);
        let excerpt = || Excerpt::new(&prober.redactor.redact_cut(&incoming.text));
        let is_error = self.dialogue.reports_error(payload, incoming.envelope());
        let ending = match self.progress.take(&incoming, is_error) {
            Meaning::PassedOver => return Ok(()),
            Meaning::Due(name) => {
                self.changed = Instant::now();
                self.events_total += 1;
                if self.events.len() < EVENTS {
                    self.events.push(Came { name, at });
                }
                return Ok(());
            }
            Meaning::Forbidden(rule, because) => Ending::Forbidden { rule, because, text: excerpt(), at },
            Meaning::OutOfOrder { came, due } => Ending::OutOfOrder { came, due, text: excerpt(), at },
            Meaning::Error => Ending::ErrorFrame { text: excerpt(), due: self.due_name(), at },
            Meaning::Unexpected => Ending::Unexpected { text: excerpt(), due: self.due_name(), at },
        };
        Err(Stopped::By(ending))
    }

    /// Keeps a frame for the search for marks of others.
    fn overhear(&mut self, at: u64, payload: &Bytes, incoming: &Incoming<'_>) {
        let Some(lookout) = self.errand.lookout else { return };
        if self.errand.shared.iter().any(|condition| condition.matches(incoming)) {
            self.transcript.shared += 1;
        } else {
            let own = Own { user: self.values.user, redactor: &self.errand.prober.redactor };
            self.transcript.add(at, payload, incoming, lookout, own);
        }
    }

    /// Cleans up and closes, whatever happened.
    async fn finish(mut self, ending: Ending, cut: &CancellationToken) -> Held {
        let captured = self.progress.captured.clone();
        let mut cleanup = None;
        if self.end.is_none() && !cut.is_cancelled() && !self.errand.flow.cleanup.is_empty() {
            self.progress = Progress::of_cleanup(self.errand.flow, self.values, captured.clone());
            self.run_until = Some(Instant::now() + CLEANUP);
            self.changed = Instant::now();
            cleanup = self.clean_up().await;
        }
        let observation = match self.end {
            Some((kind, phase)) => self.dialogue.ended(kind, phase).await,
            None => self.dialogue.close().await,
        };
        let run = FlowRun {
            started: self.started,
            completed: self.completed,
            events: self.events,
            events_total: self.events_total,
            sent: self.sent,
            paced: in_microseconds(self.paced),
            ending,
            cleanup,
            ..empty(self.errand, self.values.user, observation)
        };
        let nonce = self.values.nonce.to_owned();
        Held { run, nonce, captured, transcript: self.transcript }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
