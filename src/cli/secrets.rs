//! Where secrets are kept: the environment, files, Secret Manager, and what commands print.
//!
//! Takes what the configuration will want and gives what was found, each with its reason where nothing was. It judges no
//! secret. The surprising rule: an empty variable is a mistake here, other than for options, since somebody meant
//! it to hold something.

use std::path::Path;

use zeroize::Zeroizing;

use super::Clock;
use super::output::Failure;
use crate::child;
use crate::cloudrun::{ApiError, Client};
use crate::config::{
    ApiAccess, FileConfig, LARGEST_FILE, LARGEST_SECRET, Lookup, Purpose, SecretSource, Typed, access, needed,
};
use crate::trust::{Redactor, Secret};

/// All secrets that the merge will look up. Those of this machine come first: one of them may be the token by which the
/// others are asked for.
pub(super) async fn look_up(
    typed: &Typed,
    file: Option<&FileConfig>,
    purpose: Purpose,
    clock: Clock,
) -> Result<Lookup, Failure> {
    let redactor = Redactor::default();
    let now = (clock.started_at + clock.epoch.elapsed()).as_second();
    let mut lookup = Lookup::at(now);
    let mut needed = needed(typed, file, purpose)?;
    needed.sort();
    // A dry run does nothing that anybody else could notice: the plan says what it would have done.
    needed.retain(|source| !(typed.dry_run && source.is_afar()));
    for source in needed {
        let found = match &source {
            SecretSource::Environment(name) => secret_of(name).map(Secret::new).map_err(str::to_owned),
            SecretSource::File(path) => of_file(path),
            SecretSource::Command(words) => child::answer(words, &redactor).await,
            SecretSource::SecretManager(name) => {
                let access = access(typed, file, &lookup, purpose)?;
                Ok(of_secret_manager(name, &access, &redactor)
                    .await
                    .map_err(|error| Failure::could_not_ask(error.to_string(), error.help()))?)
            }
        };
        // A long text holds many tokens, and each of these is learned by itself; of no key so much is needed.
        if let Ok(secret) = found.as_ref()
            && secret.expose().len() <= LARGEST_SECRET
        {
            redactor.learn(secret);
        }
        lookup.insert(source, found);
    }
    Ok(lookup)
}

async fn of_secret_manager(name: &str, access: &ApiAccess, redactor: &Redactor) -> Result<Secret, ApiError> {
    Client::new(access, redactor)?.access_secret(name).await
}

/// Reads a file, one byte more than the largest that is accepted, into memory that is wiped.
pub(super) fn read(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    use std::io::Read as _;
    let file = std::fs::File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0).min(LARGEST_FILE);
    // Room for all of it, so that it does not move and leave a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 2));
    file.take(LARGEST_FILE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file's text without the line break at its end.
fn of_file(path: &str) -> Result<Secret, String> {
    let bytes = read(Path::new(path)).map_err(|error| format!("could not be read: {error}"))?;
    if bytes.len() > LARGEST_FILE {
        return Err("is larger than 1 MiB".to_owned());
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "is not UTF-8".to_owned())?;
    Ok(Secret::new(text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text))))
}

/// A variable's text, or why it has none.
#[expect(clippy::disallowed_methods, reason = "cli is the sole reader of the environment")]
fn secret_of(name: &str) -> Result<String, &'static str> {
    match std::env::var(name) {
        Ok(text) if text.is_empty() => Err("is empty"),
        Ok(text) => Ok(text),
        Err(std::env::VarError::NotPresent) => Err("is not set"),
        Err(std::env::VarError::NotUnicode(_)) => Err("is not UTF-8"),
    }
}
