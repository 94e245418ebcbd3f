//! The places of a text of a flow: those of every text, what was captured, and secrets from outside.
//!
//! Takes a text and gives its parts, or what is wrong about which of its places. Pure: what lies outside is put in by whoever
//! has read it. The surprising rule: in a flow two opening braces always begin a place, since a name with a slip in it would
//! else be sent as it stands; where a text needs them itself, `{{braces}}` is the place for them.

use super::super::secrets::{self, SecretSource};
use super::super::values::{Flaw, quoted};
use super::{Part, Template, part_named};
use crate::trust::Secret;

/// How many characters of a place that is none are quoted.
const QUOTED: usize = 24;

/// A secret that lies outside of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outside {
    /// Where; a file as it was written.
    source: SecretSource,
    /// What was read there; `None` as long as nobody has.
    secret: Option<Secret>,
}

impl Outside {
    pub(super) fn text(&self) -> &str {
        self.secret.as_ref().map_or("", Secret::expose)
    }
}

/// A place that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPlace {
    /// What is wrong about it.
    pub(crate) flaw: Flaw,
    /// Its number among the places of the text, from 0.
    pub(crate) number: usize,
}

impl Template {
    /// Reads a text of a flow, where `{{capture.NAME}}`, `{{env.NAME}}` and `{{file.PATH}}` are places too.
    pub fn in_flow(source: &str) -> Result<Self, BadPlace> {
        let mut parts = Vec::new();
        let mut rest = source;
        let mut number = 0;
        while let Some((text, opened)) = rest.split_once("{{") {
            let (part, after) = place(opened).map_err(|flaw| BadPlace { flaw, number })?;
            parts.extend([Part::Text(text.to_owned()), part]);
            rest = after;
            number += 1;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self { source: source.to_owned(), parts })
    }

    /// Its places, by their numbers.
    fn places(&self) -> impl Iterator<Item = (usize, &Part)> {
        self.parts.iter().filter(|part| !matches!(part, Part::Text(_))).enumerate()
    }

    /// What it captures, by the numbers of the places.
    pub(crate) fn numbered_captures(&self) -> impl Iterator<Item = (usize, &str)> {
        self.places().filter_map(|(number, part)| match part {
            Part::Capture(name) => Some((number, name.as_str())),
            _ => None,
        })
    }

    /// What lies outside, by the numbers of the places; a file as it was written.
    pub(crate) fn outside(&self) -> impl Iterator<Item = (usize, &SecretSource)> {
        self.places().filter_map(|(number, part)| match part {
            Part::Outside(outside) => Some((number, &outside.source)),
            _ => None,
        })
    }

    /// The secrets in it.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.parts.iter().filter_map(|part| match part {
            Part::Outside(outside) => outside.secret.as_ref(),
            _ => None,
        })
    }

    /// The same with these secrets, in the order of [`Template::outside`].
    pub(crate) fn with_secrets(mut self, secrets: Vec<Secret>) -> Self {
        let places = self.parts.iter_mut().filter_map(|part| match part {
            Part::Outside(outside) => Some(outside),
            _ => None,
        });
        for (place, secret) in places.zip(secrets) {
            place.secret = Some(secret);
        }
        self
    }
}

/// The place that was opened, and what stands behind it.
fn place(opened: &str) -> Result<(Part, &str), Flaw> {
    let help = "two braces that are no place's are written as {{braces}}";
    let shown = |text: &str| quoted(&format!("{{{{{}", text.chars().take(QUOTED).collect::<String>()));
    let Some((inside, after)) = opened.split_once("}}") else {
        return Err(
            Flaw::new(format!("the place {} is not closed: there is no }}}}", shown(opened))).help(help)
        );
    };
    let name = inside.trim();
    if name.is_empty() {
        return Err(Flaw::new("the place {{}} has no name").help(help));
    }
    let is_path = name.starts_with("file.");
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c) || (is_path && c == '/');
    if !name.chars().all(fits) {
        let message = format!("the place {} is none: a name is one word", shown(&format!("{inside}}}}}")));
        return Err(Flaw::new(message).help(help));
    }
    let of_prefix = |prefix: &str| name.strip_prefix(prefix).filter(|rest| !rest.is_empty());
    let outside = |source| Part::Outside(Outside { source, secret: None });
    let part = if name == "braces" {
        Part::Braces
    } else if let Some(part) = part_named(name) {
        part
    } else if let Some(name) = of_prefix("capture.") {
        Part::Capture(name.to_owned())
    } else if let Some(name) = of_prefix("env.") {
        outside(secrets::environment(name)?)
    } else if let Some(path) = of_prefix("file.") {
        outside(SecretSource::File(path.to_owned()))
    } else {
        let known = "{{user}}, {{nonce}}, {{round}}, {{capture.NAME}}, {{env.NAME}} and {{file.PATH}}";
        return Err(Flaw::new(format!("unknown place {{{{{name}}}}}: the places are {known}")).help(help));
    };
    Ok((part, after))
}

#[cfg(test)]
mod tests {
    use super::super::{Captured, Escaping, Values};
    use super::*;

    const VALUES: Values<'static> = Values { user: "u", nonce: "n", round: 1 };

    #[test]
    fn every_pair_of_braces_is_a_place() {
        for (text, number, words) in [
            ("a {{user}} {{us er}}", 1, "the place \"{{us er}}\" is none"),
            ("{{ }}", 0, "has no name"),
            ("{{user}} {{user} x", 1, "\"{{user} x\" is not closed"),
            (r#"{{"a":{"b":{}}}"#, 0, "is none"),
            ("{{usr}}", 0, "unknown place {{usr}}"),
            ("{{capture.}}", 0, "unknown place {{capture.}}"),
            ("{{env.9A}}", 0, "not the name of an environment variable"),
            ("{{env.a/b}}", 0, "is none"),
        ] {
            let bad = Template::in_flow(text).unwrap_err();
            assert_eq!(bad.number, number, "{text}");
            assert!(bad.flaw.message.contains(words), "{text}: {}", bad.flaw.message);
        }
        let text = r#"{"a":{"b":{}},"c":"{{braces}}{{ user }}"}"#;
        let filled = Template::in_flow(text).unwrap().fill(VALUES, Escaping::Json);
        assert_eq!(filled, r#"{"a":{"b":{}},"c":"{{u"}"#);
    }

    #[test]
    fn secrets_are_put_in_and_never_shown() {
        let template = Template::in_flow("{{env.KEY}} {{user}} {{file./run/a-b.txt}}").unwrap();
        let outside: Vec<_> = template.outside().map(|(number, source)| (number, source.clone())).collect();
        let file = SecretSource::File("/run/a-b.txt".to_owned());
        assert_eq!(outside, [(0, SecretSource::Environment("KEY".to_owned())), (2, file)]);
        let template = template.with_secrets(vec![Secret::new("s\"1"), Secret::new("s2")]);
        assert!(!format!("{template:?}{}", template.source()).contains("s2"));
        let filled = template.fill_captured(VALUES, &Captured::new(), Escaping::Json).unwrap();
        assert_eq!(filled, r#"s\"1 u s2"#);
    }
}
