//! Does a socket show what belongs to another user's conversation?
//!
//! Takes what every conversation is known by (its nonce, its user, what was captured in it) and what came on its socket;
//! gives the leaks. Pure. The surprising rule: a mark counts only where no letter or digit touches it, and not inside a mark
//! of the socket's own, so that `user-1` is neither found in `user-10` nor in one's own `user-1-b`. A nonce is nobody's word:
//! it counts wherever it stands, in letters of either case, in hexadecimal, and in base64.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::trust::{base64_inside, hexadecimal};

/// The shortest mark that is looked for, in characters: a shorter one stands in any text by chance.
const SHORTEST: usize = 4;
/// How many finds in one text are looked at.
const FINDS: usize = 100_000;

/// The kind of mark that is made for one conversation.
const NONCE: &str = "nonce";

/// Something that belongs to one user's conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// The text.
    pub(super) text: String,
    /// The run whose it is.
    pub(super) run: u32,
    /// Its user.
    pub(super) user: String,
    /// `nonce`, `user`, or the name of a capture.
    pub(super) kind: String,
}

impl Mark {
    fn is_nonce(&self) -> bool {
        self.kind == NONCE
    }
}

/// True for a text too short to be a mark.
pub(super) fn is_short(text: &str) -> bool {
    text.chars().count() < SHORTEST
}

/// All marks, ready to be looked for.
pub(super) struct Lookout {
    marks: Vec<Mark>,
    /// Every mark as a word, and nonces in base64.
    words: Patterns,
    /// Nonces, in letters of either case, and in hexadecimal.
    nonces: Patterns,
}

/// Patterns of an automaton, each with the mark that it is of.
struct Patterns {
    owners: Vec<usize>,
    automaton: Option<AhoCorasick>,
}

impl Patterns {
    fn new(patterns: Vec<(usize, String)>, any_case: bool) -> Self {
        let (owners, texts): (Vec<usize>, Vec<String>) = patterns.into_iter().unzip();
        let mut builder = AhoCorasick::builder();
        builder.match_kind(MatchKind::Standard).ascii_case_insensitive(any_case);
        Self { owners, automaton: builder.build(&texts).ok() }
    }

    /// Where they stand in a text, and the mark of each.
    fn found<'t>(&'t self, text: &'t str) -> impl Iterator<Item = (Range<usize>, usize)> + 't {
        let found = self.automaton.iter().flat_map(move |automaton| automaton.find_overlapping_iter(text));
        found
            .take(FINDS)
            .filter_map(|found| Some((found.range(), *self.owners.get(found.pattern().as_usize())?)))
    }
}

impl Lookout {
    /// Looks for these; those that are too short are left out.
    pub(super) fn new(marks: Vec<Mark>) -> Self {
        let marks: Vec<Mark> = marks.into_iter().filter(|mark| !is_short(&mark.text)).collect();
        let (mut words, mut nonces) = (Vec::new(), Vec::new());
        for (index, mark) in marks.iter().enumerate() {
            if mark.is_nonce() {
                nonces.extend([(index, mark.text.clone()), (index, hexadecimal(&mark.text))]);
                let encoded = (0..3).flat_map(|alignment| base64_inside(&mark.text, alignment));
                words.extend(encoded.map(|text| (index, text)));
                continue;
            }
            let quoted = serde_json::to_string(&mark.text).unwrap_or_default();
            let in_json = quoted.trim_matches('"').to_owned();
            words.push((index, mark.text.clone()));
            if in_json != mark.text && !in_json.is_empty() {
                words.push((index, in_json));
            }
        }
        Self { marks, words: Patterns::new(words, false), nonces: Patterns::new(nonces, true) }
    }

    /// How many marks are looked for.
    pub(super) fn len(&self) -> usize {
        self.marks.len()
    }

    /// True where such a text of the same user is looked for.
    pub(super) fn looks_for(&self, mark: &Mark) -> bool {
        let alike =
            |other: &Mark| (&other.text, &other.user, &other.kind) == (&mark.text, &mark.user, &mark.kind);
        self.marks.iter().any(alike)
    }

    /// The marks of others in a text that came on a socket of `user`, each once.
    pub(super) fn foreign(&self, text: &str, user: &str) -> Vec<&Mark> {
        let mut own = Vec::new();
        let mut others = Vec::new();
        for (span, index) in self.words.found(text).chain(self.nonces.found(text)) {
            let Some(mark) = self.marks.get(index) else { continue };
            if !mark.is_nonce() && !stands_alone(text, span.start, span.end) {
                continue;
            }
            if mark.user == user { own.push(span) } else { others.push((span, mark)) }
        }
        // Every text that is both, one's own and another's, is one's own.
        others.retain(|(span, _)| !own.iter().any(|own| own.start <= span.start && span.end <= own.end));
        distinct(others.into_iter().map(|(_, mark)| mark))
    }

