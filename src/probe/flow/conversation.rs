//! One run of a flow on one socket, from its opening to its end.
//!
//! Takes a flow, a socket and what a run may cost; gives what was seen and what came. It never judges. The surprising rule:
//! the socket is read in every moment, also while a message waits for its turn or a run for the others, and everything that
//! comes is looked at: forbidden is forbidden whenever it comes.

mod cleanup;
mod hearing;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::super::dialogue::Dialogue;
use super::super::observation::{EndKind, Observation, Phase, in_microseconds};
use super::super::pace::Pace;
use super::super::prober::Prober;
use super::super::spec::SocketSpec;
use super::barrier::Place;
use super::condition::Condition;
use super::marks::Lookout;
use super::progress::{Due, Progress};
use super::seen::{Came, Company, Ending, FlowRun, Near};
use super::transcript::Transcript;
use crate::config::{Flow, Values};

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
    /// The age of its socket up to which it stays when everything has come.
    pub(super) oldest: Duration,
}

/// What is left of a run.
pub(super) struct Held {
    pub(super) run: FlowRun,
    pub(super) nonce: String,
    /// What was taken out of its frames, as texts.
    pub(super) captured: BTreeMap<String, String>,
    pub(super) transcript: Transcript,
}

/// What the conversations of a round do together.
pub(super) struct Places {
    /// Their first step.
    pub(super) start: Place,
    /// Their last frame.
    pub(super) end: Place,
}

/// Holds one conversation.
pub(super) async fn hold(
    errand: Errand<'_>,
    mut places: Places,
    pace: Pace,
    cut: &CancellationToken,
) -> Held {
    let user = errand.prober.user_name(errand.spec.user).to_owned();
    let nonce = errand.spec.nonce.clone();
    if !errand.delay.is_zero() {
        let _ = cut.run_until_cancelled(tokio::time::sleep(errand.delay)).await;
    }
    let until = Instant::now() + errand.oldest;
    let opening = Dialogue::open(errand.prober, &errand.spec, errand.prober.timeouts.first_contact, cut);
    let values = Values { user: &user, nonce: &nonce, round: errand.number };
    let mut talk = match opening.await {
        Err(observation) => {
            drop(places);
            let mut run = empty(&errand, &user, *observation);
            run.ending = if cut.is_cancelled() { Ending::Cut } else { Ending::NotOpened };
            return Held { run, nonce, captured: BTreeMap::new(), transcript: Transcript::default() };
        }
        Ok(dialogue) => Talk::new(&errand, values, dialogue, pace),
    };
    let ending = talk.converse(&mut places, until).await;
    drop(places);
    talk.finish(ending).await
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
        answered: 0,
        paced: 0,
        ending: Ending::NotOpened,
        near: None,
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
    answered: u32,
    paced: Duration,
    end: Option<(EndKind, Phase)>,
    near: Option<Near>,
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
            answered: 0,
            paced: Duration::ZERO,
            end: None,
            near: None,
        }
    }

    /// From the welcome to the last step, and longer: at most until then.
    async fn converse(&mut self, places: &mut Places, until: Instant) -> Ending {
        let stopped = loop {
            let due = self.progress.due();
            let done = match due {
                Due::Nothing => break self.hold_on(&mut places.end, until).await.err(),
                Due::Begin => self.begin(&mut places.start).await,
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
        self.listen_unless(&open, Instant::now() + longest).await?;
        if self.dialogue.is_cut() {
            return Err(Stopped::By(Ending::Cut));
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

    /// Everything has come: until the last of its round has ended, and as much longer as a single socket is kept, nothing may
    /// go wrong: what an agent leaves behind may fail seconds later. A socket that the server closes then in peace has ended
    /// as conversations do.
    async fn hold_on(&mut self, end: &mut Place, until: Instant) -> Result<(), Stopped> {
        self.completed = Some(self.errand.prober.now());
        let all_ended = end.arrive();
        self.listen_unless(&all_ended, until).await?;
        let (times, now) = (&self.errand.prober.timeouts, Instant::now());
        let least = now + times.hold;
        self.listen(until.clamp(least, least.max(now + times.serves_hold))).await
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
