//! `revgate judge FILE`.

use clap::ArgMatches;

use super::output::{Failure, Wanted, report};
use crate::exit::Exit;
use crate::judge::{EVIDENCE_VERSION, Evidence, judge};

/// Judges a recorded run.
pub(super) fn run(matches: &ArgMatches) -> Result<Exit, Failure> {
    let wanted = Wanted { record: None, ..Wanted::new(matches)? };
    let path = matches.get_one::<String>("file").map_or("", String::as_str);
    let evidence = load(path)?;
    let judgement = judge(&evidence).map_err(|error| {
        Failure::usage(
            format!("{}: {error}", crate::trust::escape(path)),
            "was it edited? record the run again: revgate check --record FILE",
        )
    })?;
    report(&evidence, &judgement, &wanted, None, false)
}

/// Reads a recorded run.
pub(super) fn load(path: &str) -> Result<Evidence, Failure> {
    let shown = crate::trust::escape(path);
    let help = "record a run with: revgate check --record FILE";
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::usage(format!("the record {shown} could not be read: {error}"), help))?;
    let value: serde_json::Value = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::usage(format!("{shown} is not a recorded run: {error}"), help))?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(EVIDENCE_VERSION) => {}
        Some(version) => {
            return Err(Failure::usage(
                format!("{shown} has version {version}; this revgate reads {EVIDENCE_VERSION}"),
                "judge it with the revgate that recorded it",
            ));
        }
        None => return Err(Failure::usage(format!("{shown} is not a recorded run"), help)),
    }
    serde_json::from_value(value).map_err(|error| {
        Failure::usage(
            format!("{shown} is not a recorded run: {}", crate::trust::escape(&error.to_string())),
            help,
        )
    })
}
