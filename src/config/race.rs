//! What is provoked, how it is judged, what it may cost, and which checks were asked for.
//!
//! Takes the sources and gives the numbers of a run. It plans nothing. The surprising rule: limits are compared with what
//! was asked for here, before anything is sent, since a round that is larger than its limit could never run and would
//! otherwise end as too little evidence after minutes.

use std::time::Duration;

use super::checks::Selection;
use super::error::ConfigError;
use super::pattern::Pattern;
use super::scalars::Text;
use super::settings::{Limits, LocalSettings, RaceSettings, Timeouts};
use super::sources::{Found, Sources, Spot};
use super::values::{self, Flaw};

/// What is provoked, and how it is judged.
pub(crate) fn race(sources: &Sources<'_>, limits: &Limits) -> Result<RaceSettings, ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model.race);
    let default = RaceSettings::default();
    let count = |least: u32| move |text: &str| values::count(text, least);
    let rounds = sources.one(typed.rounds.as_ref(), file.rounds.as_ref(), &["race", "rounds"], count(1))?;
    let time_budget = sources.one(
        typed.time_budget.as_ref(),
        file.time_budget.as_ref(),
        &["race", "time-budget"],
        values::positive_duration,
    )?;
    let seed = sources.one(typed.seed.as_ref(), file.seed.as_ref(), &["race", "seed"], values::whole)?;
    // Only typed: whoever reads the configuration must not find a run of one round there.
    let round = sources.one(typed.round.as_ref(), None, &[], count(1))?;
    let uncalibrated = sources.one(typed.no_calibration.as_ref(), None, &[], values::boolean)?;
    let codes =
        sources.many(None, file.zero_tolerance.as_ref(), &["race", "zero-tolerance"], values::close_code)?;
    let (tolerated, noise) = rates(sources, &default)?;
    let keys = ["race", "lanes"];
    let lanes = sources.one(None, file.lanes.as_ref(), &keys, |text| values::count(text, 1))?;
    let rate = |text: Option<&Text>, key| sources.one(None, text, &["race", key], values::rate);
    let pass_confidence = rate(file.pass_confidence.as_ref(), "pass-confidence")?;
    let fail_confidence = rate(file.fail_confidence.as_ref(), "fail-confidence")?;
    let cold_tolerated = rate(file.cold_tolerated.as_ref(), "cold-tolerated")?;
    let keys = ["race", "cold-budget"];
    let cold_budget = sources.one(None, file.cold_budget.as_ref(), &keys, values::positive_duration)?;
    Ok(RaceSettings {
        patterns: patterns(sources, limits)?,
        rounds: rounds.map(|found| found.value),
        sockets: sockets(sources, limits, default.sockets)?,
        time_budget: time_budget.map_or(default.time_budget, |found| found.value),
        seed: seed.map(|found| found.value),
        round: round.map(|found| found.value),
        calibrate: !uncalibrated.is_some_and(|found| found.value),
        cold: cold(sources)?,
        tolerated,
        noise,
        lanes: lanes.map(|found| found.value),
        pass_confidence: pass_confidence.map_or(default.pass_confidence, |found| found.value),
        fail_confidence: fail_confidence.map_or(default.fail_confidence, |found| found.value),
        zero_tolerance: codes.map_or(default.zero_tolerance, |found| found.value),
        cold_tolerated: cold_tolerated.map_or(default.cold_tolerated, |found| found.value),
        cold_budget: cold_budget.map_or(default.cold_budget, |found| found.value),
        baseline: default.baseline,
    })
}

fn rates(sources: &Sources<'_>, default: &RaceSettings) -> Result<(f64, f64), ConfigError> {
    let file = &sources.file.model.race;
    let tolerated = sources.one(None, file.tolerated.as_ref(), &["race", "tolerated"], values::rate)?;
    let noise = sources.one(None, file.noise.as_ref(), &["race", "noise"], values::rate)?;
    let spot = noise.as_ref().or(tolerated.as_ref()).map(|found| found.spot.clone());
    let tolerated = tolerated.map_or(default.tolerated, |found| found.value);
    let noise = noise.map_or(default.noise, |found| found.value);
    match spot {
        Some(spot) if noise >= tolerated => {
            let (noise, tolerated) = (values::in_percent(noise), values::in_percent(tolerated));
            let message = format!("noise ({noise} %) must be below the tolerated rate ({tolerated} %)");
            Err(sources.error(&spot, Flaw::new(message)))
        }
        _ => Ok((tolerated, noise)),
    }
}

