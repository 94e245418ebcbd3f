//! Does a socket show what belongs to another user's conversation?
//!
//! Takes what every conversation is known by (its nonce, its user, what was captured in it) and what came on its socket;
//! gives the leaks. Pure. The surprising rule: a mark counts only where no letter or digit touches it, and not inside a mark
//! of the socket's own, so that `user-1` is neither found in `user-10` nor in one's own `user-1-b`. A nonce is nobody's word:
//! of it nothing but another number behind it must be told apart.

use aho_corasick::{AhoCorasick, MatchKind};

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

/// True for a text too short to be a mark.
pub(super) fn is_short(text: &str) -> bool {
    text.chars().count() < SHORTEST
}

/// All marks, ready to be looked for.
pub(super) struct Lookout {
    marks: Vec<Mark>,
    /// One entry for each pattern of the automaton: the mark that it is of.
    owners: Vec<usize>,
    automaton: Option<AhoCorasick>,
}

impl Lookout {
    /// Looks for these; those that are too short are left out.
    pub(super) fn new(marks: Vec<Mark>) -> Self {
        let marks: Vec<Mark> = marks.into_iter().filter(|mark| !is_short(&mark.text)).collect();
        let mut patterns = Vec::new();
        let mut owners = Vec::new();
        for (index, mark) in marks.iter().enumerate() {
            let quoted = serde_json::to_string(&mark.text).unwrap_or_default();
            let in_json = quoted.trim_matches('"').to_owned();
            patterns.push(mark.text.clone());
            owners.push(index);
            if in_json != mark.text && !in_json.is_empty() {
                patterns.push(in_json);
                owners.push(index);
            }
        }
        let automaton = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&patterns).ok();
        Self { marks, owners, automaton }
    }

    /// How many marks are looked for.
    pub(super) fn len(&self) -> usize {
        self.marks.len()
    }

    /// The marks of others in a text that came on a socket of `user`, each once.
    pub(super) fn foreign(&self, text: &str, user: &str) -> Vec<&Mark> {
        let Some(automaton) = &self.automaton else { return Vec::new() };
        let mut own = Vec::new();
        let mut others = Vec::new();
        for found in automaton.find_overlapping_iter(text).take(FINDS) {
            let Some(mark) = self.owners.get(found.pattern().as_usize()).and_then(|&o| self.marks.get(o))
            else {
                continue;
            };
            let stands = match mark.kind.as_str() {
                NONCE => !text.as_bytes().get(found.end()).is_some_and(u8::is_ascii_digit),
                _ => stands_alone(text, found.start(), found.end()),
            };
            if !stands {
                continue;
            }
            let span = (found.start(), found.end());
            if mark.user == user { own.push(span) } else { others.push((span, mark)) }
        }
        // Every text that is both, one's own and another's, is one's own.
        others.retain(|((start, end), _)| !own.iter().any(|(from, to)| from <= start && end <= to));
        let mut seen: Vec<&Mark> = Vec::new();
        for (_, mark) in others {
            if !seen.contains(&mark) {
                seen.push(mark);
            }
        }
        seen
    }
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
    fn a_nonce_is_found_inside_a_word_and_not_in_another_nonce() {
        let marks = [mark("9028-5", 5, "anna", "nonce")];
        for text in ["thread9028-5", "9028-5x", "{\"t\":\"9028-5\"}"] {
            assert_eq!(found(&marks, text, "bert").len(), 1, "{text}");
        }
        assert!(found(&marks, "9028-51", "bert").is_empty());
    }
}
