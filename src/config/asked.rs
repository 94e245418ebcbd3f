//! What was typed, so that a report can name the command that asks the same again.
//!
//! Takes the options of a run as they were given by flag or variable; gives command lines to paste. It never holds a
//! value that is a secret: whoever fills it has redacted the texts, but an edited record may hold anything, so every word
//! is quoted and escaped. The surprising rule: variables come back as flags,
//! since whoever pastes the command may sit at another machine.

use serde::{Deserialize, Serialize};

use crate::trust::one_line;

/// The command of a run with its options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// `check`, `promote` or `rehearse`.
    pub command: String,
    /// Long names without hyphens and their texts, in the order of `--help`; a list has several entries, a switch no
    /// text.
    pub options: Vec<(String, Option<String>)>,
}

/// Options that a command line of ours always states itself, or that belong to one run only.
const OWN: [&str; 7] =
    ["pattern", "thorough", "rounds", "seed", "round", "baseline", "i-may-load-production"];

impl Asked {
    /// `revgate COMMAND` with the options of this run, but for those in `without`, and `with` behind them.
    pub fn line(&self, command: &str, without: &[&str], with: &[(&str, &str)]) -> String {
        let mut words = vec!["revgate".to_owned()];
        words.extend(shlex::try_quote(command).ok().map(std::borrow::Cow::into_owned));
        let kept = self.options.iter().filter(|(name, _)| {
            !without.contains(&name.as_str()) && !with.iter().any(|(other, _)| other == name)
        });
        let kept = kept.map(|(name, text)| (name.as_str(), text.as_deref()));
        let pairs = kept.chain(with.iter().map(|(name, text)| (*name, Some(*text))));
        for (name, text) in pairs {
            let flag = format!("--{name}");
            words.extend(shlex::try_quote(&flag).ok().map(std::borrow::Cow::into_owned));
            // A text with a zero byte cannot be typed at all: it is left out, as it was never accepted either.
            words.extend(text.and_then(|text| shlex::try_quote(text).ok()).map(std::borrow::Cow::into_owned));
        }
        one_line(&words.join(" "))
    }

    /// The same command, restricted to what `with` names.
    pub fn repeat(&self, with: &[(&str, &str)]) -> String {
        self.line(&self.command, &OWN, with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_can_be_pasted() {
        let option = |name: &str, text: &str| (name.to_owned(), Some(text.to_owned()));
        let asked = Asked {
            command: "check".to_owned(),
            options: vec![option("service", "s"), option("send", "{\"a\": 1}"), option("seed", "3")],
        };
        assert_eq!(
            asked.repeat(&[("pattern", "users"), ("seed", "7")]),
            r#"revgate check --service s --send '{"a": 1}' --pattern users --seed 7"#
        );
        assert_eq!(
            asked.line("promote", &["send", "seed"], &[("revision", "s-1")]),
            "revgate promote --service s --revision s-1"
        );
    }
}
