//! Does every `{{` of a text open a place?
//!
//! Takes a text with places and gives nothing, or a [`Flaw`] where a place is not closed, has no name, or a name that no
//! place could have. Whether a name is known is for [`Template`](super::Template) to say. The surprising rule: two braces
//! are never ordinary text, since JSON has them only inside a text, and what looks like a place and is none would be sent
//! as it stands to a server that answers to the wrong question.

use super::values::Flaw;

/// The longest name that is repeated in a message, in characters.
const LONGEST_NAME: usize = 30;

/// What to type where it is wrong.
const PLACES: &str = "the places are {{user}}, {{nonce}} and {{round}}; braces that are meant as they are can be \
     written \\u007b\\u007b in JSON and \\{\\{ in a regular expression";

/// Refuses what begins like a place and is none.
pub(crate) fn check(text: &str) -> Result<(), Flaw> {
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let behind = &rest[start + 2..];
        // Of three braces the last two open the place.
        if behind.starts_with('{') {
            rest = &rest[start + 1..];
            continue;
        }
        let Some(end) = behind.find("}}") else {
            return Err(Flaw::new("a place is opened by {{ and not closed by }}").help(PLACES));
        };
        check_name(behind[..end].trim())?;
        rest = &behind[end + 2..];
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Flaw> {
    if name.is_empty() {
        return Err(Flaw::new("the place {{}} has no name").help(PLACES));
    }
    if name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return Ok(());
    }
    // A longer text, or one with other characters, is what stands behind a place that was not closed: it may be a
    // credential, and the error shows its line, masked, anyway.
    let is_short = name.len() <= LONGEST_NAME;
    if is_short && name.chars().all(|c| c.is_ascii_alphanumeric() || " ._-|".contains(c)) {
        return Err(Flaw::new(format!("unknown place {{{{{name}}}}}")).help(PLACES));
    }
    Err(Flaw::new("a place is opened by {{ and what follows is no name").help(PLACES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_place_is_one() {
        for text in
            ["", "a {b} }}", "{{user}}", "{{ user }}", "{{{user}}}", r#"{"a":{"n":{{round}}}}"#, "{{usr}}"]
        {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for (text, words) in [
            ("{{us er}}", "unknown place {{us er}}"),
            ("hello {{ user | upper }}", "unknown place {{user | upper}}"),
            ("{{}}", "{{}} has no name"),
            ("{{ }} x", "{{}} has no name"),
            ("{{user", "not closed"),
            ("{{user}", "not closed"),
            (r#"{"a":"{{user"}"#, "not closed"),
            (r#"{"a":{"b":"{{user"}}"#, "no name"),
            (r#"{{"a":1}}"#, "no name"),
            ("{{user}} {{", "not closed"),
        ] {
            let flaw = check(text).unwrap_err();
            assert!(flaw.message.contains(words), "{text}: {}", flaw.message);
        }
    }

    #[test]
    fn what_may_be_a_credential_is_not_repeated() {
        let flaw = check(r#"{"a":{"u":"{{user","password":"s3cret"}}"#).unwrap_err();
        assert!(!flaw.message.contains("s3cret"), "{}", flaw.message);
    }
}
