//! JSON pointers (RFC 6901): is this one, and if not, what was meant?
//!
//! Takes one text and gives it back or a [`Flaw`]. It looks into no document. The surprising rule: the empty pointer, which is
//! the whole document, is none here, since a place in it is asked for.

use super::values::{Flaw, quoted};
use crate::trust::escape;

/// No longer pointer is suggested, in bytes.
const SUGGESTED: usize = 80;

/// A JSON pointer (RFC 6901) other than the empty one.
pub(crate) fn parse(text: &str) -> Result<String, Flaw> {
    let escapes_are_right = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    if text.starts_with('/') && escapes_are_right {
        return Ok(text.to_owned());
    }
    Err(Flaw::new(format!("{} is not a JSON pointer: write it as {}", quoted(text), as_pointer(text)))
        .help("it begins with /; inside a name ~ is written ~0 and / is written ~1 (RFC 6901)"))
}

/// What was written as a pointer, so that it is one: paths of other tools (`data.id`, `$.items[0].id`) have the same parts.
fn as_pointer(text: &str) -> String {
    let slashed: String = if text.starts_with('/') {
        text.to_owned()
    } else {
        let parts = text.trim_start_matches(['$', '#']).split(['.', '/', '[', ']', '\'', '"']);
        parts.filter(|part| !part.is_empty()).flat_map(|part| ["/", part]).collect()
    };
    let mut parts = slashed.split('~');
    let first = parts.next().unwrap_or_default().to_owned();
    let escaped = |part: &str| if part.starts_with(['0', '1']) { "~" } else { "~0" };
    let fixed = parts.fold(first, |fixed, part| fixed + escaped(part) + part);
    if fixed.is_empty() || fixed.len() > SUGGESTED { "/meta/revision".to_owned() } else { escape(&fixed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pointer_is_suggested_as_one() {
        assert!(parse("/a~1b").is_ok() && parse("a").is_err() && parse("/a~2").is_err());
        for (text, due) in [
            ("run_id", "/run_id"),
            ("data/run_id", "/data/run_id"),
            ("data.items[0].id", "/data/items/0/id"),
            ("$.data['run_id']", "/data/run_id"),
            ("/a~b/~1~2~", "/a~0b/~1~02~0"),
            ("data.a~b", "/data/a~0b"),
            ("", "/meta/revision"),
            ("$", "/meta/revision"),
        ] {
            assert!(parse(text).unwrap_err().message.ends_with(&format!(": write it as {due}")), "{text}");
            assert!(parse(due).is_ok(), "{due}");
        }
    }
}
