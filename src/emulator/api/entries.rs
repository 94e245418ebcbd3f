//! Log entries, as the Logging API lists them.

use std::{collections::BTreeSet, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::error::ApiError;
use crate::emulator::{
    logging::{Filter, is_missing},
    state::World,
};

/// Entries on a page when nobody says how many.
const PAGE: usize = 50;
/// The most entries on a page.
const LARGEST_PAGE: usize = 1000;
/// What may stand in the body.
const KEYS: [&str; 6] = ["resourceNames", "projectIds", "filter", "orderBy", "pageSize", "pageToken"];

/// POST entries:list
pub(crate) fn list(world: &World, body: &Value) -> Result<Value, ApiError> {
    let unknown = body.as_object().and_then(|body| body.keys().find(|key| !KEYS.contains(&key.as_str())));
    if let Some(key) = unknown {
        let message = format!("Invalid JSON payload received. Unknown name \"{key}\": Cannot find field.");
        return Err(ApiError::invalid(message));
    }
    may_read(world, body)?;
    let filter = Filter::parse(text(body, "filter")).map_err(ApiError::invalid)?;
    let newest_first = match text(body, "orderBy").to_ascii_lowercase().as_str() {
        "" | "timestamp" | "timestamp asc" => false,
        "timestamp desc" => true,
        other => return Err(ApiError::invalid(format!("Unsupported order: '{other}'."))),
    };
    let size = match body.get("pageSize") {
        None => PAGE,
        Some(size) => match size.as_u64().map(usize::try_from) {
            Some(Ok(0)) => PAGE,
            Some(Ok(size)) => size.min(LARGEST_PAGE),
            _ => return Err(ApiError::invalid("Invalid value at 'page_size'.")),
        },
    };
    // Later pages look at no more entries than the first did, or one that came meanwhile would move all the others.
    let (start, known) = match text(body, "pageToken") {
        "" => (0, None),
        token => {
            let (start, known) = decode(token).ok_or_else(|| ApiError::invalid("page_token is invalid"))?;
            (start, Some(known))
        }
    };
    let (lag, missing) = {
        let faults = &world.lock().faults;
        (faults.log_lag, faults.log_missing)
    };
    let seen = world.journal.seen(lag, known);
    let total = seen.len();
    let mut found: Vec<Arc<Value>> =
        seen.filter(|entry| !is_missing(entry, missing) && filter.admits(entry)).collect();
    found.sort_by_cached_key(|entry| {
        (text(entry, "timestamp").to_owned(), text(entry, "insertId").to_owned())
    });
    if newest_first {
        found.reverse();
    }
    Ok(page(&found, start, size, total))
}

/// What every entry of a written batch has where it does not say it itself.
const SHARED: [&str; 3] = ["logName", "resource", "labels"];

/// POST entries:write
pub(crate) fn write(world: &World, body: &Value) -> Result<Value, ApiError> {
    let sent = body.get("entries").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut entries = Vec::new();
    for entry in sent {
        let Value::Object(mut entry) = entry else {
            return Err(ApiError::invalid("Invalid value at 'entries': an object is expected."));
        };
        for (key, value) in SHARED.iter().filter_map(|key| Some((*key, body.get(key)?))) {
            entry.entry(key).or_insert_with(|| value.clone());
        }
        let own = format!("projects/{}/logs/", world.options.project);
        match entry.get("logName").and_then(Value::as_str) {
            Some(name) if name.starts_with(&own) => {}
            Some(name) => return Err(ApiError::denied("logging.logEntries.create", name)),
            None => return Err(ApiError::invalid("Log name is missing.")),
        }
        entries.push(entry);
    }
    if body.get("dryRun") != Some(&json!(true)) {
        for entry in entries {
            world.journal.write(entry);
        }
    }
    Ok(json!({}))
}

/// GET logs: the names of all logs that have entries.
pub(crate) fn logs(world: &World) -> Value {
    let lag = world.lock().faults.log_lag;
    let names: BTreeSet<String> =
        world.journal.seen(lag, None).map(|entry| text(&entry, "logName").to_owned()).collect();
    if names.is_empty() { json!({}) } else { json!({"logNames": names}) }
}

fn may_read(world: &World, body: &Value) -> Result<(), ApiError> {
    let named = body.get("resourceNames").and_then(Value::as_array).cloned().unwrap_or_default();
    if named.is_empty() {
        return Err(ApiError::invalid("At least one resource name must be specified."));
    }
    let own = format!("projects/{}", world.options.project);
    match named.iter().find(|name| name.as_str() != Some(&own)) {
        None => Ok(()),
        Some(other) => Err(ApiError::denied("logging.logEntries.list", other.as_str().unwrap_or_default())),
    }
}

fn page(found: &[Arc<Value>], start: usize, size: usize, total: usize) -> Value {
    let mut answer = Map::new();
    let page: Vec<Value> = found.iter().skip(start).take(size).map(|entry| entry.as_ref().clone()).collect();
    if !page.is_empty() {
        answer.insert("entries".to_owned(), Value::Array(page));
    }
    if start + size < found.len() {
        let token = STANDARD.encode(format!("entries/{}/{total}", start + size));
        answer.insert("nextPageToken".to_owned(), json!(token));
    }
    Value::Object(answer)
}

fn decode(token: &str) -> Option<(usize, usize)> {
    let text = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
    let (start, known) = text.strip_prefix("entries/")?.split_once('/')?;
    Some((start.parse().ok()?, known.parse().ok()?))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
