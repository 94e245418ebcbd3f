//! Takes every known secret out of a text, in each form in which a server could echo it.
//!
//! Takes the secrets that this run knows (configured and minted) and gives back texts without them. It never guesses
//! what a secret looks like. The surprising rule: a text that was cut in the middle of a secret loses the head of the
//! secret as well, since the cut made it unrecognisable.

mod views;

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::{Arc, RwLock};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use self::views::views;
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
    needles: Vec<String>,
    matcher: Option<AhoCorasick>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    /// From now on `secret` is taken out of every text, plain, percent-encoded, JSON-escaped, in HTML entities, in
    /// hexadecimal (also with blanks or colons between bytes) and in base64 (both alphabets, every alignment). Of a JWT,
    /// payload and signature are secrets of their own.
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
        known.needles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        known.needles.dedup();
        if known.needles.len() != before {
            known.matcher = AhoCorasick::new(&known.needles).ok();
        }
    }

    /// `text` without any known secret.
    pub fn redact(&self, text: &str) -> String {
        let Ok(known) = self.known.read() else { return MARK.to_owned() };
        if known.needles.is_empty() {
            return text.to_owned();
        }
        // A matcher that could not be built finds nothing: then nothing is shown.
        let Some(matcher) = &known.matcher else { return MARK.to_owned() };
        let mut hidden: Vec<Range<usize>> =
            matcher.find_overlapping_iter(text).map(|found| found.range()).collect();
        for view in views(text) {
            let found = matcher.find_overlapping_iter(&view.text);
            hidden.extend(found.map(|found| view.place(&found.range())));
        }
        let mut clean = String::with_capacity(text.len());
        let mut shown = 0;
        for hidden in joined(hidden) {
            clean.push_str(text.get(shown..hidden.start).unwrap_or_default());
            clean.push_str(MARK);
            shown = hidden.end;
        }
        clean + text.get(shown..).unwrap_or_default()
    }

    /// The same for a text whose end was cut off: a secret of which only the head is left goes too.
    pub fn redact_cut(&self, text: &str) -> String {
        let mut clean = self.redact(text);
        let Ok(known) = self.known.read() else { return MARK.to_owned() };
        let longest = |text: &str| known.needles.iter().filter_map(|needle| head_at_end(text, needle)).max();
        let plain = longest(&clean).map(|length| clean.len() - length);
        let read = views(&clean).filter_map(|view| {
            let whole = [view.text.as_str(), view.uncut()];
            let starts = whole.map(|text| longest(text).map(|length| text.len() - length));
            let start = starts.into_iter().flatten().min()?;
            Some(view.place(&(start..start + 1)).start)
        });
        if let Some(start) = plain.into_iter().chain(read).min() {
            clean.truncate(start);
            clean.push_str(MARK);
        }
        clean
    }
}

/// Ranges in their order, those that overlap joined: a server knows our secrets and could write one so into another that
/// the first one's end is the other's beginning.
fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// How many bytes at the end of `text` are the head of `needle`.
fn head_at_end(text: &str, needle: &str) -> Option<usize> {
    // A short text, of which a server may send a million, holds no long head.
    (SHORTEST_HEAD..needle.len().min(text.len() + 1))
        .rev()
        .filter(|&length| needle.is_char_boundary(length))
        .find(|&length| text.ends_with(&needle[..length]))
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
    let mut forms = vec![text.to_owned(), hexadecimal(text), hexadecimal(text).to_uppercase()];
    forms.extend(percent_encoded(text));
    forms.extend(json_escaped(text));
    for alignment in 0..3 {
        forms.extend(base64_inside(text, alignment));
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// What encoders leave as it is besides letters and digits, and how they write a space: RFC 3986, JavaScript's
/// encodeURIComponent and encodeURI, Python's quote, and HTML forms.
const ENCODERS: [(&str, &str); 5] =
    [("-_.~", "%20"), ("-_.~!*'()", "%20"), (";,/?:@&=+$-_.!~*'()#", "%20"), ("-_.~/", "%20"), ("*-._", "+")];

/// Percent-encoded, as each encoder does it, with digits of both cases.
fn percent_encoded(text: &str) -> Vec<String> {
    let upper = ENCODERS.iter().map(|(kept, space)| {
        text.bytes().fold(String::new(), |mut encoded, byte| {
            match char::from(byte) {
                ' ' => encoded.push_str(space),
                c if c.is_ascii_alphanumeric() || (c.is_ascii() && kept.contains(c)) => encoded.push(c),
                _ => drop(write!(encoded, "%{byte:02X}")),
            }
            encoded
        })
    });
    // Somebody who wants to hide it encodes every byte.
    let whole = text.bytes().fold(String::new(), |encoded, byte| format!("{encoded}%{byte:02X}"));
    upper.chain([whole]).flat_map(|upper| [lower_digits(&upper), upper]).collect()
}

/// The same with `%2f` for `%2F`.
fn lower_digits(encoded: &str) -> String {
    let mut digits = 0;
    let lower = |c: char| {
        digits = if c == '%' { 2 } else { i32::max(digits - 1, -1) };
        if c != '%' && digits >= 0 { c.to_ascii_lowercase() } else { c }
    };
    encoded.chars().map(lower).collect()
}

/// Inside a JSON string, as writers differ: `/` or `\/`, other alphabets as they are or as `\uXXXX`, and the characters
/// of HTML as they are or as `\uXXXX`.
fn json_escaped(text: &str) -> Vec<String> {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let inside = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
    let mut forms = Vec::new();
    let writers = ["", "<>&", "<>&'"].into_iter().flat_map(|html| (0..4).map(move |bits| (html, bits)));
    for (html, bits) in writers {
        let (solidus, ascii) = (bits & 1 > 0, bits & 2 > 0);
        let mut form = String::new();
        for character in inside.chars() {
            match character {
                '/' if solidus => form.push_str("\\/"),
                c if (ascii && !c.is_ascii()) || html.contains(c) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(form, "\\u{unit:04x}");
                    }
                }
                c => form.push(c),
            }
        }
        forms.push(form);
    }
    forms
}

/// The bytes of a text, each as two lower-case digits.
pub(crate) fn hexadecimal(text: &str) -> String {
    text.bytes().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// What stays the same in the base64 of any longer text that holds `text` at an offset of `alignment` modulo 3.
pub(crate) fn base64_inside(text: &str, alignment: usize) -> Vec<String> {
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
mod tests;
