//! Names of the tags that revgate adds: which name has never been used before, and which were left behind?
//!
//! Takes the first part of a name, the time and a random number, and gives `NAME-<base36 minute><4 hex>`; recognises
//! such names again. Pure. The surprising rule: only this very shape is ever cleaned up, at 0 % and after an hour, since
//! a tag that merely looks unused may be somebody's bookmark.

use jiff::Timestamp;
use serde_json::Value;

use super::traffic;
use crate::cloudrun::wire::{Service, TrafficTarget};
use crate::config::Identifier;

/// Characters of a DNS label (RFC 1035, section 2.3.4).
const LABEL: usize = 63;
/// Characters between a tag and its service in the address.
const SEPARATOR: usize = 3;
/// Characters that Cloud Run adds to a service's name in the address: `-abcdefghij-uc`.
const HASH: usize = 14;
/// Characters of the minute in base 36, until the year 2084.
const MINUTE: usize = 5;
/// Characters of the random number in base 16.
const RANDOM: usize = 4;
/// After so many minutes a tag that was left behind may be cleaned up.
const STALE_AFTER: i64 = 60;

/// A name that cannot be made a tag of this service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tag made from {base:?} would have {length} characters, and addresses of {service} leave room for {limit}"
)]
pub struct TagTooLong {
    /// The name as it was given.
    pub base: String,
    /// Characters of the tag.
    pub length: usize,
    /// Characters that fit.
    pub limit: usize,
    /// Short name of the service.
    pub service: String,
}

impl TagTooLong {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self.limit.saturating_sub(suffix()) {
            0 => "the service's name leaves no room: tag the revision yourself, with one or two letters, and give \
                  that name with --tag"
                .to_owned(),
            room => format!("give --tag a name of at most {room} characters"),
        }
    }
}

/// A tag that was never used before: `BASE-`, the minute since 1970 in base 36, `random` in base 16.
///
/// # Errors
/// The tag's address would have a label of more than 63 characters.
pub fn fresh(
    base: &Identifier,
    service: &Service,
    now: Timestamp,
    random: u16,
) -> Result<String, TagTooLong> {
    let minute = u64::try_from(minute_of(now)).unwrap_or_default();
    let tag = format!("{base}-{:0>MINUTE$}{random:04x}", base36(minute));
    let limit = limit(service);
    if tag.len() <= limit {
        return Ok(tag);
    }
    let service = service.service_name().service;
    Err(TagTooLong { base: base.to_string(), length: tag.len(), limit, service })
}

/// The minute in which a tag of this base was made; `None` for any other name.
pub fn parse_fresh(tag: &str, base: &str) -> Option<i64> {
    minute_of_suffix(tag.strip_prefix(base)?.strip_prefix('-')?)
}

/// True for a name of the shape that revgate makes, of any base.
pub fn is_fresh_shape(tag: &str) -> bool {
    tag.rsplit_once('-').is_some_and(|(base, suffix)| !base.is_empty() && minute_of_suffix(suffix).is_some())
}

/// The tags of this base that an earlier run left behind: its shape, at 0 %, older than an hour.
pub fn stale(entries: &[Value], base: &str, now: Timestamp) -> Vec<String> {
    let now = minute_of(now);
    let old = |tag: &str| parse_fresh(tag, base).is_some_and(|minute| now - minute > STALE_AFTER);
    let normal = entries.iter().filter_map(|entry| TrafficTarget::try_from(entry.clone()).ok());
    normal.filter(|target| target.view.percent == 0).filter_map(|t| t.view.tag).filter(|t| old(t)).collect()
}

/// How long a tag of this service may be so that `TAG---LABEL` is a DNS label.
pub fn limit(service: &Service) -> usize {
    let shortest = service.service_name().service.len() + HASH;
    let label = |url: &str| {
        let host = url.strip_prefix("https://")?.split(['/', ':']).next()?;
        host.ends_with(".run.app").then(|| host.split('.').next().unwrap_or_default().len())
    };
    let reported = service.uri.iter().chain(&service.urls).filter_map(|url| label(url));
    LABEL.saturating_sub(SEPARATOR + reported.chain([shortest]).max().unwrap_or(shortest))
}

