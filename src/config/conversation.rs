//! How a socket is opened and what is said on it, and the tokens and users it is opened with.
//!
//! Takes the sources and what was read from outside, and gives the conversation, the token, the users and the echo. It
//! mints and sends nothing. The surprising rule: headers of flags and file are joined by name, unlike all other lists, so
//! that one more header on the command line does not drop the file's credentials.

use std::collections::HashSet;

use super::carrier::Carrier;
use super::error::ConfigError;
use super::locate::KeyPath;
use super::pointer;
use super::ready::ReadyTokens;
use super::scalars::{HeaderText, Pairs, Text, TextOrJson};
use super::secrets::{self, Lookup, SecretSource};
use super::settings::{Conversation, Echo, TokenOrigin, TokenSettings};
use super::sources::{Found, Rival, Sources, Spot};
use super::template::Template;
use super::token;
use super::values::{self, Flaw};
use super::wire;
use crate::trust::Secret;

/// A header before its value was read.
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) value: HeaderValue,
    pub(crate) spot: Spot,
}

/// A header's value, here or elsewhere.
pub(crate) enum HeaderValue {
    Literal(String),
    Kept(SecretSource),
}

/// The conversation, and the values of headers that came from outside.
pub(crate) fn conversation(
    sources: &Sources<'_>,
    lookup: &Lookup,
    path_of_url: Option<String>,
) -> Result<(Conversation, Vec<Secret>), ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model);
    let text_of = |value: &TextOrJson| Text(value.text());
    let send = file.send.as_ref().map(text_of);
    let expect = file.expect.as_ref().map(text_of);
    let greeting = file.greeting.as_ref().map(text_of);
    let harmless = file.harmless.as_ref().map(text_of);
    let closes = sources.many(None, file.closes.as_ref(), &["closes"], wire::healthy_close)?;
    let (headers, from_outside) = read_headers(sources, lookup)?;
    let conversation = Conversation {
        path: path(sources, path_of_url)?,
        headers,
        subprotocols: subprotocols(sources)?,
        require_subprotocol: file.require_subprotocol.unwrap_or(false),
        send: sources
            .one(typed.send.as_ref(), send.as_ref(), &["send"], wire::send)?
            .map(|found| found.value),
        expect: sources
            .one(typed.expect.as_ref(), expect.as_ref(), &["expect"], wire::expect)?
            .map(|found| found.value),
        greeting: sources
            .one(None, greeting.as_ref(), &["greeting"], wire::greeting)?
            .map(|found| found.value),
        harmless: sources
            .one(None, harmless.as_ref(), &["harmless"], wire::harmless)?
            .map(|found| found.value),
        closes: closes.map_or_else(Vec::new, |found| found.value),
    };
    Ok((conversation, from_outside))
}

fn path(sources: &Sources<'_>, path_of_url: Option<String>) -> Result<Template, ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model);
    if let Some(found) = sources.one(typed.path.as_ref(), file.path.as_ref(), &["path"], wire::path)? {
        return Ok(found.value);
    }
    let path = path_of_url.unwrap_or_else(|| "/".to_owned());
    wire::path(&path).map_err(|flaw| sources.error(&Spot::of(typed.url.as_ref(), &["url"]), flaw))
}

fn subprotocols(sources: &Sources<'_>) -> Result<Vec<String>, ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model);
    let found = sources.many(
        typed.subprotocol.as_ref(),
        file.subprotocols.as_ref(),
        &["subprotocols"],
        wire::subprotocol,
    )?;
    distinct(sources, found, "subprotocol")
}

/// The list without its place, when no element stands in it twice.
fn distinct(
    sources: &Sources<'_>,
    found: Option<Found<Vec<String>>>,
    what: &str,
) -> Result<Vec<String>, ConfigError> {
    let Some(Found { value: list, spot }) = found else { return Ok(Vec::new()) };
    let mut seen = HashSet::new();
    let twice = list.iter().enumerate().find(|(_, element)| !seen.insert(element.as_str()));
    let Some((index, element)) = twice else { return Ok(list) };
    let spot = match spot {
        Spot::File(path) => Spot::File(path.index(index)),
        typed @ Spot::Typed(_) => typed,
    };
    let flaw = Flaw::new(format!("the {what} {} is named twice", values::quoted(element)));
    Err(sources.error(&spot, flaw))
}

