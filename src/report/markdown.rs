//! The report as Markdown, for the summary of a CI step: capped, because an oversized one is dropped whole.

use std::fmt::Write as _;

use super::document::Document;
use crate::judge::Outcome;
use crate::trust::one_line;

/// Well below the megabyte over which a step summary is dropped.
const LARGEST: usize = 256 * 1024;

/// The report as Markdown.
pub fn render(document: &Document<'_>) -> String {
    let end = if document.interrupted.is_some() { "INTERRUPTED, " } else { "" };
    let mut text = format!("## revgate: {end}{}\n\n", document.verdict.word().to_uppercase());
    if let Some(interruption) = document.interrupted {
        let _ = writeln!(text, "> **interrupted**: {}\n", plain(&interruption.words()));
        for left in &interruption.left {
            let _ = writeln!(text, "> **left undone**: {}\n", plain(&one_line(left)));
        }
    }
    if let Some(words) = &document.tag_lost {
        let _ = writeln!(text, "> **tag lost**: {}\n", plain(words));
    }
    for words in &document.weakened {
        let _ = writeln!(text, "> **weakened**: {}\n", plain(words));
    }
    let _ = writeln!(text, "{}\n", plain(&document.headline));
    text.push_str("| check | outcome | numbers |\n|---|---|---|\n");
    for check in document.worst_first() {
        if check.outcome != Outcome::NotAsked {
            let _ = writeln!(text, "| {} | {} | {} |", check.name, check.outcome, plain(&check.summary));
        }
    }
    text.push('\n');
    if let Some(local) = &document.local {
        let _ = writeln!(text, "local: {}\n", plain(local.command));
    }
    for floor in &document.floors {
        let _ = writeln!(text, "{floor}\n");
    }
    for next in &document.next {
        let _ = writeln!(text, "    {next}");
    }
    for line in document.promotion.iter().chain(&document.late_signal) {
        let _ = writeln!(text, "\n{}", plain(line));
    }
    let _ = writeln!(text, "\nexit code {}", document.exit_code);
    if text.len() > LARGEST {
        let end = (0..=LARGEST).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
        text.push_str("\n\n(cut)\n");
    }
    text
}

/// Text that cannot become markup: what a server said must not draw a link or an image, and GitHub makes a link of any
/// bare address.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '/' if out.ends_with(":/") => out.push_str("&#47;"),
            '.' if is_web(&out) => out.push_str("&#46;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '[' | ']' | '`' | '*' | '_' | '!' | '\\' | '@' | '#' => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
    }
    out
}

/// True where a point would make the name of a web server.
fn is_web(text: &str) -> bool {
    text.len()
        .checked_sub(3)
        .and_then(|start| text.get(start..))
        .is_some_and(|end| end.eq_ignore_ascii_case("www"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_text_cannot_become_markup() {
        assert_eq!(plain("<img> [a](b) ![x](y) a|b"), "&lt;img&gt; \\[a\\](b) \\!\\[x\\](y) a\\|b");
        assert_eq!(
            plain("https://evil.example wWw.evil.example"),
            "https:/&#47;evil.example wWw&#46;evil.example"
        );
    }
}
