//! The application's own tokens: where the key or the tokens are kept, what is minted, and how it travels.
//!
//! Takes the sources and what was read from outside; gives token settings that work: the key has signed, no ready token
//! has expired. It runs and reads nothing. The surprising rule: a command in the file is obeyed only where the command
//! line allows commands, since whoever may change the file must not choose what is run.

use serde_json::{Map, Value};

use super::carrier::{self, Carrier};
use super::claims;
use super::error::ConfigError;
use super::locate::KeyPath;
use super::race;
use super::ready::ReadyTokens;
use super::scalars::Text;
use super::secrets::{self, Lookup, SecretSource};
use super::settings::{Conversation, MintSettings, TokenOrigin, TokenSettings};
use super::signing::{self, Algorithm, SigningKey};
use super::sources::{Found, Rival, Sources, Spot};
use super::values::{self, Flaw};

/// From minting to `exp`, where nothing else is configured.
const DEFAULT_LIFETIME: std::time::Duration = std::time::Duration::from_mins(30);

/// The shortest time from minting to `exp`.
const SHORTEST_LIFETIME: std::time::Duration = std::time::Duration::from_secs(10);

/// Where the key or the tokens are kept.
#[derive(Clone)]
pub(crate) struct TokenSource {
    /// What is read there: ready tokens, or else a key.
    pub(crate) is_ready: bool,
    /// The place.
    pub(crate) secret: SecretSource,
}

/// Where the key or the tokens are kept, when there are any.
pub(crate) fn source(sources: &Sources<'_>) -> Result<Option<Found<TokenSource>>, ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model.token);
    let (by_env, by_file) = (typed.token_secret_env.as_ref(), typed.token_secret_file.as_ref());
    let keys: [[&str; 2]; 7] = [
        ["token", "secret-env"],
        ["token", "secret-file"],
        ["token", "secret-manager"],
        ["token", "secret-command"],
        ["token", "tokens-env"],
        ["token", "tokens-file"],
        ["token", "tokens-command"],
    ];
    let rivals = [
        Rival { given: by_env, is_in_file: file.secret_env.is_some(), keys: &keys[0] },
        Rival { given: by_file, is_in_file: file.secret_file.is_some(), keys: &keys[1] },
        Rival { given: None, is_in_file: file.secret_manager.is_some(), keys: &keys[2] },
        Rival { given: None, is_in_file: file.secret_command.is_some(), keys: &keys[3] },
        Rival { given: None, is_in_file: file.tokens_env.is_some(), keys: &keys[4] },
        Rival { given: None, is_in_file: file.tokens_file.is_some(), keys: &keys[5] },
        Rival { given: None, is_in_file: file.tokens_command.is_some(), keys: &keys[6] },
    ];
    let winner = sources.exclusive(&rivals)?;
    let found = [
        sources.one(by_env, file.secret_env.as_ref(), &keys[0], secrets::environment)?,
        secrets::file_option(sources, by_file, file.secret_file.as_ref(), &keys[1])?,
        sources.one(None, file.secret_manager.as_ref(), &keys[2], secrets::secret_manager)?,
        command(sources, file.secret_command.as_ref(), &keys[3])?,
        sources.one(None, file.tokens_env.as_ref(), &keys[4], secrets::environment)?,
        secrets::file_option(sources, None, file.tokens_file.as_ref(), &keys[5])?,
        command(sources, file.tokens_command.as_ref(), &keys[6])?,
    ];
    let Some(winner) = winner else { return Ok(None) };
    let Some(Found { value: secret, spot }) = found.into_iter().nth(winner).flatten() else {
        return Ok(None);
    };
    if matches!(secret, SecretSource::Command(_)) && !typed.allow_commands {
        let flaw = Flaw::new("a command of the file is run only where the command line allows it")
            .help("type it where you see this file: revgate check --allow-commands");
        return Err(sources.error(&spot, flaw));
    }
    Ok(Some(Found { value: TokenSource { is_ready: winner >= 4, secret }, spot }))
}

