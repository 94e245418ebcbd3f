//! What is wanted: from flags, environment and `revgate.yaml` to one validated [`Settings`].
//!
//! Takes texts (the file's contents, what was typed) and gives values that need no further checking. It reads no file
//! and no environment itself: `cli` does. The surprising rule: a flag beats the environment, the environment beats the
//! file, the file beats the default, and each value knows where it came from, so that an error can point there.

mod agent;
mod api;
mod asked;
mod auth;
mod baseline;
mod checks;
mod configured;
mod conversation;
mod duplicates;
mod error;
mod file;
mod flow;
mod frames;
mod hold;
mod isolation;
mod locate;
mod logs;
mod merge;
mod pattern;
mod race;
mod scalars;
mod secrets;
mod settings;
mod snippet;
mod sources;
mod suggest;
mod target;
mod template;
mod typed;
mod values;
mod wire;

pub use agent::{AgentSettings, Costs, Latency};
pub use api::ApiSettings;
pub use asked::Asked;
pub use auth::AuthSettings;
pub use baseline::{BaselineSettings, PreExisting};
pub use checks::{CheckName, Selection};
pub use configured::ConfiguredChecks;
pub(crate) use configured::rehearsed;
pub use error::{ConfigError, Place};
pub use file::{FileConfig, LARGEST_FILE};
pub use flow::{Flow, FramePattern, Holds, Message, Pointed, Rule, Step, Wanted};
pub use frames::FramesSettings;
pub use hold::HoldSettings;
pub use isolation::{IsolationSettings, OwnConversation};
pub use logs::LogsSettings;
pub use merge::{Merged, Purpose, merge, needed};
pub use pattern::Pattern;
pub use secrets::{Lookup, SecretSource};
pub use settings::{
    ApiAccess, Carrier, Choice, Conversation, Echo, Expect, IdTokenMode, Identifier, Limits, LocalSettings,
    RaceSettings, ServiceName, Settings, Timeouts, TokenSettings,
};
pub use template::{Captured, Escaping, Template, TemplateError, UnknownPlace, Values};
pub use typed::{Given, Origin, Typed, variable};

pub(crate) use values::in_percent;
pub(crate) use wire::FAILED;
