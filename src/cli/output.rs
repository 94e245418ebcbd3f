//! What leaves the program: reports, errors, files. A closed pipe silences and changes no exit code.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use clap::ArgMatches;

use super::input::{environment, given_text, text, wrong};
use crate::config::ConfigError;
use crate::emulator::EmulatorError;
use crate::engine::{Checked, EngineError};
use crate::exit::Exit;
use crate::judge::{Evidence, Judgement};
use crate::progress::Manner;
use crate::promote::PromoteError;
use crate::report::{self, Document};
use crate::trust::one_line;

/// Why a command ended without a verdict.
#[derive(Debug)]
pub struct Failure {
    /// The code to end with.
    pub exit: Exit,
    /// What failed, on what.
    pub words: String,
    /// The next command to type.
    pub help: String,
}

impl Failure {
    /// Wrong usage.
    pub(super) fn usage(words: impl Into<String>, help: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, words: words.into(), help: help.into() }
    }

    /// Could not ask.
    pub(super) fn could_not_ask(words: impl AsRef<str>, help: impl AsRef<str>) -> Self {
        Self::safe(Exit::CouldNotAsk, words.as_ref(), help.as_ref())
    }

    /// With words that may hold what a server or a file said: they are made safe to show.
    pub(super) fn safe(exit: Exit, words: &str, help: &str) -> Self {
        Self { exit, words: one_line(words), help: one_line(help) }
    }

    /// Shows it on standard error, and hands its code to the steps behind this one.
    pub fn show(&self) {
        append("GITHUB_OUTPUT", &format!("exit-code={}\n", self.exit.code()));
        let mut stderr = anstream::stderr();
        let _ = writeln!(
            stderr,
            "error: {}\n\n  help: {}\n\nexit code {}",
            self.words,
            self.help,
            self.exit.code()
        );
    }
}

/// Whatever should never fail is a defect of ours when it does.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let help = concat!(
            "please report this with the command that was typed (revgate ",
            env!("CARGO_PKG_VERSION"),
            ")"
        );
        Self { exit: Exit::Defect, words: format!("{error:#}"), help: help.to_owned() }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let place = error.place().map_or_else(String::new, |place| format!("{place}: "));
        let snippet = error.snippet().map_or_else(String::new, |snippet| format!("\n{snippet}"));
        Self::usage(format!("{place}{}{snippet}", error.message()), error.help())
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let exit = if error.is_usage() { Exit::Usage } else { Exit::CouldNotAsk };
        Self::safe(exit, &error.to_string(), &error.help())
    }
}

impl From<EmulatorError> for Failure {
    fn from(error: EmulatorError) -> Self {
        // Nobody chose a port that the machine does not give.
        let exit = match error {
            EmulatorError::Listen { port: 0, .. } => Exit::CouldNotAsk,
            _ => Exit::Usage,
        };
        Self::safe(exit, &error.to_string(), &error.help())
    }
}

impl From<PromoteError> for Failure {
    fn from(error: PromoteError) -> Self {
        let exit = match error {
            PromoteError::NotAsAsked { .. } => Exit::TrafficAstray,
            PromoteError::Interrupted { .. } | PromoteError::Refused { .. } | PromoteError::Api(_) => {
                Exit::CouldNotAsk
            }
        };
        Self::safe(exit, &error.to_string(), &error.help())
    }
}

/// How the output is wanted.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) json: bool,
    pub(super) record: Option<String>,
    pub(super) verbose: bool,
    pub(super) progress: Manner,
}

impl Wanted {
    /// Reads the output options; sets the colours of the whole program.
    pub(super) fn new(matches: &ArgMatches) -> Result<Self, Failure> {
        use anstream::ColorChoice;
        let is_live = std::io::stderr().is_terminal() && environment("CI").is_none();
        let auto = if is_live { Manner::Bars } else { Manner::Plain };
        let formats = [("text", false), ("json", true)];
        let colours =
            [("auto", ColorChoice::Auto), ("always", ColorChoice::Always), ("never", ColorChoice::Never)];
        let manners =
            [("auto", auto), ("bars", Manner::Bars), ("plain", Manner::Plain), ("none", Manner::None)];
        let json = chosen(matches, "format", &formats)?;
        chosen(matches, "color", &colours)?.write_global();
        let progress = chosen(matches, "progress", &manners)?;
        let verbose = super::input::switch(matches, "verbose")?;
        Ok(Self { json, record: text(matches, "record"), verbose, progress })
    }

    /// Refuses a record that could not be written, before anything is opened. Leaves nothing behind: a run that ends
    /// without evidence has no record, and an empty one would look like one.
    pub(super) fn check_record(&self) -> Result<(), Failure> {
        let Some(path) = &self.record else { return Ok(()) };
        let mut options = std::fs::OpenOptions::new();
        options.write(true);
        let tried = if Path::new(path).exists() { options.open(path).map(drop) } else { Ok(()) };
        let tried = tried.and_then(|()| {
            if !is_replaceable(path) {
                return Ok(());
            }
            let beside = beside(path);
            options.create(true).truncate(true).open(&beside)?;
            std::fs::remove_file(&beside)
        });
        tried.map_err(|error| unwritten(path, &error))
    }
}

