//! What all configured checks may take of the service, together and at once.
//!
//! Takes the checks and the limits; gives how many sockets they open, refuses what cannot fit into a limit that is stated,
//! and trims what would take more at once than half of what the revision holds. It opens nothing. The surprising rule: a
//! stated limit is never met by doing less in silence, since whoever stated it can raise it; what the revision holds nobody
//! here has stated, so that a check that does less says so wherever it is told of.

use serde::{Deserialize, Serialize};

use super::auth::{AuthSettings, BadToken};
use super::carrier::Carrier;
use super::checks::CheckName;
use super::configured::ConfiguredChecks;
use super::error::ConfigError;
use super::flow::Flow;
use super::frames::BadFrame;
use super::settings::Settings;
use super::sources::{Sources, Spot};
use super::values::Flaw;

/// A check that has fewer at once than were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trimmed {
    /// The check.
    pub check: CheckName,
    /// How many were asked for: sockets, conversations, requests or bystanders.
    pub asked: u32,
    /// How many there are.
    pub left: u32,
    /// How many sockets may be open at once: half of what the revision holds.
    pub most: u32,
}

impl Trimmed {
    /// True when nothing is left of what the check is about.
    pub fn shows_nothing(&self) -> bool {
        let least = if matches!(self.check, CheckName::Agent | CheckName::Isolation) { 2 } else { 1 };
        self.left < least
    }

    /// What a report says of it, as a fragment.
    pub fn words(&self) -> String {
        let Self { asked, left, most, .. } = self;
        format!(
            "{left} at once instead of the {asked} that were asked for: half of what the revision holds is {most}"
        )
    }
}

impl ConfiguredChecks {
    /// The same with no more than `most` sockets open at once, and what had to be trimmed; so many users are named.
    pub(crate) fn within(&self, most: u32, users: usize) -> (Self, Vec<Trimmed>) {
        let (mut all, mut trimmed) = (self.clone(), Vec::new());
        let users = u32::try_from(users.max(1)).unwrap_or(u32::MAX);
        let mut trim = |check, at_once: &mut u32, room: u32, possible: u32| {
            let asked = (*at_once).min(possible);
            if asked > room {
                *at_once = room;
                trimmed.push(Trimmed { check, asked, left: room, most });
            }
        };
        if let Some(agent) = &mut all.agent {
            trim(CheckName::Agent, &mut agent.at_once, most, users);
        }
        if let Some(own) = all.isolation.as_mut().and_then(|isolation| isolation.own.as_mut()) {
            trim(CheckName::Isolation, &mut own.at_once, most, users);
        } else if let (Some(_), Some(agent)) = (&self.isolation, &self.agent) {
            trim(CheckName::Isolation, &mut { agent.at_once }, most, users);
        }
        if let Some(hold) = &mut all.hold {
            trim(CheckName::Hold, &mut hold.sockets, most, u32::MAX);
        }
        if let Some(api) = &mut all.api {
            let mut asked = api.endpoints.iter().map(|endpoint| endpoint.at_once).max().unwrap_or_default();
            for endpoint in &mut api.endpoints {
                endpoint.at_once = endpoint.at_once.min(most);
            }
            trim(CheckName::Api, &mut asked, most, u32::MAX);
        }
        if let Some(frames) = &mut all.frames {
            // Besides the one that misbehaves.
            trim(CheckName::Frames, &mut frames.bystanders, most.saturating_sub(1), u32::MAX);
        }
        (all, trimmed)
    }

    /// The most sockets and requests that those of them that `runs` names open in a run; so many users are named.
    pub(crate) fn sockets(&self, runs: impl Fn(CheckName) -> bool, users: usize) -> u32 {
        self.parts(runs, users).into_iter().map(|(_, sockets)| sockets).fold(0, u32::saturating_add)
    }

