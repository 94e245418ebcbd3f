//! The command line, built from the tables of options.

use clap::{Arg, ArgAction, Command};

use super::options::{Choosable, Many, OUTPUTS, SETTINGS};
use crate::config::variable;

const EXIT_CODES: &str = "\
Exit codes:
  0   approved                        10  blocked: a check failed
  1   a defect in revgate             11  inconclusive: too little evidence
  2   usage or configuration          13  traffic is not as it should be: look
  3   could not ask: credentials,     129, 130, 143  signal, after clean-up
      permissions, API, network";

const CHECK_EXAMPLES: &str = "\
Examples:
  revgate check --project P --region R --service S --tag gate
  revgate check --url ws://127.0.0.1:8080 --path /ws --skip ready,identity
  revgate check --exec 'uvicorn app:app --port $PORT' --project P --region R --service S

Settings come from flags, then REVGATE_* variables, then revgate.yaml (-f, else ./revgate.yaml).
Every key of revgate.yaml, and how values are written: revgate explain configuration
Times are written 250ms, 2.5s, 10m or 1h30m.
";

const FIRST_STEPS: &str = "\
First steps:
  revgate rehearse                  see a racy, a dead and a fixed revision gated, on this machine
  revgate check --dry-run …         what a check would do to your service, without doing it
  revgate explain configuration     what revgate.yaml can say
";

const PROMOTE_EXAMPLES: &str = "\
Examples:
  revgate promote --project P --region R --service S --tag gate --yes
  revgate check … --record run.json && revgate promote … --recorded run.json --yes

The check runs first; traffic moves only when it approves, by one write that names the revision.
";

const REHEARSE_EXAMPLES: &str = "\
Examples:
  revgate rehearse
  revgate rehearse --exec 'uvicorn app:app --port $PORT' --path /ws --send '{\"type\":\"ping\"}'

The service is the emulator's own: options that name another one are left aside.
";

const EMULATOR_EXAMPLES: &str = "\
Examples:
  revgate emulator --images images.yaml --state cloud.json
  eval \"$(revgate emulator env)\" && gcloud run services list

From nothing to a gated promotion, without a cloud: revgate explain offline
";

/// The whole command line.
pub fn command() -> Command {
    Command::new("revgate")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A deploy gate for Google Cloud Run services that speak WebSocket")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(check())
        .subcommand(promote())
        .subcommand(
            Command::new("judge")
                .about("Judge a recorded run again: the same evidence, the same verdict")
                .arg(Arg::new("file").value_name("FILE").required(true).help("What --record wrote"))
                .args(outputs()),
        )
        .subcommand(rehearse())
        .subcommand(emulator())
        .subcommand(
            Command::new("explain")
                .about("What a check looks for and what its failures mean; how revgate.yaml is written")
                .arg(Arg::new("name").value_name("PAGE").required(true).help(
                    "ready, identity, serves, race, agent, isolation, auth, hold, api, frames, logs; tokens, configuration, offline",
                )),
        )
        .after_help(format!("{FIRST_STEPS}\n{EXIT_CODES}"))
}

fn check() -> Command {
    Command::new("check")
        .about("Gate one revision and say whether it may take traffic")
        .arg(exec("Start this command, with $PORT, and probe it first; no shell [env: REVGATE_EXEC]"))
        .args(settings())
        .args(outputs())
        .after_help(format!("{CHECK_EXAMPLES}\n{EXIT_CODES}"))
}

fn promote() -> Command {
    let yes = Arg::new("yes")
        .long("yes")
        .action(ArgAction::SetTrue)
        .help_heading("What is gated")
        .help("Do not ask before traffic moves [env: REVGATE_YES=true]");
    let recorded = Arg::new("recorded")
        .long("recorded")
        .value_name("FILE")
        .help_heading("What is gated")
        .help("Promote on this recorded check of the very same revision [env: REVGATE_RECORDED]");
    Command::new("promote")
        .about("Gate one revision and, approved, give it all traffic by name")
        .args(settings())
        .args([yes, recorded])
        .args(outputs())
        .after_help(format!("{PROMOTE_EXAMPLES}\n{EXIT_CODES}"))
}

fn rehearse() -> Command {
    Command::new("rehearse")
        .about("Gate three revisions of a sample backend, or your own server, on the embedded emulator")
        .arg(exec("Your server, started with $PORT; no shell [env: REVGATE_EXEC]"))
        .args(settings())
        .args(outputs())
        .after_help(format!("{REHEARSE_EXAMPLES}\n{EXIT_CODES}"))
}

