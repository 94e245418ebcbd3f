//! One run, read top to bottom: locate, await ready, address, probe, and hand the evidence over.
//!
//! Takes settings and gives evidence; the verdict is made from that by `judge`. A bad revision is no error here: an
//! error means "could not find out". The surprising rule: a tag that this run added is removed on every way out,
//! also when the run is interrupted, before anything else is said.

mod access;
mod baseline;
mod cleanup;
mod cold;
mod configured;
mod error;
mod interruption;
mod local;
mod logs;
mod own_requests;
mod probing;
mod ready;
mod revision_log;
mod tag_sight;
mod tag_watch;
mod tagging;
mod watch;

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch as channel;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use error::EngineError;
pub use interruption::Interrupt;

use crate::cloudrun::{
    self, AddedTag, Client, TagToAdd,
    wire::{Revision, Service},
};
use crate::config::{ApiAccess, CheckName, Choice, ConfiguredChecks, ServiceName, Settings};
use crate::event::Event;
use crate::judge::{
    AddressKind, Carried, Check, ConfiguredEvidence, EVIDENCE_VERSION, Evidence, IdentityEvidence, Outcome,
    Part, ReadyEvidence, Target, judge,
};
use crate::probe::{Capacity, Tokens};
use crate::revision::{
    AddressPlan, Located, TrafficSnapshot, choose_address, cold_start, locate, reachable, tag,
};
use crate::trust::Redactor;

use self::cleanup::OwnTag;
use self::interruption::Course;
use self::tag_watch::TagWatch;

/// How long a service may be in the middle of a change before it is read as it is.
const SETTLE_TIME: Duration = Duration::from_secs(5);

/// What surrounds a run.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The wall clock at `epoch`.
    pub started_at: Timestamp,
    /// Zero of all times.
    pub epoch: Instant,
    /// Takes secrets out of texts.
    pub redactor: Redactor,
    /// Who listens.
    pub events: UnboundedSender<Event>,
    /// Tells when the run is to end early.
    pub interrupt: Interrupt,
}

impl Surroundings {
    fn say(&self, event: Event) {
        let _ = self.events.send(event);
    }

    fn note(&self, words: impl Into<String>) {
        self.say(Event::Note { words: words.into() });
    }

    fn now(&self) -> Timestamp {
        self.started_at + self.epoch.elapsed()
    }
}

/// What a run leaves behind.
#[derive(Debug)]
pub struct Checked {
    /// The evidence.
    pub evidence: Evidence,
    /// For a promotion: the control plane, and the traffic when the run began.
    pub control: Option<Promotable>,
    /// With what it ended when a signal came in the middle of it: the evidence is what was seen until then.
    pub cut_short: Option<EngineError>,
}

/// The control plane, and the traffic when the run began.
type Promotable = (Client, TrafficSnapshot);

/// Gates one revision.
///
/// # Errors
/// It could not be found out, and no signal is the reason.
pub async fn check(settings: &Settings, around: &Surroundings) -> Result<Checked, EngineError> {
    let mut run = Run::new(settings, around);
    let own = run.own.subscribe();
    let walked = tokio::select! {
        biased;
        never = cleanup::tell(around, own) => match never {},
        walked = run.walk() => walked,
    };
    match walked {
        Ok(control) => Ok(Checked { evidence: run.finish(None), control, cut_short: None }),
        Err(error) if around.interrupt.signal().is_some() => {
            Ok(Checked { evidence: run.finish(Some(&error)), control: None, cut_short: Some(error) })
        }
        Err(error) => Err(error),
    }
}

/// The control plane's view of the candidate.
struct Control {
    client: Client,
    name: ServiceName,
    service: Service,
    located: Located,
    capacity: Capacity,
    /// The age at which the revision ends every request; `None` where it does not say.
    request_timeout: Option<Duration>,
}

impl Control {
    fn without_address(&self, tag: &str) -> EngineError {
        EngineError::TagWithoutAddress { tag: tag.to_owned(), service: Box::new(self.name.clone()) }
    }
}