    /// The same, of each.
    fn parts(&self, runs: impl Fn(CheckName) -> bool, users: usize) -> Vec<(CheckName, u32)> {
        let users = u32::try_from(users.max(1)).unwrap_or(u32::MAX);
        let own = self.isolation.as_ref().and_then(|isolation| isolation.own.as_ref());
        let requests = |api: &super::ApiSettings| {
            let each = api.endpoints.iter().map(|endpoint| endpoint.times.saturating_add(endpoint.at_once));
            each.fold(0, u32::saturating_add)
        };
        let all = [
            (CheckName::Isolation, own.map(|own| own.at_once.min(users))),
            (CheckName::Hold, self.hold.as_ref().map(|hold| hold.sockets)),
            (CheckName::Api, self.api.as_ref().map(requests)),
            (CheckName::Auth, self.auth.as_ref().map(of_auth)),
            (CheckName::Frames, self.frames.as_ref().map(super::FramesSettings::sockets)),
            (CheckName::Logs, self.logs.as_ref().map(|_| 1)),
        ];
        let agent = Some((CheckName::Agent, self.conversations(&runs, users))).filter(|(_, runs)| *runs > 0);
        let others = all.into_iter().filter(|(check, _)| runs(*check));
        agent.into_iter().chain(others.filter_map(|(check, sockets)| Some((check, sockets?)))).collect()
    }

    /// Conversations of `agent`, which those of `isolation` are too, where they are the same.
    fn conversations(&self, runs: impl Fn(CheckName) -> bool, users: u32) -> u32 {
        let Some(agent) = &self.agent else { return 0 };
        let together = agent.at_once.min(users).saturating_mul(agent.rounds);
        let shown = self.isolation.as_ref().is_some_and(|isolation| isolation.own.is_none());
        match (runs(CheckName::Agent), runs(CheckName::Isolation) && shown) {
            (true, _) => together.saturating_add(agent.runs),
            (false, true) => together,
            (false, false) => 0,
        }
    }
}

impl Settings {
    /// What the configured checks open of all that the run may, and what they say in the name of one user, where that is
    /// limited; `configured` is what is left of them within what the revision holds. `None` where they open nothing.
    pub(crate) fn shares(&self, configured: &ConfiguredChecks) -> Option<String> {
        let sockets = configured.sockets(|check| self.checks.runs(check), self.users.len());
        let all = self.limits.sockets_per_run;
        let words = format!(
            "limits: the configured checks open at most {sockets} of the {all} sockets of the run, its rounds the others"
        );
        let waits = self.limits.messages_per_minute.map_or_else(String::new, |most| {
            let messages = self.messages_of_one_user(configured);
            let minutes = messages.saturating_sub(1) / most.max(1);
            let takes =
                if minutes > 0 { format!(", which takes {minutes} min or more") } else { String::new() };
            format!("; they send up to {messages} messages in one user's name, {most} a minute{takes}")
        });
        (sockets > 0).then(|| words + &waits)
    }

    /// Sockets of one user that may be open at once, so that all of them may send within a minute.
    pub(crate) fn sockets_per_user(&self) -> u32 {
        let each = messages_of_socket(self).max(1);
        let sending = self.limits.messages_per_minute.map_or(u32::MAX, |most| (most / each).max(1));
        self.limits.sockets_per_user.min(sending)
    }

