//! Labels and annotations: which of them are the platform's, and which of them stand for a member of v2.

use serde_json::{Map, Value, json};

/// What the names of labels and annotations begin with that v2 does not take.
///
/// Source: Google's documentation of the labels and annotations of v2's `RevisionTemplate`.
const SYSTEM: [&str; 4] =
    ["run.googleapis.com/", "cloud.googleapis.com/", "serving.knative.dev/", "autoscaling.knative.dev/"];
/// What the names of others begin with that are not the user's.
const TOOLS: [&str; 2] = ["client.knative.dev/", "networking.knative.dev/"];

/// True for a name that v2 does not take.
pub(crate) fn is_system(name: &str) -> bool {
    SYSTEM.iter().any(|prefix| name.starts_with(prefix))
}

/// True for a name that v2 does not show.
pub(crate) fn is_hidden(name: &str) -> bool {
    is_system(name) || TOOLS.iter().any(|prefix| name.starts_with(prefix))
}

/// The labels or annotations that v2 shows; `None` without any.
pub(crate) fn visible(all: &Map<String, Value>) -> Option<Value> {
    let shown: Map<String, Value> = all
        .iter()
        .filter(|(name, _)| !is_hidden(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    (!shown.is_empty()).then_some(Value::Object(shown))
}

/// How the value of an annotation is written as a member of v2.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// The same text.
    Text,
    /// A number.
    Number,
    /// `true`; without the annotation there is no member.
    Switch,
    /// JSON in the annotation's text.
    Json,
    /// An enum: the text of v1, the name in v2 and its number there.
    Enum(&'static [(&'static str, &'static str, u64)]),
}

/// An annotation of v1 and the member of v2 that means the same.
pub(super) type Pair = (&'static str, &'static str, Form);

impl Form {
    /// The annotation's text for a member of v2; `None` for what means nothing.
    pub(super) fn to_annotation(self, value: &Value) -> Option<String> {
        match self {
            Self::Text => value.as_str().filter(|text| !text.is_empty()).map(str::to_owned),
            Self::Number => {
                super::integer(value).filter(|number| *number > 0).map(|number| number.to_string())
            }
            Self::Switch => (value == &json!(true)).then(|| "true".to_owned()),
            Self::Json => (!value.is_null()).then(|| value.to_string()),
            Self::Enum(known) => known
                .iter()
                .find(|(_, name, number)| value.as_str() == Some(name) || value.as_u64() == Some(*number))
                .map(|(text, _, _)| (*text).to_owned()),
        }
    }

    /// The member of v2 for an annotation's text.
    pub(super) fn to_member(self, text: &str) -> Option<Value> {
        match self {
            Self::Text => Some(json!(text)),
            Self::Number => text.parse::<u64>().ok().filter(|number| *number > 0).map(Value::from),
            Self::Switch => text.eq_ignore_ascii_case("true").then(|| json!(true)),
            Self::Json => serde_json::from_str(text).ok(),
            Self::Enum(known) => {
                known.iter().find(|(known, _, _)| *known == text).map(|(_, name, _)| json!(name))
            }
        }
    }
}

/// Moves the members of `from` that annotations stand for to `annotations`.
pub(super) fn take_members(
    pairs: &[Pair],
    from: &mut Map<String, Value>,
    annotations: &mut Map<String, Value>,
) {
    for (annotation, path, form) in pairs {
        let value = match path.split_once('.') {
            None => from.shift_remove(*path),
            Some((outer, inner)) => {
                from.get_mut(outer).and_then(Value::as_object_mut).and_then(|o| o.shift_remove(inner))
            }
        };
        if let Some(text) = value.and_then(|value| form.to_annotation(&value)) {
            annotations.insert((*annotation).to_owned(), json!(text));
        }
    }
}

/// Writes the members that `annotations` stand for.
pub(super) fn put_members(pairs: &[Pair], annotations: &Map<String, Value>, to: &mut Map<String, Value>) {
    for (annotation, path, form) in pairs {
        let text = annotations.get(*annotation).and_then(Value::as_str);
        let Some(value) = text.and_then(|text| form.to_member(text)) else { continue };
        match path.split_once('.') {
            None => to.insert((*path).to_owned(), value),
            Some((outer, inner)) => {
                let outer = to.entry(outer).or_insert_with(|| json!({}));
                outer.as_object_mut().and_then(|outer| outer.insert(inner.to_owned(), value))
            }
        };
    }
}
