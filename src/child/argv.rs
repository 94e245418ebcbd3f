//! How a command line becomes an argument vector without a shell.
//!
//! `$PORT`, `${PORT}`, `$K_SERVICE` and `$K_REVISION` are replaced here, after the split, so that a value with a space
//! in it stays one argument. Nothing else of a shell is understood.

/// The words of `command`, or `None` for an open quote or no word.
pub(crate) fn split(command: &str) -> Option<Vec<String>> {
    shlex::split(command).filter(|words| !words.is_empty())
}

/// `words` with each `$NAME` and `${NAME}` of `variables` replaced.
pub(crate) fn expand(words: &[String], variables: &[(&str, &str)]) -> Vec<String> {
    words.iter().map(|word| expand_word(word, variables)).collect()
}

fn expand_word(word: &str, variables: &[(&str, &str)]) -> String {
    let mut rest = word;
    let mut expanded = String::new();
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let (name, after) = name_at(tail);
        let known = variables.iter().find(|(known, _)| *known == name);
        expanded.push_str(known.map_or("$", |(_, value)| value));
        rest = if known.is_some() { after } else { tail };
    }
    expanded.push_str(rest);
    expanded
}

/// The variable's name right after a `$`, and what follows it.
fn name_at(tail: &str) -> (&str, &str) {
    if let Some((name, after)) = tail.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
        return (name, after);
    }
    let end = tail.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(tail.len());
    tail.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &str) -> Vec<String> {
        expand(&split(command).unwrap(), &[("PORT", "8081"), ("K_SERVICE", "a b")])
    }

    #[test]
    fn variables_are_replaced_in_place() {
        assert_eq!(
            words("run --port=$PORT '${K_SERVICE}' $HOME $"),
            ["run", "--port=8081", "a b", "$HOME", "$"]
        );
        assert_eq!(words("run $PORTAL ${PORT}0"), ["run", "$PORTAL", "80810"]);
    }

    #[test]
    fn an_open_quote_is_no_command() {
        assert_eq!(split("run 'x"), None);
        assert_eq!(split("  "), None);
    }
}
