//! `api:` is what it takes to find out whether HTTP endpoints answer as they should.
//!
//! Takes the sources and what was read from outside; gives the endpoints with their limits, or `None` where nobody asks.
//! It opens nothing. The surprising rule: an endpoint is a path and never an address, so that no list of endpoints can aim
//! a run, with its tokens, at another host.

use std::time::Duration;

use serde::Deserialize;

use super::conditions::{self, Condition, Statuses};
use super::conversation::{Header, HeaderValue, file_headers, read_header};
use super::error::ConfigError;
use super::locate::KeyPath;
use super::scalars::{HeaderText, Pairs, Text, TextOrJson};
use super::secrets::{Lookup, SecretSource};
use super::settings::Limits;
use super::sources::{Sources, Spot};
use super::template::{Escaping, Template};
use super::values::{self, Flaw};
use super::wire::{self, TRIAL};
use crate::trust::Secret;

/// From the start of a request to the end of its answer, where nothing else is configured.
const DEFAULT_WITHIN: Duration = Duration::from_secs(10);
/// How often an endpoint is asked one after the other, where nothing else is configured.
const DEFAULT_TIMES: u32 = 3;
/// How often it is asked at once, where nothing else is configured.
const DEFAULT_AT_ONCE: u32 = 5;
/// The most requests of an endpoint one after the other.
const MOST_TIMES: u32 = 1000;
/// The most endpoints.
const MOST_ENDPOINTS: usize = 100;
/// What Google's front end never hands on.
const SWALLOWED: &str = "/healthz";

/// `api:` as it was written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct ApiModel {
    endpoints: Option<Vec<EndpointModel>>,
}

/// One endpoint as it was written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
struct EndpointModel {
    method: Option<Text>,
    path: Option<Text>,
    headers: Option<Pairs<HeaderText>>,
    body: Option<TextOrJson>,
    status: Option<Vec<Text>>,
    json: Option<Pairs<serde_json::Value>>,
    within: Option<Text>,
    times: Option<Text>,
    at_once: Option<Text>,
    token: Option<bool>,
}

/// What the check `api` is to do.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// What is asked, in the order of the file; never empty.
    pub endpoints: Vec<Endpoint>,
    /// Requests a second, as openings of sockets.
    pub requests_per_second: u32,
}

/// One endpoint: what is asked, how often, and what is due.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// `GET`, for example.
    pub method: String,
    /// Path and query.
    pub path: Template,
    /// Its own headers; those of the sockets are not sent.
    pub headers: Vec<EndpointHeader>,
    /// What is sent as its body, and whether it is JSON; `None`: nothing.
    pub body: Option<(Template, bool)>,
    /// Statuses that are due; never empty.
    pub statuses: Vec<Statuses>,
    /// What of the answer's JSON is due.
    pub conditions: Vec<Condition>,
    /// From the start of a request to the end of its answer, at most.
    pub within: Duration,
    /// How often it is asked one after the other.
    pub times: u32,
    /// How often it is asked at once, after that; 0: never.
    pub at_once: u32,
    /// Whether it carries the application's token of a user.
    pub token: bool,
}

/// A header of an endpoint.
#[derive(Debug, Clone)]
pub struct EndpointHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Secret,
    /// Whether the value came from a variable or a file.
    pub is_from_outside: bool,
}

impl ApiSettings {
    /// What it will cost, in one line.
    pub(crate) fn words(&self) -> String {
        let requests: u32 = self.endpoints.iter().map(|endpoint| endpoint.times + endpoint.at_once).sum();
        let at_once = self.endpoints.iter().map(|endpoint| endpoint.at_once).max().unwrap_or_default();
        let longest = self.endpoints.iter().map(Endpoint::longest).sum::<Duration>().as_secs_f64();
        let endpoints = match self.endpoints.len() {
            1 => "1 endpoint".to_owned(),
            count => format!("{count} endpoints"),
        };
        format!("api: {endpoints}, {requests} requests, at most {at_once} at once, at most {longest:.0} s")
    }

    /// What a person should know of the endpoints before they are asked.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let swallowed = self.endpoints.iter().any(Endpoint::is_swallowed);
        swallowed.then(|| SWALLOWED_WORDS.to_owned()).into_iter().collect()
    }
}

/// What is said of an endpoint that a front end keeps for itself.
pub(crate) const SWALLOWED_WORDS: &str = "api: /healthz never reaches a service at run.app: Google's front end answers it itself; \
     give the health endpoint another path";

impl Endpoint {
    /// True for a path that Google's front end answers itself.
    pub(crate) fn is_swallowed(&self) -> bool {
        self.path.source().split('?').next() == Some(SWALLOWED)
    }

