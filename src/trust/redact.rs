//! Takes every known secret out of a text, in each form in which a server could echo it.
//!
//! Takes the secrets that this run knows (configured and minted) and gives back texts without them. It never guesses
//! what a secret looks like. The surprising rule: a text that was cut in the middle of a secret loses the head of the
//! secret as well, since the cut made it unrecognisable.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Bound;
use std::sync::{Arc, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::Secret;

/// What stands where a secret stood.
const MARK: &str = "[redacted]";
/// Shorter texts are not taken out: they would eat ordinary words.
const SHORTEST: usize = 4;
/// A cut secret is recognised from this many characters on.
const SHORTEST_HEAD: usize = 8;

/// Knows the secrets of a run. Cheap to clone; clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    needles: BTreeSet<String>,
    /// Made when it is first needed after something was learned: tokens are learned one by one.
    matcher: Option<AhoCorasick>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    /// From now on `secret` is taken out of every text, plain, percent-encoded, JSON-escaped, in hexadecimal and in
    /// base64 (both alphabets, every alignment). Of a JWT, payload and signature are secrets of their own.
    pub fn learn(&self, secret: &Secret) {
        self.learn_all(std::slice::from_ref(secret));
    }

    /// The same for many secrets at once, which builds the matcher only once.
    pub fn learn_all(&self, secrets: &[Secret]) {
        let Ok(mut known) = self.known.write() else { return };
        let before = known.needles.len();
        for secret in secrets {
            for part in parts(secret.expose()) {
                known.needles.extend(forms(part));
            }
        }
        if known.needles.len() != before {
            known.matcher = None;
        }
    }

    /// `text` without any known secret.
    pub fn redact(&self, text: &str) -> String {
        if let Ok(known) = self.known.read() {
            if known.needles.is_empty() {
                return text.to_owned();
            }
            if let Some(matcher) = &known.matcher {
                return replace(matcher, text);
            }
        }
        let Ok(mut known) = self.known.write() else { return MARK.to_owned() };
        known.matcher =
            AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&known.needles).ok();
        // What cannot be searched is not shown.
        known.matcher.as_ref().map_or_else(|| MARK.to_owned(), |matcher| replace(matcher, text))
    }

    /// The same for a text whose end was cut off: a secret of which only the head is left goes too.
    pub fn redact_cut(&self, text: &str) -> String {
        let mut clean = self.redact(text);
        let Ok(known) = self.known.read() else { return MARK.to_owned() };
        if let Some(length) = head_at_end(&clean, &known.needles) {
            clean.truncate(clean.len() - length);
            clean.push_str(MARK);
        }
        clean
    }
}

fn replace(matcher: &AhoCorasick, text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    matcher.replace_all_with(text, &mut clean, |_, _, clean| {
        clean.push_str(MARK);
        true
    });
    clean
}

/// How many bytes at the end of `text` are the head of a needle; the most, where several are.
fn head_at_end(text: &str, needles: &BTreeSet<String>) -> Option<usize> {
    let longest = needles.iter().map(String::len).max()?;
    let first = text.len().saturating_sub(longest);
    let ends = (first..=text.len().saturating_sub(SHORTEST_HEAD)).filter_map(|start| text.get(start..));
    // Sorted, so that the needles which begin with a text follow it.
    let mut heads = ends.filter(|end| {
        let mut following = needles.range::<str, _>((Bound::Included(*end), Bound::Unbounded));
        end.len() >= SHORTEST_HEAD && following.next().is_some_and(|needle| needle.starts_with(end))
    });
    heads.next().map(str::len)
}

/// The whole secret, and of a JWT each part that is worth hiding (its header is the same for everybody).
fn parts(secret: &str) -> Vec<&str> {
    let mut parts = vec![secret];
    let segments: Vec<&str> = secret.split('.').collect();
    if segments.len() == 3 && segments.iter().all(|segment| segment.len() >= 16) {
        parts.extend(&segments[1..]);
    }
    parts
}

