//! The application's own tokens: minted once for each user, and again before they expire; or given ready.
//!
//! Takes the token settings and the wall clock of the run; gives a token for a user. It never writes a token anywhere
//! and teaches each one to the redactor before it hands it out. The surprising rule: `iat` lies a few seconds in the
//! past, since a server's clock may be behind ours and a token from the future is refused.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::observation::in_microseconds;
use crate::config::{
    self, Carrier, Escaping, MintSettings, ReadyTokens, Template, TokenOrigin, TokenSettings, Values,
    base64url,
};
use crate::trust::{Redactor, Secret};

/// How far in the past `iat` lies.
const CLOCK_SKEW: i64 = 5;
/// So long before it expires a token may be taken for expired: the server's clock may be ahead of ours, and claims have
/// whole seconds.
const EXPIRY: Duration = Duration::from_secs(2);

/// The instant at which a token expires, where it may be taken for expired at `now`; both in microseconds since the start.
pub(super) fn expired_by(expires: Option<u64>, now: u64) -> Option<u64> {
    expires.filter(|expires| *expires < now.saturating_add(in_microseconds(EXPIRY)))
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The library refused to sign.
    #[error("the token of user {user} could not be signed: {cause}")]
    Unsigned {
        /// The user.
        user: String,
        /// What the library said.
        cause: String,
    },
    /// A claim's text has an unknown place.
    #[error("the claim {claim} of the token cannot be filled: {cause}")]
    Claim {
        /// The claim.
        claim: String,
        /// What is wrong with it.
        cause: String,
    },
    /// Tokens that are given ready have no key to sign another with.
    #[error("the tokens are given ready, and there is no key to sign another with")]
    NoKey,
    /// Of the tokens that were given ready, none is this user's.
    #[error("there is no token for user {user}")]
    Missing {
        /// The user.
        user: String,
    },
}

impl TokenError {
    /// The next thing to do.
    pub fn help(&self) -> String {
        match self {
            Self::Missing { .. } => {
                "look at `users:` and at where the tokens come from, under `token:`".to_owned()
            }
            _ => "look at `token:` in revgate.yaml; claims are texts, numbers, lists and maps".to_owned(),
        }
    }
}

/// Mints and keeps the tokens of a run.
#[derive(Debug)]
pub struct Purse {
    settings: TokenSettings,
    epoch: Instant,
    epoch_seconds: i64,
    redactor: Redactor,
    minted: Mutex<HashMap<String, (Secret, Instant)>>,
    /// Those that came in place of the ready ones of the settings.
    renewed: RwLock<Option<ReadyTokens>>,
}

impl Purse {
    /// `epoch_seconds` is the wall clock, in seconds since 1970, at the instant `epoch`.
    pub fn new(settings: TokenSettings, epoch: Instant, epoch_seconds: i64, redactor: Redactor) -> Self {
        let purse = Self {
            settings,
            epoch,
            epoch_seconds,
            redactor,
            minted: Mutex::default(),
            renewed: RwLock::default(),
        };
        match &purse.settings.origin {
            TokenOrigin::Minted(minted) => purse.redactor.learn(&minted.key.secret),
            TokenOrigin::Ready { tokens, .. } => purse.learn(tokens.all()),
            TokenOrigin::Unread { .. } => {}
        }
        purse
    }

    /// From now on this token is never shown.
    pub(super) fn teach(&self, token: &Secret) {
        self.redactor.learn(token);
    }

    /// How the tokens travel.
    pub(super) fn carriers(&self) -> &[Carrier] {
        &self.settings.carriers
    }

    /// The wall clock, in seconds since 1970.
    pub(super) fn now(&self) -> i64 {
        self.epoch_seconds.saturating_add(seconds(self.epoch.elapsed()))
    }

    /// When a token expires by its own claim, in microseconds since the instant of the start; `None` where it does not say.
    pub(super) fn expiry(&self, token: &Secret) -> Option<u64> {
        let left = config::expiry(token)?.saturating_sub(self.epoch_seconds);
        Some(u64::try_from(left).unwrap_or(0).saturating_mul(1_000_000))
    }