struct Run<'a> {
    begun: Instant,
    /// A text that no other run has; every socket's own begins with it.
    id: String,
    settings: &'a Settings,
    around: &'a Surroundings,
    evidence: Evidence,
    /// What is asked for by being configured, within what the revision holds, once that is known.
    configured: ConfiguredChecks,
    /// The application's tokens, once they were wanted.
    tokens: Option<Tokens>,
    /// The revision that serves, where the candidate is to be compared with it.
    opponent: Option<baseline::Opponent>,
    /// Who looks at the errors of the revision that serves.
    watcher: Option<watch::Watcher>,
    /// How far it is.
    course: Course,
    /// Cancelled when what is under way must end: a signal came, or the candidate's tag leads elsewhere.
    cut: CancellationToken,
    /// Who looks whether the candidate's tag still leads to it.
    tag_watch: Option<TagWatch>,
    /// The tag that this run has, or may have, added and not yet taken away.
    own: channel::Sender<Option<OwnTag>>,
}

impl<'a> Run<'a> {
    fn new(settings: &'a Settings, around: &'a Surroundings) -> Self {
        let target = Target {
            service: settings.service.clone(),
            revision: None,
            revision_uid: None,
            rule: "no control plane: the address itself".to_owned(),
            serving_percent: 0,
            previous: None,
            address: None,
            path: around.redactor.redact(settings.conversation.path.source()),
            rehearsed: matches!(settings.api, ApiAccess::Other { .. }),
            behind_front_end: false,
            notes: Vec::new(),
        };
        let evidence = Evidence {
            version: EVIDENCE_VERSION,
            recorded_by: concat!("revgate ", env!("CARGO_PKG_VERSION")).to_owned(),
            started_at: around.started_at,
            took_ms: 0,
            target,
            selection: settings.checks.clone(),
            dry_run: settings.dry_run,
            asked: settings.asked.clone(),
            ready: ReadyEvidence::Unknown,
            identity: IdentityEvidence {
                address: AddressKind::None,
                echo: settings.echo.clone(),
                instance_echo: settings.instance_echo.clone(),
                before: None,
                after: None,
                log: None,
            },
            local: None,
            probing: None,
            configured: ConfiguredEvidence {
                carried: Carried::of(settings, around.started_at.as_second()),
                ..ConfiguredEvidence::default()
            },
            baseline: None,
            watch: None,
            times: Vec::new(),
            interrupted: None,
            tag_loss: None,
        };
        let id = format!("{:016x}", rand::random::<u64>());
        Self {
            begun: Instant::now(),
            id,
            settings,
            around,
            evidence,
            configured: settings.configured.clone(),
            tokens: None,
            opponent: None,
            watcher: None,
            course: Course::of(settings),
            cut: around.interrupt.token().child_token(),
            tag_watch: None,
            own: channel::Sender::new(None),
        }
    }

    /// The whole run, to where its evidence is complete.
    async fn walk(&mut self) -> Result<Option<Promotable>, EngineError> {
        if self.probe_locally().await? {
            return Ok(None);
        }
        let settings = self.settings;
        let Some(service) = &settings.service else {
            let address = settings.url.clone().ok_or(EngineError::NoAddress)?;
            self.probe(&address, None, None).await?;
            return Ok(None);
        };
        self.course.begin(Part::Ready);
        let mut control = self.locate(service).await?;
        self.await_ready(&control).await?;
        self.look_again(&mut control).await?;
        self.course.end();
        let mut snapshot = TrafficSnapshot::of(&control.service);
        let ready = matches!(self.evidence.ready, ReadyEvidence::Ready { .. });
        if ready || !settings.checks.runs(CheckName::Ready) {
            let added = self.probe_candidate(&control).await?;
            if let Some(added) = added {
                snapshot.ignore(&added.name);
            }
        }
        Ok(Some((control.client, snapshot)))
    }

    /// Says how the checks that are over ended, on the evidence so far.
    fn tell(&self, over: impl Fn(CheckName) -> bool) {
        let Ok(judgement) = judge(&self.evidence) else { return };
        let asked = |check: &&Check| !matches!(check.outcome, Outcome::NotAsked | Outcome::Skipped);
        for check in judgement.checks.iter().filter(asked).filter(|check| over(check.name)) {
            self.around.say(Event::Checked {
                check: check.name.name().to_owned(),
                outcome: check.outcome.word().to_owned(),
                summary: check.summary.clone(),
            });
        }
    }

    /// A remark for the screen and the report.
    fn note_of_target(&mut self, words: String) {
        self.evidence.target.notes.push(words.clone());
        self.around.note(words);
    }

