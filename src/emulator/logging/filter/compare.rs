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

/// The units of a duration, the ones first that end as another does, and their nanoseconds.
///
/// Source: Cloud Logging's documentation of the values of its query language.
const UNITS: [(&str, f64); 7] =
    [("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9), ("d", 86_400e9)];

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
    /// Whole nanoseconds.
    Duration(f64),
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
            "httpRequest" if operator != Operator::Holds && path[1..] == ["latency"] => Operand::Duration(
                duration(value)
                    .ok_or_else(|| format!("Invalid duration: '{value}' is none as \"1.5s\" is."))?,
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
            Operand::Duration(due) => {
                // One that is missing is of its type's default, as a status is.
                let found =
                    found.as_str().and_then(|text| if text.is_empty() { Some(0.0) } else { duration(text) });
                self.agrees(found.and_then(|found| found.partial_cmp(due)))
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
        match (self.number(found), due.parse::<f64>().ok()) {
            (Some(found), Some(due)) => self.agrees(found.partial_cmp(&due)),
            _ => self.agrees(Some(lower.cmp(&due_lower))),
        }
    }

    /// A member that is a number; a status that is missing is zero.
    fn number(&self, found: &Value) -> Option<f64> {
        let is_missing = self.member == ["httpRequest", "status"] && found.as_str() == Some("");
        if is_missing { Some(0.0) } else { found.as_f64() }
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

/// The nanoseconds of a duration such as `0.25s` or `-3ms`.
fn duration(text: &str) -> Option<f64> {
    let (number, unit) = UNITS.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size)))?;
    let is_decimal = number.chars().all(|c| c.is_ascii_digit() || "+-.".contains(c));
    // Whole ones: 250ms is 0.25s, whatever a fraction is in binary.
    number.parse::<f64>().ok().filter(|_| is_decimal).map(|number| (number * unit).round())
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
