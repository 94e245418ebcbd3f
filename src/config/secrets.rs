//! Which secrets lie outside, and which texts must never be shown.
//!
//! Takes the names of variables and files from the configuration, and what the caller read there. It reads nothing itself,
//! which is why a run first asks what is needed and then merges. The surprising rule: a header's value is a secret when its
//! name sounds like one or when it was read from outside, however harmless it looks.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::ConfigError;
use super::settings::{Settings, TokenOrigin, TokenSettings};
use super::snippet::{is_sensitive, is_sensitive_header, is_variable, masked_command};
use super::sources::{Found, Sources, Spot};
use super::values::{Flaw, quoted, text};
use crate::trust::{Secret, escape};

/// Where a secret is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretSource {
    /// In an environment variable of this name.
    Environment(String),
    /// In a file: relative to the working directory; one that `revgate.yaml` names is relative to that file.
    File(String),
    /// In Secret Manager: `projects/P/secrets/S/versions/V`.
    SecretManager(String),
    /// In what this argument vector prints.
    Command(Vec<String>),
}

impl SecretSource {
    /// True where reading it does something beyond this process: a command runs, or an API is asked and keeps a log of it.
    pub fn is_afar(&self) -> bool {
        matches!(self, Self::Command(_) | Self::SecretManager(_))
    }

    /// What a dry run says in place of reading it, with all masked in it that looks like a credential.
    pub(crate) fn would(&self) -> String {
        match self {
            Self::Environment(name) => format!("would read the variable {}", quoted(name)),
            Self::File(path) => format!("would read the file {}", quoted(path)),
            Self::SecretManager(name) => format!("would read the secret {}", escape(name)),
            Self::Command(words) => format!("would run: {}", masked_command(words)),
        }
    }
}

/// What was found where the configuration said that secrets are kept.
#[derive(Debug, Clone, Default)]
pub struct Lookup {
    found: BTreeMap<SecretSource, Result<Secret, String>>,
    now: Option<i64>,
}

impl Lookup {
    /// Remembers when it was read, in seconds since 1970: without it nobody can tell what has expired.
    pub fn at(now: i64) -> Self {
        Self { now: Some(now), ..Self::default() }
    }

    /// When it was read, in seconds since 1970.
    pub(crate) fn now(&self) -> Option<i64> {
        self.now
    }

    /// Every secret that was found.
    pub fn secrets(&self) -> Vec<Secret> {
        self.found.values().filter_map(|found| found.as_ref().ok()).cloned().collect()
    }

    /// Remembers what was read, or why nothing was: a lower-case fragment such as `is not set`.
    pub fn insert(&mut self, source: SecretSource, found: Result<Secret, String>) {
        self.found.insert(source, found);
    }

    /// The secret itself.
    pub(crate) fn secret(
        &self,
        sources: &Sources<'_>,
        at: &Found<SecretSource>,
    ) -> Result<Secret, ConfigError> {
        let reason = match self.found.get(&at.value) {
            Some(Ok(secret)) if secret.is_empty() => "is empty",
            Some(Ok(secret)) => return Ok(secret.clone()),
            Some(Err(reason)) => reason,
            None => "was not read",
        };
        let flaw = match &at.value {
            SecretSource::Environment(name) => {
                let shown = if is_variable(name) { format!(" {name}") } else { String::new() };
                Flaw::new(format!("the environment variable{shown} {reason}"))
                    .help("set it in the step that runs revgate, as a secret of your CI system")
            }
            SecretSource::File(path) => {
                let word = shlex::try_quote(path).unwrap_or_default();
                let help =
                    format!("see whether it is there and holds the secret alone: ls -l {}", escape(&word));
                Flaw::new(format!("the file {} {reason}", quoted(path))).help(help)
            }
            SecretSource::SecretManager(name) => {
                let help = format!("see what it holds: gcloud secrets versions access {}", escape(name));
                Flaw::new(format!("the secret {} {reason}", escape(name))).help(help)
            }
            // Its other words may hold a secret.
            SecretSource::Command(words) => {
                let program = words.first().map_or("", String::as_str);
                Flaw::new(format!("the command {} {reason}", quoted(program))).help(
                    "run it yourself, as it stands in the file and without a shell, and see what it prints",
                )
            }
        };
        Err(sources.error(&at.spot, flaw))
    }
}

