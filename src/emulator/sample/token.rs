//! Who is it that opens a socket?
//!
//! A JWT comes as `Authorization: Bearer`, as the subprotocol `jwt.<base64url>`, as `?token=`, or as the cookie `token`.
//! With a secret it must verify; without one its `sub` is believed, because the sample is not there to be safe but to tell users apart.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::Value;

use super::state::Sample;
use crate::emulator::front::Head;

/// Seconds for which an expired token is still good, and one is good before its time: clocks differ.
const LEEWAY: i64 = 60;

/// The user of a request, or why its token is refused.
pub(crate) fn user(sample: &Sample, head: &Head) -> Result<String, String> {
    let token = presented(head);
    let claims = match (&sample.settings.jwt_secret, &token) {
        (None, token) => token.as_deref().and_then(unverified),
        (Some(_), None) => return Err("missing token".to_owned()),
        (Some(secret), Some(token)) => Some(verified(token, secret, sample.now().as_second())?),
    };
    let subject = claims.as_ref().and_then(|claims| claims.get("sub")).and_then(Value::as_str);
    Ok(subject.map(str::to_owned).or_else(|| head.query("user")).unwrap_or_else(|| "anonymous".to_owned()))
}

/// The token as it came, decoded from its carrier.
pub(crate) fn presented(head: &Head) -> Option<String> {
    let by_subprotocol = || {
        let encoded = head.subprotocols().find_map(|protocol| protocol.strip_prefix("jwt."))?;
        String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
    };
    let by_cookie = || {
        let cookies = head.field("cookie")?.split(';').filter_map(|pair| pair.trim().split_once('='));
        cookies.filter(|(name, _)| *name == "token").map(|(_, value)| value.to_owned()).next()
    };
    let by_header = head.bearer("authorization").map(str::to_owned);
    by_header.or_else(by_subprotocol).or_else(|| head.query("token")).or_else(by_cookie)
}

fn verified(token: &str, secret: &str, now: i64) -> Result<Value, String> {
    let mut validation = Validation::new(Algorithm::HS256);
    // The expiry is checked against the emulator's clock below, not against the machine's.
    validation.validate_exp = false;
    validation.validate_aud = false;
    let claims = decode::<Value>(token, &DecodingKey::from_secret(secret.as_bytes()), &validation)
        .map_err(|error| error.to_string())?
        .claims;
    match claims.get("exp").and_then(Value::as_i64) {
        Some(expiry) if expiry + LEEWAY < now => Err("expired token".to_owned()),
        Some(_) if is_early(&claims, now) => Err("token that is not valid yet".to_owned()),
        Some(_) => Ok(claims),
        None => Err("token without exp".to_owned()),
    }
}

/// True for a token whose time has not come.
fn is_early(claims: &Value, now: i64) -> bool {
    let after = |name: &str| claims.get(name).and_then(Value::as_i64).is_some_and(|at| at > now + LEEWAY);
    after("nbf") || after("iat")
}

fn unverified(token: &str) -> Option<Value> {
    let claims = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}
