//! `revgate rehearse`: the whole path on the embedded emulator, nothing else needed.
//!
//! Without `--exec`, three revisions of a sample backend: one racy, one dead, one fixed; it ends 0 when the three
//! verdicts are as they should be, and 11 when options left too little to see. With `--exec`, the user's own server, and it ends with its verdict's code. The very
//! code of `check` runs here; only the control plane is another.

use std::time::Duration;

use anyhow::Context as _;
use clap::ArgMatches;

use super::check::{gate, listen};
use super::output::{Failure, Wanted, conclude, print};
use super::signals::Signals;
use super::{Clock, input};
use crate::config::{
    ApiAccess, Carrier, Choice, Echo, Expect, Identifier, Merged, Purpose, ServiceName, Template, rehearsed,
};
use crate::emulator::{Behaviour, Deployment, Emulator, EmulatorOptions, SampleBackend, Workload};
use crate::exit::Exit;
use crate::judge::Verdict;
use crate::trust::{Excerpt, Redactor};

/// Rehearses.
pub(super) async fn run(matches: &ArgMatches, clock: Clock) -> Result<Exit, Failure> {
    let wanted = Wanted::new(matches)?;
    let merged = input::settings(matches, Purpose::Rehearsal, clock).await?;
    if merged.settings.race.cold {
        return Err(one_instance());
    }
    wanted.check_record()?;
    let signals = listen()?;
    match input::text(matches, "exec") {
        Some(command) => {
            let stage = Stage::new(clock, Workload::Command(command)).await?;
            let settings = stage.aim(merged)?;
            let redactor = Redactor::default();
            let gated = Box::pin(gate(&settings, clock, &wanted, &signals, &redactor)).await;
            let log = stage.emulator.logs(&stage.revision);
            stage.emulator.shutdown().await;
            let (checked, judgement) = gated?;
            if judgement.verdict != Verdict::Approved && !wanted.json {
                show_log(&log, &redactor);
            }
            conclude(checked, &judgement, &wanted, signals.exit())
        }
        None => three(merged, clock, &wanted, &signals).await,
    }
}

/// Why a rehearsal makes no instance start: its revisions have one each, or sockets of one user would never meet.
fn one_instance() -> Failure {
    Failure::usage(
        "cold starts of a deployed revision cannot be rehearsed: here each revision has one instance"
            .to_owned(),
        "with --exec your server is started afresh for cold starts of its own: leave out --cold, or, where revgate.yaml \
         asks for it, type REVGATE_COLD=false revgate rehearse",
    )
}

/// The three revisions and what must become of them.
async fn three(merged: Merged, clock: Clock, wanted: &Wanted, signals: &Signals) -> Result<Exit, Failure> {
    let trials: [(&str, Behaviour, &[Verdict]); 3] = [
        ("racy", Behaviour::CheckThenAct, &[Verdict::Blocked]),
        ("dead behind 503", Behaviour::Always503, &[Verdict::Blocked, Verdict::Inconclusive]),
        ("fixed", Behaviour::Fixed, &[Verdict::Approved]),
    ];
    let mut lines = Vec::new();
    let mut ends = Vec::new();
    for (name, behaviour, due) in trials {
        if !wanted.json {
            print(&format!("──── a revision that is {name}\n"));
        }
        let backend = SampleBackend { behaviour, echo_revision: true, ..SampleBackend::default() };
        let stage = Stage::new(clock, Workload::Sample(backend)).await?;
        let settings = sample(stage.aim(merged.clone())?)?;
        let gated = Box::pin(gate(&settings, clock, wanted, signals, &Redactor::default())).await;
        stage.emulator.shutdown().await;
        let (checked, judgement) = gated?;
        let exit = conclude(checked, &judgement, wanted, signals.exit())?;
        // The record is of the run that was interrupted, not of one that had not begun.
        if signals.exit().is_some() {
            return Ok(exit);
        }
        ends.push(ending(judgement.verdict, due));
        let word = judgement.verdict.word().to_uppercase();
        lines.push(format!("  {name:<16} {word:<13} exit code {}\n", exit.code()));
    }
    let (exit, end) = match ends.iter().copied().fold(Exit::Success, worse) {
        Exit::Success => (Exit::Success, "all three as they should be"),
        Exit::Inconclusive => {
            (Exit::Inconclusive, "too little was seen for all three: leave out what restricts the checks")
        }
        _ => (Exit::Defect, "NOT as they should be: please report this"),
    };
    let summary = format!("──── rehearsed\n{}{end}\n", lines.concat());
    if wanted.json {
        use std::io::Write as _;
        let _ = write!(std::io::stderr(), "{summary}");
    } else {
        print(&summary);
    }
    Ok(exit)
}

