//! The part of Cloud Logging's query language that gates need, over entries.
//!
//! Takes the text of a filter and says of an entry whether it is let through: comparisons by `=`, `!=`, `:`, `=~`, `!~`,
//! `<`, `<=`, `>` and `>=`, AND, OR, NOT and parentheses. What it does not know is an error and never everything or
//! nothing. The surprising rule, Google's own: OR binds more tightly than AND.
//!
//! Source: Cloud Logging's documentation of the Logging query language.

mod compare;
mod words;

use serde_json::Value;

use compare::Comparison;
use words::{Operator, Word, words};

/// The deepest nesting of parentheses.
const DEEPEST: u32 = 50;

/// A filter over entries.
#[derive(Debug, Clone)]
pub(crate) enum Filter {
    /// All of these; none is everything.
    All(Vec<Self>),
    /// One of these.
    Any(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// A comparison.
    Compare(Comparison),
}

impl Filter {
    /// Reads a filter; an error is its place and what stands there, in the API's words.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let words = words(text)?;
        let mut reader = Reader { words: &words, at: 0 };
        let filter = reader.all(0)?;
        match reader.peek() {
            None => Ok(filter),
            Some(word) => Err(unexpected(word)),
        }
    }

    /// True when it lets the entry through.
    pub(crate) fn admits(&self, entry: &Value) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.admits(entry)),
            Self::Any(parts) => parts.iter().any(|part| part.admits(entry)),
            Self::Not(part) => !part.admits(entry),
            Self::Compare(comparison) => comparison.holds(entry),
        }
    }
}

fn unexpected((word, column): &(Word, usize)) -> String {
    format!("Unparseable filter: syntax error at line 1, column {column}, token '{}'", word.text())
}

struct Reader<'a> {
    words: &'a [(Word, usize)],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a (Word, usize)> {
        self.words.get(self.at)
    }

    fn next(&mut self) -> Result<&'a (Word, usize), String> {
        let word = self.peek().ok_or("Unparseable filter: it ends too early")?;
        self.at += 1;
        Ok(word)
    }

    fn takes(&mut self, name: &str) -> bool {
        let is = matches!(self.peek(), Some((Word::Plain(text), _)) if text == name);
        self.at += usize::from(is);
        is
    }

    /// Parts joined by AND, or by nothing but white space.
    fn all(&mut self, depth: u32) -> Result<Filter, String> {
        let mut parts = Vec::new();
        while !matches!(self.peek(), None | Some((Word::Close, _))) {
            parts.push(self.any(depth)?);
            if self.takes("AND") && self.peek().is_none() {
                return Err("Unparseable filter: it ends too early".to_owned());
            }
        }
        Ok(Filter::All(parts))
    }

    fn any(&mut self, depth: u32) -> Result<Filter, String> {
        let mut parts = vec![self.single(depth)?];
        while self.takes("OR") {
            parts.push(self.single(depth)?);
        }
        Ok(Filter::Any(parts))
    }

    fn single(&mut self, depth: u32) -> Result<Filter, String> {
        if self.takes("NOT") {
            return Ok(Filter::Not(Box::new(self.nested(depth)?)));
        }
        self.nested(depth)
    }

    fn nested(&mut self, depth: u32) -> Result<Filter, String> {
        let first = self.next()?;
        match &first.0 {
            Word::Open if depth < DEEPEST => {
                let inside = self.all(depth + 1)?;
                match self.next()? {
                    (Word::Close, _) if !matches!(&inside, Filter::All(parts) if parts.is_empty()) => {
                        Ok(inside)
                    }
                    other => Err(unexpected(other)),
                }
            }
            Word::Plain(member) if !["AND", "OR", "NOT"].contains(&member.as_str()) => {
                self.comparison(member)
            }
            _ => Err(unexpected(first)),
        }
    }

    fn comparison(&mut self, member: &str) -> Result<Filter, String> {
        let operator: Operator = match self.next()? {
            (Word::Operator(operator), _) => *operator,
            other => return Err(unexpected(other)),
        };
        match self.next()? {
            (Word::Plain(value) | Word::Quoted(value), _) => {
                Comparison::new(member, operator, value).map(Filter::Compare)
            }
            other => Err(unexpected(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry() -> Value {
        json!({
            "logName": "projects/p/logs/run.googleapis.com%2Frequests", "severity": "WARNING",
            "timestamp": "2026-11-23T20:28:12.000000Z", "textPayload": "Starting new instance. Reason: AUTOSCALING",
            "httpRequest": {"status": 429, "userAgent": "revgate/0.1.0 (abc-7)"},
            "resource": {"type": "cloud_run_revision", "labels": {"service_name": "s", "revision_name": "s-1"}},
            "labels": {"instanceId": "00ab"},
        })
    }

    #[test]
    fn the_filters_of_a_gate_are_understood() {
        for (text, due) in [
            ("", true),
            ("resource.type = cloud_run_revision\n AND resource.labels.service_name=s", true),
            ("resource.labels.revision_name=\"s-2\"", false),
            ("httpRequest.status>=500", false),
            ("httpRequest.status>=400 httpRequest.status<500", true),
            ("severity>=WARNING AND severity<ERROR", true),
            ("textPayload:\"starting NEW instance\"", true),
            (r#"textPayload=~"Reason: (AUTOSCALING|DEPLOYMENT_ROLLOUT)$""#, true),
            (r#"textPayload!~"Reason""#, false),
            ("logName=\"projects/p/logs/run.googleapis.com%2Frequests\"", true),
            (r#"logName=~"run.googleapis.com%2F(stdout|stderr)""#, false),
            (r#"timestamp>="2026-11-23T20:28:12Z" AND timestamp<="2026-11-23T21:28:12+00:00""#, true),
            ("timestamp>\"2026-11-23T20:28:12Z\"", false),
            ("httpRequest.userAgent:\"abc\" -- of this run", true),
            ("labels.instanceId=00ab", true),
            ("labels.nothing!=x", false),
            ("NOT labels.nothing=x", true),
            ("trace=\"\"", true),
        ] {
            assert_eq!(Filter::parse(text).map(|filter| filter.admits(&entry())), Ok(due), "{text}");
        }
    }

    #[test]
    fn or_binds_more_tightly_than_and() {
        let holds = |text: &str| Filter::parse(text).unwrap().admits(&entry());
        assert!(!holds("severity=INFO AND severity=WARNING OR severity=WARNING"));
        assert!(holds("(severity=INFO AND severity=WARNING) OR severity=WARNING"));
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for text in [
            "robot",
            "(severity=ERROR",
            "severity=ERROR)",
            "()",
            "severity",
            "severity=",
            "severity==ERROR",
            "severity>=LOUD",
            "severity=ERROR AND",
            "OR severity=ERROR",
            "colour=red",
            "insertId=abc:def",
            "insertId=(a OR b)",
            "textPayload=~\"(\"",
            "textPayload=\"open",
            "timestamp>=yesterday",
            "SEARCH(\"x\")",
            &"(".repeat(99),
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
    }
}
