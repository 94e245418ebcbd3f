//! `auth:` is what it takes to find out whether bad tokens are refused properly, and a good one still works afterwards.
//!
//! Takes the sources and the token settings; gives the settings, or `None` where nobody asks. It opens and mints nothing.
//! The surprising rule: a status or a close code that says "I failed" cannot be declared a refusal, since a bad token that
//! crashes its handler is what the check looks for.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::carrier::Carrier;
use super::error::ConfigError;
use super::scalars::Text;
use super::settings::{Limits, TokenOrigin, TokenSettings};
use super::sources::{Sources, Spot};
use super::values::{self, Flaw, quoted};

/// `auth:` as it was written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct AuthModel {
    refusals: Option<Vec<Text>>,
    tries: Option<Text>,
    kinds: Option<Vec<Text>>,
    audience: Option<Text>,
    patience: Option<Text>,
}

/// What the check `auth` is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthSettings {
    /// What a proper refusal looks like.
    pub refusals: Vec<Refusals>,
    /// How often each kind of token is tried. Default 1.
    pub tries: u32,
    /// The kinds, in the order of [`BadToken::ALL`].
    pub kinds: Vec<BadToken>,
    /// Those of them that cannot be made of the good tokens, which are given ready.
    pub unmade: Vec<BadToken>,
    /// Whom a token of a wrong audience is made out to.
    pub audience: String,
    /// How long a server may take to refuse a token once it was spoken to; `None`: as long as an answer may take. Default
    /// 60 s where a token goes in the first message, since a server that waits for one may do so for as long.
    pub patience: Option<Duration>,
    /// Openings a second, at most.
    pub pace: u32,
}

/// The ways in which a token can be bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadToken {
    /// No token at all.
    Missing,
    /// Not a JWT.
    Malformed,
    /// The first half of a good one.
    Truncated,
    /// A good one whose signature is another's.
    WrongKey,
    /// The claims of a good one, with `alg: none` and no signature.
    AlgNone,
    /// Properly signed; its time is over.
    Expired,
    /// Properly signed; its time has not come.
    NotYetValid,
    /// Properly signed, for somebody else.
    WrongAudience,
    /// 16 KiB long, with a signature that is none.
    Oversized,
}

impl BadToken {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 9] = [
        Self::Missing,
        Self::Malformed,
        Self::Truncated,
        Self::WrongKey,
        Self::AlgNone,
        Self::Expired,
        Self::NotYetValid,
        Self::WrongAudience,
        Self::Oversized,
    ];

    /// The name in the configuration and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Truncated => "truncated",
            Self::WrongKey => "wrong-key",
            Self::AlgNone => "alg-none",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::WrongAudience => "wrong-audience",
            Self::Oversized => "oversized",
        }
    }
}

impl fmt::Display for BadToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Statuses or close codes that refuse a token: a range with both ends, often of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals {
    /// The lowest.
    pub from: u16,
    /// The highest.
    pub to: u16,
}

impl Refusals {
    /// True for a number of the range.
    pub fn holds(self, number: u16) -> bool {
        (self.from..=self.to).contains(&number)
    }
}

/// What refuses a token where nothing is configured: bad request, unauthorized, forbidden, too large (413, 431), policy
/// violation, and the codes that applications choose themselves.
const DEFAULT_REFUSALS: [Refusals; 7] = [
    Refusals { from: 400, to: 400 },
    Refusals { from: 401, to: 401 },
    Refusals { from: 403, to: 403 },
    Refusals { from: 413, to: 413 },
    Refusals { from: 431, to: 431 },
    Refusals { from: 1008, to: 1008 },
    Refusals { from: 4000, to: 4999 },
];

/// Codes of a failure, which no refusal may look like: 1006 has no close frame, 1011 to 1014 say that the server failed.
const FAILURES: [u16; 5] = [1006, 1011, 1012, 1013, 1014];

/// Whom a token of a wrong audience is made out to, where nothing is configured.
const OTHER_AUDIENCE: &str = "https://another-service.invalid";