/// How a revision's rehearsal ended: too little evidence is no contradiction to what is due.
fn ending(verdict: Verdict, due: &[Verdict]) -> Exit {
    match verdict {
        verdict if due.contains(&verdict) => Exit::Success,
        Verdict::Inconclusive => Exit::Inconclusive,
        Verdict::Approved | Verdict::Blocked => Exit::Defect,
    }
}

fn worse(one: Exit, other: Exit) -> Exit {
    match (one, other) {
        (Exit::Success, other) => other,
        (Exit::Inconclusive, Exit::Defect) => Exit::Defect,
        (one, _) => one,
    }
}

/// An emulator with a good revision that has the traffic, and the candidate.
struct Stage {
    emulator: Emulator,
    revision: String,
    service: ServiceName,
}

impl Stage {
    async fn new(clock: Clock, candidate: Workload) -> Result<Self, Failure> {
        let options = EmulatorOptions::new(clock.started_at);
        let service = ServiceName {
            project: options.project.clone(),
            region: options.region.clone(),
            service: options.service.clone(),
        };
        let emulator = Emulator::start(options).await?;
        let old = Deployment {
            created_ago: Duration::from_hours(1),
            ..Deployment::new(Workload::Sample(SampleBackend::default()))
        };
        emulator.deploy(old).await?;
        emulator.settled().await;
        let revision = emulator.deploy(Deployment::new(candidate)).await?;
        Ok(Self { emulator, revision, service })
    }

    /// The settings, aimed at the emulator.
    fn aim(&self, mut merged: Merged) -> Result<Merged, Failure> {
        let settings = &mut merged.settings;
        settings.service = Some(self.service.clone());
        settings.choice = Choice::Newest;
        settings.tag = Identifier::new("gate");
        settings.url = None;
        let endpoint =
            url::Url::parse(&self.emulator.api_endpoint()).context("the emulator's own address")?;
        settings.api = ApiAccess::Other { endpoint, token: None };
        Ok(merged)
    }
}

/// What the sample backend speaks, on limits of its own: it lives in this very process.
fn sample(mut merged: Merged) -> Result<Merged, Failure> {
    let template = |text: &str| Template::parse(text).context("the rehearsal's own conversation");
    let settings = &mut merged.settings;
    settings.conversation.path = template("/ws?user={{user}}")?;
    settings.conversation.send = Some(template(r#"{"type":"ping","nonce":"{{nonce}}"}"#)?);
    settings.conversation.expect = Some(Expect::JsonSubset(template(r#"{"type":"pong"}"#)?));
    // Its users are its own, and it takes a first message for one of the conversation.
    settings.token = settings.token.take().filter(|token| token.minted().is_some());
    if let Some(token) = &mut settings.token {
        token.carriers.retain(|carrier| !matches!(carrier, Carrier::FirstMessage(_)));
    }
    settings.users = (1..=50).map(|number| format!("user-{number:03}")).collect();
    settings.echo = Some(Echo::Header("x-revision".to_owned()));
    settings.limits.openings_per_second = settings.limits.openings_per_second.max(1000);
    settings.limits.sockets_at_once = settings.limits.sockets_at_once.max(200);
    // What the user's file asks for is asked of another server than this one.
    settings.configured = rehearsed(&settings.limits).context("the rehearsal's own checks")?;
    settings.checks.configured = settings.configured.names();
    Ok(merged)
}

/// The server may have written what it was sent.
fn show_log(log: &[String], redactor: &Redactor) {
    if log.is_empty() {
        return;
    }
    let skipped = log.len().saturating_sub(10);
    print("\nthe last lines of the server's output:\n");
    for line in &log[skipped..] {
        print(&format!("  | {}\n", Excerpt::new(&redactor.redact_cut(line))));
    }
}
