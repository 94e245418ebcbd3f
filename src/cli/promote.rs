//! `revgate promote`: the check, then one write.
//!
//! Asks before the first socket, not after the last. The surprising rule: a recorded check counts only for the very
//! same revision of the very same service, freshly recorded, and never a rehearsed one for Google's own API.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use clap::ArgMatches;

use super::check::{gate, listen};
use super::output::{Failure, Wanted, conclude, keep, report, show};
use super::{Clock, input, judge::load};
use crate::cloudrun::Client;
use crate::config::{ApiAccess, CheckName, Choice, Merged, Purpose, ServiceName};
use crate::engine::Checked;
use crate::exit::Exit;
use crate::judge::{Evidence, Verdict, judge};
use crate::promote::{AFTER_SIGNAL, PromoteError, Promoted, promote};
use crate::report::Document;
use crate::revision::{TrafficSnapshot, command, locate};
use crate::trust::Redactor;

/// How old a recorded check may be, in seconds.
const FRESH: i64 = 3600;

/// Gates one revision and, approved, gives it all traffic.
pub(super) async fn run(matches: &ArgMatches, clock: Clock) -> Result<Exit, Failure> {
    let wanted = Wanted::new(matches)?;
    let merged = input::settings(matches, Purpose::Gate, clock).await?;
    let Some(service) = merged.settings.service.clone() else {
        return Err(Failure::usage(
            "a promotion needs a service, not only an address",
            "name --project, --region and --service",
        ));
    };
    needs_proof(&merged, &service)?;
    consent(matches, &merged, &service)?;
    wanted.check_record()?;
    let signals = listen()?;
    let (evidence, client, snapshot) = if let Some(path) = input::text(matches, "recorded") {
        let reading = recorded(&path, &merged, &service, clock);
        tokio::select! {
            read = reading => read?,
            () = signals.interrupt.token().cancelled() => {
                let exit = signals.exit().unwrap_or(Exit::Interrupted);
                return Err(Failure { exit, ..interrupted(&service) });
            }
        }
    } else {
        let (checked, judgement) = gate(&merged, clock, &wanted, &signals, &Redactor::default()).await?;
        if checked.cut_short.is_some() {
            return conclude(checked, &judgement, &wanted, signals.exit());
        }
        let Checked { evidence, control: Some((client, snapshot)), .. } = checked else {
            return Err(Failure::usage(
                "there is no control plane",
                "name --project, --region and --service",
            ));
        };
        (evidence, client, snapshot)
    };
    let judgement = judge(&evidence)
        .map_err(|error| Failure::usage(error.to_string(), "look at race.tolerated and race.noise"))?;
    let revision = evidence.target.revision.as_deref().filter(|_| judgement.verdict == Verdict::Approved);
    let Some(revision) = revision.filter(|_| signals.exit().is_none()) else {
        return report(&evidence, &judgement, &wanted, signals.exit(), true);
    };
    keep(&evidence, &wanted)?;
    let promoting = promote(signals.interrupt.token(), &client, &service, revision, &snapshot);
    let promoted = signals.telling(wanted.progress, &behind_the_write(&service), promoting).await;
    let (told, exit, failure) = match promoted {
        Ok(promoted) => (words(&promoted), signals.exit().unwrap_or(Exit::Success), None),
        Err(error) => {
            let told = vec![format!("PROMOTION FAILED  {error}")];
            let interrupted = signals.exit().filter(|_| matches!(error, PromoteError::Interrupted { .. }));
            let failure = Failure::from(error);
            let exit = interrupted.unwrap_or(failure.exit);
            (told, exit, Some(Failure { exit, ..failure }))
        }
    };
    show(&Document::new(&evidence.counted(), &judgement).ended(&told, exit), &wanted)?;
    failure.map_or(Ok(exit), Err)
}

/// What becomes of a signal that comes when a write was begun.
fn behind_the_write(service: &ServiceName) -> String {
    let (most, look) = (AFTER_SIGNAL.as_secs(), command::describe(service));
    format!("what came of the write is looked for: {most} s at most; if it is killed, look yourself: {look}")
}

