//! Which service, which revision of it, by which address, and through which control plane.
//!
//! Takes the sources and gives the parts of the settings that say what is gated. It asks no API. The surprising rule:
//! `GOOGLE_CLOUD_PROJECT` comes last, behind the file, since it was set for other programs and only fills a gap.

use super::error::ConfigError;
use super::scalars::Text;
use super::secrets::{self, Lookup, SecretSource};
use super::settings::{ApiAccess, Choice, IdTokenMode, Identifier, ServiceName};
use super::sources::{Found, Rival, Sources, Spot};
use super::typed::{Given, variable};
use super::values::{self, Flaw};
use super::wire::{self, Address};

/// Google's own control plane.
const GOOGLE: &str = "https://run.googleapis.com/";

/// The service; `None` when only an address was given.
pub(crate) fn service(sources: &Sources<'_>, has_url: bool) -> Result<Option<ServiceName>, ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model);
    let project =
        sources.one(typed.project.as_ref(), file.project.as_ref(), &["project"], values::project)?;
    let ambient = match project {
        Some(_) => None,
        None => sources.one(typed.ambient_project.as_ref(), None, &["project"], values::project)?,
    };
    let region = name(sources, typed.region.as_ref(), file.region.as_ref(), "region")?;
    let service = name(sources, typed.service.as_ref(), file.service.as_ref(), "service")?;
    if service.is_none() && has_url {
        return Ok(None);
    }
    let project = project.or(ambient).map(|found| found.value);
    match (project, region, service) {
        (Some(project), Some(region), Some(service)) => {
            Ok(Some(ServiceName { project, region: region.to_string(), service: service.to_string() }))
        }
        (project, region, service) => Err(missing(
            sources,
            &[("project", project.is_none()), ("region", region.is_none()), ("service", service.is_none())],
        )),
    }
}

fn name(
    sources: &Sources<'_>,
    given: Option<&Given>,
    written: Option<&Text>,
    key: &str,
) -> Result<Option<Identifier>, ConfigError> {
    Ok(sources.one(given, written, &[key], values::identifier)?.map(|found| found.value))
}

/// Names each missing part in its three forms.
fn missing(sources: &Sources<'_>, parts: &[(&str, bool)]) -> ConfigError {
    let names: Vec<&str> = parts.iter().filter(|(_, missing)| *missing).map(|(name, _)| *name).collect();
    let forms: Vec<String> = names
        .iter()
        .map(|name| format!("--{name} (or {}, or `{name}:` in {})", variable(name), sources.file.name()))
        .collect();
    let names = match names.as_slice() {
        [first, second, third] => format!("{first}, {second} and {third}"),
        few => few.join(" and "),
    };
    let message = format!("the service to gate is not fully named: {names} missing");
    ConfigError::new(message, None).with_help(format!("give {}", forms.join(", ")))
}

/// Which revision, and where that was said.
pub(crate) fn choice(sources: &Sources<'_>) -> Result<(Choice, Option<Spot>), ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model);
    let revision = typed.revision.as_ref();
    let label = typed.label.as_ref();
    let digest = typed.image_digest.as_ref();
    let winner = sources.exclusive(&[
        Rival { given: revision, is_in_file: file.revision.is_some(), keys: &["revision"] },
        Rival { given: label, is_in_file: file.label.is_some(), keys: &["label"] },
        Rival { given: digest, is_in_file: file.image_digest.is_some(), keys: &["image-digest"] },
    ])?;
    let revision = sources.one(revision, file.revision.as_ref(), &["revision"], values::identifier)?;
    let labels = labels(sources)?;
    let digest = sources.one(digest, file.image_digest.as_ref(), &["image-digest"], values::image_digest)?;
    Ok(match winner {
        Some(0) => split(revision, |revision| Choice::Revision(revision.to_string())),
        Some(1) => split(labels, Choice::Labels),
        Some(_) => split(digest, Choice::ImageDigest),
        None => (Choice::Newest, None),
    })
}

fn split<T>(found: Option<Found<T>>, choose: impl Fn(T) -> Choice) -> (Choice, Option<Spot>) {
    found.map_or((Choice::Newest, None), |found| (choose(found.value), Some(found.spot)))
}

/// Keys and values.
type Labels = Vec<(String, String)>;