    /// The most messages that they send in the name of the first user, who has the most to say.
    fn messages_of_one_user(&self, configured: &ConfiguredChecks) -> u32 {
        let runs = |check| self.checks.runs(check);
        let each = messages_of_socket(self);
        let users = count(self.users.len().max(1));
        let talks = |flow: Option<&Flow>| {
            flow.map_or(each, |flow| count(flow.messages().count()).saturating_add(each))
        };
        let agent = configured.agent.as_ref().map(|agent| {
            let conversations = configured.conversations(runs, users).div_ceil(users);
            conversations.saturating_mul(talks(Some(&agent.flow)))
        });
        let own = configured.isolation.as_ref().and_then(|isolation| isolation.own.as_ref());
        let hold = configured.hold.as_ref().map(|hold| each.saturating_add(hold.own_heartbeats()));
        let auth = configured.auth.as_ref().map(|auth| of_auth(auth).saturating_mul(each));
        let frames = configured.frames.as_ref().map(|frames| {
            let one =
                |kind: &BadFrame| each.saturating_add(frames.messages_of(*kind)).saturating_mul(frames.tries);
            frames.kinds.iter().map(one).fold(each.saturating_add(1), u32::saturating_add)
        });
        let parts = [
            (CheckName::Isolation, own.map(|own| talks(own.flow.as_ref()))),
            (CheckName::Hold, hold),
            (CheckName::Auth, auth),
            (CheckName::Frames, frames),
        ];
        let others = parts.into_iter().filter(|(check, _)| runs(*check)).filter_map(|(_, messages)| messages);
        others.fold(agent.unwrap_or(0), u32::saturating_add)
    }
}

/// Bad tokens, a good one before and after, and the controls of oversized ones.
fn of_auth(auth: &AuthSettings) -> u32 {
    let oversized = auth.made().any(|kind| kind == BadToken::Oversized);
    let controls = if oversized { AuthSettings::CONTROLS } else { 0 };
    count(auth.made().count()).saturating_add(controls).saturating_mul(auth.tries).saturating_add(2)
}

/// Messages that a socket sends before anything is asked of it twice: its text, and its token where that goes first.
fn messages_of_socket(settings: &Settings) -> u32 {
    let carriers = settings.token.iter().flat_map(|token| &token.carriers);
    let first = carriers.filter(|carrier| matches!(carrier, Carrier::FirstMessage(_))).count();
    count(first).saturating_add(u32::from(settings.conversation.send.is_some()))
}

