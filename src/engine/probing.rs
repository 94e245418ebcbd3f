//! The probing part of a run: plan, campaign, evidence.

use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::interruption::HANDOVER_TIME;
use super::{Control, EngineError, Run, milliseconds};
use crate::config::CheckName;
use crate::event::Event;
use crate::judge::{AddressKind, ColdEvidence, LiveJudge, LogProof, Part, Probing, Progress};
use crate::probe::{
    Address, Calibration, Campaign, Campaigned, Capacity, Place, Plan, Prober, Purse, Tokens, calibrate,
    check_descriptors, raise_descriptor_limit,
};
use crate::trust::Secret;

/// How long a run may take beyond its probing.
const SPARE: Duration = Duration::from_mins(5);

impl Run<'_> {
    /// Plans, says so, and probes `url` unless nothing is asked of it. Gives the prober that did.
    pub(super) async fn probe(
        &mut self,
        url: &Url,
        control: Option<&Control>,
        id_token: Option<Secret>,
    ) -> Result<Option<Prober>, EngineError> {
        let address = Address::new(url)?;
        self.evidence.target.address = Some(address.display());
        self.evidence.target.behind_front_end |= address.is_google_host();
        if self.evidence.identity.address == AddressKind::None {
            self.evidence.identity.address = AddressKind::Url;
        }
        let plan = self.plan_only(control);
        let configured = &self.settings.checks.configured;
        let talks = configured.iter().any(|check| self.settings.checks.runs(*check));
        if self.settings.dry_run || (plan.strata.is_empty() && !talks) {
            return Ok(None);
        }
        raise_descriptor_limit();
        check_descriptors(plan.limits.sockets_at_once)?;
        let begun = Instant::now();
        let around = self.around;
        let tokens = self.tokens().await?;
        let prober = Prober::new(
            address,
            self.settings,
            id_token,
            around.redactor.clone(),
            around.epoch,
            around.started_at.as_second(),
        )
        .sharing(tokens.as_ref());
        prober.mint_all()?;
        if plan.strata.is_empty() {
            self.course.leave_out(Part::Rounds);
        } else {
            self.course.begin(Part::Rounds);
            self.run_campaign(&prober, plan, control).await?;
            self.course.end();
        }
        self.time(begun.elapsed());
        self.probe_configured(&prober, control).await?;
        Ok(Some(prober))
    }

    /// The tokens of this run, from its first prober to its last; with a word about those that may expire before the end.
    pub(super) async fn tokens(&mut self) -> Result<Option<Tokens>, EngineError> {
        if let (None, Some(settings)) = (&self.tokens, &self.settings.token) {
            let around = self.around;
            let (redactor, second) = (around.redactor.clone(), around.started_at.as_second());
            let purse = Purse::new(settings.clone(), around.epoch, second, redactor);
            let events = around.events.clone();
            let say = move |words| drop(events.send(Event::Note { words }));
            let tokens = self.unless_interrupted(Tokens::start(purse, say)).await?;
            let race = &self.settings.race;
            if let Some(words) = tokens.expire_within(race.time_budget + race.cold_budget + SPARE) {
                around.note(words);
            }
            self.tokens = Some(tokens);
        }
        Ok(self.tokens.clone())
    }

    /// Sockets in rounds, until enough was seen.
    async fn run_campaign(
        &mut self,
        prober: &Prober,
        plan: Plan,
        control: Option<&Control>,
    ) -> Result<(), EngineError> {
        let around = self.around;
        let calibration = self.calibrate(&plan).await?;
        let behind_front_end = self.evidence.target.behind_front_end;
        let mut judge = LiveJudge::new(&plan, behind_front_end, |progress| around.say(round(progress)))
            .map_err(EngineError::Settings)?;
        let new_host =
            matches!(self.evidence.identity.address, AddressKind::FreshTag { .. } | AddressKind::Tag { .. });
        let campaign = Campaign::new(prober.clone(), &plan, &mut judge, self.id.clone())
            .halted_by(self.halt())
            .interrupted_by(self.cut.clone());
        let running = campaign.run(new_host);
        let Campaigned { rounds, learned, round_trip, stopped, cold } =
            self.handing_over(running, HANDOVER_TIME, || {}).await??;
        // A run that must end while the log is read has not read it.
        let unread = LogProof::Unread { why: "the run was ended first".to_owned() };
        let stopped = self.told_apart(stopped);
        let cold = cold.map(|stopped| self.told_apart(stopped));
        let needs_log = cold.is_some() && judge.needs_log();
        let log = needs_log.then_some(unread);
        let cold = cold.map(|stopped| ColdEvidence { stopped, log });
        let round_trip = round_trip.and_then(|time| u64::try_from(time.as_micros()).ok());
        let probing = Probing { plan, calibration, learned, round_trip, rounds, stopped, cold };
        self.evidence.probing = Some(probing);
        if needs_log {
            self.read_log_of_starts(control).await?;
        }
        self.heed()
    }

    /// Fills in what the log says of instances that were made to start.
    async fn read_log_of_starts(&mut self, control: Option<&Control>) -> Result<(), EngineError> {
        let rounds = self.evidence.probing.as_ref().map_or(&[][..], |probing| &probing.rounds);
        let log = self.read_starts(control, rounds).await?;
        let probing = self.evidence.probing.as_mut();
        if let Some(cold) = probing.and_then(|probing| probing.cold.as_mut()) {
            cold.log = log;
        }
        Ok(())
    }

    /// Lets the prober find the bundled race first: one that cannot may not pass others. A busy machine gets a second
    /// try.
    async fn calibrate(&self, plan: &Plan) -> Result<Option<Calibration>, EngineError> {
        let provokes = plan.strata.iter().any(|stratum| stratum.sockets > 1);
        if !plan.race.calibrate || !provokes {
            return Ok(None);
        }
        let mut last = None;
        for _ in 0..2 {
            match self.unless_interrupted(calibrate(self.settings)).await? {
                Err(error) => self.around.note(format!("no calibration: loopback cannot be used: {error}")),
                Ok(calibration) => {
                    let Calibration { rounds, found, window } = calibration;
                    self.around.note(format!(
                        "calibration: the bundled race of {window} µs was found in {found} of {rounds} rounds"
                    ));
                    last = Some(calibration);
                    if calibration.is_enough() {
                        break;
                    }
                }
            }
        }
        Ok(last)
    }

    /// Makes the plan and says what it may cost.
    pub(super) fn plan_only(&mut self, control: Option<&Control>) -> Plan {
        let capacity = control.map_or_else(Capacity::default, |control| control.capacity);
        let mut plan = Plan::new(self.settings, capacity, self.seed());
        plan.race.baseline.asked = self.opponent.is_some();
        self.announce(&plan);
        if let Some(opponent) = &self.opponent {
            self.around.note(opponent.plan.words());
        }
        let settings = self.settings;
        let cut = control.and_then(|control| control.request_timeout);
        self.plan_configured(&plan, cut);
        for words in &settings.unread {
            self.note_of_target(words.clone());
        }
        if settings.dry_run {
            // Of a plan that is carried out the report tells by itself.
            self.evidence.target.notes.push(format!("plan: {}", plan.words()));
        }
        plan
    }

    /// What the configured checks may cost, within what the revision holds.
    fn plan_configured(&mut self, plan: &Plan, cut: Option<Duration>) {
        let settings = self.settings;
        let (users, runs) = (settings.users.len(), |check| settings.checks.runs(check));
        let (configured, mut trimmed) = settings.configured.within(plan.limits.sockets_at_once, users);
        trimmed.retain(|trimmed| runs(trimmed.check));
        for words in configured.words(runs, users, cut) {
            self.note_of_target(words);
        }
        for trimmed in &trimmed {
            self.note_of_target(format!("{}: {}", trimmed.check, trimmed.words()));
        }
        if let Some(words) = settings.shares(&configured) {
            self.note_of_target(words);
        }
        self.configured = configured;
        self.evidence.configured.trimmed = trimmed;
    }

    /// The seed that was asked for, else a new one.
    pub(super) fn seed(&self) -> u64 {
        self.settings.race.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()))
    }

    /// Says what a plan may cost, and what it leaves out.
    pub(super) fn announce(&self, plan: &Plan) {
        let own = plan.place == Place::Local;
        let limits = if own { &plan.limits } else { &self.settings.limits };
        self.around.say(Event::Planned { words: plan.words(), sockets: limits.sockets_per_run });
        for (pattern, reason) in &plan.left_out {
            self.around.note(format!("{pattern} is left out: {reason}"));
        }
    }

    fn time(&mut self, took: Duration) {
        for check in [CheckName::Identity, CheckName::Serves, CheckName::Race] {
            self.evidence.times.push((check, milliseconds(took)));
        }
    }
}

pub(super) fn round(progress: Progress) -> Event {
    Event::Round {
        stage: progress.stage.name().to_owned(),
        number: progress.number,
        sockets: progress.sockets,
        failed: progress.failed,
        infra: progress.infra,
    }
}