    /// The redactor learns tokens, and what is made of them for a subprotocol: a server may encode that again.
    fn learn<'a>(&self, tokens: impl Iterator<Item = &'a Secret>) {
        let encoded = self.carriers().iter().any(|carrier| matches!(carrier, Carrier::Subprotocol(_)));
        let all: Vec<Secret> = tokens
            .flat_map(|token| [Some(token.clone()), encoded.then(|| base64url(token))])
            .flatten()
            .collect();
        self.redactor.learn_all(&all);
    }

    /// A token for `user`; a minted one is valid for at least two thirds of its life.
    pub fn token(&self, user: &str) -> Result<Secret, TokenError> {
        match &self.settings.origin {
            TokenOrigin::Minted(minted) => self.minted(minted, user),
            TokenOrigin::Ready { tokens, .. } => {
                let renewed = self.renewed.read().unwrap_or_else(PoisonError::into_inner);
                let token = renewed.as_ref().and_then(|tokens| tokens.of(user)).or_else(|| tokens.of(user));
                token.cloned().ok_or_else(|| TokenError::Missing { user: user.to_owned() })
            }
            TokenOrigin::Unread { .. } => Err(TokenError::Missing { user: user.to_owned() }),
        }
    }

    fn minted(&self, settings: &MintSettings, user: &str) -> Result<Secret, TokenError> {
        let fresh = |minted: Instant| minted.elapsed() < settings.lifetime / 3;
        if let Ok(minted) = self.minted.lock()
            && let Some((token, at)) = minted.get(user)
            && fresh(*at)
        {
            return Ok(token.clone());
        }
        let claims = claims(settings, user, self.now())?;
        let token = settings.key.sign(&claims);
        let token = token.map_err(|cause| TokenError::Unsigned { user: user.to_owned(), cause })?;
        self.learn(std::iter::once(&token));
        if let Ok(mut minted) = self.minted.lock() {
            minted.insert(user.to_owned(), (token.clone(), Instant::now()));
        }
        Ok(token)
    }

    /// The tokens that were given ready, as they are now, and the command that gives new ones; `None` for minted ones.
    pub(super) fn ready(&self) -> Option<(ReadyTokens, Option<&[String]>)> {
        let TokenOrigin::Ready { tokens, command } = &self.settings.origin else { return None };
        let renewed = self.renewed.read().unwrap_or_else(PoisonError::into_inner);
        Some((renewed.clone().unwrap_or_else(|| tokens.clone()), command.as_deref()))
    }

    /// Takes new tokens in place of the ready ones.
    pub(super) fn renew(&self, tokens: ReadyTokens) {
        self.learn(tokens.all());
        *self.renewed.write().unwrap_or_else(PoisonError::into_inner) = Some(tokens);
    }

    /// What redacts all that is known here.
    pub(super) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// What a token for `user` says, were it minted now.
    pub(super) fn claims_of(&self, user: &str) -> Result<Map<String, Value>, TokenError> {
        claims(self.minting()?, user, self.now())
    }

    /// Any claims at all, signed as good ones are. Whoever asks lets the redactor [`teach`](Self::teach) it.
    pub(super) fn signed(&self, user: &str, claims: &Map<String, Value>) -> Result<Secret, TokenError> {
        let signed = self.minting()?.key.sign(claims);
        signed.map_err(|cause| TokenError::Unsigned { user: user.to_owned(), cause })
    }

    fn minting(&self) -> Result<&MintSettings, TokenError> {
        match &self.settings.origin {
            TokenOrigin::Minted(minted) => Ok(minted),
            TokenOrigin::Ready { .. } | TokenOrigin::Unread { .. } => Err(TokenError::NoKey),
        }
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// The configured claims with their places filled, and the standard ones where they are not named.
fn claims(settings: &MintSettings, user: &str, now: i64) -> Result<Map<String, Value>, TokenError> {
    let nonce = format!("{:032x}", rand::random::<u128>());
    let values = Values { user, nonce: &nonce, round: 0 };
    let mut claims = Map::new();
    for (name, value) in &settings.claims {
        let filled = fill(value, values).map_err(|cause| TokenError::Claim { claim: name.clone(), cause })?;
        claims.insert(name.clone(), filled);
    }
    let standard = [
        ("sub", json!(user)),
        ("iat", json!(now - CLOCK_SKEW)),
        ("exp", json!(now.saturating_add(seconds(settings.lifetime)))),
        ("jti", json!(nonce)),
    ];
    for (name, value) in standard {
        claims.entry(name).or_insert(value);
    }
    Ok(claims)
}

fn fill(value: &Value, values: Values<'_>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => {
            let template = Template::parse(text).map_err(|error| error.to_string())?;
            Value::String(template.fill(values, Escaping::None))
        }
        Value::Array(items) => items.iter().map(|item| fill(item, values)).collect::<Result<_, _>>()?,
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, item)| Ok((key.clone(), fill(item, values)?)))
                .collect::<Result<_, String>>()?,
        ),
        other => other.clone(),
    })
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};

    use super::*;
    use crate::config::{FileConfig, Lookup, Purpose, SecretSource, Typed, merge};

    fn settings(yaml: &str, secret: &str) -> TokenSettings {
        let file = FileConfig::parse("t", yaml.as_bytes()).unwrap();
        let mut lookup = Lookup::default();
        lookup.insert(SecretSource::Environment("K".to_owned()), Ok(Secret::new(secret)));
        merge(&Typed::default(), Some(&file), &lookup, Purpose::Rehearsal).unwrap().settings.token.unwrap()
    }

    fn purse(redactor: &Redactor) -> Purse {
        let yaml = "token: { secret-env: K, claims: { email: '{{user}}@example.com', permissions: [read], nested: { of: ['{{user}}'] } } }";
        let settings = settings(yaml, "a-signing-key-of-some-length");
        Purse::new(settings, Instant::now(), 4_000_000_000, redactor.clone())
    }

    #[tokio::test]
    async fn a_minted_token_verifies_and_is_redacted() {
        let redactor = Redactor::default();
        let purse = purse(&redactor);
        let token = purse.token("user-001").unwrap();
        let key = DecodingKey::from_secret(b"a-signing-key-of-some-length");
        let decoded =
            decode::<Value>(token.expose(), &key, &Validation::new(Algorithm::HS256)).unwrap().claims;
        assert_eq!(decoded["sub"], "user-001");
        assert_eq!(decoded["email"], "user-001@example.com");
        assert_eq!(decoded["nested"], json!({"of": ["user-001"]}));
        assert_eq!(decoded["exp"], 4_000_001_800_i64);
        assert_eq!(purse.expiry(&token), Some(1_800_000_000), "microseconds since the start");
        assert_eq!(purse.expiry(&Secret::new("opaque")), None);
        assert_eq!(redactor.redact(token.expose()), "[redacted]");
        assert_eq!(purse.token("user-001").unwrap(), token, "kept, not minted again");
    }

    #[tokio::test]
    async fn ready_tokens_are_handed_out_and_renewed_and_hidden_in_each_form() {
        let redactor = Redactor::default();
        let settings =
            settings("token: { tokens-env: K, carry: [subprotocol] }", "a token-of-a\nb token-of-b");
        let purse = Purse::new(settings, Instant::now(), 0, redactor.clone());
        assert_eq!(purse.token("b").unwrap().expose(), "token-of-b");
        assert!(matches!(purse.token("c"), Err(TokenError::Missing { .. })));
        purse.renew(ReadyTokens::Of(vec![("a".to_owned(), Secret::new("new-token-of-a"))]));
        assert_eq!(purse.token("a").unwrap().expose(), "new-token-of-a");
        let offered = base64url(&Secret::new("new-token-of-a"));
        let hex = offered.expose().bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        assert_eq!(redactor.redact(&format!("{hex} new-token-of-a")), "[redacted] [redacted]");
    }
}
