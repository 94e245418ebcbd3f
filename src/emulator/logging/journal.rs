//! The entries themselves, in the order of their writing.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::emulator::{
    clock::{Clock, rfc3339},
    nesting::{DEEPEST, is_deeper},
};

/// Entries that are kept; the oldest go first.
pub(crate) const KEPT: usize = 50_000;
/// The newest of them stay as they are; a request's entry takes nine kilobytes so, and one as text.
const UNPACKED: usize = 5_000;
/// An odd number, so that no product with a counter comes twice: ids that do not look like a count.
const SCATTER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Severities that a line may give itself.
const SEVERITIES: [&str; 9] =
    ["DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"];

/// Members of a line that are the entry's own, and what they are called there.
const LIFTED: [(&str, &str); 7] = [
    ("httpRequest", "httpRequest"),
    ("logging.googleapis.com/insertId", "insertId"),
    ("logging.googleapis.com/operation", "operation"),
    ("logging.googleapis.com/sourceLocation", "sourceLocation"),
    ("logging.googleapis.com/spanId", "spanId"),
    ("logging.googleapis.com/trace", "trace"),
    ("logging.googleapis.com/trace_sampled", "traceSampled"),
];

/// The log of a project.
#[derive(Debug)]
pub(crate) struct Journal {
    clock: Arc<Clock>,
    project: String,
    region: String,
    entries: Mutex<Entries>,
    written: AtomicU64,
}

/// The entries that are kept, in the order of their writing.
#[derive(Debug, Default)]
struct Entries {
    kept: VecDeque<Entry>,
    /// How many there ever were.
    written: usize,
}

/// One entry, and when it was written.
#[derive(Debug)]
struct Entry {
    /// How many were written before it; they may be gone.
    number: usize,
    at: Instant,
    kept: Kept,
}

/// How an entry is remembered.
#[derive(Debug, Clone)]
enum Kept {
    /// As it is looked at.
    Whole(Arc<Value>),
    /// As JSON text.
    Packed(Arc<str>),
}

impl Kept {
    fn packed(&self) -> Self {
        match self {
            Self::Whole(value) => Self::Packed(value.to_string().into()),
            packed @ Self::Packed(_) => packed.clone(),
        }
    }

    fn unpacked(self) -> Arc<Value> {
        match self {
            Self::Whole(value) => value,
            // Our own text: it is read as it was written.
            Self::Packed(text) => Arc::new(serde_json::from_str(&text).unwrap_or_default()),
        }
    }
}

/// Of what an entry tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The service's short name.
    pub(crate) service: String,
    /// The revision's short name.
    pub(crate) revision: String,
    /// The instance's id; `None` where no instance was reached.
    pub(crate) instance: Option<String>,
}

/// A request that has ended.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The method.
    pub(crate) method: &'a str,
    /// The whole address.
    pub(crate) url: String,
    /// What the client calls itself.
    pub(crate) user_agent: Option<&'a str>,
    /// 32 hexadecimal digits.
    pub(crate) trace: String,
    /// The answer's status; `None` where there was none.
    pub(crate) status: Option<u16>,
    /// How many bytes the client sent, and how many it was sent.
    pub(crate) sizes: (u64, u64),
    /// When it came.
    pub(crate) began: Timestamp,
    /// From its coming to its end.
    pub(crate) latency: Duration,
    /// What the platform says about it.
    pub(crate) said: Option<&'static str>,
}

impl Journal {
    /// An empty log.
    pub(crate) fn new(clock: Arc<Clock>, project: &str, region: &str) -> Self {
        Self {
            clock,
            project: project.to_owned(),
            region: region.to_owned(),
            entries: Mutex::default(),
            written: AtomicU64::new(0),
        }
    }

    /// A line that an instance wrote (`stdout`, `stderr`), or the platform about it (`system`). A line that is a JSON object
    /// is taken apart as Cloud Run does: its severity and its trace are the entry's own. Any other line has no severity,
    /// whichever stream it came on.
    pub(crate) fn line(&self, origin: &Origin, stream: &str, text: &str) {
        if !["stdout", "stderr"].contains(&stream) {
            return self.system(origin, "WARNING", text);
        }
        let mut entry = self.entry(origin, stream, None, self.clock.now());
        match serde_json::from_str::<Value>(text) {
            Ok(value @ Value::Object(_)) if is_deeper(&value, DEEPEST) => entry["textPayload"] = json!(text),
            Ok(Value::Object(object)) => structured(&mut entry, object),
            _ => entry["textPayload"] = json!(text),
        }
        self.keep(entry);
    }

    /// What the platform says about an instance.
    pub(crate) fn system(&self, origin: &Origin, severity: &str, text: &str) {
        let mut entry = self.entry(origin, "varlog%2Fsystem", Some(severity), self.clock.now());
        entry["textPayload"] = json!(text);
        self.keep(entry);
    }

