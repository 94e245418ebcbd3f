//! `revgate emulator`.

use clap::ArgMatches;

use super::check::listen;
use super::output::{Failure, print};
use super::surroundings::surround;
use super::{Clock, environment, input};
use crate::config::Given;
use crate::emulator::{
    Behaviour, Emulator, EmulatorError, EmulatorOptions, PROJECT, REGION, SERVICE, Scenario,
};
use crate::exit::Exit;
use crate::probe::raise_descriptor_limit;
use crate::trust::escape;

/// The port of the Admin API where nobody names one and it is free.
pub(super) const USUAL_PORT: u16 = 8790;

/// Runs an emulator until a signal comes, or says how to reach one.
pub(super) async fn run(matches: &ArgMatches, clock: Clock) -> Result<Exit, Failure> {
    if let Some(("env", matches)) = matches.subcommand() {
        return environment::run(matches).await;
    }
    let port = port(matches)?;
    let scenario = scenario(matches)?;
    let signals = listen()?;
    // A socket takes three: the client's, the front end's and the process's.
    raise_descriptor_limit();
    let options = surround(matches, scenario.options(port.or(Some(USUAL_PORT)), clock.started_at))?;
    let certificate = input::text(matches, "tls");
    let interrupted = signals.interrupt.token();
    // A command may take its minute until it is known not to listen; what was started ends with the future.
    let started = interrupted.run_until_cancelled(start(&scenario, options, port.is_none())).await;
    let Some(emulator) = started.transpose()? else {
        return Ok(signals.exit().unwrap_or(Exit::Success));
    };
    print(&told(&emulator, &scenario, certificate.as_deref()));
    interrupted.cancelled().await;
    if let Some(error) = emulator.shutdown().await {
        return Err(error.into());
    }
    Ok(signals.exit().unwrap_or(Exit::Success))
}

/// Starts an emulator; on another port where the usual one is taken and `any` will do.
async fn start(scenario: &Scenario, options: EmulatorOptions, any: bool) -> Result<Emulator, EmulatorError> {
    match Emulator::play(scenario, options.clone()).await {
        // Another emulator has it, most likely.
        Err(EmulatorError::Listen { .. }) if any => {
            Emulator::play(scenario, EmulatorOptions { port: None, ..options }).await
        }
        started => started,
    }
}

/// The port that was asked for.
pub(super) fn port(matches: &ArgMatches) -> Result<Option<u16>, Failure> {
    let Some(given) = input::given_text(matches, "port") else { return Ok(None) };
    given
        .text()
        .parse::<u16>()
        .map(Some)
        .map_err(|_| input::wrong(&given, "is no port", "name a number from 1 to 65535, or 0 for a free one"))
}

/// Where everything is, and what to type next.
fn told(emulator: &Emulator, scenario: &Scenario, certificate: Option<&str>) -> String {
    let endpoint = emulator.api_endpoint();
    let port = endpoint.rsplit(':').next().unwrap_or_default();
    let port = if port == USUAL_PORT.to_string() { String::new() } else { format!(" --port {port}") };
    let names = emulator.names().join(", ");
    let trust = certificate
        .map_or_else(String::new, |file| format!("TLS        on every port; trust {}\n", escape(file)));
    let restored = emulator.restored().map_or_else(String::new, |services| {
        let services = if services == 1 { "1 service".to_owned() } else { format!("{services} services") };
        format!(
            "state      as it was left, {services}: nothing was deployed from a scenario or its options\n"
        )
    });
    let candidate = scenario.revisions.last().filter(|candidate| candidate.exec.is_none());
    let path = candidate.map_or_else(String::new, |candidate| {
        format!(" --path {}", escape(candidate.path.as_deref().unwrap_or("/ws")))
    });
    format!(
        "Admin API  {endpoint}\nservice    {}\nmeant for  revgate check --api-endpoint {endpoint} --project {} \
         --region {} --service {} --tag gate{path}\ngcloud     eval \"$(revgate emulator env{port})\" && gcloud run services \
         list\nnames      {names}: on every port, by Host, and through the \
         Admin API as a proxy\n{trust}{restored}until Ctrl-C\n",
        emulator.service_url().unwrap_or_default(),
        scenario.project.as_deref().unwrap_or(PROJECT),
        scenario.region.as_deref().unwrap_or(REGION),
        scenario.service.as_deref().unwrap_or(SERVICE),
    )
}

/// The scenario of the options, with the names that they give.
fn scenario(matches: &ArgMatches) -> Result<Scenario, Failure> {
    let mut scenario = deployed(matches)?;
    for (name, field) in [
        ("project", &mut scenario.project),
        ("region", &mut scenario.region),
        ("service", &mut scenario.service),
    ] {
        let Some(given) = input::given_text(matches, name) else { continue };
        // They become parts of host names and of paths.
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:".contains(c);
        if !given.text().chars().all(fits) {
            return Err(input::wrong(&given, "is no name", "use lower-case letters, digits and dashes"));
        }
        *field = Some(given.text().to_owned());
    }
    Ok(scenario)
}

/// The scenario of a file, or a good revision and the candidate that the flags name.
fn deployed(matches: &ArgMatches) -> Result<Scenario, Failure> {
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
