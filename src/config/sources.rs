//! One value out of several places: flag, environment, file.
//!
//! Takes what was typed, the file, and what was read from outside, and gives single values with the place that won. It
//! knows no option by name. The surprising rule: the file's value is judged even where a flag beats it, so that a mistake in
//! the file is found in the first run and not in the first run without the flag.

use super::error::{ConfigError, Place};
use super::file::FileConfig;
use super::locate::KeyPath;
use super::scalars::Text;
use super::typed::{Given, Origin, Typed};
use super::values::Flaw;

/// All places a value can come from.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) typed: &'a Typed,
    pub(crate) file: &'a FileConfig,
}

/// A value and where it was written.
#[derive(Clone)]
pub(crate) struct Found<T> {
    pub(crate) value: T,
    pub(crate) spot: Spot,
}

/// Where a value was written; turned into a [`Place`] only for an error, since lines are looked up in the file.
#[derive(Clone)]
pub(crate) enum Spot {
    Typed(Place),
    File(KeyPath),
}

impl Spot {
    /// Of a typed option, or else of this key of the file.
    pub(crate) fn of(given: Option<&Given>, keys: &[&str]) -> Self {
        given.map_or_else(|| Self::File(KeyPath::of(keys)), |given| Self::Typed(given.place()))
    }
}

/// An option that excludes others.
pub(crate) struct Rival<'a> {
    pub(crate) given: Option<&'a Given>,
    pub(crate) is_in_file: bool,
    pub(crate) keys: &'a [&'a str],
}

impl Rival<'_> {
    fn is_at(&self, level: Option<Origin>) -> bool {
        match level {
            Some(origin) => self.given.is_some_and(|given| given.origin() == origin),
            None => self.is_in_file,
        }
    }
}

impl Sources<'_> {
    /// The error for a flawed value at `spot`.
    pub(crate) fn error(&self, spot: &Spot, flaw: Flaw) -> ConfigError {
        let error = match spot {
            Spot::Typed(place) => ConfigError::new(flaw.message, Some(place.clone())),
            Spot::File(path) => {
                ConfigError::new(format!("{path}: {}", flaw.message), Some(self.file.place(path)))
            }
        };
        match flaw.help {
            Some(help) => error.with_help(help),
            None => error,
        }
    }

    /// One value.
    pub(crate) fn one<T>(
        &self,
        given: Option<&Given>,
        written: Option<&Text>,
        keys: &[&str],
        parse: impl Fn(&str) -> Result<T, Flaw>,
    ) -> Result<Option<Found<T>>, ConfigError> {
        let parse_at = |text: &str, spot: Spot| match parse(text) {
            Ok(value) => Ok(Found { value, spot }),
            Err(flaw) => Err(self.error(&spot, flaw)),
        };
        let from_file =
            written.map(|Text(text)| parse_at(text, Spot::File(KeyPath::of(keys)))).transpose()?;
        let typed = given.map(|given| parse_at(given.text(), Spot::Typed(given.place()))).transpose()?;
        Ok(typed.or(from_file))
    }

    /// A list; each element is parsed and reported on its own.
    pub(crate) fn many<T>(
        &self,
        given: Option<&Given>,
        written: Option<&Vec<Text>>,
        keys: &[&str],
        parse: impl Fn(&str) -> Result<T, Flaw>,
    ) -> Result<Option<Found<Vec<T>>>, ConfigError> {
        let path = KeyPath::of(keys);
        let mut found = None;
        if let Some(texts) = written {
            let values: Result<_, _> = texts
                .iter()
                .enumerate()
                .map(|(index, Text(text))| {
                    parse(text).map_err(|flaw| self.error(&Spot::File(path.index(index)), flaw))
                })
                .collect();
            found = Some(Found { value: values?, spot: Spot::File(path) });
        }
        if let Some(given) = given {
            let spot = Spot::Typed(given.place());
            let values: Result<_, _> = given
                .texts()
                .iter()
                .map(|text| parse(text.trim()).map_err(|flaw| self.error(&spot, flaw)))
                .collect();
            found = Some(Found { value: values?, spot });
        }
        Ok(found)
    }

    /// Which of several options that exclude each other is in force: the one of the highest level that has any.
    ///
    /// # Errors
    /// Two of them on the same level.
    pub(crate) fn exclusive(&self, rivals: &[Rival<'_>]) -> Result<Option<usize>, ConfigError> {
        for level in [Some(Origin::Flag), Some(Origin::Environment), None] {
            let mut found = rivals.iter().enumerate().filter(|(_, rival)| rival.is_at(level));
            let Some((winner, first)) = found.next() else { continue };
            if let Some((_, second)) = found.next() {
                let spot = Spot::of(second.given.filter(|_| level.is_some()), second.keys);
                let other = match (first.given, level) {
                    (Some(given), Some(_)) => given.place().to_string(),
                    _ => format!("`{}`", KeyPath::of(first.keys)),
                };
                return Err(self.error(&spot, Flaw::new(format!("excludes {other}: give one of the two"))));
            }
            return Ok(Some(winner));
        }
        Ok(None)
    }
}