    /// The nonces of others in a text that is put together of pieces.
    pub(super) fn foreign_nonces(&self, text: &str, user: &str) -> Vec<&Mark> {
        let marks = self.nonces.found(text).filter_map(|(_, index)| self.marks.get(index));
        distinct(marks.filter(|mark| mark.user != user))
    }
}

fn distinct<'m>(marks: impl Iterator<Item = &'m Mark>) -> Vec<&'m Mark> {
    let mut seen: Vec<&Mark> = Vec::new();
    for mark in marks {
        if !seen.contains(&mark) {
            seen.push(mark);
        }
    }
    seen
}

/// True where no letter or digit touches it.
fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let touches = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let before = text.get(..start).and_then(|head| head.chars().next_back());
    let behind = text.get(end..).and_then(|rest| rest.chars().next());
    !touches(before) && !touches(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(text: &str, run: u32, user: &str, kind: &str) -> Mark {
        Mark { text: text.to_owned(), run, user: user.to_owned(), kind: kind.to_owned() }
    }

    fn found(marks: &[Mark], text: &str, user: &str) -> Vec<String> {
        let lookout = Lookout::new(marks.to_vec());
        lookout.foreign(text, user).into_iter().map(|mark| mark.text.clone()).collect()
    }

    #[test]
    fn marks_are_words() {
        let marks = [mark("user-1", 1, "user-1", "user"), mark("user-10", 2, "user-10", "user")];
        assert_eq!(found(&marks, r#"{"user":"user-10"}"#, "user-1"), ["user-10"]);
        assert!(found(&marks, r#"{"user":"user-10"}"#, "user-10").is_empty());
        assert_eq!(found(&marks, "to user-1, user-1", "user-10"), ["user-1"]);
        assert!(found(&marks, "user-12 superuser-1", "user-10").is_empty());
        assert_eq!(found(&marks, "run_user-1_7", "user-10"), ["user-1"]);
    }

    #[test]
    fn what_stands_in_ones_own_mark_is_ones_own() {
        let marks = [mark("anna", 1, "anna", "user"), mark("anna_b", 2, "anna_b", "user")];
        assert!(found(&marks, "hello anna_b", "anna_b").is_empty());
        assert_eq!(found(&marks, "anna_b and anna", "anna_b"), ["anna"]);
        assert!(found(&marks, "anna, and not anna_c", "anna").is_empty());
    }

    #[test]
    fn short_marks_are_left_out_and_escaped_ones_found() {
        let marks = [mark("u1", 1, "u1", "user"), mark("a\"bcd", 2, "a\"bcd", "user")];
        assert_eq!(Lookout::new(marks.to_vec()).len(), 1);
        assert!(found(&marks, "u1", "x").is_empty());
        assert_eq!(found(&marks, r#"{"user":"a\"bcd"}"#, "x"), ["a\"bcd"]);
    }

    #[test]
    fn a_nonce_is_found_wherever_it_stands_and_however_it_is_written() {
        use base64::Engine as _;
        use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
        let (nonce, other) = ("0123456789abcdef-5-0c9a1f2e", "0123456789abcdef-50-7b11e0d3");
        let marks = [mark(nonce, 5, "anna", "nonce"), mark(other, 50, "carl", "nonce")];
        let texts = |nonce: &str| {
            let mut texts = vec![format!("thread{nonce}9"), format!("<{}>", nonce.to_uppercase())];
            let hex = nonce.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
            texts.extend([format!("0x{hex}00"), hex.to_uppercase()]);
            for before in ["", "x", "xy"] {
                let text = format!("{before}{nonce} and more");
                texts.extend([STANDARD.encode(&text), format!("/a/{}", URL_SAFE_NO_PAD.encode(&text))]);
                texts.push(STANDARD.encode(format!("{before}{nonce}")));
            }
            texts
        };
        for text in texts(nonce) {
            assert_eq!(found(&marks, &text, "bert"), [nonce], "{text}");
            assert_eq!(found(&marks, &text, "carl"), [nonce], "{text}");
            assert!(found(&marks, &text, "anna").is_empty(), "{text}");
        }
        for text in texts(other) {
            assert_eq!(found(&marks, &text, "anna"), [other], "{text}");
            assert!(found(&marks, &text, "carl").is_empty(), "{text}");
        }
        assert!(found(&marks, "0123456789abcdef-5", "bert").is_empty(), "a part of it is nobody's");
    }
}
