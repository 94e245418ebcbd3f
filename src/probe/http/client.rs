//! One HTTP request and what became of it.
//!
//! Takes a request and gives its answer, held against what is due. It never repeats one and follows no redirect: a 3xx is a
//! status like any other. The surprising rule: of a body 1 MiB is read, and a condition on one that was cut is not met,
//! since what was not read shows nothing.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION, SERVER, USER_AGENT};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::seen::{Answer, Answered};
use crate::config::{Condition, Statuses};
use crate::probe::PlatformPage;
use crate::probe::prober::Prober;
use crate::probe::series::Series;
use crate::probe::spec::SocketSpec;
use crate::probe::token::expired_by;
use crate::probe::transport::Address;
use crate::trust::{Excerpt, Secret};

/// The most of a body that is read.
const LARGEST: usize = 1 << 20;
/// How much of a body is kept in an excerpt, before it is escaped.
const KEPT: usize = 300;
/// How long our own request may take.
const SENTINEL_TIME: Duration = Duration::from_secs(20);
/// The header of an IAM ID token.
pub(super) const ID_TOKEN: &str = "X-Serverless-Authorization";

/// A request, and what of its answer is due.
pub(super) struct Request {
    pub(super) number: u32,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) nonce: String,
    pub(super) headers: Vec<(String, Secret)>,
    /// When the token in them expires, in microseconds since the start of the run; `None` where that is not known.
    pub(super) expires: Option<u64>,
    pub(super) body: Option<String>,
    pub(super) statuses: Vec<Statuses>,
    pub(super) conditions: Vec<Condition>,
    pub(super) within: Duration,
    pub(super) at_once: bool,
}

/// What came of an answer before it is held against anything.
struct Raw {
    status: u16,
    server: Option<String>,
    location: Option<String>,
    body: Vec<u8>,
    is_cut: bool,
}

/// A client that keeps no connection, follows no redirect and knows no proxy.
pub(super) fn client(address: &Address) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .http1_only();
    // Without TLS an image without certificates can do without them.
    let builder = if address.is_secure() { builder } else { builder.tls_certs_only([]) };
    builder.build()
}

impl Request {
    /// Sends it and reads its answer.
    pub(super) async fn send(&self, prober: &Prober, client: &reqwest::Client) -> Answer {
        let begun = Instant::now();
        let result = match timeout_at(begun + self.within, self.exchange(prober, client)).await {
            Ok(Ok(raw)) => self.judge(&raw, prober),
            Ok(Err(error)) => broken(&error, prober),
            Err(_) => Answered::TimedOut,
        };
        let now = prober.now();
        Answer {
            number: self.number,
            at_once: self.at_once,
            began: prober.at(begun),
            took: now.saturating_sub(prober.at(begun)),
            expired: expired_by(self.expires, now),
            result,
        }
    }

    async fn exchange(&self, prober: &Prober, client: &reqwest::Client) -> Result<Raw, reqwest::Error> {
        let method = reqwest::Method::from_bytes(self.method.as_bytes()).unwrap_or_default();
        let url = format!("{}{}", prober.address.base(), self.path);
        let mut request = client.request(method, url).headers(headers(&self.headers, &self.nonce));
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        let mut response = request.send().await?;
        let text = |name| {
            let value: Option<&HeaderValue> = response.headers().get(name);
            value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let (server, location) = (text(SERVER), text(LOCATION));
        let status = response.status().as_u16();
        let (mut body, mut is_cut) = (Vec::new(), false);
        while let Some(chunk) = response.chunk().await? {
            let room = LARGEST.saturating_sub(body.len());
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                is_cut = true;
                break;
            }
        }
        Ok(Raw { status, server, location, body, is_cut })
    }

    fn judge(&self, raw: &Raw, prober: &Prober) -> Answered {
        let start = &raw.body[..raw.body.len().min(64 * 1024)];
        let start = String::from_utf8_lossy(start);
        if let Some(page) = PlatformPage::recognise(raw.status, raw.server.as_deref(), &start) {
            return Answered::Platform { status: raw.status, page };
        }
        let clean = |text: &str| prober.redactor.redact_cut(text);
        let Some(what) = self.wrong(raw, clean) else { return Answered::Right { status: raw.status } };
        // Redacted before it is cut: of a short secret no head must be left.
        let body: String = clean(&start).chars().take(KEPT).collect();
        let what = Excerpt::new(&clean(&what));
        Answered::Wrong { status: raw.status, what, body: Excerpt::new(&body) }
    }

    /// What is wrong about an answer, not escaped; what is cut of it is cleaned before.
    fn wrong(&self, raw: &Raw, clean: impl Fn(&str) -> String) -> Option<String> {
        if !self.statuses.iter().any(|due| due.holds(raw.status)) {
            let due: Vec<String> = self.statuses.iter().map(ToString::to_string).collect();
            let to = raw.location.as_ref().map_or_else(String::new, |to| format!(", a redirect to {to},"));
            return Some(format!("status {}{to} where {} is due", raw.status, due.join(" or ")));
        }
        if self.conditions.is_empty() {
            return None;
        }
        if raw.is_cut {
            return Some(
                "its body is longer than 1 MiB, and a condition on JSON that was cut is not met".to_owned(),
            );
        }
        match serde_json::from_slice::<Value>(&raw.body) {
            Ok(value) => self.conditions.iter().find_map(|condition| condition.unmet(&value, &clean)),
            Err(error) => Some(format!("its body is no JSON: {error}")),
        }
    }
}

