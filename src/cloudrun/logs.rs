//! What has the project's log to tell of a service?
//!
//! Takes a filter in Cloud Logging's query language and gives all entries that it lets through, page by page. It never
//! decides what is looked for. The surprising rule: entries come late, some seconds as a rule, so that "none" means
//! nothing until an entry that must come has come.
//!
//! Source: `google.logging.v2.LoggingServiceV2.ListLogEntries`. OR binds more tightly than AND in a filter.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::client::{Client, READ};
use super::error::{About, ApiError};
use super::http::Call;
use super::lenient;
use crate::config::ServiceName;
use crate::trust::Excerpt;

/// Google's own endpoint for log entries.
const GOOGLE: &str = "https://logging.googleapis.com";
/// Entries on one page, the most that there are.
const PAGE: u32 = 1000;
/// A server that never ends its pages is cut off here.
const PAGES: usize = 100;
/// Bytes of an entry's text that are kept: patterns are looked for in them.
const LONGEST_TEXT: usize = 4096;

/// In which order entries come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogOrder {
    /// The oldest first.
    OldestFirst,
    /// The newest first.
    NewestFirst,
}

/// An entry of a log. Source: `google.logging.v2.LogEntry`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogEntry {
    /// Unique within its log and instant.
    #[serde(deserialize_with = "lenient::name")]
    pub insert_id: String,
    /// `projects/P/logs/run.googleapis.com%2Frequests`, for example.
    #[serde(deserialize_with = "lenient::name")]
    pub log_name: String,
    /// When it happened; for a request, when it came.
    #[serde(deserialize_with = "lenient::timestamp")]
    pub timestamp: Option<Timestamp>,
    /// `ERROR`, for example; empty: none is said.
    #[serde(deserialize_with = "lenient::name")]
    pub severity: String,
    /// What was written, where it is a text: escaped, capped and redacted.
    #[serde(deserialize_with = "text")]
    pub text_payload: LoggedText,
    /// What was written, where it is an object: the text in it, else all of it.
    #[serde(deserialize_with = "object")]
    pub json_payload: LoggedText,
    /// The request, where it is about one.
    pub http_request: Option<HttpRequest>,
    /// `instanceId`, for example.
    #[serde(deserialize_with = "lenient::labels")]
    pub labels: BTreeMap<String, String>,
    /// Of what it tells.
    pub resource: LoggedResource,
    /// `projects/P/traces/TRACE`.
    #[serde(deserialize_with = "lenient::name")]
    pub trace: String,
}

/// The request of an entry. Its address is left out: it may hold a token. Source: `google.logging.type.HttpRequest`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRequest {
    /// The answer's status; 0: there was none.
    #[serde(deserialize_with = "lenient::integer")]
    pub status: i64,
    /// What the client called itself.
    #[serde(deserialize_with = "lenient::name")]
    pub user_agent: String,
}

/// Of what an entry tells. Source: `google.api.MonitoredResource`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct LoggedResource {
    /// `revision_name`, for example.
    #[serde(deserialize_with = "lenient::labels")]
    pub labels: BTreeMap<String, String>,
}

impl LogEntry {
    /// The instance that it is about.
    pub fn instance(&self) -> Option<&str> {
        self.labels.get("instanceId").map(String::as_str).filter(|id| !id.is_empty())
    }

    /// What was written, in whichever form.
    pub fn text(&self) -> &LoggedText {
        if self.text_payload.raw().is_empty() { &self.json_payload } else { &self.text_payload }
    }

    /// Says what it says in other words: those of a text that the platform took for several entries.
    pub(crate) fn say(&mut self, text: &str) {
        self.text_payload = LoggedText::new(text);
    }

    /// The short name of the revision that it is about; empty where it is about none.
    pub fn revision(&self) -> &str {
        self.resource.labels.get("revision_name").map_or("", String::as_str)
    }

    /// The status of the request that it is about; 0 where there was none.
    pub fn status(&self) -> u16 {
        self.http_request.as_ref().and_then(|request| u16::try_from(request.status).ok()).unwrap_or(0)
    }

    /// True for an entry of this log: `requests`, `stdout`, `stderr` or `varlog/system`.
    pub fn is_of(&self, log: &str) -> bool {
        self.log_name.ends_with(&format!("run.googleapis.com%2F{}", log.replace('/', "%2F")))
    }
}

/// A text as it was written, capped and redacted and *not* escaped: it may be searched, and shown as an excerpt only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct LoggedText(String);

impl LoggedText {
    /// Of a long text both ends are kept: a traceback names its exception last.
    fn new(text: &str) -> Self {
        if text.len() <= LONGEST_TEXT {
            return Self(text.to_owned());
        }
        let head = &text[..text.floor_char_boundary(LONGEST_TEXT / 2)];
        let tail = &text[text.ceil_char_boundary(text.len() - LONGEST_TEXT / 2)..];
        Self(format!("{head}…{tail}"))
    }

    /// The text, for searching.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// The text, made safe to show.
    pub fn excerpt(&self) -> Excerpt {
        Excerpt::new(&self.0)
    }
}

impl fmt::Debug for LoggedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.excerpt().as_str())
    }
}

fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<LoggedText, D::Error> {
    Ok(LoggedText::new(&String::deserialize(deserializer)?))
}

