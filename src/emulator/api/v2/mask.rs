//! What of a Service a write replaces.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::emulator::api::error::ApiError;

/// The members of a Service that a mask may name; the others are the platform's, or no members at all.
const MEMBERS: [&str; 22] = [
    "traffic",
    "template",
    "labels",
    "annotations",
    "description",
    "ingress",
    "scaling",
    "client",
    "clientVersion",
    "launchStage",
    "customAudiences",
    "binaryAuthorization",
    "defaultUriDisabled",
    "invokerIamDisabled",
    "iapEnabled",
    "buildConfig",
    "multiRegionSettings",
    "threatDetectionEnabled",
    "functionalType",
    "sshEnabled",
    "name",
    "etag",
];

/// A field mask; `None` is everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mask(Option<BTreeSet<String>>);

impl Mask {
    /// Reads a mask in either spelling, `maxInstanceCount` or `max_instance_count`.
    pub(super) fn parse(mask: Option<&str>) -> Result<Self, ApiError> {
        let Some(mask) = mask.filter(|mask| !mask.is_empty() && *mask != "*") else { return Ok(Self(None)) };
        let paths = mask.split(',').map(|path| {
            let path = camel(path.trim());
            let top = path.split('.').next().unwrap_or_default();
            if MEMBERS.contains(&top) {
                return Ok(path);
            }
            Err(ApiError::invalid(format!("Invalid value at 'update_mask': {path}")))
        });
        paths.collect::<Result<_, _>>().map(|paths| Self(Some(paths)))
    }

    /// True when it names a member of a Service, or something below it.
    pub(super) fn touches(&self, member: &str) -> bool {
        self.0.as_ref().is_none_or(|paths| paths.iter().any(|path| path.split('.').next() == Some(member)))
    }

    /// True when it names something else than these.
    pub(super) fn touches_more_than(&self, members: &[&str]) -> bool {
        let known = |path: &String| members.contains(&path.split('.').next().unwrap_or_default());
        self.0.as_ref().is_none_or(|paths| !paths.iter().all(known))
    }

    /// What a body says of the members that it names, over what there is.
    pub(super) fn over(&self, current: &Value, body: &Value) -> Value {
        let Some(paths) = &self.0 else { return body.clone() };
        let mut merged = current.clone();
        for path in paths {
            let path: Vec<&str> = path.split('.').collect();
            let value = path.iter().try_fold(body, |value, name| value.get(name));
            put(&mut merged, &path, value);
        }
        merged
    }
}

/// Sets what is at a path, or removes it.
fn put(target: &mut Value, path: &[&str], value: Option<&Value>) {
    let Some((first, rest)) = path.split_first() else { return };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return };
    match (rest, value) {
        ([], None) => drop(fields.shift_remove(*first)),
        ([], Some(value)) => drop(fields.insert((*first).to_owned(), value.clone())),
        (rest, value) => put(fields.entry(*first).or_insert_with(|| json!({})), rest, value),
    }
}

/// `update_time` as `updateTime`; what has no underscore stays.
pub(crate) fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        name + letters.as_str()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_replaces_what_it_names_and_nothing_else() {
        let current = json!({"labels": {"a": "1"}, "template": {"timeout": "300s", "labels": {"b": "2"}}});
        let body = json!({"labels": {"c": "3"}, "template": {"timeout": "60s"}});
        let mask = Mask::parse(Some("template.timeout, template.labels")).unwrap();
        assert_eq!(mask.over(&current, &body), json!({"labels": {"a": "1"}, "template": {"timeout": "60s"}}));
        assert!(
            mask.touches("template") && !mask.touches("labels") && !mask.touches_more_than(&["template"])
        );
        assert_eq!(Mask::parse(None).unwrap().over(&current, &body), body);
    }

    #[test]
    fn both_spellings_are_one_mask() {
        assert_eq!(Mask::parse(Some("launch_stage")).unwrap(), Mask::parse(Some("launchStage")).unwrap());
        assert!(Mask::parse(Some("observed_generation")).is_err());
    }
}