fn headers(given: &[(String, Secret)], nonce: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        // Both were checked when the configuration was read.
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(value.expose());
        if let (Ok(name), Ok(mut value)) = (name, value) {
            value.set_sensitive(true);
            headers.append(name, value);
        }
    }
    // The same text as a socket's: a log's request entries hold it.
    let agent = format!(concat!("revgate/", env!("CARGO_PKG_VERSION"), " ({})"), nonce);
    if let Ok(agent) = HeaderValue::from_str(&agent) {
        headers.insert(USER_AGENT, agent);
    }
    headers
}

/// No answer: whose doing was that?
fn broken(error: &reqwest::Error, prober: &Prober) -> Answered {
    let (mut deepest, mut code) = (error.to_string(), None);
    let mut source = error.source();
    while let Some(cause) = source {
        deepest = cause.to_string();
        let system = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        code = code.or(system);
        source = cause.source();
    }
    let what = Excerpt::new(&prober.redactor.redact(&deepest));
    let unresolved = error.is_connect() && (deepest.contains("lookup") || deepest.contains("dns"));
    // EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL are this machine's own limits; ENETDOWN, ENETUNREACH and
    // EHOSTUNREACH say that there is no way.
    let local = matches!(code, Some(24 | 23 | 105 | 12 | 99 | 100 | 101 | 113));
    if unresolved || local || error.is_builder() {
        Answered::NotSent { what }
    } else {
        Answered::Broken { what }
    }
}

/// A request of our own that must appear in the log before anything is concluded from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentinel {
    /// The text in its user agent.
    pub nonce: String,
    /// When it was sent, in microseconds since the start of the run.
    pub sent: u64,
    /// Why the application did not answer it, where that is so: the log may show it all the same.
    pub trouble: Option<Excerpt>,
}

/// Sends one request to a path that is nobody's.
pub async fn send_sentinel(prober: &Prober, series: &mut Series) -> Sentinel {
    let SocketSpec { number, nonce, .. } = series.socket(None);
    let trouble = |text: &str| Some(Excerpt::new(&prober.redactor.redact(text)));
    let client = match client(&prober.address) {
        Ok(client) => client,
        Err(error) => return Sentinel { nonce, sent: prober.now(), trouble: trouble(&error.to_string()) },
    };
    let id_token = prober.id_token.as_ref().map(|token| super::bearer(ID_TOKEN, token));
    let request = Request {
        number,
        method: "GET".to_owned(),
        path: format!("/revgate/{nonce}"),
        nonce: nonce.clone(),
        headers: id_token.into_iter().collect(),
        expires: None,
        body: None,
        // Whatever it answers is right.
        statuses: vec![Statuses::ANY],
        conditions: Vec::new(),
        within: SENTINEL_TIME,
        at_once: false,
    };
    let answer = request.send(prober, &client).await;
    let trouble = match answer.result {
        Answered::Platform { page, .. } => trouble(page.words()),
        Answered::TimedOut => trouble("nothing came in 20 s"),
        Answered::Broken { what } | Answered::NotSent { what } => Some(what),
        Answered::Right { .. } | Answered::Wrong { .. } | Answered::Cut => None,
    };
    Sentinel { nonce, sent: answer.began, trouble }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FileConfig, Lookup, Purpose, Typed, merge};
    use crate::trust::Redactor;

    const SECRET: &str = "correct-horse-battery-staple";

    /// A prober that knows the secret.
    fn prober() -> Prober {
        let file = FileConfig::parse("t", b"send: x\n").unwrap();
        let settings =
            merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Rehearsal).unwrap().settings;
        let redactor = Redactor::default();
        redactor.learn(&Secret::new(SECRET));
        let address = Address::new(&url::Url::parse("ws://127.0.0.1:9").unwrap()).unwrap();
        Prober::new(address, &settings, None, redactor, Instant::now(), 0)
    }

    fn request(conditions: &str, statuses: Vec<Statuses>) -> Request {
        let text = format!("api: {{ endpoints: [{{ path: /a, json: {conditions} }}] }}\n");
        let file = FileConfig::parse("t", text.as_bytes()).unwrap();
        let merged = merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Rehearsal).unwrap();
        let endpoint = merged.settings.configured.api.unwrap().endpoints.remove(0);
        Request {
            number: 1,
            method: "GET".to_owned(),
            path: "/a".to_owned(),
            nonce: "n".to_owned(),
            headers: Vec::new(),
            expires: None,
            body: None,
            statuses,
            conditions: endpoint.conditions,
            within: Duration::from_secs(1),
            at_once: false,
        }
    }

    fn raw(body: String) -> Raw {
        Raw { status: 200, server: None, location: None, body: body.into_bytes(), is_cut: false }
    }

    #[tokio::test]
    async fn of_a_secret_at_a_cut_no_head_is_left() {
        let prober = prober();
        // Every place of the secret around both cuts: of the body, and of a value that is not as it should be.
        for before in (0..KEPT + 2).chain(64 * 1024 - SECRET.len()..64 * 1024 + 2) {
            let text = format!("{}{SECRET}{}", "x".repeat(before), "y".repeat(400));
            for (conditions, statuses, body) in [
                ("{ /a: none }", vec![Statuses::SUCCESS], format!(r#"{{"a":"{text}"}}"#)),
                ("{}", vec![Statuses::parse("404").unwrap()], text),
            ] {
                let answer = request(conditions, statuses).judge(&raw(body), &prober);
                let Answered::Wrong { what, body, .. } = answer else { panic!("{before}") };
                for shown in [what.as_str(), body.as_str()] {
                    assert!(!shown.contains("corr"), "{before}: {shown}");
                }
            }
        }
    }
}
