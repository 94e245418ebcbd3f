//! A line of the user's own file with a caret under the place of an error.
//!
//! Takes the file's text, a line and a column, and gives three short lines that are safe to print. It never shows what
//! looks like a credential. The surprising rule: everything inside `headers` is masked, whatever it looks like, since
//! nobody can tell a tenant's name from its password.

use crate::trust::escape;

/// What stands where a credential stood.
const MASK: &str = "[masked]";
/// How many characters of a line are shown.
const WIDTH: usize = 100;
/// Keys whose values are hidden when they contain one of these.
const SENSITIVE: [&str; 9] =
    ["authorization", "cookie", "token", "secret", "key", "password", "credential", "signature", "session"];
/// Keys of the configuration that contain such a word and hold no secret.
const HARMLESS: [&str; 5] = ["token", "api-token-file", "id-token", "id-token-file", "secret-file"];

/// True for the name of a header, query parameter or key whose value is likely a credential.
pub(crate) fn is_sensitive(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    SENSITIVE.iter().any(|word| lower.contains(word))
        || matches!(lower.as_str(), "auth" | "sig" | "pwd" | "jwt")
}

/// True for the name of a header whose value is likely a credential; more names than of keys and parameters, since what a
/// header carries is more often one.
pub(crate) fn is_sensitive_header(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let is_login = |part: &str| {
        part == "auth"
            || ["authn", "authz", "authent", "pass", "bearer"].iter().any(|start| part.starts_with(start))
    };
    is_sensitive(name) || lower.starts_with("x-api-") || lower.split('-').any(is_login)
}

/// `line` (from 1) of `text` with a caret under `column` (from 1, in characters).
pub(crate) fn draw(text: &str, line: usize, column: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let Some((index, raw)) = line.checked_sub(1).and_then(|index| Some((index, lines.get(index)?))) else {
        return String::new();
    };
    let masked = mask(&lines, index);
    let before: String = raw.chars().take(column.saturating_sub(1)).collect();
    let same = masked.starts_with(&before);
    let offset = escape(if same { &before } else { "" }).chars().count();
    let shown = escape(&masked);
    let indent = raw.chars().take_while(|c| *c == ' ').count();
    let offset = if same { offset } else { indent.min(offset.max(indent)) };
    // A long line is shown from a little before the caret.
    let skipped = if offset > WIDTH - 20 { offset - 20 } else { 0 };
    let window: String = shown.chars().skip(skipped).take(WIDTH).collect();
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let caret = " ".repeat(offset - skipped);
    format!("{margin} |\n{number} | {window}\n{margin} | {caret}^")
}

/// The line with all that may be a credential masked.
fn mask(lines: &[&str], index: usize) -> String {
    let line = lines[index];
    if is_inside_secret(lines, index) {
        let end = key_end(line).unwrap_or_else(|| line.len() - line.trim_start().len());
        let value = &line[end..];
        return if value.trim().is_empty() { line.to_owned() } else { format!("{} {MASK}", &line[..end]) };
    }
    mask_words(&mask_values(line))
}

