//! A signal in the middle of a run: who hears it, how far the run had come, and what is left undone.
//!
//! Takes signals from whoever listens for them; a run that is interrupted ends with the evidence of what was seen until
//! then. The surprising rule: what is under way has a moment to hand over what it has seen, and no more: the tag is still
//! to be taken away, and whoever runs pipelines kills soon after.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{EngineError, Run, milliseconds};
use crate::config::{CheckName, Settings};
use crate::judge::{Evidence, Interruption, Part, Signal};
use crate::probe::StopReason;

/// How long what is under way may take to hand over what it has seen: as long as the end of a socket may take, and a little.
pub(super) const HANDOVER_TIME: Duration = Duration::from_secs(3);

/// How long conversations that are cut may take in all for their cleanup and their close.
pub(super) const CLEANUP_TIME: Duration = Duration::from_secs(5);

/// Parts that the configuration asks for, in the order in which they run.
const CONFIGURED: [CheckName; 5] =
    [CheckName::Hold, CheckName::Api, CheckName::Auth, CheckName::Frames, CheckName::Logs];

/// A signal that may come.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    token: CancellationToken,
    first: Arc<OnceLock<(Signal, Instant)>>,
    latest: Arc<watch::Sender<Option<Signal>>>,
}

impl Interrupt {
    /// A signal came now. Only the first one counts; the others are heard of.
    pub fn by(&self, signal: Signal) {
        let _ = self.first.set((signal, Instant::now()));
        self.latest.send_replace(Some(signal));
        self.token.cancel();
    }

    /// The first signal that came.
    pub fn signal(&self) -> Option<Signal> {
        self.first.get().map(|(signal, _)| *signal)
    }

    /// The latest signal, again and again.
    pub(crate) fn latest(&self) -> watch::Receiver<Option<Signal>> {
        self.latest.subscribe()
    }

    /// Cancelled by the first signal.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }
}

/// Which parts a run has, and how far it is.
#[derive(Debug)]
pub(super) struct Course {
    asked: Vec<Part>,
    ran: Vec<Part>,
    during: Option<Part>,
}

impl Course {
    /// Nothing is over yet.
    pub(super) fn of(settings: &Settings) -> Self {
        let runs = |check: &CheckName| settings.checks.runs(*check);
        let opens = !settings.dry_run;
        let parts = [
            (opens && settings.local.is_some(), Part::Local),
            (settings.service.is_some(), Part::Ready),
            (opens && [CheckName::Serves, CheckName::Race].iter().any(runs), Part::Rounds),
            (opens && [CheckName::Agent, CheckName::Isolation].iter().any(runs), Part::Agent),
        ];
        let configured = CONFIGURED.iter().filter(|check| opens && runs(check)).map(|check| Part::of(*check));
        let asked = parts.into_iter().filter_map(|(asked, part)| asked.then_some(part)).chain(configured);
        let compared = (opens && settings.race.baseline.asked).then_some(Part::Baseline);
        Self { asked: asked.chain(compared).collect(), ran: Vec::new(), during: None }
    }

    pub(super) fn begin(&mut self, part: Part) {
        self.during = Some(part);
    }

    /// The part that was begun last is over.
    pub(super) fn end(&mut self) {
        self.ran.extend(self.during.take());
    }

    /// It will not run, for another reason than a signal.
    pub(super) fn leave_out(&mut self, part: Part) {
        self.asked.retain(|asked| *asked != part);
    }
}

impl Run<'_> {
    /// Runs `work` unless what is under way must end.
    pub(super) async fn unless_interrupted<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> Result<T, EngineError> {
        tokio::select! {
            done = work => Ok(done),
            () = self.cut.cancelled() => Err(self.why_cut()),
        }
    }

    /// Runs `work`. Where it must end, of which `hear` tells it, it has so long to hand over what it has seen.
    pub(super) async fn handing_over<T>(
        &self,
        work: impl Future<Output = T>,
        within: Duration,
        hear: impl FnOnce(),
    ) -> Result<T, EngineError> {
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => return Ok(done),
            () = self.cut.cancelled() => hear(),
        }
        timeout(within, work).await.map_err(|_| self.why_cut())
    }

    /// An error where what is under way must end: to be asked once what was handed over is in the evidence.
    pub(super) fn heed(&self) -> Result<(), EngineError> {
        if self.cut.is_cancelled() { Err(self.why_cut()) } else { Ok(()) }
    }

    /// Why what was under way had to end: a signal counts first, for it ends all.
    pub(super) fn why_cut(&self) -> EngineError {
        match self.around.interrupt.signal() {
            Some(_) => EngineError::Interrupted,
            None => EngineError::TagLost,
        }
    }

    /// Why a campaign ended: it knows only that it was cut.
    pub(super) fn told_apart(&self, stopped: StopReason) -> StopReason {
        match (stopped, self.around.interrupt.signal()) {
            (StopReason::Interrupted, None) => StopReason::TagLost,
            (stopped, _) => stopped,
        }
    }

    /// The evidence of a run that is over; of one that a signal ended, with how far it had come and what is left.
    pub(super) fn finish(mut self, cause: Option<&EngineError>) -> Evidence {
        self.evidence.took_ms = milliseconds(self.begun.elapsed());
        self.evidence.interrupted = self.interruption(cause);
        if self.evidence.interrupted.is_none() {
            self.tell(|name| name != CheckName::Ready || self.settings.service.is_none());
        }
        self.evidence
    }

    fn interruption(&self, cause: Option<&EngineError>) -> Option<Interruption> {
        let (signal, at) = *self.around.interrupt.first.get()?;
        let Course { asked, ran, during } = &self.course;
        Some(Interruption {
            signal,
            after_ms: milliseconds(at.saturating_duration_since(self.around.epoch)),
            during: *during,
            ran: ran.clone(),
            asked: asked.clone(),
            left: cause.map(EngineError::left).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_counts() {
        let interrupt = Interrupt::default();
        assert_eq!(interrupt.signal(), None);
        interrupt.by(Signal::Terminate);
        interrupt.by(Signal::Interrupt);
        assert!(interrupt.token().is_cancelled());
        assert_eq!(interrupt.signal(), Some(Signal::Terminate));
    }

    #[test]
    fn what_is_left_out_is_not_due() {
        let asked = vec![Part::Rounds, Part::Hold];
        let mut course = Course { asked, ran: Vec::new(), during: None };
        course.begin(Part::Rounds);
        course.end();
        course.leave_out(Part::Hold);
        assert_eq!((course.asked, course.ran, course.during), (vec![Part::Rounds], vec![Part::Rounds], None));
    }
}
