//! What will be opened, and what it may cost, decided before the first socket.
//!
//! Takes the settings and what the revision's specification says of its capacity; gives strata, their sizes and the
//! limits in force. It opens nothing. The surprising rule: users decide sizes: with one user there is no round of
//! distinct users, and sockets that carry no identity count as everybody's.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::expectation::Declared;
use super::observation::Stage;
use crate::config::{CheckName, Limits, Pattern, RaceSettings, Settings, Timeouts};

/// Single sockets that `serves` holds for seconds (a good answer may be followed by a close half a second later).
pub const HELD_SOCKETS: u32 = 20;
/// One round in so many runs with nothing else opening.
const QUIET_SHARE: f64 = 3.0;
/// The weight that the test gives to "no failure": with a confidence of 95 %, which asks for evidence of 20, a pass needs
/// ln(20 / 0.8) = 3.22 clean rounds over the tolerated rate.
const FLAWLESS: f64 = 0.8;
/// Rounds of each pattern of several sockets that run with nothing else open at all.
const ALONE_ROUNDS: u32 = 5;
/// The same at a server of our own, where a round takes milliseconds: some races re-arm only when the last one leaves.
const LOCAL_ALONE_ROUNDS: u32 = 50;
/// So many users have all left before any of them has his turn again.
const MANY_USERS: u32 = 8;
/// Sockets of the first burst.
const FIRST_CONTACT_SOCKETS: u32 = 10;

/// What will be opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Seed of users, nonces and orders.
    pub seed: u64,
    /// How many users there are; 0 where sockets carry no identity.
    pub users: u32,
    /// The patterns and their sizes.
    pub strata: Vec<Stratum>,
    /// Patterns that cannot be run, with the reason.
    pub left_out: Vec<(Pattern, String)>,
    /// Single sockets held for `serves`; 0 when it was not asked for.
    pub held: u32,
    /// Rounds of each pattern of several sockets with nothing else open at all.
    pub alone_rounds: u32,
    /// Rounds of each pattern with nothing else opening.
    pub quiet_rounds: u32,
    /// Where the server is.
    pub place: Place,
    /// What the revision can hold.
    pub capacity: Capacity,
    /// The limits in force.
    pub limits: Limits,
    /// The steps' times.
    pub timeouts: Timeouts,
    /// What is provoked, and how it is judged.
    pub race: RaceSettings,
    /// What the configuration declares of a healthy socket.
    pub declared: Declared,
    /// Codes with which a healthy server may close a socket that it has served.
    pub closes: Vec<u16>,
    /// Some frames that look like errors are declared to be none.
    pub harmless: bool,
}

/// Where the server that is probed is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// At an address.
    Remote,
    /// A process of our own.
    Local,
}

/// One pattern with its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stratum {
    /// The pattern.
    pub pattern: Pattern,
    /// Sockets of a round.
    pub sockets: u32,
}

/// What the revision's specification says of its capacity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// `maxInstanceRequestConcurrency`.
    pub concurrency: Option<u32>,
    /// `scaling.maxInstanceCount`.
    pub max_instances: Option<u32>,
}

/// When the text is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendAt {
    /// At the 101.
    Once,
    /// When what comes unasked has come.
    Greeted,
    /// After listening: until nothing came for `quiet`, or `first` when nothing came at all.
    Listened {
        /// How long to wait for the first frame.
        first: Duration,
        /// How long to wait for another.
        quiet: Duration,
    },
    /// Never: it is listened for at least so long, and twice as long as the last new thing took to come, so that what
    /// comes again and again comes again.
    Never {
        /// The least time.
        least: Duration,
    },
}

impl Plan {
    /// Plans a run.
    pub fn new(settings: &Settings, capacity: Capacity, seed: u64) -> Self {
        let users = if carries_identity(settings) { count(settings.users.len()) } else { 0 };
        let limits = within(settings, capacity);
        let mut plan = Self {
            seed,
            users,
            strata: Vec::new(),
            left_out: Vec::new(),
            held: if settings.checks.runs(CheckName::Serves) { HELD_SOCKETS } else { 0 },
            alone_rounds: ALONE_ROUNDS,
            quiet_rounds: quiet_rounds(&settings.race),
            place: Place::Remote,
            capacity,
            limits,
            timeouts: settings.timeouts,
            race: settings.race.clone(),
            declared: Declared::of(&settings.conversation),
            closes: settings.conversation.closes.clone(),
            harmless: settings.conversation.harmless.is_some(),
        };
        plan.fill(wanted(settings));
        plan
    }

