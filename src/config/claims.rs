//! `token.claims:`: what tokens that are minted here say.
//!
//! Takes the claims as they were written, and what time it is; gives them checked, with their places still unfilled. It
//! mints nothing. The surprising rule: a registered claim (RFC 7519, section 4.1) of a wrong type is refused and not sent,
//! since a server would refuse every token for it and the gate would blame the server.

use serde_json::{Map, Value};

use super::error::ConfigError;
use super::locate::KeyPath;
use super::sources::{Sources, Spot};
use super::values::Flaw;
use super::wire;

/// The last second of the year 9999, beyond which a date is given in other units than seconds.
const LATEST: f64 = 253_402_300_799.0;

/// The claims; `now`, in seconds since 1970, tells which dates are over.
pub(crate) fn claims(sources: &Sources<'_>, now: Option<i64>) -> Result<Map<String, Value>, ConfigError> {
    let mut claims = Map::new();
    for (name, value) in sources.file.model.token.claims.iter().flat_map(|pairs| &pairs.0) {
        let checked =
            check_name(name).and_then(|()| check_places(value)).and_then(|()| match name.as_str() {
                "exp" | "nbf" | "iat" => date(name, value, now),
                "sub" | "iss" | "jti" => text(name, value),
                "aud" => audience(value),
                _ => Ok(()),
            });
        let path = KeyPath::of(&["token", "claims", name]);
        checked.map_err(|flaw| sources.error(&Spot::File(path), flaw))?;
        claims.insert(name.clone(), value.clone());
    }
    Ok(claims)
}

/// A claim's name is sent as it is written.
fn check_name(name: &str) -> Result<(), Flaw> {
    if name.is_empty() {
        return Err(Flaw::new("the claim has no name").help("write it as claims: { role: tester }"));
    }
    if name.contains("{{") {
        return Err(Flaw::new("places are filled in the values of claims, not in their names"));
    }
    Ok(())
}

/// Refuses an unknown place in any text of a claim.
fn check_places(value: &Value) -> Result<(), Flaw> {
    match value {
        Value::String(text) => wire::template(text).map(|_| ()),
        Value::Array(list) => list.iter().try_for_each(check_places),
        Value::Object(map) => map.values().try_for_each(check_places),
        _ => Ok(()),
    }
}

/// Seconds since 1970, and such as a server would accept now.
fn date(name: &str, value: &Value, now: Option<i64>) -> Result<(), Flaw> {
    let help = match name {
        "nbf" => "write it as seconds since 1970, as in nbf: 1764000000, or leave it out",
        _ => {
            "leave it out: revgate writes exp and iat into each token, and `lifetime: 30m` says for how long"
        }
    };
    let flaw = |message: String| Err(Flaw::new(message).help(help));
    let Some(seconds) = value.as_f64() else {
        return flaw(format!(
            "{name} is a date, a number of seconds since 1970, and {} is none",
            kind(value)
        ));
    };
    if !(0.0..=LATEST).contains(&seconds) {
        return flaw(format!("{name} is no date between 1970 and 9999: it is counted in seconds since 1970"));
    }
    // Dates of this size lose nothing as floating-point numbers.
    #[expect(clippy::cast_precision_loss, reason = "an instant of today is far below 2^52")]
    let now = now.map(|now| now as f64);
    match name {
        "exp" if now.is_some_and(|now| seconds <= now) => flaw("every token would have expired".to_owned()),
        "nbf" | "iat" if now.is_some_and(|now| seconds > now) => {
            flaw(format!("{name} has not come: no token would be valid yet"))
        }
        _ => Ok(()),
    }
}

fn text(name: &str, value: &Value) -> Result<(), Flaw> {
    match value {
        Value::String(text) if text.is_empty() => Err(Flaw::new(format!("{name} is empty"))),
        Value::String(_) => Ok(()),
        other => Err(Flaw::new(format!("{name} is a text, and {} is none", kind(other)))
            .help("write it in quotes, as in sub: \"42\", or as \"{{user}}\"")),
    }
}

/// One audience, or several.
fn audience(value: &Value) -> Result<(), Flaw> {
    let is_named = |one: &Value| one.as_str().is_some_and(|text| !text.is_empty());
    let is_right = match value {
        Value::Array(several) => !several.is_empty() && several.iter().all(is_named),
        one => is_named(one),
    };
    if is_right {
        return Ok(());
    }
    Err(Flaw::new("aud is a text that is not empty, or a list of such texts")
        .help("write it as aud: https://api.example, or as aud: [one, another]"))
}

/// What a value is, without the value: claims may hold credentials.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Option<i64> = Some(1_700_000_000);

    #[test]
    fn dates_are_seconds_that_fit_today() {
        for (name, value) in [
            ("exp", json!(4_000_000_000_u64)),
            ("exp", json!(1_700_000_000.5)),
            ("nbf", json!(0)),
            ("iat", json!(1_700_000_000)),
        ] {
            assert_eq!(date(name, &value, NOW), Ok(()), "{name} {value}");
        }
        for (name, value) in [
            ("exp", json!("yesterday")),
            ("exp", json!("4000000000")),
            ("exp", json!(null)),
            ("exp", json!(true)),
            ("exp", json!(-1)),
            ("exp", json!(1_700_000_000)),
            ("exp", json!(1_764_000_000_000_u64)),
            ("nbf", json!(1_700_000_001)),
            ("iat", json!([1])),
        ] {
            assert!(date(name, &value, NOW).is_err(), "{name} {value}");
        }
        assert_eq!(date("exp", &json!(1), None), Ok(()), "without a clock nobody can tell");
    }

    #[test]
    fn names_and_audiences_are_texts() {
        for right in [json!("a"), json!(["a"]), json!(["a", "b"])] {
            assert_eq!(audience(&right), Ok(()), "{right}");
        }
        for wrong in [json!(5), json!([]), json!([1]), json!({}), json!(""), json!(["a", ""]), json!(null)] {
            assert!(audience(&wrong).is_err(), "{wrong}");
        }
        assert!(text("sub", &json!("{{user}}")).is_ok());
        assert!(text("sub", &json!(5)).is_err() && text("iss", &json!("")).is_err());
        assert!(check_name("{{user}}").is_err() && check_name("").is_err() && check_name("a b").is_ok());
    }
}
