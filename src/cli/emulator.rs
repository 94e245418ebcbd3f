//! `revgate emulator`.

use clap::ArgMatches;

use super::check::listen;
use super::output::{Failure, print};
use super::{Clock, input};
use crate::emulator::{Emulator, EmulatorError, Scenario};
use crate::exit::Exit;

/// Runs an emulator until a signal comes.
pub(super) async fn run(matches: &ArgMatches, clock: Clock) -> Result<Exit, Failure> {
    let failed = |error: EmulatorError| Failure::usage(error.to_string(), error.help());
    let port = match input::text(matches, "port") {
        None => None,
        Some(text) => Some(text.parse::<u16>().map_err(|_| {
            Failure::usage(
                format!("--port {} is no port", crate::trust::escape(&text)),
                "name a number from 1 to 65535",
            )
        })?),
    };
    let scenario = Scenario::parse(&scenario(matches)?).map_err(failed)?;
    let signals = listen()?;
    let emulator = Emulator::start_scenario(&scenario, port, clock.started_at).await.map_err(failed)?;
    print(&format!(
        "Admin API  {0}\nservice    {1}\nmeant for  revgate check --api-endpoint {0} --project demo-project --region us-central1 --service demo --tag gate\nuntil Ctrl-C\n",
        emulator.api_endpoint(),
        emulator.service_url().unwrap_or_default(),
    ));
    signals.token.cancelled().await;
    emulator.shutdown().await;
    Ok(signals.exit().unwrap_or(Exit::Success))
}

/// The scenario's text: a file, or a good revision and the candidate that the flags name.
fn scenario(matches: &ArgMatches) -> Result<String, Failure> {
    if let Some(path) = input::text(matches, "scenario") {
        return std::fs::read_to_string(&path).map_err(|error| {
            Failure::usage(
                format!("{}: {error}", crate::trust::escape(&path)),
                "name a file with --scenario FILE",
            )
        });
    }
    let candidate = match input::text(matches, "exec") {
        Some(command) => serde_json::json!({ "exec": command }),
        None => serde_json::json!({
            "behaviour": input::text(matches, "behaviour").unwrap_or_else(|| "fixed".to_owned()),
            "echo_revision": true,
        }),
    };
    Ok(serde_json::json!({ "revisions": [{ "created_minutes_ago": 60 }, candidate] }).to_string())
}
