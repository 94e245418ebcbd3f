//! Where does an emulator listen, and what may it run?
//!
//! Reads the options of `revgate emulator` that are no part of a scenario, and the files that they name, into the
//! emulator's own options. The surprising rule: an address that others can reach is warned of at once, on standard error,
//! since an emulator asks nobody for a password and runs commands.

use std::io::Write as _;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::ArgMatches;

use super::input;
use super::output::Failure;
use crate::emulator::{EmulatorOptions, Images, Tls};

/// How many times as fast as a real one a clock may run: beyond, timers of a millisecond would be the rule.
const SPEEDS: RangeInclusive<u32> = 1..=1000;

/// The options with what was asked for besides the scenario.
pub(super) fn surround(
    matches: &ArgMatches,
    mut options: EmulatorOptions,
) -> Result<EmulatorOptions, Failure> {
    options.allow_commands = matches.get_flag("allow-commands");
    options.throttle |= input::switch(matches, "throttle")?;
    options.real_names = input::switch(matches, "real-names")?;
    if let Some(speed) = speed(matches)? {
        options.speed = speed;
    }
    if let Some(bind) = bind(matches)? {
        options.bind = bind;
    }
    if let Some(images) = images(matches)? {
        options.images = images;
    }
    options.state = input::text(matches, "state").map(PathBuf::from);
    if let Some(given) = input::given_text(matches, "tls") {
        let tls = Tls::new(&options.region, options.started_at).context("the emulator's certificate")?;
        std::fs::write(given.text(), tls.authority()).map_err(|error| {
            let words = format!("could not be written: {error}");
            input::wrong(&given, &words, "name a file for the certificate of the authority: --tls ca.pem")
        })?;
        options.tls = Some(tls);
    }
    Ok(options)
}

fn speed(matches: &ArgMatches) -> Result<Option<u32>, Failure> {
    let Some(given) = input::given_text(matches, "speed") else { return Ok(None) };
    match given.text().parse() {
        Ok(speed) if SPEEDS.contains(&speed) => Ok(Some(speed)),
        _ => Err(input::wrong(&given, "is no speed of a clock", "name a whole number from 1 to 1000")),
    }
}

fn bind(matches: &ArgMatches) -> Result<Option<IpAddr>, Failure> {
    let Some(given) = input::given_text(matches, "bind") else { return Ok(None) };
    let address: IpAddr = given.text().parse().map_err(|_| {
        input::wrong(
            &given,
            "is no IP address",
            "name one of this machine's, or 0.0.0.0 for all of them; loopback needs no --bind",
        )
    })?;
    if !address.is_loopback() {
        let _ = writeln!(
            anstream::stderr(),
            "warning: whoever reaches {address} can deploy to this emulator, read its logs and call what it runs: bind it \
             inside a container or a private network only"
        );
    }
    Ok(Some(address))
}

fn images(matches: &ArgMatches) -> Result<Option<Images>, Failure> {
    let Some(given) = input::given_text(matches, "images") else { return Ok(None) };
    let text = std::fs::read_to_string(given.text()).map_err(|error| {
        input::wrong(&given, &format!("could not be read: {error}"), "name a file with --images FILE")
    })?;
    let images = Images::parse(&text).map_err(|error| {
        let failure = Failure::from(error);
        let words = format!("{}: {}: {}", given.place(), given.text(), failure.words);
        Failure::safe(failure.exit, &words, &failure.help)
    })?;
    Ok(Some(images))
}
