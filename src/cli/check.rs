//! `revgate check`.

use anyhow::Context as _;
use clap::ArgMatches;
use tokio::sync::mpsc;

use super::Clock;
use super::input;
use super::output::{Failure, Wanted, conclude};
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
    conclude(checked, &judgement, &wanted, signals.exit())
}

pub(super) fn listen() -> Result<Signals, Failure> {
    Ok(Signals::listen().context("signals cannot be heard")?)
}

/// One gated revision, with its judgement, also where a signal cut it short; the screen is shown meanwhile. `redactor`
/// learns every secret of the run.
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
        interrupt: signals.interrupt.clone(),
    };
    let checked = Box::pin(engine::check(&merged.settings, &around)).await;
    drop(around);
    let _ = screen.await;
    let checked = checked?;
    let judgement = judge(&checked.evidence)
        .map_err(|error| Failure::usage(error.to_string(), "look at race.tolerated and race.noise"))?;
    Ok((checked, judgement))
}
