//! `revgate explain CHECK`: the same words as the documentation.

use std::fmt::Write as _;

use clap::ArgMatches;

use super::output::{Failure, print};
use crate::exit::Exit;

const PAGES: &[(&str, &str)] = &[
    ("ready", include_str!("../../docs/checks/ready.md")),
    ("identity", include_str!("../../docs/checks/identity.md")),
    ("serves", include_str!("../../docs/checks/serves.md")),
    ("race", include_str!("../../docs/checks/race.md")),
    ("agent", include_str!("../../docs/checks/agent.md")),
    ("isolation", include_str!("../../docs/checks/isolation.md")),
    ("auth", include_str!("../../docs/checks/auth.md")),
    ("hold", include_str!("../../docs/checks/hold.md")),
    ("frames", include_str!("../../docs/checks/frames.md")),
    ("api", include_str!("../../docs/checks/api.md")),
    ("logs", include_str!("../../docs/checks/logs.md")),
    ("tokens", include_str!("../../docs/tokens.md")),
    ("configuration", include_str!("../../docs/configuration.md")),
    ("offline", include_str!("../../docs/offline.md")),
];

/// Prints a page.
pub(super) fn run(matches: &ArgMatches) -> Result<Exit, Failure> {
    let name = matches.get_one::<String>("name").map_or("", String::as_str);
    let Some((_, page)) = PAGES.iter().find(|(known, _)| *known == name) else {
        let names: Vec<&str> = PAGES.iter().map(|(known, _)| *known).collect();
        return Err(Failure::usage(
            format!("there is no page {}", crate::trust::escape(name)),
            format!("there are {}, as in: revgate explain race", names.join(", ")),
        ));
    };
    print(&for_terminal(page));
    Ok(Exit::Success)
}

/// The page with its rows of five cells (key, meaning, form, default, example) as two short lines each: in one line they
/// are wider than any terminal.
fn for_terminal(page: &str) -> String {
    page.lines().fold(String::new(), |mut shown, line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        match cells[..] {
            ["key", _, _, _, _] => {}
            [key, what, form, default, example] if key.starts_with('`') => {
                let (key, example) = (key.trim_matches('`'), example.trim_matches('`'));
                let _ = writeln!(shown, "  {key}: {what}\n      {form}; default: {default}\n      {example}");
            }
            _ if line.starts_with("|---|---|---|---|---|") => {}
            _ => {
                shown += line;
                shown.push('\n');
            }
        }
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_five_cells_is_three_short_lines() {
        let (_, page) = PAGES.iter().find(|(name, _)| *name == "configuration").unwrap();
        assert!(!for_terminal(page).contains("\n|") && page.contains("\n| key |"));
        let shown = for_terminal(
            "# a\n| key | b | c | d | e |\n|---|---|---|---|---|\n| `k` | w | f | 5 | `k: 1` |\n",
        );
        assert_eq!(shown, "# a\n  k: w\n      f; default: 5\n      k: 1\n");
    }
}