fn labels(sources: &Sources<'_>) -> Result<Option<Found<Labels>>, ConfigError> {
    let typed = sources.many(sources.typed.label.as_ref(), None, &["label"], values::label)?;
    let Some(pairs) = &sources.file.model.label else { return Ok(typed) };
    let spot = Spot::of(None, &["label"]);
    if pairs.0.is_empty() {
        return Err(sources.error(&spot, Flaw::new("no label is named")));
    }
    let mut labels = Vec::new();
    for (key, Text(value)) in &pairs.0 {
        let label = values::label(&format!("{key}={value}"))
            .map_err(|flaw| sources.error(&Spot::of(None, &["label", key]), flaw))?;
        labels.push(label);
    }
    Ok(typed.or(Some(Found { value: labels, spot })))
}

/// The address, when one was given.
pub(crate) fn url(sources: &Sources<'_>) -> Result<Option<Address>, ConfigError> {
    let found =
        sources.one(sources.typed.url.as_ref(), sources.file.model.url.as_ref(), &["url"], wire::address)?;
    Ok(found.map(|found| found.value))
}

/// Where the control plane's token is kept, when there is one.
pub(crate) fn api_token_source(sources: &Sources<'_>) -> Result<Option<Found<SecretSource>>, ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model);
    secrets::file_option(
        sources,
        typed.api_token_file.as_ref(),
        file.api_token_file.as_ref(),
        &["api-token-file"],
    )
}

/// The control plane.
pub(crate) fn api(sources: &Sources<'_>, lookup: &Lookup) -> Result<ApiAccess, ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model);
    let endpoint = sources.one(
        typed.api_endpoint.as_ref(),
        file.api_endpoint.as_ref(),
        &["api-endpoint"],
        wire::endpoint,
    )?;
    let token = api_token_source(sources)?;
    match (endpoint.filter(|found| found.value.as_str() != GOOGLE), token) {
        (None, None) => Ok(ApiAccess::Google),
        (None, Some(token)) => {
            let flaw = Flaw::new("a token for Google's own API is not taken from a file")
                .help("sign in instead: gcloud auth application-default login");
            Err(sources.error(&token.spot, flaw))
        }
        (Some(endpoint), token) => {
            let token = token.map(|source| lookup.secret(sources, &source)).transpose()?;
            Ok(ApiAccess::Other { endpoint: endpoint.value, token })
        }
    }
}

/// Where the IAM ID token is kept, when one is given.
pub(crate) fn id_token_source(sources: &Sources<'_>) -> Result<Option<Found<SecretSource>>, ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model);
    sources.exclusive(&[
        Rival { given: None, is_in_file: file.id_token.is_some(), keys: &["id-token"] },
        Rival { given: None, is_in_file: file.id_token_file.is_some(), keys: &["id-token-file"] },
    ])?;
    secrets::file_option(
        sources,
        typed.id_token_file.as_ref(),
        file.id_token_file.as_ref(),
        &["id-token-file"],
    )
}

/// Whether probes carry an IAM ID token.
pub(crate) fn id_token(sources: &Sources<'_>, lookup: &Lookup) -> Result<IdTokenMode, ConfigError> {
    let given = id_token_source(sources)?;
    let mode = sources.one(None, sources.file.model.id_token.as_ref(), &["id-token"], |text| match text {
        "auto" => Ok(IdTokenMode::Auto),
        "never" => Ok(IdTokenMode::Never),
        _ => Err(Flaw::new(format!("{} is neither auto nor never", values::quoted(text)))),
    })?;
    match given {
        Some(source) => {
            let token = lookup.secret(sources, &source)?;
            wire::header_value(token.expose()).map_err(|_| {
                let name = match &source.value {
                    SecretSource::File(name) | SecretSource::Environment(name) => values::quoted(name),
                    // No option names these for an ID token.
                    SecretSource::SecretManager(_) | SecretSource::Command(_) => String::new(),
                };
                sources.error(
                    &source.spot,
                    Flaw::new(format!("the file {name} holds more than a token on one line")),
                )
            })?;
            Ok(IdTokenMode::Given(token))
        }
        None => Ok(mode.map_or(IdTokenMode::Auto, |found| found.value)),
    }
}