/// How long a server may wait for a first message that carries no good token, where nothing is configured: none of those
/// that are known waits longer by default.
const FIRST_MESSAGE: Duration = Duration::from_mins(1);

/// What is asked for; `None` where nothing is.
pub(crate) fn auth(
    sources: &Sources<'_>,
    token: Option<&TokenSettings>,
    limits: &Limits,
) -> Result<Option<AuthSettings>, ConfigError> {
    let Some(model) = &sources.file.model.auth else { return Ok(None) };
    let refusals = sources.many(None, model.refusals.as_ref(), &["auth", "refusals"], refusals)?;
    let tries = |text: &str| values::count(text, 1);
    let tries = sources.one(None, model.tries.as_ref(), &["auth", "tries"], tries)?;
    let kinds = sources.many(None, model.kinds.as_ref(), &["auth", "kinds"], kind)?;
    let audience = sources.one(None, model.audience.as_ref(), &["auth", "audience"], values::text)?;
    let keys = ["auth", "patience"];
    let patience = sources.one(None, model.patience.as_ref(), &keys, values::positive_duration)?;
    let at = |keys: &[&str], flaw: Flaw| Err(sources.error(&Spot::of(None, keys), flaw));
    let Some(token) = token else {
        let flaw = Flaw::new("there is no token of which bad ones could be made")
            .help("say how good ones are signed: token: { secret-env: NAME }");
        return at(&["auth"], flaw);
    };
    let has_audience = match &token.origin {
        TokenOrigin::Minted(minted) => minted.claims.contains_key("aud"),
        TokenOrigin::Unread { claims, .. } => claims.contains_key("aud"),
        TokenOrigin::Ready { .. } => false,
    };
    let names = |wanted: BadToken| kinds.as_ref().is_some_and(|kinds| kinds.value.contains(&wanted));
    if !has_audience && (audience.is_some() || names(BadToken::WrongAudience)) {
        let flaw = Flaw::new("the claims of good tokens name no audience, so none can be wrong")
            .help("name it: token: { claims: { aud: AUDIENCE } }");
        return at(&["auth", if audience.is_some() { "audience" } else { "kinds" }], flaw);
    }
    for (empty, keys, what) in [
        (refusals.as_ref().is_some_and(|found| found.value.is_empty()), ["auth", "refusals"], "refusal"),
        (kinds.as_ref().is_some_and(|found| found.value.is_empty()), ["auth", "kinds"], "kind of token"),
    ] {
        if empty {
            let flaw = Flaw::new(format!("no {what} is named")).help("leave the key out for the usual ones");
            return at(&keys, flaw);
        }
    }
    if let Some(kind) = SIGNED.into_iter().find(|kind| is_given_ready(&token.origin) && names(*kind)) {
        return at(&["auth", "kinds"], without_key(kind));
    }
    let kinds = kinds.map_or_else(|| BadToken::ALL.to_vec(), |found| found.value);
    let waits = token.carriers.iter().any(|carrier| matches!(carrier, Carrier::FirstMessage(_)));
    let possible =
        |kind: &BadToken| kinds.contains(kind) && (has_audience || *kind != BadToken::WrongAudience);
    let kinds: Vec<BadToken> = BadToken::ALL.into_iter().filter(possible).collect();
    Ok(Some(AuthSettings {
        unmade: kinds.iter().copied().filter(|kind| !can_be_made(*kind, &token.origin)).collect(),
        refusals: refusals.map_or_else(|| DEFAULT_REFUSALS.to_vec(), |found| found.value),
        tries: tries.map_or(1, |found| found.value),
        kinds,
        audience: audience.map_or_else(|| OTHER_AUDIENCE.to_owned(), |found| found.value),
        patience: patience.map(|found| found.value).or(waits.then_some(FIRST_MESSAGE)),
        pace: limits.openings_per_second,
    }))
}

/// Kinds that must be signed with the key of good ones.
const SIGNED: [BadToken; 3] = [BadToken::Expired, BadToken::NotYetValid, BadToken::WrongAudience];