/// True when a line above, less indented, opens a block whose content is hidden.
fn is_inside_secret(lines: &[&str], index: usize) -> bool {
    let mut indent = indentation(lines[index]);
    for line in lines[..index].iter().rev().filter(|line| !line.trim().is_empty()) {
        if indentation(line) < indent {
            indent = indentation(line);
            let key = line.trim_start().trim_start_matches("- ").split(':').next().unwrap_or_default();
            let key = key.trim_matches(['"', '\'', ' ']);
            if key == "headers" || hides(key) {
                return true;
            }
        }
    }
    false
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// True when the value of this key is hidden.
fn hides(key: &str) -> bool {
    is_sensitive(key) && !HARMLESS.contains(&key) && key != "secret-env"
}

/// Where the first key of a line ends, behind its colon.
fn key_end(line: &str) -> Option<usize> {
    line.find(": ").map(|at| at + 1).or_else(|| line.ends_with(':').then_some(line.len()))
}

/// Masks from the first sensitive key's value to the end of the line.
fn mask_values(line: &str) -> String {
    let is_key = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    for (at, _) in line.match_indices([':', '=']) {
        let head = line[..at].trim_end().trim_end_matches(['"', '\'', '\\']);
        let start = head
            .rfind(|c| !is_key(c))
            .map_or(0, |found| found + head[found..].chars().next().map_or(1, char::len_utf8));
        let key = &head[start..];
        let value = line[at + 1..].trim();
        let hidden = match key {
            "headers" => value.starts_with('{'),
            "token" => !value.starts_with('{'),
            "secret-env" => !is_variable(value.split([',', '}', ' ']).next().unwrap_or_default()),
            key => hides(key),
        };
        if hidden && !value.is_empty() {
            return format!("{} {MASK}", &line[..=at]);
        }
    }
    line.to_owned()
}

/// True for what is usual as the name of a variable, and so not a secret that was pasted in its place.
pub(crate) fn is_variable(text: &str) -> bool {
    let text = text.trim_matches(['"', '\'']);
    text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Masks what follows `Bearer` or `Basic`, JWTs, and the password of an address.
fn mask_words(line: &str) -> String {
    let mut previous = String::new();
    line.split_inclusive([' ', '"', '\'', ',', '}', '{'])
        .map(|piece| {
            let word = piece.trim_end_matches([' ', '"', '\'', ',', '}', '{']);
            let follows = matches!(previous.to_ascii_lowercase().as_str(), "bearer" | "basic");
            let is_login = word.split_once("://").is_some_and(|(_, rest)| rest.contains('@'));
            if !word.is_empty() {
                word.clone_into(&mut previous);
            }
            if !word.is_empty() && (follows || word.contains("eyJ") || is_login) {
                format!("{MASK}{}", &piece[word.len()..])
            } else {
                piece.to_owned()
            }
        })
        .collect()
}

/// An argument vector as a line to read. Only plain words are shown: whole scripts, what stands behind a sensitive name or
/// option, and words that nobody types by hand may hold a credential.
pub(crate) fn masked_command(words: &[String]) -> String {
    let mut previous = "";
    let shown = words.iter().map(|word| {
        let follows = previous.starts_with('-') && !previous.contains('=') && is_sensitive(previous);
        previous = word;
        let is_option = word.starts_with('-');
        let is_shown = is_plain(word) && (is_option || !follows) && mask_words(&mask_values(word)) == *word;
        if is_shown { word.as_str() } else { MASK }
    });
    let line = shown.collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST_COMMAND {
        return line;
    }
    format!("{}…", line.chars().take(LONGEST_COMMAND).collect::<String>())
}

/// How many characters of a command are shown.
const LONGEST_COMMAND: usize = 200;

/// True for a word of names, numbers and paths, none of whose pieces is long and mixes letters with digits.
fn is_plain(word: &str) -> bool {
    let is_random = |piece: &str| {
        piece.len() >= 8
            && piece.contains(|c: char| c.is_ascii_digit())
            && piece.contains(|c: char| c.is_ascii_alphabetic())
    };
    !word.is_empty()
        && word.len() <= 80
        && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_=./:,@".contains(c))
        && !word.split(['-', '_', '=', '.', '/', ':', ',', '@']).any(is_random)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn puts_the_caret_under_the_value() {
        let text = "race:\n  sockets: 1\n";
        assert_eq!(draw(text, 2, 12), "  |\n2 |   sockets: 1\n  |            ^");
        assert_eq!(draw(text, 9, 1), "");
        assert!(draw("send: \"\u{1b}[2J\" x", 1, 12).contains("\\u{1b}"));
        let long = format!("send: {}", "x".repeat(500));
        assert!(draw(&long, 1, 400).lines().all(|line| line.chars().count() < 110));
    }

    #[test]
    fn hides_credentials_in_every_form() {
        for text in [
            "headers:\n  X-Tenant: s3cret",
            "headers: { X-Tenant: s3cret }",
            "headers:\n  Authorization: >-\n    s3cret",
            "send: '{\"token\":\"s3cret\"}'",
            "send: Bearer s3cret",
            "url: wss://user:s3cret@host",
            "url: wss://host/?api_key=s3cret",
            "token: { secret-env: s3cret }",
            "token: { secret: s3cret }",
            "claims: { x: eyJs3cret }",
        ] {
            let line = text.lines().count();
            let drawn = draw(text, line, 3);
            assert!(!drawn.contains("s3cret") && drawn.contains(MASK), "{drawn}");
        }
    }

    #[test]
    fn headers_are_told_by_their_names() {
        for name in [
            "Authorization",
            "Proxy-Authorization",
            "Cookie",
            "X-Key",
            "api-key",
            "X-Access-Token",
            "X-Client-Secret",
            "X-Api-Version",
            "X-Auth",
            "X-Auth-User",
            "Authentication",
            "X-Amz-Signature",
            "X-Password",
            "Passphrase",
        ] {
            assert!(is_sensitive_header(name), "{name}");
        }
        for name in ["X-Tenant", "Accept-Language", "X-Author", "Origin", "User-Agent", "X-Test-Type"] {
            assert!(!is_sensitive_header(name), "{name}");
        }
    }

    #[test]
    fn leaves_what_is_no_credential() {
        for text in
            ["token: { secret-env: JWT_SECRET, secret-file: key.txt }", "id-token: auto", "deadline: 10"]
        {
            assert!(draw(text, 1, 1).contains(text), "{text}");
        }
    }

    #[test]
    fn commands_are_shown_without_credentials() {
        let shown =
            |words: &[&str]| masked_command(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(shown(&["gcloud", "auth", "print-identity-token"]), "gcloud auth print-identity-token");
        assert_eq!(shown(&["sh", "-c", "cat tokens"]), "sh -c [masked]");
        assert_eq!(
            shown(&["vault", "kv", "get", "--field=jwt", "/a/b-1"]),
            "vault kv get --field=jwt /a/b-1"
        );
        for words in [
            &["get", "--password", "s3cret"][..],
            &["get", "--api-key=s3cret"],
            &["curl", "-H", "Authorization: Bearer s3cret"],
            &["curl", "https://me:s3cret@host/"],
            &["get", "aB3s3cretaB3aB3aB3aB3"],
            &["printf", "%s", "s3cret with blanks"],
            &["get", "eyJs3cret.s3cret"],
        ] {
            assert!(!shown(words).contains("s3cret") && shown(words).contains(MASK), "{}", shown(words));
        }
        assert!(shown(&["x".repeat(5000).as_str()]).chars().count() < 250);
    }

    proptest! {
        #[test]
        fn never_panics_and_keeps_its_three_lines(text in "(?s).{0,200}", line in 0_usize..6, column in 0_usize..300) {
            let drawn = draw(&text, line, column);
            prop_assert!(drawn.is_empty() || drawn.lines().count() == 3);
        }
    }
}
