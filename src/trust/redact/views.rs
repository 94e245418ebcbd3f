//! A text as somebody reads it who undoes its escapes: there a secret stands that was written with them.
//!
//! Takes a text and gives other readings of it, each with the place in the text of all that is in it. It knows no secret. The
//! surprising rule: a reading is made only where the text has what it undoes, and takes time in proportion to the text's
//! length whatever stands in it, since a server writes that.

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
    /// Where the text and its reading part, in their order; between two of these both go on byte by byte.
    seams: Vec<Seam>,
}

/// A place of a reading behind which it goes on at another place of the text.
#[derive(Debug)]
struct Seam {
    /// The place in the reading.
    read: usize,
    /// Where the text ends that was read before it.
    before: usize,
    /// Where the text begins that is read behind it.
    behind: usize,
}

/// The other readings of a text.
pub(super) fn views(text: &str) -> impl Iterator<Item = View> {
    let readers: [fn(&str) -> Option<View>; 2] = [unescaped, unspaced];
    readers.into_iter().filter_map(move |read| read(text))
}

impl View {
    /// Where a part of the reading stands in the text.
    pub(super) fn place(&self, read: &Range<usize>) -> Range<usize> {
        let seam = |at: usize| {
            let behind = self.seams.partition_point(|seam| seam.read <= at);
            behind.checked_sub(1).and_then(|index| self.seams.get(index))
        };
        let start = seam(read.start).map_or(read.start, |seam| seam.behind + (read.start - seam.read));
        let end = match seam(read.end) {
            Some(seam) if seam.read == read.end => seam.before,
            Some(seam) => seam.behind + (read.end - seam.read),
            None => read.end,
        };
        start..end
    }

    /// What is read of a text that was cut off, without the escape that the cut went through.
    pub(super) fn uncut(&self) -> &str {
        let text = self.text.as_str();
        let end = text.floor_char_boundary(text.len().saturating_sub(LONGEST));
        let half = text.get(end..).and_then(|tail| tail.rfind(['\\', '&']));
        if let Some(at) = half {
            return text.get(..end + at).unwrap_or_default().trim_end_matches('\\');
        }
        if self.seams.last().is_some_and(|seam| seam.read == text.len()) {
            // An entity without its semicolon may go on.
            let last = text.chars().next_back().map_or(0, char::len_utf8);
            return text.get(..text.len() - last).unwrap_or_default();
        }
        let byte =
            text.strip_suffix(|c: char| c.is_ascii_hexdigit()).and_then(|text| text.strip_suffix([' ', ':']));
        byte.unwrap_or(text)
    }

    /// Behind what is read by now comes the text from `behind` on; what was read before ends at `before`.
    fn goes_on(&mut self, before: usize, behind: usize) {
        self.seams.push(Seam { read: self.text.len(), before, behind });
    }
}

/// With `\u0073`, `&#115;`, `&#x73;` and named entities read; `None` where there is none of them.
fn unescaped(text: &str) -> Option<View> {
    if !text.contains("\\u") && !text.contains('&') {
        return None;
    }
    let (mut view, mut copied, mut at) = (View::default(), 0, 0);
    while let Some(found) = text.get(at..).and_then(|rest| rest.find(['\\', '&'])) {
        at += found;
        let rest = text.get(at..).unwrap_or_default();
        let escape = if rest.starts_with('&') { entity(rest) } else { utf16(rest) };
        let Some((character, length)) = escape else {
            // All of them at once: to look behind each of a million backslashes anew would take hours.
            at += (rest.len() - rest.trim_start_matches('\\').len()).max(1);
            continue;
        };
        view.text.push_str(text.get(copied..at).unwrap_or_default());
        view.text.push(character);
        at += length;
        view.goes_on(at, at);
        copied = at;
    }
    view.text.push_str(text.get(copied..).unwrap_or_default());
    (copied > 0).then_some(view)
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
    let (mut view, mut copied, mut at) = (View::default(), 0, 0);
    while at < bytes.len() {
        let begins =
            is_digits_at(bytes, at) && at.checked_sub(1).is_none_or(|before| !is_digit(bytes[before]));
        let run = if begins { run(bytes, at) } else { None };
        let Some((separators, end)) = run else {
            at += 1;
            continue;
        };
        for separator in separators {
            view.text.push_str(text.get(copied..separator).unwrap_or_default());
            copied = separator + 1;
            view.goes_on(separator, copied);
        }
        at = end;
    }
    view.text.push_str(text.get(copied..).unwrap_or_default());
    (copied > 0).then_some(view)
}

fn is_digits_at(bytes: &[u8], at: usize) -> bool {
    bytes.get(at..at + 2).is_some_and(|pair| pair.iter().copied().all(is_digit))
}

/// What stands between the bytes that begin there, each a blank or a colon, and where they end; `None` where they are too
/// few, or nothing stands between them.
fn run(bytes: &[u8], start: usize) -> Option<(Vec<usize>, usize)> {
    let (mut separators, mut at) = (Vec::new(), start);
    loop {
        while is_digits_at(bytes, at) {
            at += 2;
        }
        let goes_on = matches!(bytes.get(at), Some(b' ' | b':')) && is_digits_at(bytes, at + 1);
        if !goes_on {
            break;
        }
        separators.push(at);
        at += 1;
    }
    let digits = at - start - separators.len();
    (!separators.is_empty() && digits >= DIGITS).then_some((separators, at))
}
