//! One comparison: a member of an entry, an operator and a value.

use std::cmp::Ordering;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use regex::Regex;
use serde_json::Value;

use super::words::{Operator, parts};

/// Members of an entry at its top.
const MEMBERS: [&str; 18] = [
    "insertId",
    "logName",
    "timestamp",
    "receiveTimestamp",
    "severity",
    "textPayload",
    "jsonPayload",
    "protoPayload",
    "httpRequest",
    "labels",
    "resource",
    "trace",
    "spanId",
    "traceSampled",
    "operation",
    "sourceLocation",
    "split",
    "errorGroups",
];

/// Severities in their order.
const SEVERITIES: [&str; 9] =
    ["DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"];

/// A comparison.
#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    member: Vec<String>,
    operator: Operator,
    value: Operand,
}

#[derive(Debug, Clone)]
enum Operand {
    Text(String),
    Pattern(Regex),
    Severity(usize),
    Time(Timestamp),
    /// `:*`, whatever it is.
    Anything,
}

impl Comparison {
    /// A comparison, or why there is none.
    pub(super) fn new(member: &str, operator: Operator, value: &str) -> Result<Self, String> {
        let path = parts(member);
        let top = path.first().map_or("", String::as_str);
        if !MEMBERS.contains(&top) {
            return Err(format!("Field not found: '{member}'."));
        }
        let is_pattern = matches!(operator, Operator::Matches | Operator::Differs);
        let value = match top {
            _ if operator == Operator::Holds && value == "*" => Operand::Anything,
            _ if is_pattern => Operand::Pattern(
                Regex::new(value).map_err(|error| format!("Invalid regular expression: {error}"))?,
            ),
            "severity" => Operand::Severity(
                rank(value).ok_or_else(|| format!("Invalid value for severity: '{value}'."))?,
            ),
            "timestamp" | "receiveTimestamp" => Operand::Time(
                time(value).ok_or_else(|| format!("Invalid timestamp: '{value}' is not RFC 3339."))?,
            ),
            _ => Operand::Text(value.to_owned()),
        };
        Ok(Self { member: path, operator, value })
    }

    /// True when it holds of an entry. What a map does not have compares with nothing; what an entry always has is
    /// empty where it is not named.
    pub(super) fn holds(&self, entry: &Value) -> bool {
        let mut found = Vec::new();
        reach(entry, &self.member, &mut found);
        let in_map = self.member.iter().any(|name| matches!(name.as_str(), "labels" | "jsonPayload"));
        match found.as_slice() {
            found if matches!(self.value, Operand::Anything) => !found.is_empty(),
            [] if in_map => false,
            [] => self.holds_of(&Value::String(String::new())),
            found => found.iter().any(|found| self.holds_of(found)),
        }
    }

    fn holds_of(&self, found: &Value) -> bool {
        match &self.value {
            Operand::Severity(due) => {
                let rank = found.as_str().and_then(rank).unwrap_or_default();
                self.agrees(Some(rank.cmp(due)))
            }
            Operand::Time(due) => {
                let time = found.as_str().and_then(|text| text.parse::<Timestamp>().ok());
                self.agrees(time.map(|time| time.cmp(due)))
            }
            Operand::Pattern(pattern) => {
                pattern.is_match(&text_of(found)) == (self.operator == Operator::Matches)
            }
            Operand::Text(due) => self.text_holds(found, due),
            Operand::Anything => true,
        }
    }

    fn text_holds(&self, found: &Value, due: &str) -> bool {
        let (lower, due_lower) = (text_of(found).to_lowercase(), due.to_lowercase());
        if self.operator == Operator::Holds {
            return lower.contains(&due_lower);
        }
        let due = if self.is(&["httpRequest", "latency"]) { seconds(due) } else { due.parse::<f64>().ok() };
        match (self.number(found), due) {
            (Some(found), Some(due)) => self.agrees(found.partial_cmp(&due)),
            _ => self.agrees(Some(lower.cmp(&due_lower))),
        }
    }

    /// A member that is a number, or seconds; a status that is missing is zero.
    fn number(&self, found: &Value) -> Option<f64> {
        if self.is(&["httpRequest", "latency"]) {
            return found.as_str().and_then(seconds);
        }
        let is_missing = self.is(&["httpRequest", "status"]) && found.as_str() == Some("");
        if is_missing { Some(0.0) } else { found.as_f64() }
    }

    fn is(&self, path: &[&str]) -> bool {
        self.member.iter().map(String::as_str).eq(path.iter().copied())
    }

    fn agrees(&self, order: Option<Ordering>) -> bool {
        let Some(order) = order else { return false };
        match self.operator {
            Operator::Equal | Operator::Holds => order.is_eq(),
            Operator::Unequal => order.is_ne(),
            Operator::Less => order.is_lt(),
            Operator::AtMost => order.is_le(),
            Operator::Greater => order.is_gt(),
            Operator::AtLeast => order.is_ge(),
            Operator::Matches | Operator::Differs => false,
        }
    }
}

/// What a path leads to: of a list, to each of its items.
fn reach<'a>(value: &'a Value, path: &[String], found: &mut Vec<&'a Value>) {
    match (value, path) {
        (Value::Array(items), path) => items.iter().for_each(|item| reach(item, path, found)),
        (Value::Null, _) => {}
        (value, []) => found.push(value),
        (value, [name, rest @ ..]) => {
            if let Some(below) = value.get(name) {
                reach(below, rest, found);
            }
        }
    }
}

/// The seconds of a duration such as `0.25s`.
fn seconds(text: &str) -> Option<f64> {
    text.strip_suffix('s')?.parse().ok()
}

/// A time, or the begin of a day.
fn time(text: &str) -> Option<Timestamp> {
    let day = || Some(text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
    text.parse().ok().or_else(|| if text.len() == "2026-11-23".len() { day() } else { None })
}

fn rank(severity: &str) -> Option<usize> {
    if severity.is_empty() {
        return Some(0);
    }
    SEVERITIES.iter().position(|known| known.eq_ignore_ascii_case(severity))
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
