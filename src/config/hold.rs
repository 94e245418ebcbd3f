//! `hold:` is what it takes to find out whether sockets last.
//!
//! Takes the sources, and how many users there are; gives the settings, or `None` where nobody asks. It opens nothing. The
//! surprising rule: a hold that is too short to see a heartbeat missing is refused, since it would pass without having
//! looked.

use std::time::Duration;

use serde::Deserialize;

use super::error::ConfigError;
use super::frames::Users;
use super::scalars::{Text, TextOrJson};
use super::settings::{Expect, Limits};
use super::sources::{Found, Sources, Spot};
use super::template::Template;
use super::values::{self, Flaw};
use super::wire;

/// `hold:` as it was written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct HoldModel {
    #[serde(rename = "for")]
    time: Option<Text>,
    sockets: Option<Text>,
    ping_every: Option<Text>,
    heartbeat: Option<HeartbeatModel>,
}

/// `hold.heartbeat:` as it was written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct HeartbeatModel {
    expect: Option<TextOrJson>,
    every: Option<Text>,
    answer: Option<TextOrJson>,
}

/// What the check `hold` is to do.
#[derive(Debug, Clone)]
pub struct HoldSettings {
    /// How long the sockets are kept. Default 60 s.
    pub time: Duration,
    /// How many, of distinct users where sockets have users. Default 5, or as many as there are users.
    pub sockets: u32,
    /// Time between two pings of ours. Default 20 s, or half of the time.
    pub ping_every: Duration,
    /// What the application is to say by itself again and again.
    pub heartbeat: Option<Heartbeat>,
    /// Openings a second, at most.
    pub pace: u32,
}

/// What an application says by itself again and again.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    /// What it looks like.
    pub expect: Expect,
    /// How often it comes at least; half as much again is forgiven. Default 30 s.
    pub every: Duration,
    /// What is said in answer.
    pub answer: Option<Template>,
}

const DEFAULT_TIME: Duration = Duration::from_mins(1);
const DEFAULT_SOCKETS: u32 = 5;
const DEFAULT_PING: Duration = Duration::from_secs(20);
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(30);

/// What is asked for; `None` where nothing is.
pub(crate) fn hold(
    sources: &Sources<'_>,
    limits: &Limits,
    users: Users,
) -> Result<Option<HoldSettings>, ConfigError> {
    let Some(model) = &sources.file.model.hold else { return Ok(None) };
    let time = sources.one(None, model.time.as_ref(), &["hold", "for"], values::positive_duration)?;
    let count = |text: &str| values::count(text, 1);
    let sockets = sources.one(None, model.sockets.as_ref(), &["hold", "sockets"], count)?;
    let ping =
        sources.one(None, model.ping_every.as_ref(), &["hold", "ping-every"], values::positive_duration)?;
    let time = time.map_or(DEFAULT_TIME, |found| found.value);
    let at = |keys: &[&str], flaw: Flaw| Err(sources.error(&Spot::of(None, keys), flaw));
    let most = limits.sockets_at_once.min(users.distinct());
    let count = sockets.as_ref().map_or_else(|| DEFAULT_SOCKETS.min(most), |found| found.value);
    if count > most {
        let flaw = Flaw::new(format!("{count} sockets are more than users and limits allow ({most})"))
            .help("each is of another user: name more users, or raise limits.sockets-at-once");
        return at(&["hold", "sockets"], flaw);
    }
    if ping.as_ref().is_some_and(|found| found.value >= time) {
        let flaw = Flaw::new("no ping would be sent while the sockets are held")
            .help("let ping-every be shorter than `for`");
        return at(&["hold", "ping-every"], flaw);
    }
    let heartbeat = model.heartbeat.as_ref().map(|written| heartbeat(sources, written, time)).transpose()?;
    let ping_every = ping.map_or_else(|| DEFAULT_PING.min(time / 3), |found| found.value);
    Ok(Some(HoldSettings { time, sockets: count, ping_every, heartbeat, pace: limits.openings_per_second }))
}

fn heartbeat(
    sources: &Sources<'_>,
    written: &HeartbeatModel,
    time: Duration,
) -> Result<Heartbeat, ConfigError> {
    const EXPECT: [&str; 3] = ["hold", "heartbeat", "expect"];
    const EVERY: [&str; 3] = ["hold", "heartbeat", "every"];
    let text_of = |value: &TextOrJson| Text(value.text());
    let (expect, answer) = (written.expect.as_ref().map(text_of), written.answer.as_ref().map(text_of));
    let expect = sources.one(None, expect.as_ref(), &EXPECT, wire::heartbeat)?;
    let every = sources.one(None, written.every.as_ref(), &EVERY, values::positive_duration)?;
    let answer = sources.one(None, answer.as_ref(), &["hold", "heartbeat", "answer"], wire::send)?;
    let Some(Found { value: expect, .. }) = expect else {
        let flaw = Flaw::new("what a heartbeat looks like is not said")
            .help("describe it: heartbeat: { expect: '{\"type\":\"heartbeat\"}', every: 30s }");
        return Err(sources.error(&Spot::of(None, &["hold", "heartbeat"]), flaw));
    };
    let every = every.map_or(DEFAULT_HEARTBEAT, |found| found.value);
    if every * 3 / 2 >= time {
        let flaw =
            Flaw::new(format!("a hold of {} s cannot show that a heartbeat is missing", time.as_secs()))
                .help("let `hold.for` be more than one and a half times heartbeat.every");
        return Err(sources.error(&Spot::of(None, &["hold", "heartbeat"]), flaw));
    }
    Ok(Heartbeat { expect, every, answer: answer.map(|found| found.value) })
}

impl HoldSettings {
    /// What it costs, in one line; `cut` is the age at which the revision ends every request.
    pub(crate) fn words(&self, cut: Option<Duration>) -> String {
        let (sockets, time) = (self.sockets, self.time.as_secs());
        let remark = match cut {
            Some(cut) if cut <= self.time => {
                format!(", held for at most {} s, which is the revision's request time-out", cut.as_secs())
            }
            _ => String::new(),
        };
        format!("hold: {sockets} sockets for {time} s, a ping every {} s{remark}", self.ping_every.as_secs())
    }
}