/// An argument vector; the first word is the program.
fn command(
    sources: &Sources<'_>,
    written: Option<&Vec<Text>>,
    keys: &[&str],
) -> Result<Option<Found<SecretSource>>, ConfigError> {
    let Some(words) = written else { return Ok(None) };
    let path = KeyPath::of(keys);
    let words: Vec<String> = words.iter().map(|Text(word)| word.clone()).collect();
    let flaw = |what: &str| {
        Flaw::new(what).help("write it as a list of words: [gcloud, auth, print-identity-token]")
    };
    if words.first().is_none_or(String::is_empty) {
        return Err(sources.error(&Spot::File(path), flaw("the command has no program")));
    }
    if let Some(index) = words.iter().position(|word| word.contains('\0')) {
        return Err(sources.error(&Spot::File(path.index(index)), flaw("the word holds a zero byte")));
    }
    Ok(Some(Found { value: SecretSource::Command(words), spot: Spot::File(path) }))
}

/// How the token travels.
pub(crate) fn carriers(sources: &Sources<'_>) -> Result<Vec<Carrier>, ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model.token);
    let keys = ["token", "carry"];
    let found = sources.many(typed.token_carry.as_ref(), file.carry.as_ref(), &keys, carrier::carrier)?;
    let Some(found) = found else { return Ok(vec![Carrier::Authorization]) };
    if found.value.is_empty() {
        return Err(sources.error(&found.spot, Flaw::new("the token travels nowhere: name at least one way")));
    }
    let mut carriers: Vec<Carrier> = Vec::new();
    for carrier in found.value {
        if !carriers.contains(&carrier) {
            carriers.push(carrier);
        }
    }
    Ok(carriers)
}

/// The application's own tokens.
pub(crate) fn token(
    sources: &Sources<'_>,
    lookup: &Lookup,
    conversation: &Conversation,
) -> Result<Option<TokenSettings>, ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model.token);
    let minting = Minting::read(sources, lookup.now())?;
    let carriers = carriers(sources)?;
    let Some(source) = source(sources)? else {
        let is_asked = typed.token_carry.is_some() || file.carry.is_some() || minting.first_key.is_some();
        if !is_asked {
            return Ok(None);
        }
        let spot = Spot::of(typed.token_carry.as_ref(), &["token"]);
        let flaw = Flaw::new("a token is described and no secret to sign it with")
            .help("give --token-secret-env NAME, or `secret-env: NAME` under `token:`");
        return Err(sources.error(&spot, flaw));
    };
    refuse_clashes(sources, &carriers, conversation)?;
    let Found { value: TokenSource { is_ready, secret }, spot } = source;
    if let Some(key) = minting.first_key.filter(|_| is_ready) {
        let flaw = Flaw::new("this is for tokens that are minted, and these are given ready")
            .help("leave it out, or name a key instead of tokens: secret-env, secret-file, secret-manager, secret-command");
        return Err(sources.error(&Spot::of(None, &["token", key]), flaw));
    }
    if !is_ready {
        refuse_short(sources, minting.lifetime)?;
    }
    if typed.dry_run && secret.is_afar() {
        let origin = TokenOrigin::Unread { is_ready, claims: minting.claims };
        return Ok(Some(TokenSettings { origin, carriers }));
    }
    let text = lookup.secret(sources, &Found { value: secret.clone(), spot: spot.clone() })?;
    let flawed = |flaw: Flaw| sources.error(&spot, flaw);
    if !is_ready {
        let key = SigningKey::new(minting.algorithm, text, minting.key_id).map_err(flawed)?;
        let minted = MintSettings { key, claims: minting.claims, lifetime: minting.lifetime };
        return Ok(Some(TokenSettings { origin: TokenOrigin::Minted(minted), carriers }));
    }
    let tokens = ReadyTokens::parse(text.expose()).map_err(flawed)?;
    tokens.refuse_uncarried(&carriers).map_err(flawed)?;
    lookup.now().map_or(Ok(()), |now| tokens.refuse_expired(now)).map_err(flawed)?;
    let command = if let SecretSource::Command(words) = secret { Some(words) } else { None };
    Ok(Some(TokenSettings { origin: TokenOrigin::Ready { tokens, command }, carriers }))
}

/// What a dry run says of secrets that it leaves where they are, a line each.
pub(crate) fn unread(sources: &Sources<'_>) -> Result<Vec<String>, ConfigError> {
    let afar = source(sources)?.map(|found| found.value).filter(|token| token.secret.is_afar());
    let Some(token) = afar.filter(|_| sources.typed.dry_run) else { return Ok(Vec::new()) };
    let of_users = "; the users are those of its tokens, and this plan counts one";
    let more = if token.is_ready && !names_users(sources) { of_users } else { "" };
    Ok(vec![format!("{}{more}", token.secret.would())])
}