/// Every form of `text` that is searched for.
fn forms(text: &str) -> Vec<String> {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let mut forms = vec![
        text.to_owned(),
        url::form_urlencoded::byte_serialize(text.as_bytes()).collect(),
        quoted.trim_matches('"').to_owned(),
        quoted.trim_matches('"').replace('/', "\\/"),
        hexadecimal(text),
        hexadecimal(text).to_uppercase(),
    ];
    for kept in UNENCODED {
        let (upper, lower) = percent_encoded(text, kept);
        forms.extend([upper, lower]);
    }
    for alignment in 0..3 {
        forms.extend(base64_inside(text, alignment));
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// Characters besides letters and digits that encoders leave as they are: those of RFC 3986, of Python's `quote`, of
/// JavaScript's `encodeURIComponent` and `encodeURI`; `None` encodes every byte.
const UNENCODED: [Option<&str>; 5] =
    [Some("-_.~"), Some("-_.~/"), Some("-_.!~*'()"), Some("-_.!~*'();,/?:@&=+$#"), None];

/// Percent-encoded with upper-case and with lower-case digits.
fn percent_encoded(text: &str, kept: Option<&str>) -> (String, String) {
    let (mut upper, mut lower) = (String::new(), String::new());
    for byte in text.bytes() {
        let character = char::from(byte);
        if kept
            .is_some_and(|kept| byte.is_ascii_alphanumeric() || (byte.is_ascii() && kept.contains(character)))
        {
            upper.push(character);
            lower.push(character);
        } else {
            let _ = write!(upper, "%{byte:02X}");
            let _ = write!(lower, "%{byte:02x}");
        }
    }
    (upper, lower)
}

fn hexadecimal(text: &str) -> String {
    text.bytes().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// What stays the same in the base64 of any longer text that holds `text` at an offset of `alignment` modulo 3.
fn base64_inside(text: &str, alignment: usize) -> Vec<String> {
    let padded: Vec<u8> = [&vec![0; alignment][..], text.as_bytes()].concat();
    // The first characters depend on the bytes before, the last one on the bytes after.
    let first = [0, 2, 3][alignment];
    let last = padded.len() * 8 / 6;
    if last < first + SHORTEST_HEAD {
        return Vec::new();
    }
    [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)]
        .into_iter()
        .filter_map(|encoded| encoded.get(first..last).map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    use super::*;

    fn knowing(secret: &str) -> Redactor {
        let redactor = Redactor::default();
        redactor.learn(&Secret::new(secret));
        redactor
    }

    #[test]
    fn takes_out_each_part_of_a_jwt() {
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyLTAwMSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ";
        let redactor = knowing(token);
        assert_eq!(redactor.redact("sig c2lnbmF0dXJlLXNpZ25hdHVyZQ."), "sig [redacted].");
        assert_eq!(redactor.redact(&format!("Bearer {token}")), "Bearer [redacted]");
    }

    #[test]
    fn takes_out_the_head_of_a_cut_secret() {
        let redactor = knowing("correct-horse-battery");
        assert_eq!(redactor.redact_cut("x correct-hor"), "x [redacted]");
        assert_eq!(redactor.redact_cut("x correct"), "x correct", "too short to tell from a word");
        assert_eq!(redactor.redact_cut("%63%6f%72%72%65%63%74"), "[redacted]");
        redactor.learn(&Secret::new("correct-house"));
        assert_eq!(redactor.redact_cut("correct-house correct-hou"), "[redacted] [redacted]");
        assert_eq!(redactor.redact_cut("ü"), "ü");
    }

    #[test]
    fn takes_out_each_percent_encoding() {
        let redactor = knowing("a+b/c=d e~f!");
        for encoded in [
            "a%2Bb%2Fc%3Dd%20e~f%21",
            "a%2bb%2fc%3dd%20e~f%21",
            "a%2Bb%2Fc%3Dd+e%7Ef%21",
            "a%2Bb/c%3Dd%20e~f%21",
            "a%2Bb%2Fc%3Dd%20e~f!",
            "a+b/c=d%20e~f!",
            "%61%2B%62%2F%63%3D%64%20%65%7E%66%21",
        ] {
            assert_eq!(redactor.redact(encoded), MARK, "{encoded}");
        }
    }

    proptest! {
        #[test]
        fn finds_the_secret_in_any_base64(before in "[a-z]{0,9}", after in "[a-z]{0,9}") {
            let secret = "correct-horse-battery";
            let redactor = knowing(secret);
            let whole = format!("{before}{secret}{after}");
            for encoded in [STANDARD.encode(&whole), URL_SAFE.encode(&whole)] {
                prop_assert!(redactor.redact(&encoded).contains(MARK));
            }
        }
    }
}