/// The headers of a mapping in the file that stands at `at`.
pub(crate) fn file_headers(
    sources: &Sources<'_>,
    pairs: &Pairs<HeaderText>,
    at: &KeyPath,
) -> Result<Vec<Header>, ConfigError> {
    let mut headers: Vec<Header> = Vec::new();
    for (name, value) in &pairs.0 {
        let spot = Spot::File(at.key(name));
        if headers.iter().any(|other| other.name.eq_ignore_ascii_case(name)) {
            let flaw = Flaw::new(format!("the header {} is named twice", values::quoted(name)))
                .help("the names of headers are the same in upper and lower case: keep one of them");
            return Err(sources.error(&spot, flaw));
        }
        let value = match value {
            HeaderText::Literal(text) => wire::literal_header_value(text).map(HeaderValue::Literal),
            HeaderText::Environment(name) => secrets::environment(name).map(HeaderValue::Kept),
            HeaderText::File(path) => secrets::file(path, Some(sources.file.name())).map(HeaderValue::Kept),
        };
        match wire::header_name(name).and_then(|name| Ok((name, value?))) {
            Ok((name, value)) => headers.push(Header { name, value, spot }),
            Err(flaw) => return Err(sources.error(&spot, flaw)),
        }
    }
    Ok(headers)
}

/// The value of a header, and whether it came from outside.
pub(crate) fn read_header(
    sources: &Sources<'_>,
    lookup: &Lookup,
    header: &Header,
) -> Result<(Secret, bool), ConfigError> {
    match &header.value {
        HeaderValue::Literal(text) => Ok((Secret::new(text), false)),
        HeaderValue::Kept(source) => {
            let at = Found { value: source.clone(), spot: header.spot.clone() };
            let secret = lookup.secret(sources, &at)?;
            let text =
                wire::header_value(secret.expose()).map_err(|flaw| sources.error(&header.spot, flaw))?;
            Ok((Secret::new(text), true))
        }
    }
}

/// All headers: those of the file, replaced and followed by those that were typed.
pub(crate) fn headers(sources: &Sources<'_>) -> Result<Vec<Header>, ConfigError> {
    let pairs = sources.file.model.headers.as_ref();
    let at = KeyPath::of(&["headers"]);
    let mut headers = pairs.map_or(Ok(Vec::new()), |pairs| file_headers(sources, pairs, &at))?;
    if let Some(Found { value: typed, spot }) =
        sources.many(sources.typed.header.as_ref(), None, &["headers"], wire::header)?
    {
        for (index, (name, _)) in typed.iter().enumerate() {
            if typed.iter().take(index).any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                let flaw = Flaw::new(format!("the header {} is given twice", values::quoted(name)))
                    .help("give it once: --header 'Name: value'");
                return Err(sources.error(&spot, flaw));
            }
        }
        headers.retain(|header| !typed.iter().any(|(name, _)| name.eq_ignore_ascii_case(&header.name)));
        headers.extend(typed.into_iter().map(|(name, value)| Header {
            name,
            value: HeaderValue::Literal(value),
            spot: spot.clone(),
        }));
    }
    Ok(headers)
}

type Headers = Vec<(String, Secret)>;

fn read_headers(sources: &Sources<'_>, lookup: &Lookup) -> Result<(Headers, Vec<Secret>), ConfigError> {
    let carriers = token::carriers(sources)?;
    let has_token = token::source(sources)?.is_some();
    let (mut read, mut from_outside) = (Vec::new(), Vec::new());
    for header in headers(sources)? {
        if has_token
            && carriers.contains(&Carrier::Authorization)
            && header.name.eq_ignore_ascii_case("authorization")
        {
            let flaw = Flaw::new("the header Authorization already carries the token")
                .help("carry the token as a subprotocol: --token-carry subprotocol");
            return Err(sources.error(&header.spot, flaw));
        }
        let (value, is_from_outside) = read_header(sources, lookup, &header)?;
        if is_from_outside {
            from_outside.push(value.clone());
        }
        read.push((header.name, value));
    }
    Ok((read, from_outside))
}

