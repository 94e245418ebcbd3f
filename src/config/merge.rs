//! From all that was typed and written to one validated [`Settings`].
//!
//! Takes what was typed, the file, and the secrets that the caller read for it; gives the settings and what must never be
//! shown. It reads nothing itself: [`needed`] says first which secrets it will want. The surprising rule: options that
//! exclude each other do so only on the same level, so that a flag can replace what the file says in another way.

use std::time::Duration;

use super::asked::Asked;
use super::baseline;
use super::checks::Selection;
use super::configured::{self, Around};
use super::conversation::{self, HeaderValue};
use super::error::ConfigError;
use super::file::FileConfig;
use super::frames::Users;
use super::isolation;
use super::race;
use super::secrets::{self, Lookup, SecretSource};
use super::settings::{ApiAccess, Choice, IdTokenMode, Limits, ServiceName, Settings};
use super::sources::{Sources, Spot};
use super::target;
use super::token;
use super::typed::Typed;
use super::values::{self, Flaw};
use super::within;
use crate::trust::Secret;

/// How long the candidate may take to be ready, where nothing else is configured.
const DEFAULT_DEADLINE: Duration = Duration::from_mins(10);

/// What the settings are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A service is gated: it must be named, or its address given.
    Gate,
    /// A rehearsal, which brings its own service, control plane and address: those of flags and file are left aside.
    Rehearsal,
}

/// The settings, and what must never be shown.
#[derive(Debug, Clone)]
pub struct Merged {
    /// What the run is asked to do.
    pub settings: Settings,
    /// Every secret of the configuration, for the redactor to learn.
    pub secrets: Vec<Secret>,
}

/// The secrets that [`merge`] will look up, in no particular order.
///
/// # Errors
/// Whatever keeps it from telling: a source that is named in two ways, or in a way that cannot be.
pub fn needed(
    typed: &Typed,
    file: Option<&FileConfig>,
    purpose: Purpose,
) -> Result<Vec<SecretSource>, ConfigError> {
    let none = FileConfig::none();
    let sources = Sources { typed, file: file.unwrap_or(&none) };
    let mut needed: Vec<SecretSource> = Vec::new();
    needed.extend(token::source(&sources)?.map(|found| found.value.secret));
    if purpose == Purpose::Gate {
        needed.extend(target::api_token_source(&sources)?.map(|found| found.value));
        needed.extend(target::id_token_source(&sources)?.map(|found| found.value));
    }
    for header in conversation::headers(&sources)? {
        if let HeaderValue::Kept(source) = header.value {
            needed.push(source);
        }
    }
    needed.extend(configured::needed(&sources)?);
    Ok(needed)
}

/// How Google's APIs are asked, for whatever is read of them before the settings are whole. `lookup` must hold the token for
/// it, where [`needed`] names one.
///
/// # Errors
/// The person who wrote the configuration is at fault.
pub fn access(
    typed: &Typed,
    file: Option<&FileConfig>,
    lookup: &Lookup,
    purpose: Purpose,
) -> Result<ApiAccess, ConfigError> {
    let none = FileConfig::none();
    let sources = Sources { typed, file: file.unwrap_or(&none) };
    if purpose == Purpose::Rehearsal { Ok(ApiAccess::Google) } else { target::api(&sources, lookup) }
}

/// Everything checked and put together: flag over environment over file over default.
///
/// # Errors
/// The person who wrote the configuration is at fault; the error says where and what to do. `lookup` must hold an answer
/// for everything that [`needed`] named.
pub fn merge(
    typed: &Typed,
    file: Option<&FileConfig>,
    lookup: &Lookup,
    purpose: Purpose,
) -> Result<Merged, ConfigError> {
    let none = FileConfig::none();
    let sources = Sources { typed, file: file.unwrap_or(&none) };
    let target = target(&sources, lookup, purpose)?;
    let (conversation, from_outside) = conversation::conversation(&sources, lookup, target.path)?;
    let limits = race::limits(&sources, &Limits::default())?;
    let file = &sources.file.model;
    let tag = sources.one(typed.tag.as_ref(), file.tag.as_ref(), &["tag"], values::identifier)?;
    let deadline = sources.one(
        typed.deadline.as_ref(),
        file.deadline.as_ref(),
        &["deadline"],
        values::positive_duration,
    )?;
    let token = token::token(&sources, lookup, &conversation)?;
    let mut race = race::race(&sources, &limits)?;
    race.baseline = baseline::baseline(&sources, target.service.is_some() || purpose == Purpose::Rehearsal)?;
    let users = conversation::users(&sources, token.as_ref())?;
    let who = if token::are_users_unknown(&sources, token.as_ref()) {
        Users::Nobody
    } else {
        Users::of(token.is_some(), &conversation.path, conversation.send.as_ref(), users.len())
    };
    let around = Around { lookup, token: token.as_ref(), limits: &limits, users: who };
    let configured = configured::configured(&sources, &around)?;
    let settings = Settings {
        service: target.service,
        choice: target.choice,
        tag: tag.map(|found| found.value).filter(|_| purpose == Purpose::Gate),
        url: target.url,
        api: target.api,
        id_token: target.id_token,
        deadline: deadline.map_or(DEFAULT_DEADLINE, |found| found.value),
        conversation,
        token,
        users,
        echo: conversation::echo(&sources)?,
        instance_echo: conversation::instance_echo(&sources)?,
        timeouts: race::timeouts(&sources)?,
        race,
        local: race::local(&sources)?,
        local_limits: race::limits(&sources, &Limits::of_process())?,
        limits,
        checks: Selection { configured: configured.names(), ..race::checks(&sources)? },
        configured,
        dry_run: typed.dry_run,
        unread: token::unread(&sources)?,
        asked: Asked::default(),
    };
    within::refuse_excess(&sources, &settings)?;
    if !token::are_users_unknown(&sources, settings.token.as_ref()) {
        isolation::refuse_alone(&sources, &settings)?;
    }
    let secrets = secrets::to_redact(&settings, from_outside);
    Ok(Merged { settings, secrets })
}

/// What is gated.
struct Target {
    service: Option<ServiceName>,
    choice: Choice,
    url: Option<url::Url>,
    path: Option<String>,
    api: ApiAccess,
    id_token: IdTokenMode,
}

fn target(sources: &Sources<'_>, lookup: &Lookup, purpose: Purpose) -> Result<Target, ConfigError> {
    if purpose == Purpose::Rehearsal {
        return Ok(Target {
            service: None,
            choice: Choice::Newest,
            url: None,
            path: None,
            api: ApiAccess::Google,
            id_token: IdTokenMode::Never,
        });
    }
    let address = target::url(sources)?;
    let service = target::service(sources, address.is_some())?;
    let (choice, chosen_at) = target::choice(sources)?;
    if let (None, Some(spot)) = (&service, chosen_at) {
        return Err(nothing_to_choose_from(sources, &spot));
    }
    let (url, path) = address.map_or((None, None), |address| (Some(address.url), address.path));
    let api = target::api(sources, lookup)?;
    let id_token = target::id_token(sources, lookup)?;
    Ok(Target { service, choice, url, path, api, id_token })
}

fn nothing_to_choose_from(sources: &Sources<'_>, spot: &Spot) -> ConfigError {
    let flaw = Flaw::new("without a service there are no revisions to choose from")
        .help("give --project, --region and --service besides --url");
    sources.error(spot, flaw)
}

#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod misuse;
#[cfg(test)]
mod rubbish;
#[cfg(test)]
mod tests;