    /// Service, revisions, candidate; says what was found.
    async fn locate(&mut self, name: &ServiceName) -> Result<Control, EngineError> {
        let client = Client::new(&self.settings.api, &self.around.redactor)?;
        let reading = read_settled(&client, name);
        let (service, revisions) = self.unless_interrupted(reading).await?.map_err(EngineError::Api)?;
        let located = locate(&service, &revisions, &self.settings.choice)?;
        if self.settings.url.is_none() {
            reachable(&service)?;
        }
        let target = &mut self.evidence.target;
        target.revision = Some(located.revision.clone());
        target.revision_uid = Some(located.uid.clone());
        target.rule.clone_from(&located.rule);
        target.serving_percent = located.serving_percent;
        target.previous = located.previous.as_ref().map(|serving| serving.revision.clone());
        target.notes.clone_from(&located.notes);
        let candidate = revisions.iter().find(|revision| revision.short_name() == located.revision);
        target.notes.extend(candidate.map(cold_start));
        self.around.say(Event::Located {
            headline: format!(
                "{name} · revision {} ({}, {} % of traffic)",
                located.revision, located.rule, located.serving_percent
            ),
        });
        for note in &self.evidence.target.notes {
            self.around.note(note.clone());
        }
        let capacity = candidate.map_or_else(Capacity::default, |revision| Capacity {
            concurrency: u32::try_from(revision.max_instance_request_concurrency).ok().filter(|&c| c > 0),
            max_instances: u32::try_from(revision.scaling.max_instance_count).ok().filter(|&m| m > 0),
        });
        let request_timeout = candidate.and_then(Revision::request_timeout);
        Ok(Control { client, name: name.clone(), service, located, capacity, request_timeout })
    }

    /// Tags and shares once more: what was said while the service was being reconciled was transient.
    async fn look_again(&mut self, control: &mut Control) -> Result<(), EngineError> {
        let reading = read_settled(&control.client, &control.name);
        let (service, revisions) = self.unless_interrupted(reading).await?.map_err(EngineError::Api)?;
        let candidate = Choice::Revision(control.located.revision.clone());
        let located = locate(&service, &revisions, &candidate)?;
        self.evidence.target.serving_percent = located.serving_percent;
        self.evidence.target.previous = located.previous.as_ref().map(|serving| serving.revision.clone());
        control.located = located;
        control.service = service;
        Ok(())
    }

    /// Finds or makes the candidate's address, probes it, and cleans up. Gives the tag that was added.
    async fn probe_candidate(&mut self, control: &Control) -> Result<Option<AddedTag>, EngineError> {
        self.evidence.target.behind_front_end = true;
        self.choose_opponent(control)?;
        let id_token = self.id_token(control).await?;
        if let Some(url) = &self.settings.url {
            self.evidence.identity.address = AddressKind::Url;
            self.probe_watched(control, url, id_token).await?;
            return Ok(None);
        }
        let plan = choose_address(&control.service, &control.located, self.settings.tag.as_ref())?;
        if self.settings.dry_run {
            self.around.note(match &plan {
                AddressPlan::Use { tag, .. } => format!("would probe tag {tag}"),
                AddressPlan::Add { base } => {
                    format!("would add a tag {base}-… at 0 %, and remove it afterwards")
                }
            });
            self.plan_only(Some(control));
            return Ok(None);
        }
        match plan {
            AddressPlan::Use { tag, uri } => {
                let uri = uri.ok_or_else(|| control.without_address(&tag))?;
                self.evidence.identity.address = AddressKind::Tag { tag: tag.clone() };
                let known = control.service.generation;
                self.probe_tag(control, &tag, (&uri, known), id_token).await?;
                Ok(None)
            }
            AddressPlan::Add { base } => {
                let name = tag::fresh(&base, &control.service, self.around.now(), rand::random())?;
                let revision = control.located.revision.clone();
                let wanted = TagToAdd { name, base, revision };
                self.probe_added_tag(control, &wanted, id_token).await.map(Some)
            }
        }
    }
}

/// Service and revisions, once the service is not being reconciled, or as they are after a short while.
async fn read_settled(
    client: &Client,
    name: &ServiceName,
) -> Result<(Service, Vec<Revision>), cloudrun::ApiError> {
    let until = Instant::now() + SETTLE_TIME;
    loop {
        let service = client.get_service(name).await?;
        if service.is_settled() || Instant::now() >= until {
            return Ok((service, client.list_revisions(name).await?));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
