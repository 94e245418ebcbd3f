//! What is wrong with a configuration, and where it was written.
//!
//! Takes a message and the place of the value that caused it, and gives what a person needs to mend it: the option, or
//! the line and column with the line itself, and the next command. It never holds a secret. The surprising rule: a value
//! from the file is shown with its line, a value from flag or environment is not, since those are often credentials.

use std::fmt;

use super::snippet;
use super::typed::Given;
use super::values::quoted;

/// The configuration cannot be used; the person who wrote it can mend it. Exit code 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", prefix(.place.as_ref()))]
pub struct ConfigError {
    message: String,
    place: Option<Place>,
    help: Option<String>,
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An option of the command line, by its long name without the hyphens.
    Flag(String),
    /// An environment variable.
    Environment(String),
    /// A configuration file as a whole.
    File(String),
    /// A line of a configuration file.
    Line {
        /// The file, as it was named.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// The line with a caret under the column, safe to print, credentials masked.
        snippet: String,
    },
}

impl Place {
    /// The line and column of `text`, which is the content of the file called `file`.
    pub(crate) fn line(file: &str, text: &str, line: usize, column: usize) -> Self {
        let snippet = snippet::draw(text, line, column);
        Self::Line { file: crate::trust::escape(file), line, column, snippet }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(option) => write!(f, "`--{option}` (flag)"),
            Self::Environment(variable) => write!(f, "`{variable}` (environment)"),
            Self::File(file) => f.write_str(&crate::trust::escape(file)),
            Self::Line { file, line, column, .. } => write!(f, "{file}:{line}:{column}"),
        }
    }
}

fn prefix(place: Option<&Place>) -> String {
    place.map_or_else(String::new, |place| format!("{place}: "))
}

impl ConfigError {
    /// An error at `place`; `None` where something is missing everywhere.
    pub(crate) fn new(message: impl Into<String>, place: Option<Place>) -> Self {
        Self { message: message.into(), place, help: None }
    }

    /// The same at another place.
    pub(crate) fn at(self, place: Place) -> Self {
        Self { place: Some(place), ..self }
    }

    pub(crate) fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// A configuration file that cannot be read: `named` is the option that names it, `reason` a fragment such as
    /// `does not exist`.
    pub fn unreadable(name: &str, named: Option<&Given>, reason: &str) -> Self {
        let message = format!("the configuration file {} {reason}", quoted(name));
        let error = Self::new(message, named.map(Given::place));
        error.with_help(
            "name it with --config FILE, or leave that out to read revgate.yaml of the current folder",
        )
    }

    /// What is wrong: a lower-case fragment, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where the value was written.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// The line of the file with a caret under the value; several lines, safe to print.
    pub fn snippet(&self) -> Option<&str> {
        match &self.place {
            Some(Place::Line { snippet, .. }) => Some(snippet),
            _ => None,
        }
    }

    /// What to do or to type next.
    pub fn help(&self) -> &str {
        let usual = match self.place {
            Some(Place::Line { .. } | Place::File(_)) => {
                "every key with its form and its range: revgate explain configuration"
            }
            _ => "all options and their meaning: revgate check --help",
        };
        self.help.as_deref().unwrap_or(usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_place_first() {
        let shown = |place| ConfigError::new("no", place).to_string();
        assert_eq!(shown(Some(Place::Flag("sockets".into()))), "`--sockets` (flag): no");
        assert_eq!(shown(Some(Place::Environment("REVGATE_TAG".into()))), "`REVGATE_TAG` (environment): no");
        assert_eq!(shown(Some(Place::line("revgate.yaml", "a: b", 1, 4))), "revgate.yaml:1:4: no");
        assert_eq!(shown(None), "no");
        assert!(ConfigError::new("no", None).help().contains("revgate check --help"));
    }
}