fn sockets(sources: &Sources<'_>, limits: &Limits, default: u32) -> Result<u32, ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model.race);
    let found = sources.one(typed.sockets.as_ref(), file.sockets.as_ref(), &["race", "sockets"], |text| {
        match values::count(text, 1)? {
            1 => Err(Flaw::new("one socket cannot race: a round needs at least 2")),
            number => Ok(number),
        }
    })?;
    let spot =
        found.as_ref().map_or(Spot::of(None, &["limits", "sockets-at-once"]), |found| found.spot.clone());
    let sockets = found.map_or(default, |found| found.value);
    if sockets > limits.sockets_at_once {
        let message = format!(
            "a round of {sockets} sockets is more than the limit of {} at once",
            limits.sockets_at_once
        );
        let help = "raise `sockets-at-once:` under `limits:`, or ask for fewer with --sockets";
        return Err(sources.error(&spot, Flaw::new(message).help(help)));
    }
    Ok(sockets)
}

fn thorough(sources: &Sources<'_>) -> Result<bool, ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model.race);
    let keys = ["race", "thorough"];
    let found = sources.one(typed.thorough.as_ref(), None, &keys, values::boolean)?;
    Ok(found.map(|found| found.value).or(file.thorough).unwrap_or(false))
}

fn cold(sources: &Sources<'_>) -> Result<bool, ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model.race);
    let found = sources.one(typed.cold.as_ref(), None, &["race", "cold"], values::boolean)?;
    Ok(found.map(|found| found.value).or(file.cold).unwrap_or(false))
}

/// In the order of the plan, each once.
fn patterns(sources: &Sources<'_>, limits: &Limits) -> Result<Vec<Pattern>, ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model.race);
    let keys = ["race", "patterns"];
    let found = sources.many(typed.pattern.as_ref(), file.patterns.as_ref(), &keys, values::pattern)?;
    let spot = Spot::of(typed.pattern.as_ref(), &["limits", "sockets-per-user"]);
    let cold = cold(sources)?;
    let has_process = |pattern: &Pattern| {
        typed.exec.is_some() || !pattern.is_local() || (cold && *pattern == Pattern::Cold)
    };
    let asked = match found {
        None if thorough(sources)? => Pattern::ALL.into_iter().filter(has_process).collect(),
        None => Pattern::DEFAULT.into_iter().chain(Pattern::LOCAL).filter(has_process).collect(),
        Some(Found { value, spot }) if value.is_empty() => {
            return Err(
                sources.error(&spot, Flaw::new("no pattern is named").help("leave `patterns` out for all"))
            );
        }
        Some(Found { value, spot }) => match value.iter().find(|pattern| !has_process(pattern)) {
            Some(local) => return Err(sources.error(&spot, needs_process(*local))),
            None => value,
        },
    };
    if limits.sockets_per_user < 2 && asked.contains(&Pattern::SameUser) {
        let flaw = Flaw::new("the pattern same-user opens two sockets of a user, and the limit is one")
            .help(format!("leave it out: --pattern {}", of_several_users(&asked)));
        return Err(sources.error(&spot, flaw));
    }
    Ok(Pattern::ALL.into_iter().filter(|pattern| asked.contains(pattern)).collect())
}

/// The patterns that open no two sockets of one user at once, as they are typed.
fn of_several_users(asked: &[Pattern]) -> String {
    let of_one = [Pattern::SameUser, Pattern::Reconnect, Pattern::Stagger, Pattern::FrozenSameUser];
    let kept = asked.iter().filter(|pattern| !of_one.contains(pattern));
    kept.map(|pattern| pattern.name()).collect::<Vec<_>>().join(",")
}

fn needs_process(pattern: Pattern) -> Flaw {
    if pattern == Pattern::Cold {
        return Flaw::new("the pattern cold needs the server's own process or --cold, and neither is there").help(
            "name the command that starts it: --exec 'CMD --port $PORT'; or let new instances start: --cold",
        );
    }
    Flaw::new(format!("the pattern {pattern} needs the server's own process, and no command is named"))
        .help("name the command that starts it: --exec 'CMD --port $PORT', or leave the pattern out")
}