/// Refuses what cannot fit into the limits that are stated.
pub(crate) fn refuse_excess(sources: &Sources<'_>, settings: &Settings) -> Result<(), ConfigError> {
    let limits = &settings.limits;
    let runs = |check| settings.checks.runs(check);
    let parts = settings.configured.parts(runs, settings.users.len());
    let sockets = parts.iter().map(|(_, sockets)| *sockets).fold(0, u32::saturating_add);
    let rounds = runs(CheckName::Serves) || runs(CheckName::Race);
    if sockets.saturating_add(u32::from(rounds)) > limits.sockets_per_run {
        let each: Vec<String> = parts.iter().map(|(check, sockets)| format!("{check} {sockets}")).collect();
        let flaw = Flaw::new(format!(
            "the configured checks open {sockets} sockets ({}), and the whole run, with its rounds, may open {}",
            each.join(", "),
            limits.sockets_per_run
        ))
        .help("raise limits.sockets-per-run, or ask for less of them");
        return Err(sources.error(&Spot::of(None, &["limits", "sockets-per-run"]), flaw));
    }
    let each = messages_of_socket(settings);
    if let Some(most) = limits.messages_per_minute.filter(|most| *most < each) {
        let flaw = Flaw::new(format!(
            "every socket sends {each} messages, its token and its text, and a user may send {most} a minute"
        ))
        .help(
            "raise limits.messages-per-minute, or let the token travel otherwise than in the first message",
        );
        return Err(sources.error(&Spot::of(None, &["limits", "messages-per-minute"]), flaw));
    }
    Ok(())
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use crate::config::{CheckName, FileConfig, Lookup, Merged, Purpose, Typed, merge};

    const ALL: &str = "users: [u1, u2, u3, u4, u5, u6]\npath: /ws/{{user}}\nsend: ping\n\
        agent: { flow: reference-agent, runs: 2, at-once: 4, rounds: 2 }\nisolation: {}\nhold: { sockets: 5 }\n\
        api: { endpoints: [{ path: /a, times: 3, at-once: 4 }, { path: /b, times: 1, at-once: 1 }] }\n\
        frames: { kinds: [binary, empty], bystanders: 3 }\nlogs: {}\n";

    fn merged(more: &str) -> Result<Merged, crate::config::ConfigError> {
        let file = FileConfig::parse("t", format!("{ALL}{more}").as_bytes()).unwrap();
        merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Rehearsal)
    }

    #[test]
    fn all_that_is_opened_is_counted_and_what_does_not_run_is_not() {
        let settings = merged("").unwrap().settings;
        let sockets = |runs: fn(CheckName) -> bool, users| settings.configured.sockets(runs, users);
        assert_eq!(sockets(|_| true, 6), (2 + 2 * 4) + 5 + (7 + 2) + (2 * 5 + 2 * 3 + 1) + 1);
        assert_eq!(
            sockets(|check| check == CheckName::Agent, 3),
            2 + 2 * 3,
            "as many at once as there are users"
        );
        assert_eq!(sockets(|check| check == CheckName::Isolation, 6), 2 * 4, "it is looked for in these");
        assert_eq!(sockets(|_| false, 6), 0);
    }

    #[test]
    fn no_more_at_once_than_half_of_what_the_revision_holds() {
        let settings = merged("").unwrap().settings;
        assert!(settings.configured.within(5, 6).1.is_empty());
        let (within, trimmed) = settings.configured.within(2, 6);
        let at_once = (
            within.agent.as_ref().map(|agent| agent.at_once),
            within.hold.as_ref().map(|hold| hold.sockets),
            within.api.as_ref().map(|api| api.endpoints[0].at_once),
            within.frames.as_ref().map(|frames| frames.bystanders),
        );
        assert_eq!(at_once, (Some(2), Some(2), Some(2), Some(1)));
        let told: Vec<(CheckName, u32, u32)> =
            trimmed.iter().map(|trimmed| (trimmed.check, trimmed.asked, trimmed.left)).collect();
        let due = [
            (CheckName::Agent, 4, 2),
            (CheckName::Isolation, 4, 2),
            (CheckName::Hold, 5, 2),
            (CheckName::Api, 4, 2),
            (CheckName::Frames, 3, 1),
        ];
        assert_eq!(told, due);
        assert!(trimmed.iter().all(|trimmed| !trimmed.shows_nothing()));
        let (_, alone) = settings.configured.within(1, 6);
        let nothing: Vec<CheckName> =
            alone.iter().filter(|trimmed| trimmed.shows_nothing()).map(|trimmed| trimmed.check).collect();
        assert_eq!(nothing, [CheckName::Agent, CheckName::Isolation, CheckName::Frames]);
    }

    #[test]
    fn what_does_not_fit_into_a_stated_limit_is_refused() {
        let refused = |more: &str| merged(more).unwrap_err().to_string();
        let error = refused("limits: { sockets-per-run: 42 }\n");
        let due = "limits.sockets-per-run: the configured checks open 42 sockets (agent 10, hold 5, api 9, frames 17, logs 1), and the \
                   whole run, with its rounds, may open 42";
        assert!(error.contains(due), "{error}");
        assert!(merged("limits: { sockets-per-run: 43 }\n").is_ok());
        let few = "limits: { messages-per-minute: 3 }\n";
        let settings = merged(few).unwrap().settings;
        assert_eq!(settings.sockets_per_user(), 3);
        let words = settings.shares(&settings.configured).unwrap();
        assert!(
            words.starts_with("limits: the configured checks open at most 66 of the 5000 sockets"),
            "{words}"
        );
        assert!(words.contains(" messages in one user's name, 3 a minute, which takes "), "{words}");
        let only = "checks: { only: [frames, serves] }\nlimits: { messages-per-minute: 10 }\n";
        let settings = merged(only).unwrap().settings;
        let words = settings.shares(&settings.configured).unwrap();
        let due = "up to 22 messages in one user's name, 10 a minute, which takes 2 min or more";
        assert!(words.ends_with(due) && words.contains("at most 23 of"), "{words}");
        let free = merged("").unwrap().settings;
        assert!(free.shares(&free.configured).unwrap().ends_with("its rounds the others"));
    }
}
