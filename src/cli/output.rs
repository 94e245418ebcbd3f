//! What leaves the program: reports, errors, files. A closed pipe silences and changes no exit code.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use clap::ArgMatches;

use super::input::{environment, text};
use crate::config::ConfigError;
use crate::engine::EngineError;
use crate::exit::Exit;
use crate::judge::{Evidence, Judgement};
use crate::progress::Manner;
use crate::report::{self, Document};

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
    pub(super) fn could_not_ask(words: impl Into<String>, help: impl Into<String>) -> Self {
        Self { exit: Exit::CouldNotAsk, words: words.into(), help: help.into() }
    }

    /// Shows it on standard error.
    pub fn show(&self) {
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
        Self { exit, words: error.to_string(), help: error.help() }
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
        let wrong = |name: &str, value: &str, choices: &str| {
            Failure::usage(
                format!("--{name} {} is not known", crate::trust::escape(value)),
                format!("choose {choices}"),
            )
        };
        let json = match text(matches, "format").as_deref() {
            None | Some("text") => false,
            Some("json") => true,
            Some(other) => return Err(wrong("format", other, "text or json")),
        };
        let colour = match text(matches, "color").as_deref() {
            None | Some("auto") => anstream::ColorChoice::Auto,
            Some("always") => anstream::ColorChoice::Always,
            Some("never") => anstream::ColorChoice::Never,
            Some(other) => return Err(wrong("color", other, "auto, always or never")),
        };
        colour.write_global();
        let progress = match text(matches, "progress").as_deref() {
            None | Some("auto") if std::io::stderr().is_terminal() && environment("CI").is_none() => {
                Manner::Bars
            }
            None | Some("auto" | "plain") => Manner::Plain,
            Some("bars") => Manner::Bars,
            Some("none") => Manner::None,
            Some(other) => return Err(wrong("progress", other, "auto, bars, plain or none")),
        };
        let verbose = super::input::switch(matches, "verbose");
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

fn unwritten(path: &str, error: &std::io::Error) -> Failure {
    Failure::usage(
        format!("the record {} cannot be written: {error}", crate::trust::escape(path)),
        "name a file in a folder that exists with --record FILE",
    )
}

/// Prints the report and writes what else is wanted. The verdict's code is the exit.
pub(super) fn report(evidence: &Evidence, judgement: &Judgement, wanted: &Wanted) -> Result<Exit, Failure> {
    let document = Document::new(evidence, judgement);
    if let Some(path) = &wanted.record {
        let json = serde_json::to_vec(evidence).context("the record could not be made")?;
        write_whole(path, &json).map_err(|error| unwritten(path, &error))?;
    }
    let text = if wanted.json {
        report::render_json(&document).context("the report could not be made")?
    } else {
        report::render_text(&document, report::Style { verbose: wanted.verbose })
    };
    print(&text);
    github(&document, wanted.record.as_deref());
    Ok(Exit::from(judgement.verdict))
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
    let append = |variable: &str, text: &str| {
        let Some(path) = environment(variable) else { return };
        let written = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        if let Err(error) = written {
            let _ = writeln!(std::io::stderr(), "note: {variable} could not be written: {error}");
        }
    };
    append("GITHUB_OUTPUT", &report::outputs(document, record));
    append("GITHUB_STEP_SUMMARY", &report::render_markdown(document));
}
