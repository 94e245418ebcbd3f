//! How a duration is written in a scenario: `"250ms"`, `"1m 30s"`, or `"never"`.
//!
//! Takes and gives text for serde's `with`. Zero means "off" in every field that uses it, and `never` is the longest
//! duration there is, so that a fault needs no second field to say that it does not end.

use std::time::Duration;

use jiff::fmt::friendly::SpanParser;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// A wait that does not end.
pub(crate) const NEVER: Duration = Duration::MAX;

/// Writes milliseconds, or nanoseconds where those say more, or `never`.
pub(crate) fn serialize<S: Serializer>(wait: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    if *wait == NEVER {
        return serializer.serialize_str("never");
    }
    if !wait.subsec_nanos().is_multiple_of(1_000_000) {
        return serializer.serialize_str(&format!("{}ns", wait.as_nanos()));
    }
    serializer.serialize_str(&format!("{}ms", wait.as_millis()))
}

/// Reads a friendly duration, or `never`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "never" {
        return Ok(NEVER);
    }
    SpanParser::new().parse_unsigned_duration(&text).map_err(|error| {
        D::Error::custom(format!("`{text}` is not a duration such as 250ms or 1m 30s: {error}"))
    })
}

/// Waits; for [`NEVER`] the future does not end.
pub(crate) async fn pass(wait: Duration) {
    if wait == NEVER {
        std::future::pending::<()>().await;
    }
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Wait(#[serde(with = "super")] Duration);
        let longest = Duration::from_secs(u64::from(u32::MAX)) + Duration::from_nanos(1);
        for wait in [Duration::ZERO, Duration::from_micros(500), Duration::from_millis(1500), longest, NEVER]
        {
            let text = serde_json::to_string(&Wait(wait)).unwrap();
            assert_eq!(serde_json::from_str::<Wait>(&text).unwrap().0, wait, "{text}");
        }
    }
}
