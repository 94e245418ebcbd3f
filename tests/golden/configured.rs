//! The evidence behind the golden reports of what a configuration asks for: agent, isolation, auth, hold, api, frames, logs.
//!
//! What was seen for them is of runs of a real server, kept as a record keeps it; the rest is as in every other report.

use revgate::config::CheckName;
use revgate::judge::{ConfiguredEvidence, Evidence};
use revgate::probe::FramesSeen;

use crate::documents::approved;

/// The correct server.
const PASSING: &str = include_str!("configured-passing.json");

/// Servers with a defect each, put together: an agent that dies, a leak, a bad token closed with 1011, no heartbeat, a
/// health that is not as it should be, a frame that ends its socket, errors in the log.
const FAILING: &str = include_str!("configured-failing.json");

/// Everything passes.
pub(crate) fn passing() -> Evidence {
    with(PASSING)
}

/// Everything that is configured fails.
pub(crate) fn failing() -> Evidence {
    with(FAILING)
}

/// Five tries of each kind where the record has one: it is the third, and the others are the correct server's.
fn try_again(seen: &mut FramesSeen) {
    let correct: ConfiguredEvidence = serde_json::from_str(PASSING).expect("a part of a record");
    let correct = correct.frames.expect("bad frames").bad;
    seen.tries = 5;
    let tries = seen.bad.iter().zip(&correct).flat_map(|(own, right)| [right, right, own, right, right]);
    seen.bad = tries.cloned().collect();
}

fn with(seen: &str) -> Evidence {
    let mut evidence = approved();
    let mut configured: ConfiguredEvidence = serde_json::from_str(seen).expect("a part of a record");
    configured.frames.iter_mut().for_each(try_again);
    let took = configured.windows.iter().map(|window| (window.check, window.ended - window.began));
    evidence.times.extend(took.collect::<Vec<_>>());
    evidence.configured = configured;
    evidence.selection.configured = CheckName::ALL.into_iter().filter(|check| !check.is_built_in()).collect();
    evidence
}
