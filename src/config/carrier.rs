//! How the application's token travels: which header, which subprotocol, which parameter, which message.
//!
//! Takes the words behind `carry` and gives a checked way; takes a token and gives the text that carries it. It sends
//! nothing. The surprising rule: a template says twice what it may hold, `{{token}}` as it is and `{{token.base64url}}`,
//! since browsers can offer no subprotocol with the characters of other encodings.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::places;
use super::suggest::did_you_mean;
use super::template::{Escaping, Template, Values};
use super::values::{Flaw, quoted};
use super::wire;
use crate::trust::Secret;

/// Every way, as it is written.
const WAYS: [&str; 5] = ["authorization", "subprotocol", "query", "cookie", "first-message"];
/// The subprotocol that carries a token where no other is configured.
const SUBPROTOCOL: &str = "jwt.{{token.base64url}}";
/// The first message where no other is configured: the token alone.
const FIRST_MESSAGE: &str = "{{token}}";

/// How the application's token travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carrier {
    /// `Authorization: Bearer TOKEN`.
    Authorization,
    /// A subprotocol that is offered besides the others; `jwt.<base64url(TOKEN), unpadded>` where not said otherwise.
    Subprotocol(TokenTemplate),
    /// This parameter of the query.
    Query(String),
    /// This cookie, besides those of a configured `Cookie` header.
    Cookie(String),
    /// The first message on the open socket, before anything else is said; the token alone where not said otherwise.
    FirstMessage(TokenTemplate),
}

/// A text with at least one place for the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenTemplate {
    source: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Other(Template),
    Token,
    Base64Url,
}

impl TokenTemplate {
    /// Reads the places: those of every template, and the token's.
    pub(crate) fn parse(source: &str) -> Result<Self, Flaw> {
        let mut pieces = Vec::new();
        let (mut kept, mut rest) = (0, 0);
        while let Some(start) = source[rest..].find("{{").map(|at| rest + at) {
            let end = source[start..].find("}}").map(|at| start + at);
            let piece = match end.map(|end| source[start + 2..end].trim()) {
                Some("token") => Piece::Token,
                Some("token.base64url") => Piece::Base64Url,
                _ => {
                    rest = start + 1;
                    continue;
                }
            };
            pieces.extend([Piece::Other(other(&source[kept..start])?), piece]);
            rest = end.map_or(source.len(), |end| end + 2);
            kept = rest;
        }
        if pieces.is_empty() {
            other(source)?;
            return Err(Flaw::new("the template has no place for the token").help(PLACES));
        }
        pieces.push(Piece::Other(other(&source[kept..])?));
        Ok(Self { source: source.to_owned(), pieces })
    }

    /// The text that carries `token`.
    pub fn fill(&self, token: &Secret, values: Values<'_>, escaping: Escaping) -> Secret {
        let texts = self.pieces.iter().map(|piece| match piece {
            Piece::Other(template) => Secret::new(template.fill(values, escaping)),
            Piece::Token if escaping == Escaping::Json => Secret::new(inside_json(token)),
            Piece::Token => token.clone(),
            Piece::Base64Url => base64url(token),
        });
        let texts: Vec<Secret> = texts.collect();
        // In one piece, so that no half of it is left behind where a text grows.
        let mut whole = String::with_capacity(texts.iter().map(|text| text.expose().len()).sum());
        for text in &texts {
            whole.push_str(text.expose());
        }
        Secret::new(whole)
    }

    /// True where the token stands in it as it is.
    pub(crate) fn holds_it_plain(&self) -> bool {
        self.pieces.contains(&Piece::Token)
    }

    /// As a message: JSON where it begins like JSON, a plain text otherwise.
    pub fn message(&self, token: &Secret, values: Values<'_>) -> Secret {
        let text = self.source.trim_start();
        let json = text.starts_with(['{', '[']) && !text.starts_with("{{");
        self.fill(token, values, if json { Escaping::Json } else { Escaping::None })
    }
}

/// What to type where a template is wrong.
const PLACES: &str = "the places are {{token}}, {{token.base64url}}, {{user}}, {{nonce}} and {{round}}";

fn other(text: &str) -> Result<Template, Flaw> {
    places::check(text).map_err(|flaw| flaw.help(PLACES))?;
    Template::parse(text)
        .map_err(|error| Flaw::new(format!("unknown place {{{{{}}}}}", error.0)).help(PLACES))
}

/// The token in unpadded base64url.
pub(crate) fn base64url(token: &Secret) -> Secret {
    Secret::new(URL_SAFE_NO_PAD.encode(token.expose()))
}

fn inside_json(token: &Secret) -> String {
    let quoted = serde_json::to_string(token.expose()).unwrap_or_default();
    quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default().to_owned()
}

