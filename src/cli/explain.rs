//! `revgate explain CHECK`: the same words as the documentation.

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
    print(page);
    Ok(Exit::Success)
}
