//! Ready tokens, made by somebody else: whose is which, and until when?
//!
//! Takes the text that a variable, a file or a command holds, and gives tokens with their users. It verifies nothing: the
//! server does. The surprising rule: a token that looks like a JWT is believed to expire when it says so, since a gate that
//! goes on with an expired one would blame the server for refusing it.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::carrier::Carrier;
use super::jwt;
use super::scalars::Pairs;
use super::values::{Flaw, quoted};
use crate::trust::Secret;

/// Tokens that were given ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadyTokens {
    /// One for whoever it is.
    OfAll(Secret),
    /// One for each of these users, in the order in which they were written.
    Of(Vec<(String, Secret)>),
}

/// What to type where the text cannot be read.
const FORMS: &str = "one token alone, lines of `USER TOKEN`, or a JSON object {\"USER\": \"TOKEN\"}";

impl ReadyTokens {
    /// Reads the text.
    pub(crate) fn parse(text: &str) -> Result<Self, Flaw> {
        let text = text.trim();
        let tokens = if text.starts_with('{') { of_json(text)? } else { of_lines(text)? };
        let mut seen = HashSet::new();
        for (user, token) in &tokens {
            check(token)?;
            jwt::refuse_broken(token.expose()).map_err(|flaw| Flaw {
                message: format!("the token{} {}", whose(user), flaw.message),
                ..flaw
            })?;
            // Not named: what stands in its place may be a token.
            if user.starts_with("eyJ") && user.contains('.') {
                return Err(Flaw::new("a token stands where its user is due").help(FORMS));
            }
            if !user.is_empty() && super::values::text(user).is_err() {
                return Err(Flaw::new("a user's name is blank or has a control character").help(FORMS));
            }
            if !seen.insert(user.as_str()) {
                return Err(Flaw::new("one user has two tokens").help(FORMS));
            }
        }
        match tokens.as_slice() {
            [] => Err(Flaw::new("there is no token in it").help(FORMS)),
            [(user, token)] if user.is_empty() => Ok(Self::OfAll(token.clone())),
            _ => Ok(Self::Of(tokens)),
        }
    }

    /// The token of `user`.
    pub fn of(&self, user: &str) -> Option<&Secret> {
        match self {
            Self::OfAll(token) => Some(token),
            Self::Of(tokens) => tokens.iter().find(|(name, _)| name == user).map(|(_, token)| token),
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Secret> {
        let (one, many): (_, &[_]) = match self {
            Self::OfAll(token) => (Some(token), &[]),
            Self::Of(tokens) => (None, tokens),
        };
        one.into_iter().chain(many.iter().map(|(_, token)| token))
    }

    /// Their users; none where one token is everybody's.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        let tokens: &[(String, Secret)] = match self {
            Self::OfAll(_) => &[],
            Self::Of(tokens) => tokens,
        };
        tokens.iter().map(|(user, _)| user.as_str())
    }

    /// When the first of them expires, in seconds since 1970, and whose it is; `None` where none of them says so.
    pub fn first_expiry(&self) -> Option<(i64, &str)> {
        match self {
            Self::OfAll(token) => expiry(token).map(|at| (at, "")),
            Self::Of(tokens) => {
                tokens.iter().filter_map(|(user, token)| Some((expiry(token)?, user.as_str()))).min()
            }
        }
    }

