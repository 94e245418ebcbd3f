//! Which traffic may be asked for, and how is it split anew?
//!
//! JSON in, targets out, and back. The API's rules: shares sum to 100, a tag stands once, a named target needs its
//! revision's name. Whether that revision exists is *not* asked here: Cloud Run finds it out later, while reconciling.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{change::is_label, knative::integer, model::Target};

/// The longest tag: with a service it makes one label of a host name.
const LONGEST_TAG: usize = 46;
const LATEST: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";
const REVISION: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";

/// Reads and checks the `traffic` of a v2 Service; the error is the message of a 400.
pub(crate) fn parse(traffic: Option<&Value>) -> Result<Vec<Target>, String> {
    read(traffic, target)
}

/// Reads and checks the `spec.traffic` of a v1 Service; the error is the message of a 400.
pub(crate) fn parse_v1(traffic: Option<&Value>) -> Result<Vec<Target>, String> {
    read(traffic, target_v1)
}

fn read(
    traffic: Option<&Value>,
    target: impl Fn(&Value) -> Result<Target, String>,
) -> Result<Vec<Target>, String> {
    let entries = match traffic {
        None | Some(Value::Null) => return Ok(vec![all_to_latest()]),
        Some(Value::Array(entries)) if entries.is_empty() => return Ok(vec![all_to_latest()]),
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err("Invalid value at 'service.traffic': a list is expected.".to_owned()),
    };
    let targets = entries.iter().map(target).collect::<Result<Vec<_>, _>>()?;
    let sum: u32 = targets.iter().map(|target| target.percent).sum();
    if sum != 100 {
        return Err(format!("The sum of traffic percents must be 100, but is {sum}."));
    }
    let mut tags = BTreeSet::new();
    for tag in targets.iter().filter_map(|target| target.tag.as_deref()) {
        if !tags.insert(tag) {
            return Err(format!("Traffic tag '{tag}' is used by more than one traffic target."));
        }
    }
    Ok(targets)
}

/// The whole traffic on whatever is newest.
pub(crate) fn all_to_latest() -> Target {
    Target { revision: None, percent: 100, tag: None }
}

fn target(entry: &Value) -> Result<Target, String> {
    let revision = text(entry, "revision");
    let latest = match entry.get("type") {
        Some(Value::String(kind)) if kind == LATEST => true,
        Some(Value::String(kind)) if kind == REVISION => false,
        Some(Value::Number(kind)) if kind.as_u64() == Some(1) => true,
        Some(Value::Number(kind)) if kind.as_u64() == Some(2) => false,
        None => revision.is_none(),
        Some(other) => return Err(format!("Invalid value at 'service.traffic.type': {other}")),
    };
    if latest == revision.is_some() {
        return Err("A traffic target names a revision if and only if its type is REVISION.".to_owned());
    }
    with_shares(entry, revision)
}

fn target_v1(entry: &Value) -> Result<Target, String> {
    let revision = text(entry, "revisionName");
    let latest = entry.get("latestRevision").and_then(Value::as_bool);
    if latest.unwrap_or(revision.is_none()) == revision.is_some() {
        return Err("A traffic target has either a revisionName or latestRevision: true.".to_owned());
    }
    with_shares(entry, revision)
}

