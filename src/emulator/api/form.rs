//! In which form is an answer wanted?
//!
//! The system parameters of Google's APIs in, an answer's text out: `$alt=json;enum-encoding=int` (Google's client
//! libraries send it with every call), `fields` and `prettyPrint`. An answer without any of them is written as it is.
//! `fields` that name what a Service cannot have are refused, as Google's documentation of partial responses says. The
//! surprising rule: an error is never cut to `fields`.
//!
//! Source: Google's documentation of system parameters and of partial responses.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    dispatch::{Query, parameter},
    enums,
    error::ApiError,
    route::{Api, Call, Verb},
    v2::mask::camel,
};
use crate::emulator::knative::members::SERVICE;

/// The deepest nesting of `fields`.
const DEEPEST: u32 = 50;

/// The form of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Form {
    /// Enums by their numbers.
    numbers: bool,
    /// Without white space.
    pub(crate) compact: bool,
    /// Nothing but these.
    fields: Option<Fields>,
}

/// Members by their names; an empty map is all that is below.
#[derive(Debug, Clone, Default, PartialEq)]
struct Fields(BTreeMap<String, Self>);

impl Form {
    /// Reads what a query says of the answer.
    pub(crate) fn parse(query: &Query) -> Result<Self, ApiError> {
        let says = |name: &str| parameter(query, &format!("${name}")).or_else(|| parameter(query, name));
        let fields = says("fields").map(|text| Fields::parse(text).ok_or_else(|| not_fields(text)));
        Ok(Self {
            numbers: says("alt").is_some_and(|alt| alt.ends_with(";enum-encoding=int")),
            compact: says("prettyPrint").is_some_and(|pretty| pretty.eq_ignore_ascii_case("false")),
            fields: fields.transpose()?,
        })
    }

    /// Itself, unless `fields` name a member that the call's answer cannot have. Of most calls' answers that is not known.
    pub(crate) fn of(self, call: &Call) -> Result<Self, ApiError> {
        let known: &[&str] = match (&call.verb, call.api) {
            (Verb::GetService(_), Api::V2) => &SERVICE,
            (Verb::ListServices, Api::V2) => &["services", "nextPageToken", "unreachable"],
            _ => return Ok(self),
        };
        let mut names = self.fields.iter().flat_map(|fields| fields.0.keys());
        match names.find(|name| *name != "*" && !known.contains(&camel(name).as_str())) {
            Some(name) => Err(not_fields(name)),
            None => Ok(self),
        }
    }

    /// An answer in this form; `has_enums` where those of Cloud Run's v2 may stand in it.
    pub(crate) fn shape(&self, mut answer: Value, has_enums: bool) -> Value {
        if self.numbers && has_enums {
            enums::number(&mut answer);
        }
        if let Some(fields) = &self.fields {
            fields.cut(&mut answer);
        }
        answer
    }
}

impl Fields {
    /// Reads `a,b/c,d(e,f)`; a dot is a slash.
    fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let fields = Self::list(&mut rest, 0)?;
        rest.is_empty().then_some(fields)
    }

    fn list(rest: &mut &str, depth: u32) -> Option<Self> {
        let mut fields = Self::default();
        loop {
            let end = rest.find([',', '(', ')']).unwrap_or(rest.len());
            let (path, after) = rest.split_at(end);
            *rest = after;
            let mut below = Self::default();
            if let Some(inner) = after.strip_prefix('(') {
                *rest = inner;
                below = (depth < DEEPEST).then(|| Self::list(rest, depth + 1))??;
                *rest = rest.strip_prefix(')')?;
            }
            fields.insert(path, below)?;
            match rest.strip_prefix(',') {
                Some(next) => *rest = next,
                None => return Some(fields),
            }
        }
    }

    fn insert(&mut self, path: &str, below: Self) -> Option<()> {
        let (name, path) = match path.trim().split_once(['/', '.']) {
            Some((name, path)) => (name, Some(path)),
            None => (path.trim(), None),
        };
        if name.is_empty() {
            return None;
        }
        let is_new = !self.0.contains_key(name);
        let member = self.0.entry(name.to_owned()).or_default();
        match path {
            // A member that was asked for as a whole stays whole.
            _ if !is_new && member.0.is_empty() => Some(()),
            Some(path) => member.insert(path, below),
            None if below.0.is_empty() => {
                member.0.clear();
                Some(())
            }
            None => {
                member.0.extend(below.0);
                Some(())
            }
        }
    }

    fn cut(&self, value: &mut Value) {
        match value {
            _ if self.0.is_empty() => {}
            Value::Array(items) => items.iter_mut().for_each(|item| self.cut(item)),
            Value::Object(members) => {
                let of = |name: &str| self.0.get(name).or_else(|| self.0.get("*"));
                members.retain(|name, _| of(name).is_some());
                members.iter_mut().for_each(|(name, member)| {
                    if let Some(fields) = of(name) {
                        fields.cut(member);
                    }
                });
            }
            _ => {}
        }
    }
}

fn not_fields(text: &str) -> ApiError {
    let description =
        format!("Error expanding 'fields' parameter. Cannot find matching fields for path '{text}'.");
    let violations = json!([{"field": text, "description": description}]);
    ApiError {
        details: Some(json!([
            {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}
        ])),
        ..ApiError::invalid("Request contains an invalid argument.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(fields: &str, mut value: Value) -> Value {
        Fields::parse(fields).unwrap().cut(&mut value);
        value
    }

    #[test]
    fn a_parameter_with_a_dollar_counts_before_the_same_without_one() {
        let query = [("alt", "json"), ("$alt", "json;enum-encoding=int")];
        let query = query.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert!(Form::parse(&query.to_vec()).unwrap().numbers);
    }

    #[test]
    fn only_the_fields_that_were_asked_for_are_left() {
        let answer =
            || json!({"a": [{"b": 1, "c": {"d": 2, "e": 3}}, {"c": {"d": 4}}], "f": 5, "g": {"d": 6}});
        assert_eq!(cut("f", answer()), json!({"f": 5}));
        assert_eq!(cut("a/b,f", answer()), json!({"a": [{"b": 1}, {}], "f": 5}));
        assert_eq!(cut("a(b,c/d)", answer()), json!({"a": [{"b": 1, "c": {"d": 2}}, {"c": {"d": 4}}]}));
        assert_eq!(cut("a.c.e, g", answer()), json!({"a": [{"c": {"e": 3}}, {"c": {}}], "g": {"d": 6}}));
        assert_eq!(cut("*/d", answer())["g"], json!({"d": 6}));
        assert_eq!(cut("g,g/none", answer()), json!({"g": {"d": 6}}), "all of it was asked for");
        assert_eq!(cut("g/none,g", answer()), json!({"g": {"d": 6}}));
        assert_eq!(cut("none", answer()), json!({}));
        for wrong in ["a(", "a)", ",a", "a,", "a(b", "a()", "a//b", "a(b)c", &"a(".repeat(99)] {
            assert_eq!(Fields::parse(wrong), None, "{wrong}");
        }
    }
}
