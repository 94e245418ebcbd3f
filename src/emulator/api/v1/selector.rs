//! Which of the listed are meant: label selectors.
//!
//! The text of a selector in, a filter over labels out. Equality, inequality, sets and existence, with spaces wherever
//! Kubernetes allows them; what is none of these is refused and never everything.
//!
//! Source: Kubernetes' documentation of labels and selectors.

use serde_json::{Map, Value};

/// A label selector: all of its requirements hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    label: String,
    /// `None` asks whether the label is there at all.
    values: Option<Vec<String>>,
    negated: bool,
}

impl Selector {
    /// Reads a selector; the error is the message of a 400.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parts = split(text);
        let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
        let requirement = |part: &str| {
            requirement(part)
                .ok_or_else(|| format!("Unable to parse label selector: '{part}' is no requirement."))
        };
        parts.map(requirement).collect::<Result<_, _>>().map(Self)
    }

    /// True when it means something with these labels.
    pub(super) fn admits(&self, labels: &Map<String, Value>) -> bool {
        self.0.iter().all(|requirement| {
            let found = labels.get(&requirement.label).and_then(Value::as_str);
            let holds = match (&requirement.values, found) {
                (None, found) => found.is_some(),
                (Some(values), Some(found)) => values.iter().any(|value| value == found),
                (Some(_), None) => false,
            };
            holds != requirement.negated
        })
    }
}

/// Splits at the commas outside parentheses.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0_i32);
    for character in text.chars() {
        match character {
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(character);
        }
    }
    parts
}

fn requirement(part: &str) -> Option<Requirement> {
    let made = |label: &str, values: Option<Vec<String>>, negated: bool| {
        let label = label.trim().to_owned();
        let is_word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
        let words = values.iter().flatten().all(|value| is_word(value));
        (!label.is_empty() && is_word(&label) && words).then_some(Requirement { label, values, negated })
    };
    let one = |value: &str| Some(vec![value.trim().to_owned()]);
    if let Some((label, value)) = part.split_once("!=") {
        return made(label, one(value), true);
    }
    if let Some((label, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return made(label, one(value), false);
    }
    if let Some((head, set)) = part.strip_suffix(')').and_then(|part| part.split_once('(')) {
        let values = Some(set.split(',').map(|value| value.trim().to_owned()).collect());
        let (label, operator) = head.trim().rsplit_once(char::is_whitespace)?;
        return match operator {
            "in" => made(label, values, false),
            "notin" => made(label, values, true),
            _ => None,
        };
    }
    match part.strip_prefix('!') {
        Some(label) => made(label, None, true),
        None => made(part, None, false),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_mean_what_kubernetes_means() {
        let labels = json!({"serving.knative.dev/service": "demo", "team": "a"});
        let labels = labels.as_object().unwrap();
        for (text, due) in [
            ("", true),
            ("serving.knative.dev/service = demo", true),
            ("serving.knative.dev/service=demo,team==a", true),
            ("serving.knative.dev/service = other", false),
            ("team != a", false),
            ("none != a", true),
            ("team in (a, b)", true),
            ("team notin (a,b), serving.knative.dev/service", false),
            ("team", true),
            ("!team", false),
            ("none", false),
        ] {
            assert_eq!(Selector::parse(text).map(|selector| selector.admits(labels)), Ok(due), "{text}");
        }
        for text in ["team > 1", "= a", "team in a", "a b"] {
            assert!(Selector::parse(text).is_err(), "{text}");
        }
    }
}