/// A variable's name.
pub(crate) fn environment(name: &str) -> Result<SecretSource, Flaw> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.is_empty() && name.chars().all(allowed) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(SecretSource::Environment(name.to_owned()));
    }
    // Not quoted: it may be the secret itself, pasted where its variable's name belongs.
    Err(Flaw::new("this is not the name of an environment variable")
        .help("give the name of the variable that holds the secret, not the secret"))
}

/// A version of a secret in Secret Manager.
pub(crate) fn secret_manager(name: &str) -> Result<SecretSource, Flaw> {
    let plain = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c))
    };
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        ["projects", project, "secrets", secret, "versions", version]
            if plain(project) && plain(secret) && plain(version) =>
        {
            Ok(SecretSource::SecretManager(name.to_owned()))
        }
        // Not quoted: it may be the secret itself, pasted where its name belongs.
        _ => Err(Flaw::new("this is not the name of a secret's version")
            .help("write it as projects/PROJECT/secrets/NAME/versions/latest")),
    }
}

/// A file's name; `base` is the configuration file that names it.
pub(crate) fn file(name: &str, base: Option<&str>) -> Result<SecretSource, Flaw> {
    let name = text(name)?;
    let folder = base.and_then(|base| Path::new(base).parent());
    let path =
        folder.map_or_else(|| name.clone(), |folder| folder.join(&name).to_string_lossy().into_owned());
    Ok(SecretSource::File(path))
}

/// A source given by an option or key that names a file.
pub(crate) fn file_option(
    sources: &Sources<'_>,
    given: Option<&super::typed::Given>,
    written: Option<&super::scalars::Text>,
    keys: &[&str],
) -> Result<Option<Found<SecretSource>>, ConfigError> {
    let found = sources.one(given, written, keys, |name| file(name, None))?;
    let Some(Found { value: SecretSource::File(name), spot: Spot::File(path) }) = found else {
        return Ok(found);
    };
    let value = file(&name, Some(sources.file.name()));
    let spot = Spot::File(path);
    match value {
        Ok(value) => Ok(Some(Found { value, spot })),
        Err(flaw) => Err(sources.error(&spot, flaw)),
    }
}

/// Everything in the settings that must never be shown, with the parts of it that a server may echo alone.
/// `from_outside` are the values of headers that were read from a variable or a file.
pub(crate) fn to_redact(settings: &Settings, from_outside: Vec<Secret>) -> Vec<Secret> {
    let mut secrets = from_outside;
    for (name, value) in &settings.conversation.headers {
        if is_sensitive_header(name) {
            secrets.push(value.clone());
        }
    }
    let endpoints = || settings.configured.api.iter().flat_map(|api| &api.endpoints);
    for header in endpoints().flat_map(|endpoint| &endpoint.headers) {
        if header.is_from_outside || is_sensitive_header(&header.name) {
            secrets.push(header.value.clone());
        }
    }
    let parts: Vec<Secret> = secrets.iter().flat_map(|secret| header_parts(secret.expose())).collect();
    secrets.extend(parts);
    secrets.extend(query_values(settings.conversation.path.source()));
    secrets.extend(endpoints().flat_map(|endpoint| query_values(endpoint.path.source())));
    secrets.extend(settings.token.iter().flat_map(of_tokens));
    secrets.extend(settings.configured.secrets().cloned());
    if let super::ApiAccess::Other { token: Some(token), .. } = &settings.api {
        secrets.push(token.clone());
    }
    if let super::IdTokenMode::Given(token) = &settings.id_token {
        secrets.push(token.clone());
    }
    secrets
}