/// Characters that are added to a base.
const fn suffix() -> usize {
    1 + MINUTE + RANDOM
}

fn minute_of(now: Timestamp) -> i64 {
    now.as_second().div_euclid(60)
}

fn minute_of_suffix(suffix: &str) -> Option<i64> {
    let lower = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
    if suffix.len() != MINUTE + RANDOM || !suffix.chars().all(lower) {
        return None;
    }
    let (minute, random) = suffix.split_at(MINUTE);
    u16::from_str_radix(random, 16).ok()?;
    i64::from_str_radix(minute, 36).ok()
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    while number > 0 {
        digits
            .push(b"0123456789abcdefghijklmnopqrstuvwxyz"[usize::try_from(number % 36).unwrap_or_default()]);
        number /= 36;
    }
    digits.iter().rev().map(|&digit| char::from(digit)).collect()
}

/// True when nobody has this tag.
pub fn is_free(service: &Service, tag: &str) -> bool {
    traffic::holder(&service.traffic_entries(), tag).is_none()
        && service.traffic_statuses.iter().all(|status| status.tag.as_deref() != Some(tag))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize as _;
    use serde_json::json;

    use super::*;

    fn service(name: &str) -> Service {
        let name = format!("projects/p/locations/l/services/{name}");
        Service::deserialize(json!({"name": name, "uri": "https://checkout-abcdefghij-ew.a.run.app"}))
            .unwrap()
    }

    fn base(text: &str) -> Identifier {
        Identifier::new(text).unwrap()
    }

    #[test]
    fn makes_a_name_and_reads_it_again() {
        let now: Timestamp = "2026-11-23T20:28:12Z".parse().unwrap();
        let tag = fresh(&base("gate"), &service("checkout"), now, 0x0f0a).unwrap();
        assert_eq!(tag.len(), "gate-".len() + 9);
        assert!(tag.ends_with("0f0a") && is_fresh_shape(&tag));
        assert_eq!(parse_fresh(&tag, "gate"), Some(now.as_second() / 60));
        for other in ["gate", "gate-", "gate-blue", "gate-production", "gate-hn3k2-0f0a", "gatehn3k20f0a"] {
            assert_eq!(parse_fresh(other, "gate"), None, "{other}");
        }
    }

    #[test]
    fn names_the_limit() {
        assert_eq!(limit(&service("checkout")), 63 - 3 - 22);
        let error = fresh(&base("gate"), &service(&"s".repeat(40)), Timestamp::UNIX_EPOCH, 1).unwrap_err();
        assert_eq!((error.length, error.limit), (14, 6));
        assert!(error.help().contains("no room"));
        let error = fresh(&base("gate-of-ours"), &service(&"s".repeat(30)), Timestamp::UNIX_EPOCH, 1);
        assert_eq!(error.unwrap_err().help(), "give --tag a name of at most 6 characters");
    }

    #[test]
    fn cleans_up_only_its_own_shape_without_requests_after_an_hour() {
        let made: Timestamp = "2026-11-23T20:00:00Z".parse().unwrap();
        let tag = fresh(&base("gate"), &service("checkout"), made, 7).unwrap();
        let entries = [
            json!({"type": 2, "revision": "a", "tag": tag}),
            json!({"type": 2, "revision": "b", "tag": tag.replace("0007", "0008"), "percent": 1}),
            json!({"type": 2, "revision": "c", "tag": "gate-blue"}),
            json!({"type": 2, "revision": "d", "tag": tag.replace("gate", "other")}),
        ];
        let at = |time: &str| stale(&entries, "gate", time.parse().unwrap());
        assert!(at("2026-11-23T21:00:59Z").is_empty());
        assert_eq!(at("2026-11-23T21:01:00Z"), [tag]);
    }

    proptest! {
        #[test]
        fn every_name_is_read_again(minutes in 0_i64..60_000_000, random in any::<u16>(), name in "[a-z]{1,8}") {
            let now = Timestamp::from_second(minutes * 60).unwrap();
            let tag = fresh(&base(&name), &service("checkout"), now, random).unwrap();
            prop_assert_eq!(parse_fresh(&tag, &name), Some(minutes));
            prop_assert!(Identifier::new(&tag).is_some());
        }
    }
}