    /// Plans what a server of our own is put through. Nobody else is served there, so that it may cost more; but a limit
    /// that is stated may be the server's own, and holds. The sockets of the whole run cost nobody anything.
    pub fn local(settings: &Settings, seed: u64) -> Self {
        let mut plan = Self {
            strata: Vec::new(),
            left_out: Vec::new(),
            held: 0,
            place: Place::Local,
            limits: Limits {
                sockets_per_run: settings
                    .local_limits
                    .sockets_per_run
                    .max(Limits::of_process().sockets_per_run),
                sockets_per_user: settings.sockets_per_user(),
                ..settings.local_limits.clone()
            },
            ..Self::new(settings, Capacity::default(), seed)
        };
        // Of few users, each would still be held when his turn comes again, and what is there already races with nobody.
        plan.alone_rounds = if plan.users < MANY_USERS { u32::MAX } else { LOCAL_ALONE_ROUNDS };
        let asked = |pattern: &Pattern| settings.race.patterns.contains(pattern);
        let local: Vec<Pattern> = Pattern::LOCAL.into_iter().filter(asked).collect();
        if settings.checks.runs(CheckName::Race) && !local.is_empty() {
            // Single sockets say, after a failure, what kind it is.
            plan.fill(std::iter::once(Pattern::Control).chain(local));
        }
        plan
    }

    fn fill(&mut self, patterns: impl IntoIterator<Item = Pattern>) {
        for pattern in patterns {
            match self.size(pattern) {
                Ok(sockets) => self.strata.push(Stratum { pattern, sockets }),
                Err(reason) => self.left_out.push((pattern, reason)),
            }
        }
    }

    /// The rate of failing rounds below which a pattern must be.
    pub fn tolerated(&self, pattern: Pattern) -> f64 {
        if pattern == Pattern::Cold { self.race.cold_tolerated } else { self.race.tolerated }
    }

    /// Sockets of a round of `pattern`, or why there is none.
    fn size(&self, pattern: Pattern) -> Result<u32, String> {
        let at_once = self.limits.sockets_at_once;
        let for_users = if self.users == 0 { u32::MAX } else { self.users };
        let for_one_user = if self.users == 0 { u32::MAX } else { self.limits.sockets_per_user };
        match pattern {
            Pattern::Control => Ok(1),
            Pattern::Cold if self.place == Place::Remote => self.instance_size(),
            Pattern::FirstContact | Pattern::Cold => {
                Ok(FIRST_CONTACT_SOCKETS.min(at_once).min(for_users.saturating_mul(for_one_user)).max(1))
            }
            Pattern::Users | Pattern::FrozenUsers if for_users < 2 => {
                Err("there is only one user; name more with `users:`".to_owned())
            }
            Pattern::Users | Pattern::FrozenUsers => {
                at_least_two(self.race.sockets.min(at_once).min(for_users))
            }
            Pattern::FirstMessage if !self.declared.send => {
                Err("nothing is sent; name a text with --send".to_owned())
            }
            Pattern::FirstMessage => at_least_two(at_once.min(for_users.saturating_mul(for_one_user)).min(2)),
            Pattern::SameUser | Pattern::FrozenSameUser | Pattern::Reconnect | Pattern::Stagger => {
                at_least_two(at_once.min(for_one_user).min(2))
            }
        }
    }

    /// Sockets that may be held at once, whoever's they are.
    pub(crate) fn room(&self) -> u32 {
        let all = self.users.saturating_mul(self.limits.sockets_per_user);
        if self.users == 0 { self.limits.sockets_at_once } else { self.limits.sockets_at_once.min(all) }
    }

