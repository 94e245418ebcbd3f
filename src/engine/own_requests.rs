//! Which revision took this run's requests? By the project's log, where nothing else proves it.
//!
//! Takes the control plane and the rounds of a campaign that is over; fills in the evidence of identity. It opens nothing.
//! The surprising rule: it looks for entries of *all* revisions, since an entry of another one is the very thing that must
//! not be missed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::logs::{PAUSE, since, socket_of};
use super::{Control, EngineError, Run};
use crate::cloudrun::ApiError;
use crate::cloudrun::logs::{LogOrder, of_log, of_service, quoted};
use crate::config::CheckName;
use crate::judge::{AddressKind, RequestLog};
use crate::probe::Opening;

/// Entries on a page of the log.
const PAGE: u32 = 1000;
/// How long entries are waited for, where `logs` says nothing else.
const PATIENCE: Duration = Duration::from_secs(90);

impl Run<'_> {
    /// Reads it, where answers name no revision and the tag may have named another one.
    pub(super) async fn read_own_requests(&mut self, control: Option<&Control>) -> Result<(), EngineError> {
        let identity = &self.evidence.identity;
        let proven = identity.echo.is_some()
            || matches!(identity.address, AddressKind::FreshTag { .. })
            || identity.before == Some(false);
        let Some(control) = control else { return Ok(()) };
        if proven || !self.settings.checks.runs(CheckName::Identity) {
            return Ok(());
        }
        let due = self.opened();
        if due.is_empty() {
            return Ok(());
        }
        self.around.note("identity: reading the log, for answers do not name their revision");
        let asked = self.unless_interrupted(self.ask_for_own_requests(control, &due)).await?;
        self.evidence.identity.log = Some(asked.unwrap_or_else(|error| {
            let why = format!("{error}; {}", error.help());
            self.around.note(format!("identity: the log could not be read: {why}"));
            RequestLog::Unread { why }
        }));
        Ok(())
    }

    /// Numbers of the sockets that opened: each of them has an entry, once it has ended.
    fn opened(&self) -> BTreeSet<u32> {
        let rounds = self.evidence.probing.iter().flat_map(|probing| &probing.rounds);
        let opened = rounds
            .flat_map(|round| &round.observations)
            .filter(|seen| matches!(seen.opening, Opening::Opened { .. }));
        opened.map(|seen| seen.socket).collect()
    }

    async fn ask_for_own_requests(
        &self,
        control: &Control,
        due: &BTreeSet<u32>,
    ) -> Result<RequestLog, ApiError> {
        let filter = format!(
            "{} AND {} AND {} AND httpRequest.userAgent:{}",
            of_service(&control.name),
            of_log(&control.name, "requests"),
            since(self.around.started_at),
            quoted(&format!("({}-", self.id))
        );
        let candidate = &control.located.revision;
        let patience = self.settings.configured.logs.as_ref().map_or(PATIENCE, |logs| logs.patience);
        let begun = Instant::now();
        loop {
            let found = control.client.list_entries(&control.name, &filter, LogOrder::OldestFirst).await?;
            let mut taken: BTreeSet<u32> = BTreeSet::new();
            let mut others: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
            for entry in &found {
                let Some(socket) = socket_of(entry, &self.id) else { continue };
                if entry.revision() == candidate {
                    taken.insert(socket);
                } else {
                    others.entry(entry.revision()).or_default().insert(socket);
                }
            }
            let missing = due
                .iter()
                .filter(|socket| {
                    !taken.contains(socket) && !others.values().any(|sockets| sockets.contains(socket))
                })
                .count();
            if missing == 0 || !others.is_empty() || begun.elapsed() + PAUSE > patience {
                return Ok(RequestLog::Read {
                    due: count(due.len()),
                    missing: count(missing),
                    candidate: count(taken.len()),
                    others: others
                        .into_iter()
                        .map(|(name, sockets)| (name.to_owned(), count(sockets.len())))
                        .collect(),
                    waited_s: begun.elapsed().as_secs(),
                });
            }
            // Each page is a read of its own, and a project has 60 of them a minute.
            sleep(PAUSE * (1 + count(found.len()) / PAGE)).await;
        }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