    /// A request or a socket has ended.
    pub(crate) fn request(&self, origin: &Origin, request: &Request<'_>) {
        let severity = match request.status {
            Some(500..) => "ERROR",
            Some(400..) => "WARNING",
            _ => "INFO",
        };
        let mut entry = self.entry(origin, "requests", Some(severity), request.began);
        let mut http = json!({
            "requestMethod": request.method,
            "requestUrl": request.url,
            "remoteIp": "127.0.0.1",
            "serverIp": "127.0.0.1",
            "protocol": "HTTP/1.1",
            "requestSize": request.sizes.0.to_string(),
            "responseSize": request.sizes.1.to_string(),
            "latency": format!("{:.6}s", request.latency.as_secs_f64()),
        });
        if let Some(status) = request.status {
            http["status"] = json!(status);
        }
        if let Some(agent) = request.user_agent {
            http["userAgent"] = json!(agent);
        }
        entry["httpRequest"] = http;
        entry["trace"] = json!(format!("projects/{}/traces/{}", self.project, request.trace));
        if let Some(said) = request.said {
            entry["textPayload"] = json!(said);
        }
        self.keep(entry);
    }

    /// An entry that a client wrote, completed by what the log adds to it.
    pub(crate) fn write(&self, mut entry: Map<String, Value>) {
        let now = rfc3339(self.clock.now());
        entry.entry("insertId").or_insert_with(|| json!(self.id()));
        entry.entry("timestamp").or_insert_with(|| json!(now));
        entry.insert("receiveTimestamp".to_owned(), json!(now));
        let resource = entry.entry("resource").or_insert_with(|| json!({"type": "global"}));
        if let Some(resource) = resource.as_object_mut() {
            let labels = resource.entry("labels").or_insert_with(|| json!({}));
            labels.as_object_mut().map(|labels| labels.entry("project_id").or_insert(json!(self.project)));
        }
        self.keep(Value::Object(entry));
    }

    /// Drops the entries of a log; false where it has none.
    pub(crate) fn forget(&self, log: &str) -> bool {
        let member = format!("\"logName\":{}", json!(log));
        let mut entries = self.lock();
        let before = entries.kept.len();
        entries.kept.retain(|entry| {
            // Nobody can write meanwhile: only those are read that may be of the log.
            let may_be = !matches!(&entry.kept, Kept::Packed(text) if !text.contains(&member));
            !may_be || entry.kept.clone().unpacked().get("logName").and_then(Value::as_str) != Some(log)
        });
        entries.kept.len() < before
    }

    /// The entries in the order of their writing that were written at least `lag` ago, and how many there ever were up to
    /// the last of them; none that was written after the first `until` of all.
    pub(crate) fn seen(
        &self,
        lag: Duration,
        until: Option<usize>,
    ) -> (usize, impl Iterator<Item = Arc<Value>> + use<>) {
        let until = until.unwrap_or(usize::MAX);
        let is_seen = |entry: &&Entry| entry.number < until && self.clock.since(entry.at) >= lag;
        let seen: Vec<(usize, Kept)> = {
            let entries = self.lock();
            let seen = entries.kept.iter().take_while(is_seen);
            seen.map(|entry| (entry.number, entry.kept.clone())).collect()
        };
        // One after the other, and without the lock: whoever writes does not wait for whoever reads.
        (seen.last().map_or(0, |(last, _)| last + 1), seen.into_iter().map(|(_, kept)| kept.unpacked()))
    }

    fn entry(&self, origin: &Origin, name: &str, severity: Option<&str>, time: Timestamp) -> Value {
        let mut entry = json!({
            "insertId": self.id(),
            "logName": format!("projects/{}/logs/run.googleapis.com%2F{name}", self.project),
            "receiveTimestamp": rfc3339(self.clock.now()),
            "timestamp": rfc3339(time),
            "resource": {
                "type": "cloud_run_revision",
                "labels": {
                    "project_id": self.project,
                    "location": self.region,
                    "service_name": origin.service,
                    "configuration_name": origin.service,
                    "revision_name": origin.revision,
                },
            },
        });
        if let Some(severity) = severity {
            entry["severity"] = json!(severity);
        }
        if let Some(instance) = &origin.instance {
            entry["labels"] = json!({"instanceId": instance});
        }
        entry
    }

    fn id(&self) -> String {
        let number = self.written.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        format!("{:016x}", number.wrapping_mul(SCATTER))
    }