    /// Clean cold starts that a pass needs.
    pub fn least_fresh(&self) -> u32 {
        // A count between 1 and 2^32.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, and `as` saturates"
        )]
        let least = (flawless_rounds(&self.race) / -(-self.race.cold_tolerated).ln_1p()).ceil() as u32;
        least
    }

    /// Sockets that fill an instance, as far as one that is warm can be filled besides; or why none can.
    fn instance_size(&self) -> Result<u32, String> {
        let Some(concurrency) = self.capacity.concurrency else {
            return Err(
                "how much an instance takes is not known: no service is named, or its revision does not say"
                    .to_owned(),
            );
        };
        let room = self.room();
        if room <= concurrency {
            return Err(format!(
                "an instance takes {concurrency} sockets, and {room} may be open at once: deploy the tagged revision \
                 with --concurrency=1, or raise sockets-at-once under `limits:` (half of concurrency times the most \
                 instances is the end), and name users enough"
            ));
        }
        Ok(concurrency.min(room - concurrency))
    }

    /// True when sockets carry no identity.
    pub fn is_anonymous(&self) -> bool {
        self.users == 0
    }

    /// The sockets of a round of this stage.
    pub fn sockets_of(&self, stage: Stage) -> u32 {
        stage
            .pattern()
            .and_then(|pattern| self.strata.iter().find(|stratum| stratum.pattern == pattern))
            .map_or(1, |stratum| stratum.sockets)
    }

    /// How long the rounds of a pass take at least, where no user may say more in a minute; the first minute's messages may
    /// all be sent at its begin.
    pub(crate) fn least_time(&self) -> Option<Duration> {
        let most = self.limits.messages_per_minute.filter(|_| self.users > 0 && self.declared.send)?;
        let again = |stratum: &&Stratum| !matches!(stratum.pattern, Pattern::FirstContact | Pattern::Cold);
        let round: f64 = self.strata.iter().filter(again).map(|stratum| f64::from(stratum.sockets)).sum();
        let minutes = round * needed_rounds(&self.race) / (f64::from(self.users) * f64::from(most)) - 1.0;
        Some(Duration::try_from_secs_f64(minutes.max(0.0) * 60.0).unwrap_or(Duration::MAX))
    }

    fn stratum_words(&self, Stratum { pattern, sockets }: Stratum) -> String {
        match pattern {
            Pattern::Cold if self.place == Place::Remote => {
                format!("cold ({sockets} held at a time, {} new instances or more)", self.least_fresh())
            }
            _ => format!("{pattern} ({sockets})"),
        }
    }

    /// One line a person can read before the first socket.
    pub fn words(&self) -> String {
        let patterns: Vec<String> = self.strata.iter().map(|stratum| self.stratum_words(*stratum)).collect();
        let limits = &self.limits;
        let place = if self.place == Place::Local { "local: " } else { "" };
        let messages = limits.messages_per_minute.filter(|_| self.users > 0);
        let messages =
            messages.map_or_else(String::new, |most| format!(", {most} messages of a user a minute"));
        let slow = self.least_time().filter(|time| *time > self.race.time_budget);
        let slow = slow.map_or_else(String::new, |time| {
            let minutes = time.as_secs().div_ceil(60);
            format!("; a pass of the rounds takes {minutes} min or more: name more users, or give it --time-budget")
        });
        format!(
            "{place}{}; at most {} sockets, {} at once, {} a second{messages}, {} s{slow}",
            if patterns.is_empty() { "no pattern".to_owned() } else { patterns.join(", ") },
            limits.sockets_per_run,
            limits.sockets_at_once,
            limits.openings_per_second,
            self.race.time_budget.as_secs(),
        )
    }
}

/// The patterns that the settings ask for. `control` belongs to `serves` as much as to `race`.
fn wanted(settings: &Settings) -> Vec<Pattern> {
    let race = settings.checks.runs(CheckName::Race);
    let serves = settings.checks.runs(CheckName::Serves);
    Pattern::ALL
        .into_iter()
        .filter(|pattern| {
            let asked = race && !pattern.is_local() && settings.race.patterns.contains(pattern);
            let asked = asked || (race && *pattern == Pattern::Cold && settings.race.cold);
            asked || (serves && *pattern == Pattern::Control)
        })
        .collect()
}

fn carries_identity(settings: &Settings) -> bool {
    let conversation = &settings.conversation;
    settings.token.is_some()
        || conversation.path.names_user()
        || conversation.send.as_ref().is_some_and(crate::config::Template::names_user)
}

/// At most half of what the revision can hold, so that its own users keep room; of the sockets of the run what the configured
/// checks leave; and of a user no more sockets than may all send within a minute.
fn within(settings: &Settings, capacity: Capacity) -> Limits {
    let mut limits = settings.limits.clone();
    limits.sockets_per_user = settings.sockets_per_user();
    if let (Some(concurrency), Some(instances)) = (capacity.concurrency, capacity.max_instances) {
        let half = (concurrency.saturating_mul(instances) / 2).max(1);
        limits.sockets_at_once = limits.sockets_at_once.min(half);
    }
    let users = settings.users.len();
    let (configured, _) = settings.configured.within(limits.sockets_at_once, users);
    let theirs = configured.sockets(|check| settings.checks.runs(check), users);
    limits.sockets_per_run = limits.sockets_per_run.saturating_sub(theirs);
    limits
}

fn at_least_two(sockets: u32) -> Result<u32, String> {
    if sockets >= 2 { Ok(sockets) } else { Err("the limits leave room for one socket only".to_owned()) }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Clean rounds that a pass needs at least, times the tolerated rate.
fn flawless_rounds(race: &RaceSettings) -> f64 {
    -((1.0 - race.pass_confidence) * FLAWLESS).ln()
}

/// The rounds of each pattern that a pass needs, or those that are allowed.
fn needed_rounds(race: &RaceSettings) -> f64 {
    (flawless_rounds(race) / race.tolerated).min(f64::from(race.rounds.unwrap_or(u32::MAX)))
}

/// A third of the rounds that a pass needs, or of those that are allowed.
fn quiet_rounds(race: &RaceSettings) -> u32 {
    // A count between 1 and 2^32.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and `as` saturates"
    )]
    let third = (needed_rounds(race) / QUIET_SHARE).ceil() as u32;
    third
}