/// Neither `promote` nor the file has it: a command is run only where whoever typed it sees it.
fn exec(help: &'static str) -> Arg {
    Arg::new("exec").long("exec").value_name("CMD").help_heading("What is gated").help(help)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn environment() -> Command {
    Command::new("env")
        .about("Print what a shell needs for gcloud and revgate to reach the emulator")
        .arg(switch("dotenv", "Print NAME=value lines, as for $GITHUB_ENV or an --env-file"))
        .arg(switch("unset", "Print how to undo it"))
        .after_help("Example:\n  eval \"$(revgate emulator env)\"")
}

fn emulator() -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(format!("{help} [env: {}]", variable(name)))
    };
    let port = option("port", "N", "Port of the Admin API; default: 8790, or a free one where that is taken");
    // It has no variable: it must stand where whoever reads the command sees it.
    let allow_commands =
        switch("allow-commands", "Run the command of an image exec:CMD that is deployed; no shell");
    let throttle = format!(
        "Stop the processes of an instance between requests, as Cloud Run takes their CPU away [env: {}]",
        variable("throttle")
    );
    let real_names = format!(
        "Services say that they are at https://SERVICE-HASH-uc.a.run.app, not at a port: for clients that reach such names \
         through the Admin API as a proxy [env: {}]",
        variable("real-names")
    );
    Command::new("emulator")
        .about("Cloud Run on loopback, until it is interrupted")
        .subcommand(environment())
        .disable_help_subcommand(true)
        .arg(port.global(true))
        .arg(option("project", "ID", "Project; default: demo-project").global(true))
        .arg(option("region", "NAME", "Region; default: us-central1").global(true))
        .arg(option("service", "NAME", "The service that is there from the start; default: demo"))
        .arg(option("exec", "CMD", "The candidate is this command, started with $PORT; no shell"))
        .arg(option("scenario", "FILE", "Service, revisions and faults from this file (YAML or JSON)"))
        .arg(option(
            "behaviour",
            "NAME",
            "What the candidate, a sample backend, does wrong; a name that there is not lists all",
        ))
        .arg(option(
            "images",
            "FILE",
            "What runs in the place of an image: a map to commands or sample backends",
        ))
        .arg(option(
            "state",
            "FILE",
            "Keep services, revisions, traffic, policies, operations and ports in this file, and go on from it",
        ))
        .arg(allow_commands)
        .arg(Arg::new("throttle").long("throttle").action(ArgAction::SetTrue).help(throttle))
        .arg(Arg::new("real-names").long("real-names").action(ArgAction::SetTrue).help(real_names))
        .arg(option(
            "speed",
            "N",
            "Run the platform's clock N times as fast, 1 to 1000; containers keep real time",
        ))
        .arg(option("bind", "ADDRESS", "Listen on this address besides loopback; others can reach it then"))
        .arg(option(
            "tls",
            "FILE",
            "Speak TLS too, on every port; the authority's certificate is written here",
        ))
        .after_help(EMULATOR_EXAMPLES)
}

fn settings() -> Vec<Arg> {
    let config = Arg::new("config")
        .short('f')
        .long("config")
        .value_name("FILE")
        .help_heading("What is gated")
        .help("The configuration file [env: REVGATE_CONFIG] [default: revgate.yaml where there is one]");
    // These two have neither variable nor key: they must stand where whoever reads the command sees them.
    let dry_run = Arg::new("dry-run")
        .long("dry-run")
        .action(ArgAction::SetTrue)
        .help_heading("What is checked")
        .help("Print the plan and end 11; opens no socket, runs no command");
    let allow_commands = Arg::new("allow-commands")
        .long("allow-commands")
        .action(ArgAction::SetTrue)
        .help_heading("What is gated")
        .help("Run the commands that the configuration file names for tokens (token.secret-command, token.tokens-command); no shell");
    let mut arguments = vec![config];
    arguments.extend(SETTINGS.iter().map(argument));
    arguments.extend([allow_commands, dry_run]);
    arguments
}

fn outputs() -> Vec<Arg> {
    let verbose = Arg::new("verbose")
        .short('v')
        .long("verbose")
        .action(ArgAction::SetTrue)
        .help_heading("What is shown")
        .help("Every failed socket, and the checks nobody asked for [env: REVGATE_VERBOSE=true]");
    OUTPUTS.iter().map(argument).chain([verbose]).collect()
}

fn argument(option: &Choosable) -> Arg {
    let argument = Arg::new(option.name)
        .long(option.name)
        .value_name(option.value)
        .help_heading(option.group)
        .help(format!("{} [env: {}]", option.help, variable(option.name)))
        .allow_hyphen_values(matches!(option.name, "send" | "expect"));
    match option.many {
        Many::No => argument,
        Many::Repeated | Many::Commas => argument.action(ArgAction::Append),
        Many::Switch => Arg::new(option.name)
            .long(option.name)
            .help_heading(option.group)
            .help(format!("{} [env: {}=true]", option.help, variable(option.name)))
            .action(ArgAction::SetTrue),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn every_long_flag_names_its_variable_but_those_that_must_be_seen() {
        let command = command();
        for sub in command.get_subcommands() {
            for argument in sub.get_arguments().filter(|a| a.get_long().is_some()) {
                let long = argument.get_long().unwrap();
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                let named = help.contains(&format!("[env: {}", variable(long)));
                let must_be_seen = ["dry-run", "allow-commands"].contains(&long);
                assert_eq!(named, !must_be_seen, "{} --{long}: {help}", sub.get_name());
            }
        }
    }
}
