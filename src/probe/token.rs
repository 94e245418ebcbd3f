//! The application's own tokens: minted once for each user, and again before they expire.
//!
//! Takes the token settings and the wall clock of the run; gives a token for a user. It never writes a token anywhere
//! and teaches each one to the redactor before it hands it out. The surprising rule: `iat` lies a few seconds in the
//! past, since a server's clock may be behind ours and a token from the future is refused.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::config::{Carrier, Escaping, Template, TokenSettings, Values};
use crate::trust::{Redactor, Secret};

/// How far in the past `iat` lies.
const CLOCK_SKEW: i64 = 5;

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
}

impl TokenError {
    /// The next thing to do.
    pub fn help(&self) -> String {
        "look at `token:` in revgate.yaml; claims are texts, numbers, lists and maps".to_owned()
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
}

impl Purse {
    /// `epoch_seconds` is the wall clock, in seconds since 1970, at the instant `epoch`.
    pub fn new(settings: TokenSettings, epoch: Instant, epoch_seconds: i64, redactor: Redactor) -> Self {
        redactor.learn(&settings.secret);
        Self { settings, epoch, epoch_seconds, redactor, minted: Mutex::default() }
    }

    /// From now on this token is never shown.
    pub(super) fn learn(&self, token: &Secret) {
        self.redactor.learn(token);
    }

    /// How the tokens travel.
    pub(super) fn carriers(&self) -> &[Carrier] {
        &self.settings.carriers
    }

    /// A token for `user` that is valid for at least two thirds of its life.
    pub fn token(&self, user: &str) -> Result<Secret, TokenError> {
        let fresh = |minted: Instant| minted.elapsed() < self.settings.lifetime / 3;
        if let Ok(minted) = self.minted.lock()
            && let Some((token, at)) = minted.get(user)
            && fresh(*at)
        {
            return Ok(token.clone());
        }
        let token = self.mint(user)?;
        self.redactor.learn(&token);
        if let Ok(mut minted) = self.minted.lock() {
            minted.insert(user.to_owned(), (token.clone(), Instant::now()));
        }
        Ok(token)
    }

    fn mint(&self, user: &str) -> Result<Secret, TokenError> {
        self.signed(user, &self.claims_of(user)?)
    }

    /// What a token for `user` says, were it minted now.
    pub(super) fn claims_of(&self, user: &str) -> Result<Map<String, Value>, TokenError> {
        claims(&self.settings, user, self.seconds_now())
    }

    /// The wall clock, in seconds since 1970.
    pub(super) fn seconds_now(&self) -> i64 {
        self.epoch_seconds + seconds(self.epoch.elapsed())
    }

    /// Any claims at all, signed as good ones are. Whoever asks lets the redactor [`learn`](Self::learn) it.
    pub(super) fn signed(&self, user: &str, claims: &Map<String, Value>) -> Result<Secret, TokenError> {
        let key = EncodingKey::from_secret(self.settings.secret.expose().as_bytes());
        encode(&Header::new(Algorithm::HS256), claims, &key)
            .map(Secret::new)
            .map_err(|error| TokenError::Unsigned { user: user.to_owned(), cause: error.to_string() })
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// The configured claims with their places filled, and the standard ones where they are not named.
fn claims(settings: &TokenSettings, user: &str, now: i64) -> Result<Map<String, Value>, TokenError> {
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
    use jsonwebtoken::{DecodingKey, Validation, decode};

    use super::*;

    fn purse(redactor: &Redactor) -> Purse {
        let claims = json!({"email": "{{user}}@example.com", "permissions": ["read"], "type": "access"});
        let settings = TokenSettings {
            secret: Secret::new("a-signing-key-of-some-length"),
            claims: claims.as_object().unwrap().clone(),
            lifetime: Duration::from_mins(30),
            carriers: vec![Carrier::Authorization],
        };
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
        assert_eq!(decoded["exp"], 4_000_001_800_i64);
        assert_eq!(redactor.redact(token.expose()), "[redacted]");
        assert_eq!(purse.token("user-001").unwrap(), token, "kept, not minted again");
    }
}