/// True where users come with tokens that a dry run does not read: there may be any number of them.
pub(crate) fn are_users_unknown(sources: &Sources<'_>, token: Option<&TokenSettings>) -> bool {
    let is_unread =
        |token: &TokenSettings| matches!(token.origin, TokenOrigin::Unread { is_ready: true, .. });
    token.is_some_and(is_unread) && !names_users(sources)
}

fn names_users(sources: &Sources<'_>) -> bool {
    sources.typed.user.is_some() || sources.file.model.users.is_some()
}

/// What is said about tokens that are minted.
struct Minting {
    algorithm: Algorithm,
    key_id: Option<String>,
    lifetime: std::time::Duration,
    claims: Map<String, Value>,
    /// The first key of the file that says any of it.
    first_key: Option<&'static str>,
}

impl Minting {
    fn read(sources: &Sources<'_>, now: Option<i64>) -> Result<Self, ConfigError> {
        let file = &sources.file.model.token;
        let lifetime = sources.one(None, file.lifetime.as_ref(), &["token", "lifetime"], lifetime)?;
        let lifetime = lifetime.map_or(DEFAULT_LIFETIME, |found| found.value);
        let algorithm =
            sources.one(None, file.algorithm.as_ref(), &["token", "algorithm"], signing::algorithm)?;
        let key_id = sources.one(None, file.key_id.as_ref(), &["token", "key-id"], signing::key_id)?;
        let said = [
            ("algorithm", file.algorithm.is_some()),
            ("key-id", file.key_id.is_some()),
            ("claims", file.claims.is_some()),
            ("lifetime", file.lifetime.is_some()),
        ];
        Ok(Self {
            algorithm: algorithm.map_or(Algorithm::Hs256, |found| found.value),
            key_id: key_id.map(|found| found.value),
            lifetime,
            claims: claims::claims(sources, now)?,
            first_key: said.into_iter().find(|(_, is_said)| *is_said).map(|(key, _)| key),
        })
    }
}

/// Refuses tokens that may expire while they are on their way: one that has a third of its life behind it is still sent,
/// and the first contact may take as long as it may.
fn refuse_short(sources: &Sources<'_>, lifetime: std::time::Duration) -> Result<(), ConfigError> {
    let opening = race::timeouts(sources)?.first_contact;
    let least = opening * 3 / 2;
    if lifetime >= least {
        return Ok(());
    }
    let keys: &[&str] = if sources.file.model.token.lifetime.is_some() {
        &["token", "lifetime"]
    } else {
        &["timeouts", "first-contact"]
    };
    let flaw = Flaw::new(format!(
        "tokens live for {lifetime:?} and may be sent when a third of that is over, and the first contact may take {opening:?}: \
         they may expire before they are read"
    ));
    let help =
        format!("write `lifetime: {least:?}` or more under `token:`, or lower `timeouts.first-contact`");
    Err(sources.error(&Spot::of(None, keys), flaw.help(help)))
}

/// From minting to `exp`, which has whole seconds: of a shorter life a slow path would leave nothing.
fn lifetime(text: &str) -> Result<std::time::Duration, Flaw> {
    match values::positive_duration(text)? {
        life if life < SHORTEST_LIFETIME => {
            Err(Flaw::new(format!("{} is too short: tokens would expire on their way", values::quoted(text)))
                .help("write at least 10s; 30m is usual"))
        }
        life => Ok(life),
    }
}

/// Refuses a parameter or a cookie that is there already under the same name.
fn refuse_clashes(
    sources: &Sources<'_>,
    carriers: &[Carrier],
    conversation: &Conversation,
) -> Result<(), ConfigError> {
    let typed = sources.typed;
    let spot = Spot::of(typed.token_carry.as_ref(), &["token", "carry"]);
    let query = conversation.path.source().split_once('?').map_or("", |(_, query)| query);
    let in_path = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let cookies = conversation.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
    let cookies: Vec<&str> = cookies.flat_map(|(_, value)| value.expose().split(';')).collect();
    let in_header = |name: &str| cookies.iter().any(|pair| pair.trim().split('=').next() == Some(name));
    for carrier in carriers {
        let flaw = match carrier {
            Carrier::Query(name) if in_path(name) => {
                Flaw::new(format!("the path has a parameter {} already", values::quoted(name)))
            }
            Carrier::Cookie(name) if in_header(name) => {
                Flaw::new(format!("a header has a cookie {} already", values::quoted(name)))
            }
            _ => continue,
        };
        return Err(sources.error(&spot, flaw.help("leave it out there: the token's carrier adds it")));
    }
    Ok(())
}
