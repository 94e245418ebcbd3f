//! The part of Cloud Logging's query language that gates need, over entries.
//!
//! Takes the text of a filter and says of an entry whether it is let through: comparisons by `=`, `!=`, `:`, `=~`, `!~`,
//! `<`, `<=`, `>` and `>=`, also with a list of values, `log_id()`, words that may stand anywhere, AND, OR, NOT, `-` and
//! parentheses. What it does not know is an error and never everything or nothing. The surprising rule, Google's own:
//! OR binds more tightly than AND.
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
    /// This text, in lower case, somewhere in the entry.
    Somewhere(String),
}

impl Filter {
    /// Reads a filter; an error is its place and what stands there, in the API's words.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let words = words(text)?;
        let mut reader = Reader { words: &words, at: 0, compared: None };
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
            Self::Somewhere(text) => somewhere(entry, text),
        }
    }
}

/// True where a value, or one below it, holds a text that is in lower case.
fn somewhere(value: &Value, text: &str) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| somewhere(item, text)),
        Value::Object(members) => members.values().any(|member| somewhere(member, text)),
        Value::String(found) => found.to_lowercase().contains(text),
        Value::Number(number) => number.to_string() == text,
        Value::Bool(_) | Value::Null => false,
    }
}

fn unexpected((word, column): &(Word, usize)) -> String {
    format!("Unparseable filter: syntax error at line 1, column {column}, token '{}'", word.text())
}