/// The server itself. Only typed: a command never comes from a file.
pub(crate) fn local(sources: &Sources<'_>) -> Result<Option<LocalSettings>, ConfigError> {
    let parse = |text: &str| match shlex::split(text).filter(|words| !words.is_empty()) {
        Some(words) => Ok(LocalSettings { command: text.to_owned(), words }),
        None => Err(Flaw::new("the command cannot be split into words: a quote is open, or there is none")
            .help("quote the command as a whole: --exec 'uvicorn app:app --port $PORT'")),
    };
    Ok(sources.one(sources.typed.exec.as_ref(), None, &[], parse)?.map(|found| found.value))
}

/// What the run may cost: what is stated, else the `default`.
pub(crate) fn limits(sources: &Sources<'_>, default: &Limits) -> Result<Limits, ConfigError> {
    let file = &sources.file.model.limits;
    let limit = |written: Option<&Text>, key: &str, default: u32| {
        let found = sources.one(None, written, &["limits", key], |text| values::count(text, 1))?;
        Ok::<u32, ConfigError>(found.map_or(default, |found| found.value))
    };
    let written = file.messages_per_minute.as_ref();
    let messages =
        sources.one(None, written, &["limits", "messages-per-minute"], |text| values::count(text, 1))?;
    Ok(Limits {
        sockets_at_once: limit(file.sockets_at_once.as_ref(), "sockets-at-once", default.sockets_at_once)?,
        openings_per_second: limit(
            file.openings_per_second.as_ref(),
            "openings-per-second",
            default.openings_per_second,
        )?,
        sockets_per_run: limit(file.sockets_per_run.as_ref(), "sockets-per-run", default.sockets_per_run)?,
        sockets_per_user: limit(
            file.sockets_per_user.as_ref(),
            "sockets-per-user",
            default.sockets_per_user,
        )?,
        messages_per_minute: messages.map(|found| found.value),
    })
}

/// The longest time that a step of a socket may take: Cloud Run ends every request after so long.
const LONGEST_STEP: Duration = Duration::from_hours(1);

/// The duration of a step, once it is known to be one.
fn step(text: &str, parsed: Duration) -> Result<Duration, Flaw> {
    if parsed <= LONGEST_STEP {
        return Ok(parsed);
    }
    let message =
        format!("{} is longer than any request lasts at Cloud Run, which is 1h", values::quoted(text));
    Err(Flaw::new(message).help("write it as 250ms, 10s or 5m"))
}

/// How long each step of a socket may take; only a hold may be zero.
pub(crate) fn timeouts(sources: &Sources<'_>) -> Result<Timeouts, ConfigError> {
    let file = &sources.file.model.timeouts;
    let default = Timeouts::default();
    let wait = |written: Option<&Text>, key: &str, default: Duration| {
        let parse = |text: &str| step(text, values::positive_duration(text)?);
        let found = sources.one(None, written, &["timeouts", key], parse)?;
        Ok::<Duration, ConfigError>(found.map_or(default, |found| found.value))
    };
    let hold = |text: &str| step(text, values::duration(text)?);
    let hold = sources.one(None, file.hold.as_ref(), &["timeouts", "hold"], hold)?;
    Ok(Timeouts {
        opening: wait(file.opening.as_ref(), "opening", default.opening)?,
        first_contact: wait(file.first_contact.as_ref(), "first-contact", default.first_contact)?,
        answer: wait(file.answer.as_ref(), "answer", default.answer)?,
        hold: hold.map_or(default.hold, |found| found.value),
        serves_hold: wait(file.serves_hold.as_ref(), "serves-hold", default.serves_hold)?,
    })
}

/// Which checks were asked for. A selection that can never approve is accepted: the verdict says so.
pub(crate) fn checks(sources: &Sources<'_>) -> Result<Selection, ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model.checks);
    let only = sources.many(typed.only.as_ref(), file.only.as_ref(), &["checks", "only"], values::check)?;
    let skip = sources.many(typed.skip.as_ref(), file.skip.as_ref(), &["checks", "skip"], values::check)?;
    Ok(Selection {
        only: only.map_or_else(Vec::new, |found| found.value),
        skip: skip.map_or_else(Vec::new, |found| found.value),
        configured: Vec::new(),
    })
}
