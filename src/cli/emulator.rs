//! `revgate emulator`.

use clap::ArgMatches;

use super::check::listen;
use super::output::{Failure, print};
use super::{Clock, input};
use crate::config::Given;
use crate::emulator::{Behaviour, Emulator, Scenario};
use crate::exit::Exit;

/// Runs an emulator until a signal comes.
pub(super) async fn run(matches: &ArgMatches, clock: Clock) -> Result<Exit, Failure> {
    let port = match input::given_text(matches, "port") {
        None => None,
        Some(given) => Some(given.text().parse::<u16>().map_err(|_| {
            input::wrong(&given, "is no port", "name a number from 1 to 65535, or 0 for a free one")
        })?),
    };
    let scenario = scenario(matches)?;
    let signals = listen()?;
    let emulator = Emulator::start_scenario(&scenario, port, clock.started_at).await?;
    print(&format!(
        "Admin API  {0}\nservice    {1}\nmeant for  revgate check --api-endpoint {0} --project demo-project --region us-central1 --service demo --tag gate\nuntil Ctrl-C\n",
        emulator.api_endpoint(),
        emulator.service_url().unwrap_or_default(),
    ));
    signals.token.cancelled().await;
    emulator.shutdown().await;
    Ok(signals.exit().unwrap_or(Exit::Success))
}

/// The scenario of a file, or a good revision and the candidate that the flags name.
fn scenario(matches: &ArgMatches) -> Result<Scenario, Failure> {
    if let Some(given) = input::given_text(matches, "scenario") {
        let text = std::fs::read_to_string(given.text()).map_err(|error| {
            input::wrong(&given, &format!("could not be read: {error}"), "name a file with --scenario FILE")
        })?;
        return parse(&text, Some(&given));
    }
    let behaviour = input::given_text(matches, "behaviour");
    if let Some(given) = &behaviour {
        known(given)?;
    }
    let candidate = match input::text(matches, "exec") {
        Some(command) => serde_json::json!({ "exec": command }),
        None => serde_json::json!({
            "behaviour": behaviour.as_ref().map_or("fixed", Given::text),
            "echo_revision": true,
        }),
    };
    let revisions = serde_json::json!({ "revisions": [{ "created_minutes_ago": 60 }, candidate] });
    parse(&revisions.to_string(), None)
}

/// Refuses a behaviour that the sample backend does not have, with those that it has.
fn known(given: &Given) -> Result<(), Failure> {
    let read = serde_json::from_value::<Behaviour>(serde_json::Value::from(given.text()));
    read.map(drop).map_err(|error| {
        let error = error.to_string().replace('`', "");
        let choices = error.rsplit_once("expected one of ").map_or("fixed", |(_, choices)| choices);
        input::wrong(given, "is nothing that the sample backend does", &format!("choose one of {choices}"))
    })
}

/// Reads a scenario; an error names the option that it came from.
fn parse(text: &str, given: Option<&Given>) -> Result<Scenario, Failure> {
    Scenario::parse(text).map_err(|error| {
        let failure = Failure::from(error);
        match given {
            Some(given) => {
                let words = format!("{}: {}: {}", given.place(), given.text(), failure.words);
                Failure::safe(failure.exit, &words, &failure.help)
            }
            None => failure,
        }
    })
}