/// A key, of a PEM also each line alone; or ready tokens.
fn of_tokens(token: &TokenSettings) -> Vec<Secret> {
    match &token.origin {
        TokenOrigin::Unread { .. } => Vec::new(),
        TokenOrigin::Ready { tokens, .. } => tokens.all().cloned().collect(),
        TokenOrigin::Minted(minted) => {
            let key = &minted.key.secret;
            let lines = key.expose().lines().filter(|line| minted.key.is_pem() && !line.starts_with("-----"));
            let lines = lines.map(str::trim).filter(|line| line.len() >= 8).map(Secret::new);
            std::iter::once(key.clone()).chain(lines).collect()
        }
    }
}

/// The credential behind a scheme (`Bearer x`), user and password inside it (`Basic x`), and the values of cookies that
/// are long enough to be credentials.
fn header_parts(value: &str) -> Vec<Secret> {
    let scheme = value.split_once(' ').map(|(scheme, credential)| (scheme, credential.trim()));
    let login = scheme
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        .and_then(|(_, credential)| STANDARD.decode(credential).ok())
        .and_then(|decoded| String::from_utf8(decoded).ok())
        .map(Secret::new);
    let password =
        login.as_ref().and_then(|login| login.expose().split_once(':')).map(|(_, password)| password);
    let credential = scheme.map(|(_, credential)| credential);
    let behind = credential.into_iter().chain(password).filter(|part| part.len() >= 4).map(Secret::new);
    let cookies = value.split(';').filter_map(|cookie| cookie.split_once('=')).map(|(_, value)| value.trim());
    let cookies = cookies.filter(|value| value.len() >= 8).map(Secret::new);
    let parts: Vec<Secret> = behind.chain(cookies).collect();
    parts.into_iter().chain(login).collect()
}

/// Values of query parameters whose names sound like credentials, as written and decoded.
fn query_values(path: &str) -> Vec<Secret> {
    let Some((_, query)) = path.split_once('?') else { return Vec::new() };
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(name, value)| is_sensitive(name) && !value.is_empty() && !value.contains("{{"))
        .flat_map(|(_, value)| {
            let pair = format!("v={value}");
            let decoded =
                url::form_urlencoded::parse(pair.as_bytes()).map(|(_, value)| value.into_owned()).next();
            [Some(value.to_owned()), decoded]
        })
        .flatten()
        .map(Secret::new)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposed(secrets: &[Secret]) -> Vec<&str> {
        secrets.iter().map(Secret::expose).collect()
    }

    #[test]
    fn finds_credentials_in_queries_and_headers() {
        let found = query_values("/ws?user=a&access_token=a%2Fb&key={{user}}&sig=");
        assert_eq!(exposed(&found), ["a%2Fb", "a/b"]);
        assert_eq!(exposed(&header_parts("Bearer correct-horse")), ["correct-horse"]);
        assert_eq!(exposed(&header_parts("Basic bWU6aG9yc2U=")), ["bWU6aG9yc2U=", "horse", "me:horse"]);
        assert_eq!(
            exposed(&header_parts("lang=en; sid=correct-horse")),
            ["sid=correct-horse", "correct-horse"]
        );
    }

    #[test]
    fn never_repeats_what_may_be_the_secret_itself() {
        let flaw = environment("correct horse").unwrap_err();
        assert!(!flaw.message.contains("correct"));
        assert_eq!(file("key", Some("deploy/revgate.yaml")), Ok(SecretSource::File("deploy/key".to_owned())));
        assert_eq!(
            file("/run/key", Some("deploy/revgate.yaml")),
            Ok(SecretSource::File("/run/key".to_owned()))
        );
        assert_eq!(file("key", Some("revgate.yaml")), Ok(SecretSource::File("key".to_owned())));
        assert!(file("", None).is_err());
    }
}
