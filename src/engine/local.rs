//! The local part of a run: a server of our own, before anything else is touched.

use tokio::time::Instant;

use super::interruption::HANDOVER_TIME;
use super::probing::round;
use super::{EngineError, Run, milliseconds};
use crate::judge::{LiveJudge, Local, Part, Probing};
use crate::local::{self, LocalRun, NotStarted};
use crate::probe::{Campaigned, Plan, Prober, Steering as _, check_descriptors};
use crate::trust::Excerpt;

impl Run<'_> {
    /// Puts a server of our own through its patterns, where there is one. True when it failed: nothing that follows
    /// could approve the revision any more, so it is left in peace.
    pub(super) async fn probe_locally(&mut self) -> Result<bool, EngineError> {
        let Some(local) = &self.settings.local else { return Ok(false) };
        let plan = Plan::local(self.settings, self.seed());
        self.announce(&plan);
        if self.settings.dry_run || plan.strata.is_empty() {
            self.course.leave_out(Part::Local);
            return Ok(false);
        }
        self.course.begin(Part::Local);
        check_descriptors(plan.limits.sockets_at_once)?;
        let (begun, around) = (Instant::now(), self.around);
        let mut judge = LiveJudge::new(&plan, false, |progress| around.say(round(progress)))
            .map_err(EngineError::Settings)?;
        let (tokens, settings) = (self.tokens().await?, self.settings);
        let prober = |address| {
            let (redactor, second) = (around.redactor.clone(), around.started_at.as_second());
            Prober::new(address, settings, None, redactor, around.epoch, second).sharing(tokens.as_ref())
        };
        let run = format!("{:016x}", rand::random::<u64>());
        let interrupted = around.interrupt.token();
        let running = local::run(&local.words, &plan, prober, &mut judge, &run, interrupted);
        let ran = self.handing_over(running, HANDOVER_TIME, || {}).await?;
        let failed = judge.has_failed();
        let seen = |text: &str| Excerpt::new(&around.redactor.redact(text));
        let (probing, lines, not_started) = match ran {
            Ok(LocalRun { campaigned, lines }) => (Some(probing(plan, campaigned)), lines, None),
            Err(NotStarted::Campaign(error)) => return Err(error.into()),
            Err(NotStarted::Address(error)) => return Err(error.into()),
            Err(NotStarted::Token(error)) => return Err(error.into()),
            Err(error @ NotStarted::Command(_)) => (None, Vec::new(), Some(seen(&error.to_string()))),
            // It might have, with more time.
            Err(NotStarted::NeverListened { .. }) if interrupted.is_cancelled() => {
                return Err(EngineError::Interrupted);
            }
            Err(NotStarted::NeverListened { lines }) => {
                (None, lines, Some(seen("the command ran and did not listen on $PORT of 127.0.0.1")))
            }
        };
        if let Some(why) = &not_started {
            around.note(format!("no local stage: {why}"));
        }
        self.evidence.local = Some(Local {
            command: around.redactor.redact(&local.command),
            not_started,
            lines: lines.iter().map(|line| seen(line)).collect(),
            probing,
            ended_run: failed,
            took_ms: milliseconds(begun.elapsed()),
        });
        self.heed()?;
        self.course.end();
        Ok(failed)
    }
}

fn probing(plan: Plan, campaigned: Campaigned) -> Probing {
    let Campaigned { rounds, learned, round_trip, stopped, cold: _ } = campaigned;
    let round_trip = round_trip.and_then(|time| u64::try_from(time.as_micros()).ok());
    Probing { plan, calibration: None, learned, round_trip, rounds, stopped, cold: None }
}
