//! Durations as people write them.
//!
//! Takes one text and gives the duration, or a [`Flaw`] that says how to write it. It knows no setting and no limit but one
//! day. The surprising rule: a number without its unit is refused, since `10` means seconds to some and milliseconds to
//! others.

use std::time::Duration;

use super::values::{Flaw, quoted};

/// Nothing that a gate waits for takes longer; larger values would overflow a clock.
const LONGEST: Duration = Duration::from_hours(24);

/// `250ms`, `2.5s`, `10s`, `3m`, `1h30m`: numbers with units, the larger unit first; only the last may have a fraction, of
/// at most three digits. At most 24 h.
pub(crate) fn duration(text: &str) -> Result<Duration, Flaw> {
    let flaw = || {
        Flaw::new(format!("{} is not a duration: write it as 250ms, 2.5s, 10s, 3m or 1h30m", quoted(text)))
    };
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut smallest = Duration::MAX;
    while !rest.is_empty() || smallest == Duration::MAX {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(flaw)?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let unit = unit(&after[..letters]).filter(|unit| *unit < smallest).ok_or_else(flaw)?;
        rest = &after[letters..];
        if number.contains('.') && !rest.is_empty() {
            return Err(flaw());
        }
        let part =
            thousandths(number).and_then(|count| count.checked_mul(u64::try_from(unit.as_millis()).ok()?));
        total = part.and_then(|part| total.checked_add(Duration::from_micros(part))).ok_or_else(flaw)?;
        smallest = unit;
    }
    if total > LONGEST {
        return Err(Flaw::new(format!("{} is more than the longest duration, 24h", quoted(text))));
    }
    Ok(total)
}

/// A number with at most three digits behind its point, a thousand times as large.
fn thousandths(number: &str) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain(whole) || !is_plain(fraction) || fraction.len() > 3 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(1000)?.checked_add(format!("{fraction:0<3}").parse().ok()?)
}

fn unit(name: &str) -> Option<Duration> {
    match name {
        "h" => Some(Duration::from_hours(1)),
        "m" => Some(Duration::from_mins(1)),
        "s" => Some(Duration::from_secs(1)),
        "ms" => Some(Duration::from_millis(1)),
        _ => None,
    }
}

/// A duration that is not zero.
pub(crate) fn positive_duration(text: &str) -> Result<Duration, Flaw> {
    match duration(text)? {
        Duration::ZERO => {
            Err(Flaw::new(format!("{} leaves no time at all: it must be more than 0", quoted(text))))
        }
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(mut milliseconds: u64) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            if milliseconds >= size {
                let _ = write!(text, "{}{unit}", milliseconds / size);
                milliseconds %= size;
            }
        }
        if text.is_empty() { "0s".to_owned() } else { text }
    }

    #[test]
    fn reads_durations_as_people_write_them() {
        let cases = [
            ("250ms", 250),
            ("10s", 10_000),
            ("3m", 180_000),
            ("1h30m", 5_400_000),
            ("0s", 0),
            ("2.5s", 2500),
            ("1m0.25s", 60_250),
            ("1.5h", 5_400_000),
            ("86400000ms", 86_400_000),
        ];
        for (text, milliseconds) in cases {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn refuses_durations_that_could_be_misread() {
        for text in [
            "",
            "10",
            "2.5",
            "s",
            ".5s",
            "1.s",
            "1.5.s",
            "1.5m1s",
            "1.0001s",
            "1,5s",
            "3 parsecs",
            "1s1m",
            "1m1m",
            "-1s",
            "10 s",
            "99999999999s",
            "25h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(positive_duration("0s").unwrap_err().message.contains("no time at all"));
    }

    proptest! {
        #[test]
        fn durations_survive_being_written(milliseconds in 0_u64..=86_400_000) {
            let read = duration(&written(milliseconds)).unwrap();
            prop_assert_eq!(read, Duration::from_millis(milliseconds));
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = duration(&text);
        }
    }
}