/// What a promotion did, a line each.
fn words(promoted: &Promoted) -> Vec<String> {
    let done = format!("PROMOTED  {} has 100 % (before: {})", promoted.revision, promoted.before);
    let notes = promoted.notes.iter().map(|note| format!("note: {note}"));
    std::iter::once(done).chain(notes).collect()
}

/// Traffic moves only for a revision that was shown to be ready, and to be the one that was probed.
fn needs_proof(merged: &Merged, service: &ServiceName) -> Result<(), Failure> {
    let checks = &merged.settings.checks;
    let missing = [CheckName::Ready, CheckName::Identity].into_iter().find(|check| !checks.runs(*check));
    match missing {
        Some(check) if !merged.settings.dry_run => Err(Failure::safe(
            Exit::Usage,
            &format!("a promotion needs {check}: without it nothing shows which revision was probed"),
            &format!("leave it in, or only look: {}", command::check(service, &[])),
        )),
        _ => Ok(()),
    }
}

fn interrupted(service: &ServiceName) -> Failure {
    Failure::safe(
        Exit::Interrupted,
        "interrupted before anything was written",
        &format!("promote it again: {}", command::promote(service, &[])),
    )
}

/// Traffic moves only when somebody said so: `--yes`, or an answer on the terminal.
fn consent(matches: &ArgMatches, merged: &Merged, service: &ServiceName) -> Result<(), Failure> {
    if input::switch(matches, "yes")? || merged.settings.dry_run {
        return Ok(());
    }
    let refused =
        || Failure::usage("nobody agreed to move traffic", "add --yes, or answer yes on a terminal");
    if !std::io::stdin().is_terminal() {
        return Err(refused());
    }
    let _ = write!(
        std::io::stderr(),
        "Give the candidate of {service} all traffic when it is approved? [yes/no] "
    );
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|_| refused())?;
    if answer.trim() == "yes" { Ok(()) } else { Err(refused()) }
}

/// A recorded check, where it is one of this very revision, and the traffic as it is now.
async fn recorded(
    path: &str,
    merged: &Merged,
    service: &ServiceName,
    clock: Clock,
) -> Result<(Evidence, Client, TrafficSnapshot), Failure> {
    let evidence = load(path)?;
    let refuse = |words: String| {
        let again = command::promote(service, &[]);
        Failure::safe(Exit::Usage, &format!("{path}: {words}"), &format!("check again: {again}"))
    };
    if evidence.target.service.as_ref() != Some(service) {
        let other =
            evidence.target.service.as_ref().map_or_else(|| "no service".to_owned(), ToString::to_string);
        return Err(refuse(format!("this record is of {other}, not of {service}")));
    }
    if evidence.target.rehearsed && matches!(merged.settings.api, ApiAccess::Google) {
        return Err(refuse("this record was rehearsed and proves nothing about the real service".to_owned()));
    }
    let age = clock.started_at.as_second() - evidence.started_at.as_second();
    if !(-300..=FRESH).contains(&age) {
        let words = match age {
            0.. => format!("this record is {} min old and counts for {} min", age / 60, FRESH / 60),
            _ => format!("this record was made {} min from now: is a clock wrong?", -age / 60),
        };
        return Err(refuse(words));
    }
    let redactor = Redactor::default();
    redactor.learn_all(&merged.secrets);
    let ask = |error: crate::cloudrun::ApiError| Failure::could_not_ask(error.to_string(), error.help());
    let client = Client::new(&merged.settings.api, &redactor).map_err(ask)?;
    let now = client.get_service(service).await.map_err(ask)?;
    let revisions = client.list_revisions(service).await.map_err(ask)?;
    let choice = match (&merged.settings.choice, &evidence.target.revision) {
        (Choice::Newest, Some(revision)) => Choice::Revision(revision.clone()),
        (choice, _) => choice.clone(),
    };
    let located = locate(&now, &revisions, &choice)
        .map_err(|error| Failure::safe(Exit::Usage, &error.to_string(), &error.help()))?;
    if evidence.target.revision_uid.as_deref() != Some(&located.uid) {
        return Err(refuse(format!("this record is not of revision {}", located.revision)));
    }
    if !evidence.selection.runs(CheckName::Ready) || !evidence.selection.runs(CheckName::Identity) {
        return Err(refuse("ready or identity was left out of it".to_owned()));
    }
    Ok((evidence, client, TrafficSnapshot::of(&now)))
}