/// The choice that an option names; the first where it was not given.
fn chosen<T: Copy>(
    matches: &ArgMatches,
    name: &'static str,
    choices: &[(&'static str, T)],
) -> Result<T, Failure> {
    let Some(given) = given_text(matches, name) else { return Ok(choices[0].1) };
    let found = choices.iter().find(|(known, _)| *known == given.text());
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(known, _)| *known).collect();
        wrong(&given, "is not known", &format!("choose one of {}", names.join(", ")))
    })
}

fn unwritten(path: &str, error: &std::io::Error) -> Failure {
    Failure::usage(
        format!("the record {} cannot be written: {error}", crate::trust::escape(path)),
        "name a file in a folder that exists with --record FILE",
    )
}

/// Writes the record and prints the report of a check that is over; where a signal cut it short, an error follows that says
/// what became of its clean-up.
pub(super) fn conclude(
    checked: Checked,
    judgement: &Judgement,
    wanted: &Wanted,
    signal: Option<Exit>,
) -> Result<Exit, Failure> {
    let exit = report(&checked.evidence, judgement, wanted, signal, false)?;
    checked.cut_short.map_or(Ok(exit), |error| Err(Failure { exit, ..Failure::from(error) }))
}

/// Writes the record and prints the report of a run that ends by its verdict, or by a signal; `promotes` where it was to move
/// traffic, and did not.
pub(super) fn report(
    evidence: &Evidence,
    judgement: &Judgement,
    wanted: &Wanted,
    signal: Option<Exit>,
    promotes: bool,
) -> Result<Exit, Failure> {
    let exit = signal.unwrap_or_else(|| Exit::from(judgement.verdict));
    let is_late = signal.is_some() && evidence.interrupted.is_none();
    let counted = evidence.counted();
    let shown = || {
        let told = is_late.then(|| behind(wanted.record.is_some(), promotes));
        show(&Document::new(&counted, judgement).ended(&[], exit).with_late_signal(told), wanted)
    };
    match (keep(evidence, wanted), signal) {
        // The code stays the signal's, and what was seen is shown all the same.
        (Err(unwritten), Some(_)) => shown().and(Err(Failure { exit, ..unwritten })),
        (kept, _) => kept.and_then(|()| shown()).map(|()| exit),
    }
}

/// What is said of a signal that came when the run was over: nothing of it was cut, so its record is a whole one. The code is
/// the signal's all the same: nothing that was to follow may.
fn behind(is_recorded: bool, promotes: bool) -> String {
    let record = if is_recorded { ", and its record counts" } else { "" };
    let traffic = if promotes { "; no traffic was moved" } else { "" };
    format!(
        "INTERRUPTED  behind the run: what it showed stands{record}{traffic}; the exit code is the signal's"
    )
}

/// Writes the record, where one is wanted.
pub(super) fn keep(evidence: &Evidence, wanted: &Wanted) -> Result<(), Failure> {
    let Some(path) = &wanted.record else { return Ok(()) };
    let json = serde_json::to_vec(evidence).context("the record could not be made")?;
    write_whole(path, &json).map_err(|error| unwritten(path, &error))
}

/// Prints a report, and hands it to the steps behind this one.
pub(super) fn show(document: &Document<'_>, wanted: &Wanted) -> Result<(), Failure> {
    let text = if wanted.json {
        report::render_json(document).context("the report could not be made")?
    } else {
        report::render_text(document, report::Style { verbose: wanted.verbose })
    };
    print(&text);
    github(document, wanted.record.as_deref());
    Ok(())
}

/// Beside, then renamed: a run that is killed half-way leaves no half record.
fn write_whole(path: &str, bytes: &[u8]) -> std::io::Result<()> {
    if !is_replaceable(path) {
        return std::fs::write(path, bytes);
    }
    let beside = beside(path);
    std::fs::write(&beside, bytes)?;
    std::fs::rename(&beside, path)
}

/// Where a record is written before it gets its name.
fn beside(path: &str) -> String {
    format!("{path}.tmp")
}

/// False for a device or a pipe, such as `/dev/stdout`: it is written to and must not be replaced by a file.
fn is_replaceable(path: &str) -> bool {
    std::fs::metadata(path).map_or(true, |metadata| metadata.is_file())
}

/// Prints to standard output.
pub(super) fn print(text: &str) {
    let mut stdout = anstream::stdout();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

/// Outputs and summary of a GitHub step, where there is one. They must not change the verdict: a failure is one line.
fn github(document: &Document<'_>, record: Option<&str>) {
    append("GITHUB_OUTPUT", &report::outputs(document, record));
    append("GITHUB_STEP_SUMMARY", &report::render_markdown(document));
}

/// Appends to the file that a variable names, where it is set.
fn append(variable: &str, text: &str) {
    let Some(path) = environment(variable) else { return };
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
    if let Err(error) = opened.and_then(|mut file| file.write_all(text.as_bytes())) {
        let _ = writeln!(std::io::stderr(), "note: {variable} could not be written: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_behind_the_run_is_told_with_what_there_is() {
        let stands = "INTERRUPTED  behind the run: what it showed stands";
        let code = "the exit code is the signal's";
        assert_eq!(behind(false, false), format!("{stands}; {code}"));
        assert_eq!(
            behind(true, true),
            format!("{stands}, and its record counts; no traffic was moved; {code}")
        );
    }
}
