//! What is said when a signal comes: what is being cleaned up, for how long at most, and what stays if that is cut too.
//!
//! Takes what of the run is on the service just now; gives notes. It cleans nothing up itself. The surprising rule: a
//! second signal ends nothing sooner, since a tag that is left behind is there for good: it is told what a third, SIGKILL,
//! would leave.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;

use super::Surroundings;
use super::interruption::CLEANUP_TIME;
use super::tagging::AFTER_SIGNAL;
use crate::config::ServiceName;
use crate::judge::Signal;
use crate::revision::command;

/// A tag that this run added, or may have.
#[derive(Debug, Clone)]
pub(super) struct OwnTag {
    pub(super) service: ServiceName,
    pub(super) tag: String,
}

/// Says at each signal what it means for what is there. Never ends by itself.
pub(super) async fn tell(around: &Surroundings, own: watch::Receiver<Option<OwnTag>>) -> Infallible {
    let mut latest = around.interrupt.latest();
    let mut before = *latest.borrow_and_update();
    loop {
        if latest.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        let signal = *latest.borrow_and_update();
        if let Some(signal) = signal {
            around.note(words(signal, before.is_some(), own.borrow().as_ref()));
        }
        before = signal;
    }
}

fn words(signal: Signal, again: bool, own: Option<&OwnTag>) -> String {
    let most = |time: Duration| format!("{} s at most", time.as_secs());
    match (own, again) {
        (Some(OwnTag { tag, .. }), false) => {
            format!("{signal}: the run ends and takes tag {tag} away: {}", most(CLEANUP_TIME + AFTER_SIGNAL))
        }
        (Some(OwnTag { service, tag }), true) => format!(
            "{signal}: still taking tag {tag} away; killed now it stays until somebody types: {}",
            command::remove_tag(service, tag)
        ),
        (None, false) => {
            format!("{signal}: the run ends; no tag of it is on the service: {}", most(CLEANUP_TIME))
        }
        (None, true) => format!("{signal}: the run is ending already; no tag of it is on the service"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_is_told_the_time_and_the_second_what_stays() {
        let named = |name: &str| name.to_owned();
        let service = ServiceName { project: named("p"), region: named("r"), service: named("s") };
        let own = OwnTag { service, tag: named("gate-1") };
        let first = words(Signal::Hangup, false, Some(&own));
        assert_eq!(first, "SIGHUP: the run ends and takes tag gate-1 away: 25 s at most");
        let second = words(Signal::Interrupt, true, Some(&own));
        assert!(second.starts_with("SIGINT: still taking tag gate-1 away; killed now it stays"), "{second}");
        assert!(second.contains("gcloud run services update-traffic s --remove-tags"), "{second}");
        assert!(words(Signal::Terminate, false, None).ends_with("on the service: 5 s at most"));
    }
}