    fn longest(&self) -> Duration {
        self.within * (self.times + u32::from(self.at_once > 0))
    }
}

/// The secrets that the endpoints' headers will want.
pub(crate) fn needed(sources: &Sources<'_>) -> Result<Vec<SecretSource>, ConfigError> {
    let mut needed = Vec::new();
    for (model, at) in endpoints(sources) {
        for header in headers_of(sources, model, &at)? {
            if let HeaderValue::Kept(source) = header.value {
                needed.push(source);
            }
        }
    }
    Ok(needed)
}

/// What is asked for; `None` where nothing is.
pub(crate) fn api(
    sources: &Sources<'_>,
    lookup: &Lookup,
    limits: &Limits,
) -> Result<Option<ApiSettings>, ConfigError> {
    let Some(model) = &sources.file.model.api else { return Ok(None) };
    let error = |path: KeyPath, flaw| Err(sources.error(&Spot::File(path), flaw));
    let written = model.endpoints.as_ref().map_or(0, Vec::len);
    if written == 0 {
        let path = if model.endpoints.is_some() {
            KeyPath::of(&["api", "endpoints"])
        } else {
            KeyPath::of(&["api"])
        };
        let flaw = Flaw::new("no endpoint is named").help("name one: endpoints: [{ path: /health }]");
        return error(path, flaw);
    }
    if written > MOST_ENDPOINTS {
        let flaw = Flaw::new(format!("{written} endpoints are more than {MOST_ENDPOINTS}"));
        return error(KeyPath::of(&["api", "endpoints"]), flaw);
    }
    let read =
        |(model, at): (&EndpointModel, KeyPath)| Reader { sources, lookup, limits, model, at }.endpoint();
    let endpoints = endpoints(sources).map(read).collect::<Result<_, _>>()?;
    Ok(Some(ApiSettings { endpoints, requests_per_second: limits.openings_per_second }))
}

/// The endpoints that were written, each with its place.
fn endpoints<'a>(sources: &Sources<'a>) -> impl Iterator<Item = (&'a EndpointModel, KeyPath)> + use<'a> {
    let written = sources.file.model.api.iter().flat_map(|model| model.endpoints.iter().flatten());
    written.enumerate().map(|(index, model)| (model, KeyPath::of(&["api", "endpoints"]).index(index)))
}

fn headers_of(
    sources: &Sources<'_>,
    model: &EndpointModel,
    at: &KeyPath,
) -> Result<Vec<Header>, ConfigError> {
    model.headers.as_ref().map_or(Ok(Vec::new()), |pairs| file_headers(sources, pairs, &at.key("headers")))
}

/// Reads one endpoint.
struct Reader<'a> {
    sources: &'a Sources<'a>,
    lookup: &'a Lookup,
    limits: &'a Limits,
    model: &'a EndpointModel,
    at: KeyPath,
}

