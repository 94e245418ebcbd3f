//! From what was typed to settings: the place where environment and files are read.

use std::path::Path;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::options::{Many, SETTINGS};
use super::output::Failure;
use super::{Clock, secrets};
use crate::config::{
    Asked, ConfigError, FileConfig, Given, Merged, Origin, Purpose, Typed, merge, typed_carriers, variable,
};
use crate::trust::{Redactor, Secret};

/// The value of an environment variable; an empty one counts as absent.
#[expect(clippy::disallowed_methods, reason = "cli is the sole reader of the environment")]
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// An option that was typed, else its variable.
pub(super) fn text(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.try_get_one::<String>(name).ok().flatten().cloned().or_else(|| environment(&variable(name)))
}

/// The same with where it came from, for an error about it.
pub(super) fn given_text(matches: &ArgMatches, name: &'static str) -> Option<Given> {
    let typed = matches.try_get_one::<String>(name).ok().flatten().cloned();
    let origin = if typed.is_some() { Origin::Flag } else { Origin::Environment };
    typed.or_else(|| environment(&variable(name))).map(|text| Given::new(name, origin, vec![text]))
}

/// What is wrong with an option's text, with its place, and the next thing to type.
pub(super) fn wrong(given: &Given, what: &str, help: &str) -> Failure {
    let text = crate::trust::escape(given.text());
    Failure::usage(format!("{}: \"{text}\" {what}", given.place()), help)
}

/// A switch that was typed, else its variable.
pub(super) fn switch(matches: &ArgMatches, name: &'static str) -> Result<bool, Failure> {
    if matches.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or(false) {
        return Ok(true);
    }
    match environment(&variable(name)).as_deref() {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        // Not taken for false: whoever set it wanted something.
        Some(other) => {
            let given = Given::new(name, Origin::Environment, vec![other.to_owned()]);
            Err(wrong(&given, "is neither true nor false", "set it to true, or leave it out"))
        }
    }
}

/// Settings and secrets from flags, environment and file.
pub(super) async fn settings(
    matches: &ArgMatches,
    purpose: Purpose,
    clock: Clock,
) -> Result<Merged, Failure> {
    let typed = typed(matches);
    let file = file(matches)?;
    let lookup = secrets::look_up(&typed, file.as_ref(), purpose, clock).await?;
    let mut merged = merge(&typed, file.as_ref(), &lookup, purpose)?;
    merged.settings.asked = asked(matches, purpose, &merged.secrets);
    Ok(merged)
}

/// The command with its options, without a secret.
fn asked(matches: &ArgMatches, purpose: Purpose, secrets: &[Secret]) -> Asked {
    let redactor = Redactor::default();
    redactor.learn_all(secrets);
    let command = if purpose == Purpose::Rehearsal { "rehearse" } else { "check" };
    let mut options = Vec::new();
    for name in ["config", "exec"].into_iter().filter(|name| has(matches, name)) {
        options.extend(text(matches, name).map(|text| (name.to_owned(), Some(redactor.redact(&text)))));
    }
    if matches.get_flag("allow-commands") {
        options.push(("allow-commands".to_owned(), None));
    }
    for option in SETTINGS {
        let texts = given(matches, option.name, option.many).map(|given| given.texts().to_vec());
        for text in texts.into_iter().flatten() {
            match option.many {
                Many::Switch if text == "true" || text == "1" => options.push((option.name.to_owned(), None)),
                Many::Switch => {}
                _ => options.push((option.name.to_owned(), Some(redactor.redact(&text)))),
            }
        }
    }
    Asked { command: command.to_owned(), options }
}

