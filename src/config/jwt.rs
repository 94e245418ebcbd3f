//! Is this token, which begins like a JWT, a whole one?
//!
//! Takes a token that was given ready and gives nothing, or a [`Flaw`] that goes on behind "the token" and repeats none of
//! it. It verifies no signature: the server does. The surprising rule: only a header that names an algorithm makes a JWT, since the signed cookies of
//! several frameworks begin with `eyJ` and have dots too, and are as good as any opaque token.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::values::Flaw;

/// How `{"` begins in base64.
const BEGINNING: &str = "eyJ";
/// What to do about a token that is not whole.
const HELP: &str = "give the whole token: three parts with a dot between, without quotes or line breaks";

/// Refuses a JWT that a server could not read.
pub(crate) fn refuse_broken(token: &str) -> Result<(), Flaw> {
    let flaw = |message: &str| Err(Flaw::new(message).help(HELP));
    if token.len() > 1 && token.starts_with('"') && token.ends_with('"') {
        let flaw = Flaw::new("stands in quotes, which are no part of it");
        return Err(flaw.help("take them off; jq prints texts without them as jq -r"));
    }
    let parts: Vec<&str> = token.split('.').collect();
    if !token.starts_with(BEGINNING) {
        return Ok(());
    }
    let header = match (object(parts[0]), parts.len()) {
        (Some(header), _) => header,
        // One word that happens to begin so is nobody's JWT.
        (None, 1) => return Ok(()),
        (None, _) => return flaw("begins like a JWT, and its header cannot be read"),
    };
    if !header.contains_key("alg") {
        return Ok(());
    }
    match (parts.len(), header.contains_key("enc")) {
        (5, true) => return Ok(()),
        (3, false) => {}
        (count, _) => {
            return flaw(&format!("begins like a JWT, and has {count} of its parts: it was cut"));
        }
    }
    // Compressed or extended ones (RFC 7797) are for the server to read.
    let is_plain = !["zip", "crit", "b64"].iter().any(|name| header.contains_key(*name));
    if is_plain && object(parts[1]).is_none() {
        return flaw("is a JWT, and its claims cannot be read: it was cut or changed");
    }
    if parts[2].is_empty() && header.get("alg") != Some(&Value::from("none")) {
        return flaw("is a JWT without its signature: it was cut");
    }
    Ok(())
}

/// A part as a JSON object, whichever alphabet it is written in and with or without padding.
fn object(part: &str) -> Option<Map<String, Value>> {
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let decoded = [&URL_SAFE, &STANDARD]
        .into_iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, lenient).decode(part).ok())
        .map(Zeroizing::new)?;
    serde_json::from_slice(&decoded).ok()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    fn encoded(text: &str) -> String {
        URL_SAFE_NO_PAD.encode(text)
    }

    #[test]
    fn whole_tokens_and_opaque_ones_are_let_through() {
        let header = encoded(r#"{"alg":"HS256","typ":"JWT"}"#);
        let claims = encoded(r#"{"sub":"u"}"#);
        for token in [
            format!("{header}.{claims}.c2ln"),
            format!("{}.{claims}.", encoded(r#"{"alg":"none"}"#)),
            format!("{}.a.b.c.d", encoded(r#"{"alg":"dir","enc":"A256GCM"}"#)),
            format!("{}.xVPLTsQw.c2ln", encoded(r#"{"alg":"ES256","zip":"DEF"}"#)),
            // The cookies of Flask and Starlette, and what Django signs.
            format!("{}.ZaBcDe.c2ln", encoded(r#"{"user":1}"#)),
            format!("{}.ZaBcDe.c2ln", STANDARD.encode(r#"{"user_id": 1}"#)),
            format!("{}:1abc:c2ln", encoded(r#"{"user":1}"#)),
            "eyJhbGci".to_owned(),
            "opaque.with.dots".to_owned(),
            "v4.local.AAAA".to_owned(),
        ] {
            assert_eq!(refuse_broken(&token), Ok(()), "{token}");
        }
    }

    #[test]
    fn broken_ones_are_refused_and_never_repeated() {
        let header = encoded(r#"{"alg":"HS256","typ":"JWT"}"#);
        let claims = encoded(r#"{"sub":"s3cret"}"#);
        for (token, words) in [
            ("eyJ.x".to_owned(), "its header cannot be read"),
            ("eyJ!!.abc.def".to_owned(), "its header cannot be read"),
            (format!("{}.{claims}.c2ln", &header[..header.len() - 5]), "its header cannot be read"),
            (header.clone(), "has 1 of its parts"),
            (format!("{header}.{claims}"), "has 2 of its parts"),
            (format!("{header}.{claims}.a.b"), "has 4 of its parts"),
            (format!("{header}.{}.c2ln", &claims[..claims.len() - 4]), "its claims cannot be read"),
            (format!("{header}.{}.c2ln", encoded("[1]")), "its claims cannot be read"),
            (format!("{header}.{claims}."), "without its signature"),
            (format!("\"{header}.{claims}.c2ln\""), "stands in quotes"),
        ] {
            let flaw = refuse_broken(&token).unwrap_err();
            assert!(flaw.message.contains(words), "{token}: {}", flaw.message);
            assert!(!flaw.message.contains(&claims) && !flaw.message.contains("s3cret"), "{}", flaw.message);
        }
    }
}