/// A way for the token to travel, as it is written.
pub(crate) fn carrier(text: &str) -> Result<Carrier, Flaw> {
    let (way, rest) = text.split_once(':').map_or((text, None), |(way, rest)| (way, Some(rest)));
    match (way, rest) {
        ("authorization", None) => Ok(Carrier::Authorization),
        ("authorization", Some(_)) => Err(Flaw::new("authorization takes nothing behind it")
            .help("it is always `Authorization: Bearer TOKEN`; another header is one of `headers:`")),
        ("subprotocol", rest) => subprotocol(rest.unwrap_or(SUBPROTOCOL)).map(Carrier::Subprotocol),
        ("query", Some(name)) => parameter(name).map(Carrier::Query),
        // The same characters as those of a subprotocol: both are tokens of HTTP.
        ("cookie", Some(name)) => wire::subprotocol(name)
            .map(Carrier::Cookie)
            .map_err(|_| Flaw::new(format!("{} is not the name of a cookie", quoted(name)))),
        ("query", None) => Err(Flaw::new("query needs the parameter's name").help("write it as query:token")),
        ("cookie", None) => {
            Err(Flaw::new("cookie needs the cookie's name").help("write it as cookie:session"))
        }
        ("first-message", rest) => {
            TokenTemplate::parse(rest.unwrap_or(FIRST_MESSAGE)).map(Carrier::FirstMessage)
        }
        _ => Err(unknown(way)),
    }
}

fn unknown(way: &str) -> Flaw {
    let guess = did_you_mean(way, &WAYS).map_or_else(String::new, |guess| format!(", did you mean {guess}?"));
    Flaw::new(format!("there is no way to carry a token {}{guess}", quoted(way))).help(
        "these exist: authorization, subprotocol, subprotocol:TEMPLATE, query:NAME, cookie:NAME, first-message, \
         first-message:TEMPLATE",
    )
}

fn subprotocol(text: &str) -> Result<TokenTemplate, Flaw> {
    let template = TokenTemplate::parse(text)?;
    let trial =
        template.fill(&Secret::new("a.b.c"), Values { user: "u", nonce: "n", round: 1 }, Escaping::Url);
    wire::subprotocol(trial.expose())
        .map_err(|_| Flaw::new("the template holds a character that no subprotocol may hold").help(PLACES))?;
    Ok(template)
}

fn parameter(name: &str) -> Result<String, Flaw> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        return Ok(name.to_owned());
    }
    Err(Flaw::new(format!("{} is not the name of a query's parameter", quoted(name)))
        .help("letters, digits and -_.~, as in query:token"))
}

/// A list of ways as it is typed, separated by commas; a template's own commas are no separators.
pub fn typed_carriers(text: &str) -> Vec<String> {
    let mut ways: Vec<String> = Vec::new();
    for piece in text.split(',') {
        let begins = WAYS.contains(&piece.trim().split(':').next().unwrap_or_default());
        match ways.last_mut().filter(|last| !begins && last.contains("{{")) {
            Some(last) => {
                last.push(',');
                last.push_str(piece);
            }
            None => ways.push(piece.trim().to_owned()),
        }
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: Values<'static> = Values { user: "a\"b", nonce: "n1", round: 7 };

    fn said(way: &str) -> String {
        let token = Secret::new("a/b.c");
        match carrier(way).unwrap() {
            Carrier::Subprotocol(template) => template.fill(&token, VALUES, Escaping::Url),
            Carrier::FirstMessage(template) => template.message(&token, VALUES),
            _ => panic!("{way} has no template"),
        }
        .expose()
        .to_owned()
    }

    #[test]
    fn templates_carry_the_token_and_escape_the_rest() {
        assert_eq!(said("subprotocol"), "jwt.YS9iLmM");
        assert_eq!(said("subprotocol:bearer.{{ token.base64url }}.{{user}}"), "bearer.YS9iLmM.a%22b");
        assert_eq!(said("first-message"), "a/b.c");
        assert_eq!(
            said(r#"first-message:{"type":"auth","token":"{{token}}","user":"{{user}}"}"#),
            r#"{"type":"auth","token":"a/b.c","user":"a\"b"}"#
        );
        assert_eq!(said("first-message:{{token}} of {{user}}"), "a/b.c of a\"b");
        assert_eq!(carrier("query:access_token"), Ok(Carrier::Query("access_token".to_owned())));
    }

    #[test]
    fn wrong_ways_are_refused() {
        for (way, words) in [
            ("cooky", "did you mean cookie?"),
            ("cookie", "needs the cookie's name"),
            ("cookie:a b", "is not the name of a cookie"),
            ("query:", "is not the name of a query's parameter"),
            ("query:a=b", "is not the name of a query's parameter"),
            ("authorization:x", "takes nothing"),
            ("subprotocol:jwt", "has no place for the token"),
            ("subprotocol:a b{{token}}", "no subprotocol may hold"),
            ("first-message:{{token}} {{usr}}", "unknown place {{usr}}"),
            ("first-message:{{token}} {{us er}}", "unknown place {{us er}}"),
            ("first-message:{{tok en}}", "unknown place {{tok en}}"),
            ("first-message:{{token}} {{user", "not closed"),
        ] {
            let flaw = carrier(way).unwrap_err();
            assert!(flaw.message.contains(words), "{way}: {}", flaw.message);
        }
    }

    #[test]
    fn commas_of_a_template_do_not_part_it() {
        assert_eq!(
            typed_carriers(r#"query:t, first-message:{"a":"{{token}}","b":1},cookie:c"#),
            ["query:t", r#"first-message:{"a":"{{token}}","b":1}"#, "cookie:c"]
        );
        assert_eq!(typed_carriers("authorization,cooky"), ["authorization", "cooky"]);
    }
}
