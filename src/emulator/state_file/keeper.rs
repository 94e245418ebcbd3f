//! When is the file written, and who waits for it?
//!
//! One task writes: after every change, and once more at the end. What changes while it writes is in the next write, so
//! that a thousand calls a second make as many writes as the disk has time for. Who answers waits until a write holds all
//! that had changed by then; one that failed is tried again every second, and until it succeeds no answer pretends.

use std::{sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::sleep};

use super::{Disk, error::StateError, snapshot::snapshot};
use crate::emulator::{error::EmulatorError, state::World};

/// How long after a write that failed the next one comes.
const RETRY: Duration = Duration::from_secs(1);

/// How the last write ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    /// Up to which change it holds; `None` before the first.
    through: Option<u64>,
    /// Why it failed, in the operating system's words.
    pub(crate) problem: Option<String>,
}

/// Writes the file for the first time, and from then on with every change until the emulator stops.
///
/// # Errors
/// The first write failed.
pub(crate) async fn keep(world: &Arc<World>, disk: Disk) -> Result<(), EmulatorError> {
    let disk = Arc::new(disk);
    let mut changes = world.changes.subscribe();
    if let Err(problem) = write(world, &disk).await {
        let source = std::io::Error::other(problem);
        return Err(disk.wrong(StateError::Unwritable { source }));
    }
    let world = Arc::clone(world);
    world.tasks.clone().spawn(async move {
        let mut well = true;
        loop {
            tokio::select! {
                biased;
                () = world.stop.cancelled() => break,
                _ = changes.changed() => {}
                () = sleep(RETRY), if !well => {}
            }
            well = write(&world, &disk).await.is_ok();
        }
        let _ = write(&world, &disk).await;
    });
    Ok(())
}

/// Writes the state as it is now; the error is what the operating system said.
async fn write(world: &World, disk: &Arc<Disk>) -> Result<(), String> {
    let (through, state) = snapshot(world);
    let writer = Arc::clone(disk);
    let written = spawn_blocking(move || writer.write(&state).map_err(|error| error.to_string())).await;
    let written = written.unwrap_or_else(|error| Err(error.to_string()));
    if let Some(progress) = &world.written {
        let problem = written.as_ref().err().cloned();
        progress.send_replace(Written { through: Some(through), problem });
    }
    written
}

/// Waits until all that has changed is on disk, where there is a file; the error is a text for the client.
pub(crate) async fn kept(world: &World) -> Result<(), String> {
    let Some(written) = &world.written else { return Ok(()) };
    let due = *world.changes.borrow();
    let mut written = written.subscribe();
    tokio::select! {
        biased;
        seen = written.wait_for(|written| written.through >= Some(due)) => {
            match seen.ok().and_then(|seen| seen.problem.clone()) {
                None => Ok(()),
                Some(problem) => Err(format!(
                    "The emulator could not write its state file: {problem}. What was asked for holds until it ends; it \
                     tries again every second."
                )),
            }
        }
        () = world.stop.cancelled() => Err("The emulator is ending.".to_owned()),
    }
}
