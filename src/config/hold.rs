//! `hold:` is what it takes to find out whether sockets last.
//!
//! Takes the sources, and how many users there are; gives the settings, or `None` where nobody asks. It opens nothing. The
//! surprising rule: a hold that is too short to see a heartbeat missing is refused, since it would pass without having
//! looked; the client's own heartbeat shows nothing, and is only sent so that a server that wants one keeps its sockets.

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
    send: Option<TextOrJson>,
    send_every: Option<Text>,
}

/// What the check `hold` is to do.
#[derive(Debug, Clone)]
pub struct HoldSettings {
    /// How long the sockets are kept. Default 60 s.
    pub time: Duration,
    /// How many, of distinct users where sockets have users. Default 5, or as many as there are users.
    pub sockets: u32,
    /// Time between two pings of ours. Default 20 s, or a third of the time.
    pub ping_every: Duration,
    /// What the application is to say by itself again and again.
    pub heartbeat: Option<Heartbeat>,
    /// What we say by ourselves again and again, as the application's own clients do.
    pub own_heartbeat: Option<OwnHeartbeat>,
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

/// What a client of the application says by itself again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnHeartbeat {
    /// The text.
    pub text: Template,
    /// How often it is said, first after so long. Default: as often as the application's heartbeat is due, else 20 s.
    pub every: Duration,
}

const DEFAULT_TIME: Duration = Duration::from_mins(1);
const DEFAULT_SOCKETS: u32 = 5;
const DEFAULT_PING: Duration = Duration::from_secs(20);
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(30);
const DEFAULT_OWN_HEARTBEAT: Duration = Duration::from_secs(20);

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
    let (heartbeat, own_heartbeat) = match &model.heartbeat {
        Some(written) => {
            let reader = Reader { sources, written, time };
            (reader.heartbeat()?, reader.own(limits)?)
        }
        None => (None, None),
    };
    let ping_every = ping.map_or_else(|| DEFAULT_PING.min(time / 3), |found| found.value);
    let pace = limits.openings_per_second;
    Ok(Some(HoldSettings { time, sockets: count, ping_every, heartbeat, own_heartbeat, pace }))
}

/// Reads `hold.heartbeat:`, for sockets that are held so long.
struct Reader<'a> {
    sources: &'a Sources<'a>,
    written: &'a HeartbeatModel,
    time: Duration,
}

impl Reader<'_> {
    fn error(&self, keys: &[&str], flaw: Flaw) -> ConfigError {
        self.sources.error(&Spot::of(None, keys), flaw)
    }

    fn every(&self, written: Option<&Text>, key: &str) -> Result<Option<Duration>, ConfigError> {
        let keys = ["hold", "heartbeat", key];
        let found = self.sources.one(None, written, &keys, values::positive_duration)?;
        Ok(found.map(|found| found.value))
    }

    /// The application's; `None` where only our own is described.
    fn heartbeat(&self) -> Result<Option<Heartbeat>, ConfigError> {
        const BLOCK: [&str; 2] = ["hold", "heartbeat"];
        let HeartbeatModel { expect, every, answer, send, .. } = self.written;
        let text_of = |value: &TextOrJson| Text(value.text());
        let (expect, answer) = (expect.as_ref().map(text_of), answer.as_ref().map(text_of));
        let keys = ["hold", "heartbeat", "expect"];
        let expect = self.sources.one(None, expect.as_ref(), &keys, wire::heartbeat)?;
        let every = self.every(every.as_ref(), "every")?;
        let keys = ["hold", "heartbeat", "answer"];
        let answer = self.sources.one(None, answer.as_ref(), &keys, wire::send)?;
        let Some(Found { value: expect, .. }) = expect else {
            if send.is_some() && answer.is_none() {
                return Ok(None);
            }
            let flaw = Flaw::new("what a heartbeat looks like is not said").help(
                "describe the server's: heartbeat: { expect: '{\"type\":\"heartbeat\"}', every: 30s }, or the client's: \
                 heartbeat: { send: '{\"type\":\"heartbeat\"}', every: 20s }",
            );
            return Err(self.error(&BLOCK, flaw));
        };
        let every = every.unwrap_or(DEFAULT_HEARTBEAT);
        if every * 3 / 2 >= self.time {
            let seconds = self.time.as_secs();
            let flaw = Flaw::new(format!("a hold of {seconds} s cannot show that a heartbeat is missing"))
                .help("let `hold.for` be more than one and a half times heartbeat.every");
            return Err(self.error(&BLOCK, flaw));
        }
        Ok(Some(Heartbeat { expect, every, answer: answer.map(|found| found.value) }))
    }

    /// Our own; `None` where none is to be sent.
    fn own(&self, limits: &Limits) -> Result<Option<OwnHeartbeat>, ConfigError> {
        let HeartbeatModel { every, send, send_every, .. } = self.written;
        let text = send.as_ref().map(|value| Text(value.text()));
        let text = self.sources.one(None, text.as_ref(), &["hold", "heartbeat", "send"], wire::send)?;
        let given = self.every(send_every.as_ref(), "send-every")?;
        let at = if given.is_some() { "send-every" } else { "send" };
        let error = |flaw| Err(self.error(&["hold", "heartbeat", at], flaw));
        let Some(Found { value: text, .. }) = text else {
            if given.is_some() {
                let flaw = Flaw::new("there is no heartbeat of ours that could be sent so often")
                    .help("say what is sent: heartbeat: { send: '{\"type\":\"heartbeat\"}' }");
                return error(flaw);
            }
            return Ok(None);
        };
        let every = given.or(self.every(every.as_ref(), "every")?).unwrap_or(DEFAULT_OWN_HEARTBEAT);
        if given.is_some() && every >= self.time {
            let flaw = Flaw::new("no heartbeat of ours would be sent while the sockets are held")
                .help("let send-every be shorter than `for`");
            return error(flaw);
        }
        let stated = limits.messages_per_minute.filter(|most| every * *most < Duration::from_mins(1));
        if let Some(most) = stated {
            let seconds = every.as_secs_f64();
            let flaw = Flaw::new(format!(
                "a heartbeat every {seconds} s is more than the {most} messages of a user a minute that are allowed"
            ))
            .help("send it less often, or raise limits.messages-per-minute");
            return error(flaw);
        }
        Ok(Some(OwnHeartbeat { text, every }))
    }
}

impl HoldSettings {
    /// How many heartbeats of ours a socket sends at the most.
    pub(crate) fn own_heartbeats(&self) -> u32 {
        let every = self.own_heartbeat.as_ref().map(|own| own.every.as_millis().max(1));
        every.map_or(0, |every| u32::try_from(self.time.as_millis() / every).unwrap_or(u32::MAX))
    }

    /// What it costs, in one line; `cut` is the age at which the revision ends every request.
    pub(crate) fn words(&self, cut: Option<Duration>) -> String {
        let (sockets, time) = (self.sockets, self.time.as_secs());
        let remark = match cut {
            Some(cut) if cut <= self.time => {
                format!(", held for at most {} s, which is the revision's request time-out", cut.as_secs())
            }
            _ => String::new(),
        };
        let own = self.own_heartbeat.as_ref();
        let own = own.map_or_else(String::new, |own| {
            format!(", a heartbeat of ours every {} s", own.every.as_secs_f64())
        });
        let ping = self.ping_every.as_secs();
        format!("hold: {sockets} sockets for {time} s, a ping every {ping} s{own}{remark}")
    }
}
