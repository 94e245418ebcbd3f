//! A text as somebody reads it who undoes its escapes: there a secret stands that was written with them.
//!
//! Takes a text and gives other readings of it, each with the place in the text of all that is in it. It knows no secret. The
//! surprising rule: a reading is made only where the text has what it undoes, so that most texts have none.

use std::ops::Range;

/// So many hexadecimal digits at the least are a text of bytes.
const DIGITS: usize = 8;
/// No escape is longer, but for leading zeros.
const LONGEST: usize = 9;
/// The entities of HTML that have names in every text that was escaped.
const NAMED: [(&str, char); 5] = [("amp;", '&'), ("lt;", '<'), ("gt;", '>'), ("quot;", '"'), ("apos;", '\'')];

/// Another reading of a text.
#[derive(Debug, Default)]
pub(super) struct View {
    /// What is read.
    pub(super) text: String,
    /// Where each byte of it stands in the text.
    places: Vec<Range<usize>>,
}

/// The other readings of a text.
pub(super) fn views(text: &str) -> impl Iterator<Item = View> {
    [unescaped(text), unspaced(text)].into_iter().flatten()
}

impl View {
    /// Where a part of the reading stands in the text.
    pub(super) fn place(&self, read: &Range<usize>) -> Range<usize> {
        let start = self.places.get(read.start).map_or(0, |place| place.start);
        let end = read.end.checked_sub(1).and_then(|last| self.places.get(last));
        start..end.map_or(start, |place| place.end)
    }

    /// What is read of a text that was cut off, without the escape that the cut went through.
    pub(super) fn uncut(&self) -> &str {
        let text = self.text.as_str();
        let end = text.floor_char_boundary(text.len().saturating_sub(LONGEST));
        let half = text.get(end..).and_then(|tail| tail.rfind(['\\', '&']));
        if let Some(at) = half {
            return text.get(..end + at).unwrap_or_default().trim_end_matches('\\');
        }
        if let Some((last, written)) = text.chars().next_back().zip(self.places.last())
            && written.len() > last.len_utf8()
        {
            // An entity without its semicolon may go on.
            return text.get(..text.len() - last.len_utf8()).unwrap_or_default();
        }
        let byte =
            text.strip_suffix(|c: char| c.is_ascii_hexdigit()).and_then(|text| text.strip_suffix([' ', ':']));
        byte.unwrap_or(text)
    }

    /// Reads a character that is written so.
    fn read(&mut self, character: char, written: Range<usize>) {
        self.text.push(character);
        self.places.extend(std::iter::repeat_n(written, character.len_utf8()));
    }
}

/// With `\u0073`, `&#115;`, `&#x73;` and named entities read; `None` where there is none of them.
fn unescaped(text: &str) -> Option<View> {
    if !text.contains("\\u") && !text.contains('&') {
        return None;
    }
    let (mut view, mut at, mut is_other) = (View::default(), 0, false);
    while let Some(first) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        let escape = match first {
            '\\' => utf16(rest),
            '&' => entity(rest),
            _ => None,
        };
        is_other |= escape.is_some();
        let (character, length) = escape.unwrap_or((first, first.len_utf8()));
        view.read(character, at..at + length);
        at += length;
    }
    is_other.then_some(view)
}

/// The character of the escape that a text begins with, and how long that is. Where JSON was written into JSON there are
/// several backslashes.
fn utf16(text: &str) -> Option<(char, usize)> {
    let (first, length) = unit(text)?;
    if let Some(Ok(character)) = char::decode_utf16([first]).next() {
        return Some((character, length));
    }
    let (second, more) = unit(text.get(length..)?)?;
    char::decode_utf16([first, second]).next()?.ok().map(|character| (character, length + more))
}

fn unit(text: &str) -> Option<(u16, usize)> {
    let escape = text.trim_start_matches('\\');
    let before = text.len() - escape.len();
    let digits = escape.strip_prefix('u')?.get(..4).filter(|digits| digits.bytes().all(is_digit))?;
    (before > 0).then_some((u16::from_str_radix(digits, 16).ok()?, before + 5))
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

/// The same of an entity of HTML, also where its semicolon is missing.
fn entity(text: &str) -> Option<(char, usize)> {
    let body = text.strip_prefix('&')?;
    if let Some((name, character)) = NAMED.iter().find(|(name, _)| body.starts_with(name)) {
        return Some((*character, 1 + name.len()));
    }
    let number = body.strip_prefix('#')?;
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    let length = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let (written, behind) = digits.split_at(length);
    let character = char::from_u32(u32::from_str_radix(written, radix).ok()?)?;
    Some((character, text.len() - behind.strip_prefix(';').unwrap_or(behind).len()))
}

/// With bytes in hexadecimal, such as `73 33 63` or `7333:6372`, put together; `None` where there are none of them.
fn unspaced(text: &str) -> Option<View> {
    let bytes = text.as_bytes();
    let (mut view, mut at, mut is_other) = (View::default(), 0, false);
    while let Some(first) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let begins =
            is_digits_at(bytes, at) && at.checked_sub(1).is_none_or(|before| !is_digit(bytes[before]));
        let run = if begins { run(bytes, at) } else { Vec::new() };
        if run.is_empty() {
            view.read(first, at..at + first.len_utf8());
            at += first.len_utf8();
            continue;
        }
        is_other = true;
        for &place in &run {
            view.read(char::from(bytes[place]), place..place + 1);
        }
        at = run.last().map_or(bytes.len(), |last| last + 1);
    }
    is_other.then_some(view)
}

fn is_digits_at(bytes: &[u8], at: usize) -> bool {
    bytes.get(at..at + 2).is_some_and(|pair| pair.iter().copied().all(is_digit))
}

/// The places of the digits of bytes that begin there, with a blank or a colon between some of them; none where these are
/// too few, or nothing stands between.
fn run(bytes: &[u8], start: usize) -> Vec<usize> {
    let (mut digits, mut at, mut is_split) = (Vec::new(), start, false);
    loop {
        while is_digits_at(bytes, at) {
            digits.extend([at, at + 1]);
            at += 2;
        }
        let goes_on = matches!(bytes.get(at), Some(b' ' | b':')) && is_digits_at(bytes, at + 1);
        if !goes_on {
            break;
        }
        is_split = true;
        at += 1;
    }
    if is_split && digits.len() >= DIGITS { digits } else { Vec::new() }
}
