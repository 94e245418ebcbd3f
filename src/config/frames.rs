//! `frames:` is what it takes to find out whether bad frames are answered properly, and nobody else suffers from them.
//!
//! Takes the sources, and whether sockets have users; gives the settings, or `None` where nobody asks. It opens nothing.
//! The surprising rule: messages that are too large are sent only where the largest is stated, since nobody here knows what
//! is too large for a server.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::hold::OwnHeartbeat;
use super::scalars::Text;
use super::settings::Limits;
use super::sources::{Sources, Spot};
use super::values::{self, Flaw, quoted};

/// `frames:` as it was written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct FramesModel {
    largest: Option<Text>,
    kinds: Option<Vec<Text>>,
    tries: Option<Text>,
    bystanders: Option<Text>,
}

/// What the check `frames` is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FramesSettings {
    /// The largest message that the service states to take, in bytes; `None` where it states none.
    pub largest: Option<usize>,
    /// The kinds, in the order of [`BadFrame::ALL`].
    pub kinds: Vec<BadFrame>,
    /// How often each kind is sent, each time on a socket of its own. Default 5.
    pub tries: u32,
    /// Sockets of other users, at a time, that must not suffer. Default 2.
    pub bystanders: u32,
    /// Pings within a second of the flood: inside the rate that the service states.
    pub pings: u32,
    /// What the bystanders say meanwhile, so that they are not taken for dead: the heartbeat of `hold`.
    pub own_heartbeat: Option<OwnHeartbeat>,
    /// Messages of one user within any minute, at most.
    pub messages_per_minute: Option<u32>,
    /// Openings a second, at most.
    pub pace: u32,
}

/// What is sent that no well-behaved client sends, or seldom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadFrame {
    /// A text that begins like JSON and is none.
    MalformedJson,
    /// JSON of a type that nobody knows.
    UnknownType,
    /// An empty text.
    Empty,
    /// Bytes that are no text.
    Binary,
    /// The usual message in several frames with a ping between them. It is legal, and must be answered.
    Fragments,
    /// Many pings within a second.
    PingFlood,
    /// One byte more than the largest message.
    JustOver,
    /// Eight times the largest message, at most 16 MiB.
    FarOver,
    /// The end of what we send, while we still listen.
    HalfClose,
}

impl BadFrame {
    /// All of them, in the order in which they are sent.
    pub const ALL: [Self; 9] = [
        Self::MalformedJson,
        Self::UnknownType,
        Self::Empty,
        Self::Binary,
        Self::Fragments,
        Self::PingFlood,
        Self::JustOver,
        Self::FarOver,
        Self::HalfClose,
    ];

    /// The name in the configuration and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed-json",
            Self::UnknownType => "unknown-type",
            Self::Empty => "empty",
            Self::Binary => "binary",
            Self::Fragments => "fragments",
            Self::PingFlood => "ping-flood",
            Self::JustOver => "just-over",
            Self::FarOver => "far-over",
            Self::HalfClose => "half-close",
        }
    }

    /// Bytes of a message that is far too large.
    pub(crate) fn far_over(largest: usize) -> usize {
        largest.saturating_mul(8).min(LARGEST)
    }

    /// True for a message that is larger than the largest.
    pub fn is_over(self) -> bool {
        matches!(self, Self::JustOver | Self::FarOver)
    }
}

impl fmt::Display for BadFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Pings of a flood, at the most; fewer where the service states fewer messages a minute.
const MOST_PINGS: u32 = 60;
/// Messages of the flood's socket besides its pings, which count with them: its token, and the next proper one.
const BESIDES_PINGS: u32 = 2;
/// The most tries with the same bystanders, which must not become as old as a revision lets requests become.
const MOST_TOGETHER: u32 = 10;
/// The largest size that may be stated: eight times as much is no more than what a far too large message may have.
const LARGEST: usize = 16 << 20;

