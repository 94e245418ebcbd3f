//! Does a flow fit into the time that a whole run of it may take?
//!
//! Takes a checked flow and that time; gives nothing, or the error that points to the step. It waits for nothing. The
//! surprising rule: one of ours may wait longer for a frame than a run may take, since whoever names it has not written
//! those times; what it only waits must fit all the same.

use std::time::Duration;

use super::super::error::ConfigError;
use super::super::locate::KeyPath;
use super::super::sources::{Sources, Spot};
use super::super::values::Flaw;
use super::settings::{Flow, Step};

/// Refuses a step that a run of at most `most`, stated at `limit`, never comes to the end of.
pub(crate) fn refuse_longer(
    sources: &Sources<'_>,
    flow: &Flow,
    most: Duration,
    limit: &KeyPath,
) -> Result<(), ConfigError> {
    let mut pairs = sources.file.model.flows.iter().flat_map(|pairs| &pairs.0);
    let written = pairs.find(|(name, _)| *name == flow.name).map(|(_, model)| model);
    let steps = KeyPath::of(&["flows", &flow.name, "steps"]);
    let refuse = |path: KeyPath, flaw: Flaw| {
        let help = format!("raise `{limit}:`, which is how long a whole run may take, or lower this");
        let spot = if written.is_some() { path } else { limit.clone() };
        Err(sources.error(&Spot::File(spot), flaw.help(help)))
    };
    let mut waited = Duration::ZERO;
    for (index, step) in flow.steps.iter().enumerate() {
        let path = steps.index(index);
        if let Step::Wait(time) = step {
            waited += *time;
            if waited >= most {
                let words = format!("the waits take {waited:?} up to here, and a run is over after {most:?}");
                return refuse(path.key("wait"), Flaw::new(words));
            }
        }
        let Some(model) = written.and_then(|model| model.steps.as_ref()?.get(index)) else { continue };
        for (number, wanted) in step.wanted().iter().enumerate() {
            let Some(within) = wanted.within.filter(|within| *within > most) else { continue };
            let at = match &model.any_order {
                Some(several) if several.listed => path.key("any-order").index(number),
                Some(_) => path.key("any-order"),
                None => path.key("expect"),
            };
            let words = format!("{within:?} are allowed here, and a run is over after {most:?}");
            return refuse(at.key("within"), Flaw::new(words));
        }
    }
    Ok(())
}