    fn keep(&self, value: Value) {
        let mut guard = self.lock();
        let Entries { kept, written } = &mut *guard;
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Entry { number: *written, at: Instant::now(), kept: Kept::Whole(Arc::new(value)) });
        *written += 1;
        let cold = kept.len().checked_sub(UNPACKED + 1);
        if let Some(entry) = cold.and_then(|cold| kept.get_mut(cold)) {
            entry.kept = entry.kept.packed();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an entry is among this share of all that are never seen: the same ones however often it is asked.
pub(crate) fn is_missing(entry: &Value, share: f64) -> bool {
    let id = entry
        .get("insertId")
        .and_then(Value::as_str)
        .and_then(|id| u32::from_str_radix(id.get(..8)?, 16).ok());
    share > 0.0 && id.is_some_and(|id| f64::from(id) <= share * f64::from(u32::MAX))
}

/// Members of a JSON line that are the entry's own are lifted out of it; an unknown severity is none.
///
/// Source: Cloud Run's documentation of structured logging.
fn structured(entry: &mut Value, mut object: Map<String, Value>) {
    let severity = object.remove("severity").and_then(|value| Some(value.as_str()?.to_ascii_uppercase()));
    if let Some(known) = severity.filter(|severity| SEVERITIES.contains(&severity.as_str())) {
        entry["severity"] = json!(known);
    }
    for (member, of_entry) in LIFTED {
        if let Some(value) = object.remove(member) {
            entry[of_entry] = value;
        }
    }
    if let Some(Value::Object(labels)) = object.remove("logging.googleapis.com/labels") {
        for (name, value) in labels {
            entry["labels"][name] = value;
        }
    }
    let time = object.get("time").and_then(|time| time.as_str()?.parse::<Timestamp>().ok());
    if let Some(time) = time {
        object.remove("time");
        entry["timestamp"] = json!(rfc3339(time));
    }
    entry["jsonPayload"] = Value::Object(object);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_names_its_severity_and_a_plain_one_has_none() {
        let now = "2026-11-23T20:28:12Z".parse().unwrap();
        let journal = Journal::new(Arc::new(Clock::new(now, 1, None)), "p", "r");
        let origin = Origin { service: "s".into(), revision: "s-1".into(), instance: Some("00ab".into()) };
        let lines = [
            ("stderr", "INFO:     Started server process [1]"),
            ("stdout", r#"{"severity":"error","message":"boom","logging.googleapis.com/trace":"t"}"#),
            ("stdout", r#"{"severity":"LOUD","n":1}"#),
            ("system", r#"{"severity":"ERROR"}"#),
            (
                "stderr",
                r#"{"time":"2026-11-23T20:28:12.5+01:00","logging.googleapis.com/labels":{"a":"b"},"n":1}"#,
            ),
        ];
        for (stream, text) in lines {
            journal.line(&origin, stream, text);
        }
        let seen: Vec<_> = journal.seen(Duration::ZERO, None).1.collect();
        assert_eq!(seen[0].get("severity"), None);
        assert_eq!(seen[0]["textPayload"], "INFO:     Started server process [1]");
        assert_eq!(seen[1]["severity"], "ERROR");
        assert_eq!((&seen[1]["jsonPayload"], &seen[1]["trace"]), (&json!({"message": "boom"}), &json!("t")));
        assert_eq!((seen[2].get("severity"), &seen[2]["jsonPayload"]), (None, &json!({"n": 1})));
        assert_eq!(seen[3]["severity"], "WARNING");
        assert_eq!(seen[4]["timestamp"], "2026-11-23T19:28:12.500000Z");
        assert_eq!(seen[4]["labels"], json!({"instanceId": "00ab", "a": "b"}));
        assert_eq!(seen[4]["jsonPayload"], json!({"n": 1}));
    }

    #[test]
    fn an_old_entry_reads_as_it_was_written() {
        let journal =
            Journal::new(Arc::new(Clock::new("2026-11-23T20:28:12Z".parse().unwrap(), 1, None)), "p", "r");
        let origin = Origin { service: "s".into(), revision: "s-1".into(), instance: Some("00ab".into()) };
        journal.line(&origin, "stdout", r#"{"z":1,"a":{"text":"\u00e9 \"quoted\"","none":null}}"#);
        let before = journal.seen(Duration::ZERO, Some(1)).1.next().unwrap();
        // As deep as a parser goes: inside an entry it would be too deep.
        let deep = format!("{}1{}", "{\"a\":".repeat(127), "}".repeat(127));
        journal.line(&origin, "stdout", &deep);
        for _ in 0..UNPACKED {
            journal.system(&origin, "INFO", "another");
        }
        assert!(matches!(journal.lock().kept[0].kept, Kept::Packed(_)));
        assert!(matches!(journal.lock().kept[1].kept, Kept::Packed(_)));
        assert!(matches!(journal.lock().kept[2].kept, Kept::Whole(_)));
        let (_, mut after) = journal.seen(Duration::ZERO, Some(2));
        assert_eq!(after.next().unwrap().to_string(), before.to_string());
        assert_eq!(after.next().unwrap()["textPayload"], deep);
        drop(after);
        let log = before["logName"].as_str().unwrap();
        assert!(!journal.forget("p") && journal.forget(log), "packed or not");
        assert_eq!(journal.lock().kept.len(), UNPACKED);
    }
}