struct Reader<'a> {
    words: &'a [(Word, usize)],
    at: usize,
    /// Inside a list of values: the member that is compared with each, and how.
    compared: Option<(&'a str, Operator)>,
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
        // `-severity=INFO` is one word up to its operator, and the hyphen before a quotation mark is one of its own.
        let negated = match self.peek() {
            Some((Word::Plain(text), _)) if self.compared.is_none() => text.strip_prefix('-'),
            _ => None,
        };
        let Some(member) = negated else { return self.nested(depth) };
        self.at += 1;
        let inside = if member.is_empty() { self.nested(depth) } else { self.term(member, depth) };
        Ok(Filter::Not(Box::new(inside?)))
    }

    fn nested(&mut self, depth: u32) -> Result<Filter, String> {
        let first = self.next()?;
        match &first.0 {
            Word::Open if depth < DEEPEST => self.inside(depth + 1),
            Word::Plain(text) if ["AND", "OR", "NOT"].contains(&text.as_str()) => Err(unexpected(first)),
            Word::Plain(text) | Word::Quoted(text) => match (self.compared, &first.0) {
                (Some((member, operator)), _) => Comparison::new(member, operator, text).map(Filter::Compare),
                (None, Word::Plain(_)) => self.term(text, depth),
                (None, _) => Ok(Filter::Somewhere(text.to_lowercase())),
            },
            _ => Err(unexpected(first)),
        }
    }

    /// What stands between parentheses, the first of which is behind us.
    fn inside(&mut self, depth: u32) -> Result<Filter, String> {
        let inside = self.all(depth)?;
        match self.next()? {
            (Word::Close, _) if !matches!(&inside, Filter::All(parts) if parts.is_empty()) => Ok(inside),
            other => Err(unexpected(other)),
        }
    }

    /// What begins with a word without quotes: a comparison, a function, or the word alone.
    fn term(&mut self, word: &'a str, depth: u32) -> Result<Filter, String> {
        match self.peek() {
            Some((Word::Operator(operator), _)) => {
                self.at += 1;
                self.comparison(word, *operator, depth)
            }
            Some((Word::Open, _)) if word == "log_id" => self.log_id(),
            Some(open @ (Word::Open, _)) => Err(unexpected(open)),
            _ => Ok(Filter::Somewhere(word.to_lowercase())),
        }
    }

    fn comparison(&mut self, member: &'a str, operator: Operator, depth: u32) -> Result<Filter, String> {
        match self.next()? {
            (Word::Plain(value) | Word::Quoted(value), _) => {
                Comparison::new(member, operator, value).map(Filter::Compare)
            }
            // What unlike a list of values would be is not said anywhere.
            (Word::Open, _)
                if depth < DEEPEST && !matches!(operator, Operator::Unequal | Operator::Differs) =>
            {
                self.compared = Some((member, operator));
                let inside = self.inside(depth + 1);
                self.compared = None;
                inside
            }
            other => Err(unexpected(other)),
        }
    }

    /// `log_id("stdout")`, which is a log of whatever project.
    fn log_id(&mut self) -> Result<Filter, String> {
        self.at += 1;
        let (Word::Plain(id) | Word::Quoted(id), _) = self.next()? else {
            return Err("Unparseable filter: log_id takes the id of a log".to_owned());
        };
        let ends = format!("/logs/{}$", regex::escape(&id.replace('/', "%2F")));
        match self.next()? {
            (Word::Close, _) => Comparison::new("logName", Operator::Matches, &ends).map(Filter::Compare),
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
            "httpRequest": {"status": 429, "latency": "10.250000s", "userAgent": "revgate/0.1.0 (abc-7)"},
            "resource": {"type": "cloud_run_revision", "labels": {"service_name": "s", "revision_name": "s-1"}},
            "labels": {"instanceId": "00ab", "run.googleapis.com/x": "y"}, "traceSampled": true, "jsonPayload": {"list": [{"name": "a"}, {"name": "b"}]},
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
            ("severity=(INFO OR WARNING) AND httpRequest.status=429", true),
            ("severity=(\"INFO\" OR \"ERROR\")", false),
            ("textPayload:(starting AND autoscaling)", true),
            ("textPayload:(starting AND stopping)", false),
            ("\"new INSTANCE\"", true),
            ("autoscaling s-1", true),
            ("robot", false),
            ("429", true),
            ("-severity=INFO -robot", true),
            ("-\"new instance\"", false),
            ("log_id(\"run.googleapis.com/requests\")", true),
            ("log_id(stdout)", false),
            ("timestamp>=\"2026-11-23\" timestamp<\"2026-11-24\"", true),
            ("jsonPayload.list.name=b AND jsonPayload.list.name=a", true),
            ("jsonPayload.list.name=c", false),
            ("labels.\"run.googleapis.com/x\"=y -labels.\"run.googleapis.com/x\"=z", true),
            ("labels.\"run.googleapis.com/x\"=(a OR b)", false),
            ("resource.labels.\"service_name\"=s resource.\"labels\".service_name=s", true),
            ("labels.run.googleapis.com/x=y", false),
            ("httpRequest:* labels.instanceId:* severity:*", true),
            ("protoPayload:*", false),
            ("httpRequest.referer:*", false),
            ("httpRequest.latency>\"2s\" httpRequest.latency<=10.5s", true),
            ("httpRequest.latency>11s", false),
            (
                "httpRequest.latency>\"500ms\" httpRequest.latency=10250ms httpRequest.latency=10250000us",
                true,
            ),
            ("httpRequest.latency=10250000000ns httpRequest.latency<0.2m", true),
            ("httpRequest.latency<1h httpRequest.latency<1d httpRequest.latency>-1s", true),
            ("httpRequest.latency>9000ms httpRequest.latency>0.1h", false),
            ("httpRequest.latency:10", true),
            ("operation.id=o OR sourceLocation.file=f OR traceSampled=true", true),
        ] {
            assert_eq!(Filter::parse(text).map(|filter| filter.admits(&entry())), Ok(due), "{text}");
        }
    }

    #[test]
    fn a_latency_that_is_missing_is_none() {
        let holds = |text: &str| Filter::parse(text).unwrap().admits(&json!({"textPayload": "a"}));
        assert!(holds("httpRequest.latency<1ms") && !holds("httpRequest.latency>0s"));
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
            "(severity=ERROR",
            "severity=ERROR)",
            "()",
            "severity=",
            "severity==ERROR",
            "severity>=LOUD",
            "severity=ERROR AND",
            "OR severity=ERROR",
            "colour=red",
            "insertId=abc:def",
            "insertId=(a OR b",
            "insertId=()",
            "insertId!=(a OR b)",
            "log_id(",
            "sample(insertId, 0.5)",
            "-",
            "textPayload=~\"(\"",
            "textPayload=\"open",
            "timestamp>=yesterday",
            "httpRequest.latency>2",
            "httpRequest.latency>2w",
            "httpRequest.latency>infs",
            "httpRequest.latency>(1s OR long)",
            "SEARCH(\"x\")",
            &"(".repeat(99),
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
    }
}
