//! `revgate.yaml` as it was written: which keys are there, and are they of the right kind?
//!
//! Takes the file's bytes and gives its texts, lists and mappings. It judges no value: the merge does, by the same rules as
//! for flags. The surprising rule: the text is parsed twice, first only to refuse duplicate keys, since the typed form would
//! silently let the last one win.

use std::fmt;

use serde::{Deserialize, Deserializer};

use super::agent::AgentModel;
use super::api::ApiModel;
use super::auth::AuthModel;
use super::complaint::{located, not_utf8};
use super::duplicates;
use super::error::{ConfigError, Place};
use super::flow::FlowModel;
use super::frames::FramesModel;
use super::hold::HoldModel;
use super::isolation::IsolationModel;
use super::locate::{KeyPath, locate, locate_braces};
use super::logs::LogsModel;
use super::scalars::{HeaderText, Pairs, Text, TextOrJson};

/// The largest file that is read, in bytes.
pub const LARGEST_FILE: usize = 1 << 20;

/// A configuration file that could be read: its name, its text, and what is written in it.
pub struct FileConfig {
    name: String,
    text: String,
    pub(crate) model: Model,
}

impl fmt::Debug for FileConfig {
    /// The name only: the text may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileConfig({:?})", self.name)
    }
}

/// The keys at the root.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct Model {
    pub(crate) project: Option<Text>,
    pub(crate) region: Option<Text>,
    pub(crate) service: Option<Text>,
    pub(crate) revision: Option<Text>,
    pub(crate) label: Option<Pairs<Text>>,
    pub(crate) image_digest: Option<Text>,
    pub(crate) tag: Option<Text>,
    pub(crate) deadline: Option<Text>,
    pub(crate) api_endpoint: Option<Text>,
    pub(crate) api_token_file: Option<Text>,
    pub(crate) url: Option<Text>,
    pub(crate) path: Option<Text>,
    pub(crate) send: Option<TextOrJson>,
    pub(crate) expect: Option<TextOrJson>,
    pub(crate) greeting: Option<TextOrJson>,
    pub(crate) harmless: Option<TextOrJson>,
    pub(crate) closes: Option<Vec<Text>>,
    pub(crate) headers: Option<Pairs<HeaderText>>,
    pub(crate) subprotocols: Option<Vec<Text>>,
    pub(crate) require_subprotocol: Option<bool>,
    pub(crate) users: Option<Vec<Text>>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) token: TokenModel,
    #[serde(deserialize_with = "or_default")]
    pub(crate) identity: IdentityModel,
    pub(crate) id_token: Option<Text>,
    pub(crate) id_token_file: Option<Text>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) timeouts: TimeoutsModel,
    #[serde(deserialize_with = "or_default")]
    pub(crate) race: RaceModel,
    #[serde(deserialize_with = "or_default")]
    pub(crate) limits: LimitsModel,
    #[serde(deserialize_with = "or_default")]
    pub(crate) checks: ChecksModel,
    pub(crate) flows: Option<Pairs<FlowModel>>,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) agent: Option<AgentModel>,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) isolation: Option<IsolationModel>,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) auth: Option<AuthModel>,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) hold: Option<HoldModel>,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) api: Option<ApiModel>,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) frames: Option<FramesModel>,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) logs: Option<LogsModel>,
}

/// A block whose keys are all commented out is a null, and as good as none.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A block that is there asks for its check, also where all its keys are commented out.
fn or_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    or_default(deserializer).map(Some)
}

/// `token:`
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct TokenModel {
    pub(crate) secret_env: Option<Text>,
    pub(crate) secret_file: Option<Text>,
    pub(crate) secret_manager: Option<Text>,
    pub(crate) secret_command: Option<Vec<Text>>,
    pub(crate) tokens_env: Option<Text>,
    pub(crate) tokens_file: Option<Text>,
    pub(crate) tokens_command: Option<Vec<Text>>,
    pub(crate) key_id: Option<Text>,
    pub(crate) algorithm: Option<Text>,
    pub(crate) claims: Option<Pairs<serde_json::Value>>,
    pub(crate) lifetime: Option<Text>,
    pub(crate) carry: Option<Vec<Text>>,
}

/// `identity:`
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct IdentityModel {
    pub(crate) header: Option<Text>,
    pub(crate) pointer: Option<Text>,
    pub(crate) instance_header: Option<Text>,
    pub(crate) instance_pointer: Option<Text>,
}

/// `timeouts:`
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct TimeoutsModel {
    pub(crate) opening: Option<Text>,
    pub(crate) first_contact: Option<Text>,
    pub(crate) answer: Option<Text>,
    pub(crate) hold: Option<Text>,
    pub(crate) serves_hold: Option<Text>,
}

