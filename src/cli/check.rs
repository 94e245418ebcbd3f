//! `revgate check`.

use anyhow::Context as _;
use clap::ArgMatches;
use tokio::sync::mpsc;

use super::Clock;
use super::input;
use super::output::{Failure, Wanted, report};
use super::signals::Signals;
use crate::config::{Merged, Purpose};
use crate::engine::{self, Checked, Surroundings};
use crate::exit::Exit;
use crate::judge::{Judgement, judge};
use crate::progress;
use crate::trust::Redactor;

/// Gates one revision.
pub(super) async fn run(matches: &ArgMatches, clock: Clock) -> Result<Exit, Failure> {
    let wanted = Wanted::new(matches)?;
    let merged = input::settings(matches, Purpose::Gate, clock).await?;
    wanted.check_record()?;
    let signals = listen()?;
    let (checked, judgement) = gate(&merged, clock, &wanted, &signals, &Redactor::default()).await?;
    report(&checked.evidence, &judgement, &wanted, signals.exit())
}

pub(super) fn listen() -> Result<Signals, Failure> {
    Ok(Signals::listen().context("signals cannot be heard")?)
}

/// One gated revision, with its judgement; the screen is shown meanwhile. `redactor` learns every secret of the run.
pub(super) async fn gate(
    merged: &Merged,
    clock: Clock,
    wanted: &Wanted,
    signals: &Signals,
    redactor: &Redactor,
) -> Result<(Checked, Judgement), Failure> {
    redactor.learn_all(&merged.secrets);
    let (events, heard) = mpsc::unbounded_channel();
    let screen = tokio::spawn(progress::watch(heard, wanted.progress));
    let around = Surroundings {
        started_at: clock.started_at,
        epoch: clock.epoch,
        redactor: redactor.clone(),
        events,
        interrupted: signals.token.clone(),
    };
    let checked = Box::pin(engine::check(&merged.settings, &around)).await;
    drop(around);
    let _ = screen.await;
    let checked = checked.map_err(|error| {
        let failure = Failure::from(error);
        match signals.exit() {
            Some(exit) => Failure { exit, ..failure },
            None => failure,
        }
    })?;
    let judgement = judge(&checked.evidence)
        .map_err(|error| Failure::usage(error.to_string(), "look at race.tolerated and race.noise"))?;
    Ok((checked, judgement))
}