/// What is asked for; `None` where nothing is.
pub(crate) fn frames(
    sources: &Sources<'_>,
    limits: &Limits,
    users: Users,
) -> Result<Option<FramesSettings>, ConfigError> {
    let Some(model) = &sources.file.model.frames else { return Ok(None) };
    let largest = sources.one(None, model.largest.as_ref(), &["frames", "largest"], size)?;
    let kinds = sources.many(None, model.kinds.as_ref(), &["frames", "kinds"], kind)?;
    let count = |text: &str| values::count(text, 1);
    let tries = sources.one(None, model.tries.as_ref(), &["frames", "tries"], count)?;
    let given = sources.one(None, model.bystanders.as_ref(), &["frames", "bystanders"], count)?;
    let at = |keys: &[&str], flaw: Flaw| Err(sources.error(&Spot::of(None, keys), flaw));
    if let Some(found) = &kinds {
        if found.value.is_empty() {
            let flaw = Flaw::new("no kind of frame is named").help("leave the key out for all of them");
            return at(&["frames", "kinds"], flaw);
        }
        if largest.is_none() && found.value.iter().any(|kind| kind.is_over()) {
            let flaw = Flaw::new("what is too large is not stated")
                .help("state the largest message that the server takes: frames: { largest: 64KiB }");
            return at(&["frames", "kinds"], flaw);
        }
    }
    let others = users.others();
    if others == 0 {
        let flaw = Flaw::new("the bystanders are sockets of other users, and there is one user only")
            .help("name more of them: users: [user-001, user-002, user-003]");
        return at(&["frames"], flaw);
    }
    let most = others.min(limits.sockets_at_once.saturating_sub(1));
    let bystanders = given.as_ref().map_or_else(|| DEFAULT_BYSTANDERS.min(most), |found| found.value);
    if bystanders > most || most == 0 {
        let flaw =
            Flaw::new(format!("{bystanders} bystanders are more than users and limits allow ({most})"))
                .help("name more users, or raise limits.sockets-at-once");
        return at(&["frames", "bystanders"], flaw);
    }
    let kinds = kinds.map_or_else(|| BadFrame::ALL.to_vec(), |found| found.value);
    let possible = |kind: &BadFrame| kinds.contains(kind) && (largest.is_some() || !kind.is_over());
    Ok(Some(FramesSettings {
        kinds: BadFrame::ALL.into_iter().filter(possible).collect(),
        largest: largest.map(|found| found.value),
        tries: tries.map_or(DEFAULT_TRIES, |found| found.value),
        bystanders,
        pings: limits
            .messages_per_minute
            .map_or(MOST_PINGS, |stated| stated.saturating_sub(BESIDES_PINGS).clamp(1, MOST_PINGS)),
        own_heartbeat: None,
        messages_per_minute: limits.messages_per_minute,
        pace: limits.openings_per_second,
    }))
}

/// Bystanders where nothing is configured.
const DEFAULT_BYSTANDERS: u32 = 2;
/// Tries where nothing is configured: a frame that does harm one time in three is met in seven of eight runs (1 − 0.66⁵),
/// where a single try would miss it in two of three. Eight would be sure (95 %) of it, and take minutes where messages are
/// limited.
const DEFAULT_TRIES: u32 = 5;

/// How many users there are; sockets that do not tell theirs can be as many as one likes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Users {
    /// Sockets tell theirs, of so many.
    Named(u32),
    /// Sockets do not.
    Nobody,
}

impl Users {
    /// How many of these settings' sockets can be of distinct users.
    pub(crate) fn of(
        token: bool,
        path: &super::Template,
        send: Option<&super::Template>,
        users: usize,
    ) -> Self {
        let named = token || path.names_user() || send.is_some_and(super::Template::names_user);
        if named { Self::Named(u32::try_from(users).unwrap_or(u32::MAX)) } else { Self::Nobody }
    }

    /// The most sockets of distinct users.
    pub(crate) fn distinct(self) -> u32 {
        match self {
            Self::Named(users) => users,
            Self::Nobody => u32::MAX,
        }
    }

