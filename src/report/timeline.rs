//! One round as it went, socket by socket, in microseconds since its first release.

use std::fmt::Write as _;

use serde::Serialize;

use crate::judge::{Class, Finding};
use crate::probe::{Company, Observation, Round};

/// A round whose sockets can be read side by side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoundTimeline {
    /// Which round, in whose company, let go how.
    pub title: String,
    /// A line for each socket.
    pub sockets: Vec<SocketLine>,
}

/// What happened on one socket, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SocketLine {
    /// Its number in the run, and its user.
    pub who: String,
    /// True when the application failed it.
    pub failed: bool,
    /// Microseconds since the round's first release, and what happened then.
    pub events: Vec<(u64, String)>,
}

impl RoundTimeline {
    /// Reconstructs a round; `findings` are those of its sockets, in the same order.
    pub(super) fn new(round: &Round, findings: &[Finding], local: bool) -> Self {
        let zero = round
            .observations
            .iter()
            .map(|seen| seen.timeline.released.unwrap_or(seen.timeline.began))
            .min()
            .unwrap_or(round.started);
        let sockets = round
            .observations
            .iter()
            .zip(findings)
            .map(|(seen, finding)| SocketLine {
                who: who(seen),
                failed: finding.class == Class::AppFail,
                events: events(seen, finding, zero),
            })
            .collect();
        let place = if local { "local " } else { "" };
        Self { title: format!("{place}{}", title(round)), sockets }
    }
}

fn title(round: &Round) -> String {
    let company = match round.company {
        Company::Alone => "nothing else open",
        Company::Quiet => "nothing else opening",
        Company::Lanes => "other rounds under way",
    };
    let mut title = format!("{} round {}, {company}", round.stage.name(), round.number);
    if let (Some(means), Some(spread)) = (round.means, round.release_spread) {
        let _ = write!(title, ", let go by {means} within {} µs", spread.div_ceil(1000));
    }
    if let Some(frozen) = round.frozen {
        let _ = write!(title, ", while the server stood still for {} ms", frozen.lasted.div_ceil(1000));
    }
    if let Some(delay) = round.delay {
        let _ = write!(title, ", the second {delay} µs after the first");
    }
    title
}

fn who(seen: &Observation) -> String {
    let user = seen.user.as_ref().map_or_else(String::new, |user| format!(" {}", crate::trust::escape(user)));
    format!("socket {}{user}", seen.socket)
}

/// What happened, in the order of time.
fn events(seen: &Observation, finding: &Finding, zero: u64) -> Vec<(u64, String)> {
    let times = &seen.timeline;
    let answered = finding.status.map_or_else(|| "101".to_owned(), |status| format!("HTTP {status}"));
    let known = [
        (times.released, "released"),
        (times.answered, answered.as_str()),
        (times.greeted, "first frame"),
        (times.sent, "sent"),
        (times.satisfied, "all due came"),
    ];
    let mut events: Vec<(u64, String)> = known
        .into_iter()
        .filter_map(|(at, what)| Some((at?.saturating_sub(zero), what.to_owned())))
        .collect();
    match finding.class {
        Class::Ok => {
            events.extend(times.closing.map(|at| (at.saturating_sub(zero), "closed by us".to_owned())));
        }
        Class::AppFail | Class::Infra => {
            events.push((times.ended.saturating_sub(zero), finding.words.clone()));
        }
    }
    events.sort_by_key(|(at, _)| *at);
    events
}