impl Reader<'_> {
    fn endpoint(&self) -> Result<Endpoint, ConfigError> {
        let model = self.model;
        let method = self.one("method", model.method.as_ref(), values::method)?;
        let method = method.unwrap_or_else(|| "GET".to_owned());
        let path = self.one("path", model.path.as_ref(), path)?;
        let Some(path) = path else {
            let flaw = Flaw::new("the endpoint has no path").help("write it as path: /health");
            return Err(self.sources.error(&Spot::File(self.at.clone()), flaw));
        };
        let within = self.one("within", model.within.as_ref(), values::positive_duration)?;
        let times = self.one("times", model.times.as_ref(), times)?;
        let endpoint = Endpoint {
            headers: self.headers()?,
            body: self.body(&method)?,
            statuses: self.statuses()?,
            conditions: self.conditions(&method)?,
            within: within.unwrap_or(DEFAULT_WITHIN),
            times: times.unwrap_or(DEFAULT_TIMES),
            at_once: self.at_once()?,
            token: self.token()?,
            method,
            path,
        };
        if endpoint.times + endpoint.at_once == 0 {
            let flaw = Flaw::new("it is never asked: `times` and `at-once` are both 0");
            return Err(self.sources.error(&Spot::File(self.at.clone()), flaw));
        }
        Ok(endpoint)
    }

    fn one<T>(
        &self,
        key: &str,
        written: Option<&Text>,
        parse: impl Fn(&str) -> Result<T, Flaw>,
    ) -> Result<Option<T>, ConfigError> {
        written.map(|Text(text)| parse(text).map_err(|flaw| self.error(key, flaw))).transpose()
    }

    fn error(&self, key: &str, flaw: Flaw) -> ConfigError {
        self.sources.error(&Spot::File(self.at.key(key)), flaw)
    }

    fn headers(&self) -> Result<Vec<EndpointHeader>, ConfigError> {
        let mut read = Vec::new();
        for header in headers_of(self.sources, self.model, &self.at)? {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("user-agent") {
                let flaw =
                    Flaw::new("the user agent is written by revgate: the log's entries are found by it");
                return Err(self.sources.error(&header.spot, flaw));
            }
            if is("authorization") && self.model.token == Some(true) {
                let flaw = Flaw::new("the header Authorization already carries the token of a user");
                return Err(self.sources.error(&header.spot, flaw));
            }
            let (value, is_from_outside) = read_header(self.sources, self.lookup, &header)?;
            read.push(EndpointHeader { name: header.name, value, is_from_outside });
        }
        Ok(read)
    }

    fn body(&self, method: &str) -> Result<Option<(Template, bool)>, ConfigError> {
        let Some(body) = &self.model.body else { return Ok(None) };
        if ["GET", "HEAD"].contains(&method) {
            let flaw = Flaw::new(format!("a {method} has no body")).help("write method: POST beside it");
            return Err(self.error("body", flaw));
        }
        let text = body.text();
        let template = wire::template(&text).map_err(|flaw| self.error("body", flaw))?;
        let filled = template.fill(TRIAL, Escaping::Json);
        Ok(Some((template, serde_json::from_str::<serde_json::Value>(&filled).is_ok())))
    }

    fn statuses(&self) -> Result<Vec<Statuses>, ConfigError> {
        let Some(written) = &self.model.status else { return Ok(vec![Statuses::SUCCESS]) };
        if written.is_empty() {
            return Err(
                self.error("status", Flaw::new("no status is named, so that no answer could be right"))
            );
        }
        let at = self.at.key("status");
        let parse = |(index, Text(text)): (usize, &Text)| {
            Statuses::parse(text).map_err(|flaw| self.sources.error(&Spot::File(at.index(index)), flaw))
        };
        written.iter().enumerate().map(parse).collect()
    }

    fn conditions(&self, method: &str) -> Result<Vec<Condition>, ConfigError> {
        let Some(Pairs(written)) = &self.model.json else { return Ok(Vec::new()) };
        if method == "HEAD" {
            return Err(self.error("json", Flaw::new("an answer to HEAD has no body, and no JSON in it")));
        }
        let at = self.at.key("json");
        let parse = |(pointer, due): &(String, serde_json::Value)| {
            let parsed = conditions::condition(pointer, due);
            parsed.map_err(|flaw| self.sources.error(&Spot::File(at.key(pointer)), flaw))
        };
        written.iter().map(parse).collect()
    }

    fn at_once(&self) -> Result<u32, ConfigError> {
        let most = self.limits.sockets_at_once;
        let written = self.one("at-once", self.model.at_once.as_ref(), |text| values::count(text, 0))?;
        match written {
            Some(count) if count > most => {
                let flaw = Flaw::new(format!("{count} requests at once are more than the limit of {most}"));
                Err(self.error("at-once", flaw.help("raise limits.sockets-at-once, or ask for fewer")))
            }
            written => Ok(written.unwrap_or(DEFAULT_AT_ONCE).min(most)),
        }
    }

    fn token(&self) -> Result<bool, ConfigError> {
        let asked = self.model.token.unwrap_or(false);
        if asked && super::token::source(self.sources)?.is_none() {
            let flaw = Flaw::new("there is no token that it could carry")
                .help("describe one under `token:`, or leave this out");
            return Err(self.error("token", flaw));
        }
        Ok(asked)
    }
}

fn times(text: &str) -> Result<u32, Flaw> {
    match values::count(text, 0)? {
        count if count > MOST_TIMES => {
            Err(Flaw::new(format!("{count} requests one after the other are more than {MOST_TIMES}")))
        }
        count => Ok(count),
    }
}

/// A path that stays as it is written when it is joined to a host.
fn path(text: &str) -> Result<Template, Flaw> {
    let other = text.contains("://") && !text.starts_with('/');
    if other || text.starts_with("//") || text.starts_with("/\\") {
        return Err(Flaw::new(
            "an endpoint is a path on the service's own host, and this names another host",
        )
        .help("write it as path: /health"));
    }
    let template = wire::path(text)?;
    let filled = template.fill(TRIAL, Escaping::Url);
    let joined = url::Url::parse(&format!("http://host{filled}"));
    let kept = joined.is_ok_and(|url| url[url::Position::BeforePath..] == filled);
    if !kept {
        return Err(Flaw::new(
            "the path would be sent as another one: it holds `.` or `..` as a part of its own",
        ));
    }
    Ok(template)
}
