//! Bad tokens, each bad in one way: which token does a socket carry that must be refused?
//!
//! Takes the purse of the good ones and gives one token of a kind. Whatever can be made of a good token alone is made of
//! one; the others need its claims and its key. Each goes to the redactor before it goes anywhere else. The surprising rule:
//! the oversized one has a signature that is none, since a server that reads headers of any size may serve whoever signs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::super::prober::Credential;
use super::super::token::Purse;
use crate::config::BadToken;
use crate::trust::Secret;

/// How long an oversized token is at least, in bytes.
pub(super) const OVERSIZED: usize = 16 * 1024;
/// How far in the past or the future a token's time lies, in seconds: far beyond any leeway.
const FAR: i64 = 24 * 3600;
/// Not a JWT.
const MALFORMED: &str = "revgate-sends-what-is-no-token";

/// What a socket carries; why it cannot be made, where it cannot.
pub(super) fn forge(kind: BadToken, purse: &Purse, user: &str, audience: &str) -> Result<Credential, String> {
    let good = || purse.token(user).map_err(|error| error.to_string());
    let token = match kind {
        BadToken::Missing => return Ok(Credential::Missing),
        BadToken::Malformed => MALFORMED.to_owned(),
        BadToken::Truncated => {
            let good = good()?;
            let half = good.expose().len() / 2;
            good.expose().chars().take(half).collect()
        }
        BadToken::WrongKey => {
            let (head, claims, signature) = parts(good()?.expose())?;
            format!("{head}.{claims}.{}", noise(signature.len()))
        }
        BadToken::AlgNone => {
            let (_, claims, _) = parts(good()?.expose())?;
            let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
            format!("{head}.{claims}.")
        }
        BadToken::Oversized => return oversized(purse, good()?.expose()),
        BadToken::Expired => signed(purse, user, |claims, now| {
            set(claims, &[("iat", now - 2 * FAR), ("nbf", now - 2 * FAR), ("exp", now - FAR)]);
        })?,
        BadToken::NotYetValid => signed(purse, user, |claims, now| {
            set(claims, &[("iat", now + FAR), ("nbf", now + FAR), ("exp", now + 2 * FAR)]);
        })?,
        BadToken::WrongAudience => signed(purse, user, |claims, _| {
            claims.insert("aud".to_owned(), json!(audience));
        })?,
    };
    let token = Secret::new(token);
    purse.teach(&token);
    Ok(Credential::Given(token))
}

/// A token of other claims, with the signature of good ones.
fn signed(
    purse: &Purse,
    user: &str,
    change: impl Fn(&mut Map<String, Value>, i64),
) -> Result<String, String> {
    let mut claims = purse.claims_of(user).map_err(|error| error.to_string())?;
    change(&mut claims, purse.now());
    let token = purse.signed(user, &claims).map_err(|error| error.to_string())?;
    Ok(token.expose().to_owned())
}

fn set(claims: &mut Map<String, Value>, times: &[(&str, i64)]) {
    for (name, time) in times {
        claims.insert((*name).to_owned(), json!(time));
    }
}

/// The redactor learns the parts that are of a good token: 16 KiB would make every search of it slow.
fn oversized(purse: &Purse, good: &str) -> Result<Credential, String> {
    let (head, claims, signature) = parts(good)?;
    let none = noise(signature.len());
    let filler = "A".repeat(OVERSIZED);
    for part in [&claims, &none] {
        purse.teach(&Secret::new(part.clone()));
    }
    Ok(Credential::Given(Secret::new(format!("{head}.{claims}{filler}.{none}"))))
}

/// Head, claims and signature.
fn parts(token: &str) -> Result<(String, String, String), String> {
    let mut parts = token.split('.').map(str::to_owned);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(head), Some(claims), Some(signature), None) => Ok((head, claims, signature)),
        _ => Err("the good token is no JWT of three parts".to_owned()),
    }
}

/// So many characters of base64url that sign nothing.
fn noise(length: usize) -> String {
    let bytes: Vec<u8> = (0..length).map(|_| rand::random()).collect();
    let mut text = URL_SAFE_NO_PAD.encode(bytes);
    text.truncate(length);
    // The last character of 32 or 64 bytes has bits that must be zero, or the text is no base64 at all.
    if !matches!(length % 4, 0) {
        text.pop();
        text.push('A');
    }
    text
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
    use tokio::time::Instant;

    use super::*;
    use crate::config::{FileConfig, Lookup, Purpose, SecretSource, Typed, merge};
    use crate::trust::Redactor;

    const KEY: &str = "a-signing-key-of-some-length";
    /// Far in the future: what is expired then is not expired now, so nothing but the signature is looked at below.
    const NOW: i64 = 4_000_000_000;

    fn forged(kind: BadToken, redactor: &Redactor) -> Option<Secret> {
        let yaml = format!("token: {{ secret-env: K, claims: {{ aud: us, exp: {} }} }}", NOW + 60);
        let file = FileConfig::parse("t", yaml.as_bytes()).unwrap();
        let mut lookup = Lookup::default();
        lookup.insert(SecretSource::Environment("K".to_owned()), Ok(Secret::new(KEY)));
        let merged = merge(&Typed::default(), Some(&file), &lookup, Purpose::Rehearsal).unwrap();
        let settings = merged.settings.token.unwrap();
        let purse = Purse::new(settings, Instant::now(), NOW, redactor.clone());
        match forge(kind, &purse, "user-001", "them").unwrap() {
            Credential::Given(token) => Some(token),
            Credential::Missing | Credential::OfUser => None,
        }
    }

    /// The claims of what is signed with the key, whatever they say.
    fn claims(token: &Secret) -> Option<Value> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_aud = false;
        validation.validate_exp = false;
        let decoded = decode::<Value>(token.expose(), &DecodingKey::from_secret(KEY.as_bytes()), &validation);
        decoded.ok().map(|decoded| decoded.claims)
    }

    #[tokio::test]
    async fn each_is_bad_in_its_own_way_and_none_is_ever_shown() {
        let redactor = Redactor::default();
        for kind in BadToken::ALL {
            let Some(token) = forged(kind, &redactor) else {
                assert_eq!(kind, BadToken::Missing);
                continue;
            };
            let times = |claims: &Value| {
                ["iat", "nbf", "exp"].map(|name| claims[name].as_i64().unwrap().cmp(&NOW).reverse())
            };
            match (kind, claims(&token)) {
                (BadToken::Expired, Some(claims)) => assert!(times(&claims).iter().all(|o| o.is_gt())),
                (BadToken::NotYetValid, Some(claims)) => assert!(times(&claims).iter().all(|o| o.is_lt())),
                (BadToken::WrongAudience, Some(claims)) => {
                    assert_eq!(
                        (claims["aud"].as_str(), claims["sub"].as_str()),
                        (Some("them"), Some("user-001"))
                    );
                }
                (kind, signed) => assert_eq!(signed, None, "{kind} verifies"),
            }
            assert_eq!(token.expose().len() > 16 * 1024, kind == BadToken::Oversized, "{kind}");
            let shown = redactor.redact(&format!("bad token {}", token.expose()));
            let secret = &token.expose()[token.expose().len() / 3..];
            assert!(
                !shown.contains(&secret[..secret.len().min(40)]) || kind == BadToken::Oversized,
                "{kind}"
            );
            assert!(shown.contains("[redacted]"), "{kind}");
        }
    }
}