/// The users; those of the ready tokens where none is configured, else a single `revgate`.
pub(crate) fn users(
    sources: &Sources<'_>,
    token: Option<&TokenSettings>,
) -> Result<Vec<String>, ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model);
    let ready = token.and_then(|token| match &token.origin {
        TokenOrigin::Ready { tokens, .. } => Some(tokens),
        TokenOrigin::Minted(_) | TokenOrigin::Unread { .. } => None,
    });
    let found = sources.many(typed.user.as_ref(), file.users.as_ref(), &["users"], values::text)?;
    if let (Some(found), Some(ready)) = (&found, ready) {
        have_tokens(sources, found, ready)?;
    }
    match found {
        None => {
            let named: Vec<String> =
                ready.iter().flat_map(|ready| ready.users()).map(str::to_owned).collect();
            Ok(if named.is_empty() { vec!["revgate".to_owned()] } else { named })
        }
        Some(Found { value, spot }) if value.is_empty() => {
            Err(sources
                .error(&spot, Flaw::new("no user is named").help("leave `users` out for a single user")))
        }
        found => distinct(sources, found, "user"),
    }
}

/// Refuses a user without a token among those that have one each.
fn have_tokens(
    sources: &Sources<'_>,
    found: &Found<Vec<String>>,
    ready: &ReadyTokens,
) -> Result<(), ConfigError> {
    let known: HashSet<&str> = ready.users().collect();
    let has_one = |user: &str| known.contains(user) || ready.of(user).is_some();
    let Some((index, user)) = found.value.iter().enumerate().find(|(_, user)| !has_one(user)) else {
        return Ok(());
    };
    let spot = match &found.spot {
        Spot::File(path) => Spot::File(path.index(index)),
        typed @ Spot::Typed(_) => typed.clone(),
    };
    let flaw = Flaw::new(format!("there is no token for the user {}", values::quoted(user)))
        .help("give one, or leave `users` out: then they are those that have a token");
    Err(sources.error(&spot, flaw))
}

/// Where answers name their revision.
pub(crate) fn echo(sources: &Sources<'_>) -> Result<Option<Echo>, ConfigError> {
    let (typed, file) = (sources.typed, &sources.file.model.identity);
    let (header, pointer) = (typed.identity_header.as_ref(), typed.identity_pointer.as_ref());
    let header_keys = ["identity", "header"];
    let pointer_keys = ["identity", "pointer"];
    let winner = sources.exclusive(&[
        Rival { given: header, is_in_file: file.header.is_some(), keys: &header_keys },
        Rival { given: pointer, is_in_file: file.pointer.is_some(), keys: &pointer_keys },
    ])?;
    let header = sources.one(header, file.header.as_ref(), &header_keys, wire::echo_header)?;
    let pointer = sources.one(pointer, file.pointer.as_ref(), &pointer_keys, pointer::parse)?;
    Ok(match winner {
        Some(0) => header.map(|found| Echo::Header(found.value)),
        Some(_) => pointer.map(|found| Echo::Pointer(found.value)),
        None => None,
    })
}

/// Where answers name their instance. Only in the file: it belongs to the server, not to one run.
pub(crate) fn instance_echo(sources: &Sources<'_>) -> Result<Option<Echo>, ConfigError> {
    let file = &sources.file.model.identity;
    let header_keys = ["identity", "instance-header"];
    let pointer_keys = ["identity", "instance-pointer"];
    sources.exclusive(&[
        Rival { given: None, is_in_file: file.instance_header.is_some(), keys: &header_keys },
        Rival { given: None, is_in_file: file.instance_pointer.is_some(), keys: &pointer_keys },
    ])?;
    let header = sources.one(None, file.instance_header.as_ref(), &header_keys, wire::echo_header)?;
    let pointer = sources.one(None, file.instance_pointer.as_ref(), &pointer_keys, pointer::parse)?;
    let header = header.map(|found| Echo::Header(found.value));
    Ok(header.or_else(|| pointer.map(|found| Echo::Pointer(found.value))))
}