/// The configuration file that was named, else `revgate.yaml` where there is one.
fn file(matches: &ArgMatches) -> Result<Option<FileConfig>, Failure> {
    let named = given_text(matches, "config");
    let name = named.as_ref().map_or_else(|| "revgate.yaml".to_owned(), |given| given.text().to_owned());
    if named.is_none() && !Path::new(&name).exists() {
        return Ok(None);
    }
    let bytes = secrets::read(Path::new(&name)).map_err(|cause| {
        ConfigError::unreadable(&name, named.as_ref(), &format!("could not be read: {cause}"))
    })?;
    Ok(Some(FileConfig::parse(&name, &bytes)?))
}

/// Every option that was typed, with its origin.
fn typed(matches: &ArgMatches) -> Typed {
    let mut typed = Typed::default();
    for option in SETTINGS {
        if let Some(given) = given(matches, option.name, option.many) {
            set(&mut typed, option.name, given);
        }
    }
    typed.ambient_project = environment("GOOGLE_CLOUD_PROJECT")
        .map(|text| Given::new("project", Origin::Ambient("GOOGLE_CLOUD_PROJECT"), vec![text]));
    if has(matches, "exec") {
        typed.exec = given(matches, "exec", Many::No);
    }
    typed.dry_run = matches.get_flag("dry-run");
    typed.allow_commands = matches.get_flag("allow-commands");
    typed
}

/// True when this command has the option.
fn has(matches: &ArgMatches, name: &str) -> bool {
    matches.try_contains_id(name).is_ok()
}

fn given(matches: &ArgMatches, name: &'static str, many: Many) -> Option<Given> {
    let (origin, texts) = if matches.value_source(name) == Some(ValueSource::CommandLine) {
        let texts = match many {
            Many::Switch => vec!["true".to_owned()],
            _ => matches.get_many::<String>(name)?.cloned().collect(),
        };
        (Origin::Flag, texts)
    } else {
        (Origin::Environment, vec![environment(&variable(name))?])
    };
    let texts: Vec<String> = if name == "token-carry" {
        texts.iter().flat_map(|text| typed_carriers(text)).collect()
    } else if many == Many::Commas || (many == Many::Repeated && name == "label") {
        texts.iter().flat_map(|text: &String| text.split(',')).map(|text| text.trim().to_owned()).collect()
    } else {
        texts
    };
    Some(Given::new(name, origin, texts))
}

/// Puts an option into its field.
fn set(typed: &mut Typed, name: &str, given: Given) {
    let field = match name {
        "project" => &mut typed.project,
        "region" => &mut typed.region,
        "service" => &mut typed.service,
        "revision" => &mut typed.revision,
        "label" => &mut typed.label,
        "image-digest" => &mut typed.image_digest,
        "tag" => &mut typed.tag,
        "deadline" => &mut typed.deadline,
        "api-endpoint" => &mut typed.api_endpoint,
        "api-token-file" => &mut typed.api_token_file,
        "url" => &mut typed.url,
        "path" => &mut typed.path,
        "send" => &mut typed.send,
        "expect" => &mut typed.expect,
        "header" => &mut typed.header,
        "subprotocol" => &mut typed.subprotocol,
        "user" => &mut typed.user,
        "token-secret-env" => &mut typed.token_secret_env,
        "token-secret-file" => &mut typed.token_secret_file,
        "token-carry" => &mut typed.token_carry,
        "identity-header" => &mut typed.identity_header,
        "identity-pointer" => &mut typed.identity_pointer,
        "id-token-file" => &mut typed.id_token_file,
        "skip" => &mut typed.skip,
        "only" => &mut typed.only,
        "pattern" => &mut typed.pattern,
        "rounds" => &mut typed.rounds,
        "sockets" => &mut typed.sockets,
        "time-budget" => &mut typed.time_budget,
        "seed" => &mut typed.seed,
        "round" => &mut typed.round,
        "thorough" => &mut typed.thorough,
        "cold" => &mut typed.cold,
        "no-calibration" => &mut typed.no_calibration,
        "baseline" => &mut typed.baseline,
        "i-may-load-production" => &mut typed.i_may_load_production,
        _ => return,
    };
    *field = Some(given);
}