fn text(entry: &Value, key: &str) -> Option<String> {
    entry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// What both APIs say of a target in the same words.
fn with_shares(entry: &Value, revision: Option<String>) -> Result<Target, String> {
    let percent = match entry.get("percent") {
        None | Some(Value::Null) => 0,
        Some(percent) => integer(percent)
            .and_then(|percent| u32::try_from(percent).ok())
            .filter(|percent| *percent <= 100)
            .ok_or_else(|| format!("Invalid value at 'service.traffic.percent': {percent}"))?,
    };
    let tag = text(entry, "tag");
    match tag.as_deref() {
        Some(tag) if tag.len() > LONGEST_TAG || !is_label(tag) => {
            Err(format!("Traffic tag '{tag}' is not a valid DNS label."))
        }
        _ => Ok(Target { revision, percent, tag }),
    }
}

/// One target as v1 writes it; `latest` is the revision that LATEST means, in a status.
pub(crate) fn render_v1(target: &Target, latest: Option<&str>, url: Option<String>) -> Value {
    let mut entry = Map::new();
    if target.revision.is_none() {
        entry.insert("latestRevision".to_owned(), json!(true));
    }
    if let Some(revision) = target.revision.as_deref().or(latest) {
        entry.insert("revisionName".to_owned(), json!(revision));
    }
    put_shares(&mut entry, target);
    if let Some(url) = url {
        entry.insert("url".to_owned(), json!(url));
    }
    Value::Object(entry)
}

fn put_shares(entry: &mut Map<String, Value>, target: &Target) {
    if target.percent > 0 {
        entry.insert("percent".to_owned(), json!(target.percent));
    }
    if let Some(tag) = &target.tag {
        entry.insert("tag".to_owned(), json!(tag));
    }
}

/// One target as v2 writes it; what is zero or absent has no key.
pub(crate) fn render(target: &Target, uri: Option<String>) -> Value {
    let mut entry = Map::new();
    entry.insert("type".to_owned(), json!(if target.revision.is_some() { REVISION } else { LATEST }));
    if let Some(revision) = &target.revision {
        entry.insert("revision".to_owned(), json!(revision));
    }
    put_shares(&mut entry, target);
    if let Some(uri) = uri {
        entry.insert("uri".to_owned(), json!(uri));
    }
    Value::Object(entry)
}

/// Gives `name` this share and scales the others to what is left; the first of them takes the remainder.
pub(crate) fn give(targets: &[Target], name: &str, percent: u32) -> Vec<Target> {
    let mut scaled: Vec<Target> = targets.to_vec();
    for target in &mut scaled {
        target.percent =
            if target.revision.as_deref() == Some(name) { 0 } else { target.percent * (100 - percent) / 100 };
    }
    let given: u32 = scaled.iter().map(|target| target.percent).sum::<u32>() + percent;
    if let Some(largest) = scaled.iter_mut().max_by_key(|target| target.percent) {
        largest.percent += 100 - given;
    }
    scaled.push(Target::share(name, percent));
    scaled.retain(|target| target.percent > 0 || target.tag.is_some());
    scaled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_must_sum_to_100_and_tags_stand_once() {
        let sum = |percents: [u32; 2]| {
            parse(Some(&json!([
                {"type": REVISION, "revision": "a", "percent": percents[0], "tag": "t"},
                {"type": 2, "revision": "b", "percent": percents[1]},
            ])))
        };
        assert_eq!(sum([90, 10]).unwrap()[1], Target::share("b", 10));
        assert!(sum([90, 9]).unwrap_err().contains("but is 99"));
        let twice = json!([{"type": 1, "percent": 100, "tag": "t"}, {"revision": "b", "tag": "t"}]);
        assert!(parse(Some(&twice)).unwrap_err().contains("'t'"));
        assert!(parse(Some(&json!([{"type": 3, "percent": 100}]))).is_err());
        assert!(parse(Some(&json!([{"type": REVISION, "percent": 100}]))).is_err());
        assert!(parse(Some(&json!([{"percent": 100, "tag": "Tag"}]))).is_err());
    }

    #[test]
    fn v1_names_the_same_targets_in_its_own_words() {
        let sent = json!([
            {"latestRevision": true, "percent": 90},
            {"revisionName": "b", "latestRevision": false, "percent": 10},
            {"revisionName": "b", "tag": "t", "url": "http://x"},
        ]);
        let read = parse_v1(Some(&sent)).unwrap();
        assert_eq!(read[1], Target::share("b", 10));
        assert_eq!(render_v1(&read[0], None, None), json!({"latestRevision": true, "percent": 90}));
        let status = render_v1(&read[0], Some("c"), None);
        assert_eq!(status, json!({"latestRevision": true, "revisionName": "c", "percent": 90}));
        assert_eq!(render_v1(&read[2], Some("c"), None), json!({"revisionName": "b", "tag": "t"}));
        assert!(
            parse_v1(Some(&json!([{"latestRevision": true, "revisionName": "b", "percent": 100}]))).is_err()
        );
        assert!(parse_v1(Some(&json!([{"latestRevision": false, "percent": 100}]))).is_err());
    }

    #[test]
    fn nothing_is_said_about_zero() {
        assert_eq!(
            render(&Target { percent: 0, ..Target::share("a", 0) }, None),
            json!({"type": REVISION, "revision": "a"})
        );
    }

    #[test]
    fn a_share_is_taken_from_the_others() {
        let before = [Target::share("a", 67), Target::share("b", 33)];
        let after = give(&before, "c", 10);
        assert_eq!(after.iter().map(|target| target.percent).sum::<u32>(), 100);
        assert_eq!(after[2], Target::share("c", 10));
        assert_eq!(give(&[all_to_latest()], "c", 100), [Target::share("c", 100)]);
    }
}