    fn others(self) -> u32 {
        self.distinct().saturating_sub(1)
    }
}

fn kind(text: &str) -> Result<BadFrame, Flaw> {
    values::named("kind of frame", text, &BadFrame::ALL, BadFrame::name)
}

/// `512B`, `64KiB`, `1MiB`, or a plain number of bytes; less than 16 MiB.
fn size(text: &str) -> Result<usize, Flaw> {
    let flaw = || {
        Flaw::new(format!(
            "{} is not a size below 16MiB: write it as 64KiB, 1MiB, or as a number of bytes",
            quoted(text)
        ))
    };
    let (number, unit) = [("KiB", 1 << 10), ("MiB", 1 << 20), ("B", 1)]
        .into_iter()
        .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?.trim_end(), bytes)))
        .unwrap_or((text, 1));
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(flaw());
    }
    let bytes = number.parse::<usize>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(flaw)?;
    if (1..LARGEST).contains(&bytes) { Ok(bytes) } else { Err(flaw()) }
}

impl FramesSettings {
    /// Sockets with a bad frame, of all kinds together.
    fn bad(&self) -> u32 {
        u32::try_from(self.kinds.len()).unwrap_or(u32::MAX).saturating_mul(self.tries)
    }

    /// Sockets of other users, of all kinds together.
    fn others(&self) -> u32 {
        let times = self.kinds.iter().map(|kind| self.tries.div_ceil(self.together(*kind)));
        times.fold(0, u32::saturating_add).saturating_mul(self.bystanders)
    }

    /// All sockets: these, and a good one.
    pub(crate) fn sockets(&self) -> u32 {
        self.bad().saturating_add(self.others()).saturating_add(1)
    }

    /// How many tries of a kind have the same bystanders: as many as may be sent without waiting for another minute, and no
    /// more than leave them young.
    pub(crate) fn together(&self, kind: BadFrame) -> u32 {
        let each = self.messages_of(kind).saturating_add(BESIDES_PINGS);
        self.messages_per_minute.map_or(MOST_TOGETHER, |most| most / each).clamp(1, MOST_TOGETHER)
    }

    /// Whether bystanders are pinged after each try: where the messages of a user are limited, a service may count pings.
    pub(crate) fn pings_bystanders(&self) -> bool {
        self.messages_per_minute.is_none()
    }

    /// Messages of a socket with such a frame, besides those of any socket.
    pub(crate) fn messages_of(&self, kind: BadFrame) -> u32 {
        match kind {
            BadFrame::PingFlood => self.pings,
            BadFrame::HalfClose => 0,
            _ => 1,
        }
    }

    /// What it costs, in one line.
    pub(crate) fn words(&self) -> String {
        let kinds = if let [kind] = self.kinds[..] {
            kind.to_string()
        } else {
            format!("{} kinds", self.kinds.len())
        };
        let tries = if self.tries == 1 { "once".to_owned() } else { format!("{} times", self.tries) };
        let has = |kind| self.kinds.contains(&kind);
        let over = match self.largest {
            Some(largest) if has(BadFrame::FarOver) => {
                format!(", the largest of {} KiB", BadFrame::far_over(largest) >> 10)
            }
            Some(_) => String::new(),
            None => ", none too large (frames.largest is not stated)".to_owned(),
        };
        format!(
            "frames: {} sockets with a bad frame each ({kinds}, each {tries}){over}, one after the other, beside {} \
             of other users ({} in all)",
            self.bad(),
            self.bystanders,
            self.others()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        assert_eq!((size("64KiB"), size("1 MiB"), size("512B")), (Ok(65536), Ok(1 << 20), Ok(512)));
        assert_eq!(size("1000000"), Ok(1_000_000));
        for text in [
            "",
            "0",
            "KiB",
            "64KB",
            "64k",
            "1_000",
            "1.5MiB",
            "0B",
            "16MiB",
            "16777216",
            "-1B",
            "99999999999999999999B",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
