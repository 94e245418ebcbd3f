//! Log entries, as the Logging API lists them.

use std::{collections::BTreeSet, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
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
    let after = match text(body, "pageToken") {
        "" => None,
        token => Some(Place::decode(token).ok_or_else(|| ApiError::invalid("page_token is invalid"))?),
    };
    let (lag, missing) = {
        let faults = &world.lock().faults;
        (faults.log_lag, faults.log_missing)
    };
    let (until, seen) = world.journal.seen(lag, after.as_ref().map(|after| after.until));
    let mut found: Vec<Arc<Value>> =
        seen.filter(|entry| !is_missing(entry, missing) && filter.admits(entry)).collect();
    found.sort_by_cached_key(|entry| {
        let (timestamp, id) = order(entry);
        (timestamp.to_owned(), id.to_owned())
    });
    if newest_first {
        found.reverse();
    }
    let begun = after.map_or(0, |after| {
        let last = (after.timestamp.as_str(), after.insert_id.as_str());
        found.partition_point(|entry| if newest_first { order(entry) >= last } else { order(entry) <= last })
    });
    Ok(page(&found[begun..], size, until))
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

/// DELETE logs/L: all entries that it has now.
pub(crate) fn delete_log(world: &World, log: &str) -> Result<Value, ApiError> {
    // A client that encodes the `%2F` of a log's name once more means the same log.
    let name = format!("projects/{}/logs/{}", world.options.project, log.replace("%25", "%"));
    if world.journal.forget(&name) {
        Ok(json!({}))
    } else {
        Err(ApiError::new(404, "NOT_FOUND", "Requested entity was not found."))
    }
}

/// GET logs: the names of all logs that have entries.
pub(crate) fn logs(world: &World) -> Value {
    let lag = world.lock().faults.log_lag;
    let names: BTreeSet<String> =
        world.journal.seen(lag, None).1.map(|entry| text(&entry, "logName").to_owned()).collect();
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

/// By what entries are ordered; two that have both alike are one and the same to Google's API.
fn order(entry: &Value) -> (&str, &str) {
    (text(entry, "timestamp"), text(entry, "insertId"))
}

/// Behind which entry a page begins. Not a number of entries: old ones go and new ones come from one page to the next.
#[derive(Serialize, Deserialize)]
struct Place {
    /// How many entries there ever were when the first page was asked for: later ones are on no page.
    until: usize,
    timestamp: String,
    insert_id: String,
}

impl Place {
    fn encode(&self) -> String {
        STANDARD.encode(json!(self).to_string())
    }

    fn decode(token: &str) -> Option<Self> {
        serde_json::from_slice(&STANDARD.decode(token).ok()?).ok()
    }
}

fn page(found: &[Arc<Value>], size: usize, until: usize) -> Value {
    let mut answer = Map::new();
    let page: Vec<Value> = found.iter().take(size).map(|entry| entry.as_ref().clone()).collect();
    if let Some(last) = page.last().filter(|_| size < found.len()) {
        let (timestamp, insert_id) = order(last);
        let place = Place { until, timestamp: timestamp.to_owned(), insert_id: insert_id.to_owned() };
        answer.insert("nextPageToken".to_owned(), json!(place.encode()));
    }
    if !page.is_empty() {
        answer.insert("entries".to_owned(), Value::Array(page));
    }
    Value::Object(answer)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::{logging::KEPT, options::EmulatorOptions, state::Past};

    #[test]
    fn no_entry_is_passed_over_between_two_pages_of_a_full_log() {
        let world =
            World::new(EmulatorOptions::new("2026-11-23T20:28:12Z".parse().unwrap()), Past::default());
        let mut written = 0;
        let mut write = |many: usize| {
            for _ in 0..many {
                let entry = json!({"logName": "l", "timestamp": time_of(written), "textPayload": written.to_string()});
                world.journal.write(entry.as_object().unwrap().clone());
                written += 1;
            }
        };
        write(KEPT);
        for order in ["timestamp asc", "timestamp desc"] {
            let mut body =
                json!({"resourceNames": ["projects/demo-project"], "orderBy": order, "pageSize": 10});
            let first = list(&world, &body).unwrap();
            // Old ones go, and as many new ones come.
            write(5);
            body["pageToken"] = first["nextPageToken"].clone();
            let second = list(&world, &body).unwrap();
            let number = |page: &Value, at: usize| -> i64 {
                page["entries"][at]["textPayload"].as_str().unwrap().parse().unwrap()
            };
            assert_eq!((number(&second, 0) - number(&first, 9)).abs(), 1, "{order}: {first}\n{second}");
        }
    }

    #[test]
    fn a_log_that_is_forgotten_between_two_pages_takes_nothing_off_the_second() {
        let world =
            World::new(EmulatorOptions::new("2026-11-23T20:28:12Z".parse().unwrap()), Past::default());
        let write = |log: &str, number: usize| {
            let entry = json!({"logName": log, "timestamp": time_of(number)});
            world.journal.write(entry.as_object().unwrap().clone());
        };
        (0..4).for_each(|number| write("a", number));
        let mut body = json!({"resourceNames": ["projects/demo-project"], "pageSize": 2});
        body["pageToken"] = list(&world, &body).unwrap()["nextPageToken"].clone();
        (4..7).for_each(|number| write("b", number));
        assert!(world.journal.forget("b") && !world.journal.forget("b"));
        let second = list(&world, &body).unwrap();
        assert_eq!(second["entries"].as_array().map(Vec::len), Some(2), "{second}");
    }

    /// A later time for each.
    fn time_of(number: usize) -> String {
        format!("2026-11-23T20:28:12.{number:06}Z")
    }
}