    /// Refuses what is expired at `now`, in seconds since 1970.
    pub(crate) fn refuse_expired(&self, now: i64) -> Result<(), Flaw> {
        match self.first_expiry() {
            Some((at, user)) if at <= now => {
                let whose = whose(user);
                Err(Flaw::new(format!("the token{whose} has expired {} s ago", now.saturating_sub(at)))
                    .help("get a new one in the step before, or let revgate ask for it: `tokens-command:`"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a token that one of `carriers` cannot carry.
    pub(crate) fn refuse_uncarried(&self, carriers: &[Carrier]) -> Result<(), Flaw> {
        let bad = |token: &Secret, unfit: &str| token.expose().chars().any(|c| unfit.contains(c));
        for carrier in carriers {
            let (unfit, way) = match carrier {
                Carrier::Cookie(_) => ("\",;\\", "a cookie"),
                Carrier::Subprotocol(template) if template.holds_it_plain() => {
                    ("\"(),/:;<=>?@[\\]{}", "a subprotocol; {{token.base64url}} can")
                }
                _ => continue,
            };
            if self.all().any(|token| bad(token, unfit)) {
                return Err(Flaw::new(format!("a token has a character that cannot travel in {way}")));
            }
        }
        Ok(())
    }
}

/// Of which user, in words; of nobody in particular where the name is empty, or may be a token itself.
fn whose(user: &str) -> String {
    let is_name = !user.is_empty() && !user.starts_with("eyJ") && super::values::text(user).is_ok();
    if is_name { format!(" of user {}", quoted(user)) } else { String::new() }
}

/// Whoever holds it is let in.
fn check(token: &Secret) -> Result<(), Flaw> {
    if token.expose().chars().all(|c| c.is_ascii_graphic()) && !token.is_empty() {
        return Ok(());
    }
    Err(Flaw::new("a token is empty, or has a blank or a character beyond ASCII").help(FORMS))
}

fn of_json(text: &str) -> Result<Vec<(String, Secret)>, Flaw> {
    // The parser's own words name places and never the text: it is read as any JSON.
    // As pairs, since a map would keep the last of two tokens of one user in silence.
    let Pairs(members): Pairs<Value> = serde_json::from_str(text)
        .map_err(|error| Flaw::new(format!("it begins like JSON and is none: {error}")).help(FORMS))?;
    let tokens = members.into_iter().map(|(user, token)| match token {
        Value::String(token) if !user.is_empty() => Ok((user, Secret::new(token))),
        _ => Err(Flaw::new("a user has no name, or no text for a token").help(FORMS)),
    });
    tokens.collect()
}

/// Lines of a user and a token; a single word is everybody's token, of the user without a name.
fn of_lines(text: &str) -> Result<Vec<(String, Secret)>, Flaw> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if let [line] = lines.as_slice()
        && !line.contains(char::is_whitespace)
    {
        return Ok(vec![(String::new(), Secret::new(*line))]);
    }
    let pairs = lines.iter().enumerate().map(|(index, line)| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [scheme, _] if scheme.eq_ignore_ascii_case("bearer") => {
                Err(Flaw::new("the token stands behind the word Bearer").help("give the token alone"))
            }
            [user, token] => Ok(((*user).to_owned(), Secret::new(*token))),
            _ => Err(Flaw::new(format!("its line {} is no user and token", index + 1)).help(FORMS)),
        }
    });
    pairs.collect()
}

/// When a JWT says that it expires, in seconds since 1970.
pub(crate) fn expiry(token: &Secret) -> Option<i64> {
    let mut parts = token.expose().split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?);
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let expiry = claims.get("exp")?;
    // A fraction is allowed (RFC 7519, section 2); what is cut off of it is less than a second.
    #[expect(clippy::cast_possible_truncation, reason = "such a cast saturates")]
    expiry.as_i64().or_else(|| expiry.as_f64().map(|seconds| seconds as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn three_forms_are_read() {
        let all = ReadyTokens::parse(" abc.def \n").unwrap();
        assert_eq!((all.of("anybody").unwrap().expose(), all.users().count()), ("abc.def", 0));
        for text in ["a t1\n\nb  t2\r\n", r#"{"a": "t1", "b": "t2"}"#] {
            let tokens = ReadyTokens::parse(text).unwrap();
            assert_eq!(tokens.users().collect::<Vec<_>>(), ["a", "b"], "{text}");
            assert_eq!((tokens.of("b").unwrap().expose(), tokens.of("c")), ("t2", None), "{text}");
        }
    }

    #[test]
    fn rubbish_is_refused_and_never_repeated() {
        for text in [
            "",
            "{}",
            "{\"a\": 1}",
            "{\"a\": \"s3cret\"",
            "[\"s3cret\"] x y",
            "Bearer s3cret",
            "a s3cret c",
            "a s3cret\na s3cret",
            "{\"a\": \"s3cret\\n\"}",
            "{\"\": \"s3cret\"}",
            "a s3cr\u{fc}t",
            "{\"a\": \"\"}",
            "eyJs3cret.s3cret.s3cret a",
            "a eyJs3cret.s3cret.s3cret",
            "{\"a\": \"s3cret\", \"a\": \"s3cret\"}",
            "\"s3cret\"",
            "{\"a\\nb\": \"s3cret\"}",
        ] {
            let flaw = ReadyTokens::parse(text).unwrap_err();
            assert!(!flaw.message.contains("s3cr"), "{}", flaw.message);
        }
    }

    #[test]
    fn the_first_to_expire_counts() {
        let text = format!("a {}\nb {}\nc opaque", token(r#"{"exp":2000}"#), token(r#"{"exp":1000.5}"#));
        let tokens = ReadyTokens::parse(&text).unwrap();
        assert_eq!(tokens.first_expiry(), Some((1000, "b")));
        assert!(tokens.refuse_expired(999).is_ok());
        assert_eq!(
            tokens.refuse_expired(1010).unwrap_err().message,
            "the token of user \"b\" has expired 10 s ago"
        );
        assert_eq!(ReadyTokens::parse("opaque").unwrap().first_expiry(), None);
    }

    #[test]
    fn a_token_must_fit_its_carrier() {
        let token = ReadyTokens::parse("a/b=;").unwrap();
        for (way, fits) in [
            ("authorization", true),
            ("cookie:c", false),
            ("subprotocol", true),
            ("subprotocol:{{token}}", false),
        ] {
            let carrier = super::super::carrier::carrier(way).unwrap();
            assert_eq!(token.refuse_uncarried(&[carrier]).is_ok(), fits, "{way}");
        }
    }
}