/// The message of an entry that an application wrote as JSON; without one, the whole object.
fn object<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<LoggedText, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let named = ["message", "msg", "textPayload"].iter().find_map(|key| value.get(*key)?.as_str());
    let stack =
        ["stack_trace", "exception", "exc_info", "stack"].iter().find_map(|key| value.get(*key)?.as_str());
    Ok(match (named, stack) {
        (Some(message), Some(stack)) => LoggedText::new(&format!("{message}\n{stack}")),
        (Some(message), None) => LoggedText::new(message),
        _ => LoggedText::new(&value.to_string()),
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EntryPage {
    entries: Vec<LogEntry>,
    next_page_token: String,
}

/// A text as a filter writes it, whatever is in it.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The part of a filter that means a service, with all its revisions.
pub fn of_service(service: &ServiceName) -> String {
    format!(
        "resource.type=\"cloud_run_revision\" AND resource.labels.location={} AND resource.labels.service_name={}",
        quoted(&service.region),
        quoted(&service.service)
    )
}

/// The part of a filter that means one revision of a service.
pub fn of_revision(service: &ServiceName, revision: &str) -> String {
    format!("{} AND resource.labels.revision_name={}", of_service(service), quoted(revision))
}

/// The part of a filter that means one log of a project: `requests`, `stdout`, `stderr` or `varlog/system`.
pub fn of_log(service: &ServiceName, log: &str) -> String {
    let log = log.replace('/', "%2F");
    format!("logName={}", quoted(&format!("projects/{}/logs/run.googleapis.com%2F{log}", service.project)))
}

impl Client {
    /// All entries in the log of the service's project that `filter` lets through. Takes `logging.logEntries.list`.
    ///
    /// # Errors
    /// We may not read the log, the filter is not understood, or the API cannot be asked.
    pub async fn list_entries(
        &self,
        service: &ServiceName,
        filter: &str,
        order: LogOrder,
    ) -> Result<Vec<LogEntry>, ApiError> {
        match self.list_pages(service, filter, order, PAGES).await? {
            (all, true) => Ok(all),
            (_, false) => Err(self.unexpected(about(service), "pages without end")),
        }
    }

    /// The entries on the first so many pages, and whether these are all. Takes `logging.logEntries.list`.
    ///
    /// # Errors
    /// As [`Client::list_entries`].
    pub async fn list_pages(
        &self,
        service: &ServiceName,
        filter: &str,
        order: LogOrder,
        pages: usize,
    ) -> Result<(Vec<LogEntry>, bool), ApiError> {
        let about = about(service);
        let order = match order {
            LogOrder::OldestFirst => "timestamp asc",
            LogOrder::NewestFirst => "timestamp desc",
        };
        let url = self.log_address();
        let (mut all, mut token, mut seen) = (Vec::new(), String::new(), HashSet::new());
        for _ in 0..pages {
            let mut body = json!({"resourceNames": [format!("projects/{}", service.project)], "filter": filter,
                "orderBy": order, "pageSize": PAGE});
            if !token.is_empty() {
                body["pageToken"] = json!(token);
            }
            // A POST that only reads: it may be repeated.
            let call =
                Call { about: about.clone(), method: Method::POST, url: url.clone(), body: Some(body) };
            let page: EntryPage = self.repeat(call, READ).await?;
            all.extend(page.entries);
            if page.next_page_token.is_empty() {
                return Ok((all, true));
            }
            if !seen.insert(page.next_page_token.clone()) {
                return Err(self.unexpected(about, "the same page token twice"));
            }
            token = page.next_page_token;
        }
        Ok((all, false))
    }

    /// Another host at Google; any other endpoint answers for all.
    fn log_address(&self) -> Url {
        let google = self.is_google().then(|| Url::parse(GOOGLE).ok()).flatten();
        self.address_at(google, &["entries:list"])
    }
}

fn about(service: &ServiceName) -> About {
    About { service: service.clone(), what: "list the log entries", permission: "logging.logEntries.list" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_entry_and_escapes_its_words() {
        let raw = json!({"insertId": "a", "severity": "ERROR", "timestamp": "2026-11-23T20:28:12.827802Z",
            "textPayload": "::error::\u{1b}[31m", "labels": {"instanceId": "00ab"}, "somethingOfNextYear": [1],
            "httpRequest": {"status": 503, "userAgent": "curl", "latency": "0.1s"},
            "resource": {"type": "cloud_run_revision", "labels": {"revision_name": "s-1"}}});
        let entry = LogEntry::deserialize(raw).unwrap();
        assert_eq!(entry.instance(), Some("00ab"));
        assert_eq!((entry.status(), entry.revision()), (503, "s-1"));
        assert!(
            !entry.text().excerpt().as_str().contains('\u{1b}') && !format!("{entry:?}").contains('\u{1b}')
        );
        assert!(LogEntry::deserialize(json!({})).unwrap().timestamp.is_none());
    }

    #[test]
    fn an_object_says_what_its_message_says_and_long_texts_are_cut() {
        let of = |payload: Value| LogEntry::deserialize(json!({ "jsonPayload": payload })).unwrap();
        assert_eq!(of(json!({"message": "boom", "user": "u"})).text().raw(), "boom");
        assert_eq!(of(json!({"message": "boom", "exception": "Traceback"})).text().raw(), "boom\nTraceback");
        assert_eq!(of(json!({"code": 7})).text().raw(), "{\"code\":7}");
        let long = "ü".repeat(LONGEST_TEXT) + "\nValueError: x";
        let entry = of(json!({ "message": long }));
        assert!(
            entry.text().raw().len() <= LONGEST_TEXT + 4 && entry.text().raw().ends_with("ValueError: x")
        );
    }

    #[test]
    fn what_is_quoted_stays_one_text() {
        assert_eq!(quoted(r#"a" OR b\"#), r#""a\" OR b\\""#);
        let service = ServiceName { project: "p".into(), region: "r".into(), service: "s".into() };
        assert_eq!(
            of_log(&service, "varlog/system"),
            "logName=\"projects/p/logs/run.googleapis.com%2Fvarlog%2Fsystem\""
        );
    }
}