/// `race:`
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct RaceModel {
    pub(crate) patterns: Option<Vec<Text>>,
    pub(crate) rounds: Option<Text>,
    pub(crate) sockets: Option<Text>,
    pub(crate) time_budget: Option<Text>,
    pub(crate) seed: Option<Text>,
    pub(crate) thorough: Option<bool>,
    pub(crate) cold: Option<bool>,
    pub(crate) tolerated: Option<Text>,
    pub(crate) noise: Option<Text>,
    pub(crate) zero_tolerance: Option<Vec<Text>>,
    pub(crate) lanes: Option<Text>,
    pub(crate) pass_confidence: Option<Text>,
    pub(crate) fail_confidence: Option<Text>,
    pub(crate) cold_tolerated: Option<Text>,
    pub(crate) cold_budget: Option<Text>,
    pub(crate) baseline: Option<bool>,
    pub(crate) pre_existing: Option<Text>,
}

/// `limits:`
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct LimitsModel {
    pub(crate) sockets_at_once: Option<Text>,
    pub(crate) openings_per_second: Option<Text>,
    pub(crate) sockets_per_run: Option<Text>,
    pub(crate) sockets_per_user: Option<Text>,
    pub(crate) agent_runs: Option<Text>,
    pub(crate) messages_per_minute: Option<Text>,
}

/// `checks:`
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct ChecksModel {
    pub(crate) skip: Option<Vec<Text>>,
    pub(crate) only: Option<Vec<Text>>,
}

impl FileConfig {
    /// Reads the content of the file called `name` (as the user named it; it stands in every error).
    ///
    /// # Errors
    /// The person who wrote the file is at fault: too large, not UTF-8, not YAML, a duplicate or unknown key, a value of
    /// the wrong kind. All but the first have a line and a column.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, ConfigError> {
        let whole = |message: &str| ConfigError::new(message, Some(Place::File(name.to_owned())));
        if bytes.len() > LARGEST_FILE {
            return Err(whole(
                "the file is larger than 1 MiB (1048576 bytes), the most that a configuration may have",
            ));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(name, bytes, error.valid_up_to()))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if let Some((line, column)) = duplicates::too_deep(text) {
            let place = Place::line(name, text, line, column);
            return Err(ConfigError::new("it is nested too deeply to be a configuration", Some(place)));
        }
        duplicates::refuse(text).map_err(|error| located(name, text, &error))?;
        // An empty file is a null.
        let model =
            serde_yaml::from_str::<Option<Model>>(text).map_err(|error| located(name, text, &error))?;
        let model = model.unwrap_or_default();
        Ok(Self { name: name.to_owned(), text: text.to_owned(), model })
    }

    /// Stands for a file where there is none.
    pub(crate) fn none() -> Self {
        Self { name: "revgate.yaml".to_owned(), text: String::new(), model: Model::default() }
    }

    /// The file, as it was named.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The place of the value at `path`; the file as a whole when it is not there.
    pub(crate) fn place(&self, path: &KeyPath) -> Place {
        match locate(&self.text, path) {
            Some((line, column)) => Place::line(&self.name, &self.text, line, column),
            None => Place::File(self.name.clone()),
        }
    }

    /// The place of the two opening braces of this number, from 0, in the text at `path`; of the text, where it is not
    /// known.
    pub(crate) fn place_of_braces(&self, path: &KeyPath, number: usize) -> Place {
        let found = locate(&self.text, path).and_then(|start| locate_braces(&self.text, start, number));
        match found {
            Some((line, column)) => Place::line(&self.name, &self.text, line, column),
            None => self.place(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> ConfigError {
        FileConfig::parse("revgate.yaml", text.as_bytes()).unwrap_err()
    }

    #[test]
    fn names_line_and_column_of_what_is_wrong() {
        for (text, shown) in [
            (
                "race:\n  sokets: 5\n",
                "revgate.yaml:2:3: race: there is no key \"sokets\", did you mean sockets?",
            ),
            ("tag: a\ntag: b\n", "revgate.yaml:2:1: the key \"tag\" is written twice"),
            ("race: many\n", "revgate.yaml:1:7: race: a text where keys and values is due"),
            ("users: user-001\n", "revgate.yaml:1:8: users: a text where a list is due"),
            ("a: [\n", "revgate.yaml:1:5: the YAML cannot be read: something else is due here"),
            ("a: b\nc: \u{1b}\n", "revgate.yaml:2:4: control characters are not allowed"),
        ] {
            assert_eq!(error(text).to_string(), shown, "{text}");
        }
    }
}