fn without_key(kind: BadToken) -> Flaw {
    Flaw::new(format!("a token that is {kind} must be signed, and tokens that are given ready have no key"))
        .help("leave it out, or say how good ones are signed: token: { secret-env: NAME }")
}

fn is_given_ready(origin: &TokenOrigin) -> bool {
    matches!(origin, TokenOrigin::Ready { .. } | TokenOrigin::Unread { is_ready: true, .. })
}

/// Whether a kind can be made of good tokens of this origin; what no command has given yet is taken for JWTs.
fn can_be_made(kind: BadToken, origin: &TokenOrigin) -> bool {
    if is_given_ready(origin) && SIGNED.contains(&kind) {
        return false;
    }
    let takes_parts = matches!(kind, BadToken::WrongKey | BadToken::AlgNone | BadToken::Oversized);
    match origin {
        TokenOrigin::Ready { tokens, .. } if takes_parts => {
            tokens.all().any(|token| token.expose().split('.').count() == 3)
        }
        _ => true,
    }
}

fn kind(text: &str) -> Result<BadToken, Flaw> {
    values::named("kind of token", text, &BadToken::ALL, BadToken::name)
}

/// `401`, `1008` or `4000-4999`.
fn refusals(text: &str) -> Result<Refusals, Flaw> {
    let flaw = || {
        Flaw::new(format!("{} is neither a status nor a close code", quoted(text)))
            .help("write it as 401, 1008 or 4000-4999")
    };
    let number = |text: &str| text.trim().parse::<u16>().ok().filter(|n| (300..5000).contains(n));
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (number(from).ok_or_else(flaw)?, number(to).ok_or_else(flaw)?);
    let same_sort = (from < 600 && to < 600) || from >= 1000;
    if from > to || !same_sort {
        return Err(flaw());
    }
    let range = Refusals { from, to };
    let failed = (500..600).chain(FAILURES).find(|failed| range.holds(*failed));
    failed.map_or(Ok(range), |failed| {
        Err(Flaw::new(format!("{failed} says that the server failed: no token is refused with it"))
            .help("a bad token that fails its handler is to be mended, not declared"))
    })
}

impl AuthSettings {
    /// How often a good token beside a large header is tried at the most, for each oversized one without an answer.
    pub const CONTROLS: u32 = 5;

    /// Kinds of which tokens can be made.
    pub(crate) fn made(&self) -> impl Iterator<Item = BadToken> {
        self.kinds.iter().copied().filter(|kind| !self.unmade.contains(kind))
    }

    /// What it costs, in one line.
    pub(crate) fn words(&self) -> String {
        let bad = self.made().count() * self.tries as usize;
        let unmade: Vec<&str> = self.unmade.iter().map(|kind| kind.name()).collect();
        let without = match unmade.join(", ") {
            none if none.is_empty() => none,
            names => format!("; {names} cannot be made of the tokens that are given"),
        };
        let patience = self.patience.map_or_else(String::new, |patience| {
            format!(", each waited for up to {} s", patience.as_secs_f64())
        });
        format!(
            "auth: {bad} sockets with bad tokens, one after the other{patience}, and two with a good one{without}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_of_one_sort_and_hold_no_failure() {
        assert_eq!(refusals("401"), Ok(Refusals { from: 401, to: 401 }));
        assert_eq!(refusals("4000-4999"), Ok(Refusals { from: 4000, to: 4999 }));
        assert_eq!(refusals("302-403"), Ok(Refusals { from: 302, to: 403 }));
        for text in ["", "200", "40", "999", "5000", "403-401", "403-1008", "a", "1-", "-1"] {
            assert!(refusals(text).unwrap_err().message.contains("neither a status"), "{text}");
        }
        for text in ["500", "400-599", "1011", "1000-1015", "1006"] {
            assert!(refusals(text).unwrap_err().message.contains("the server failed"), "{text}");
        }
    }
}
