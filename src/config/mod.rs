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
mod carrier;
mod checks;
mod claims;
mod complaint;
mod conditions;
mod configured;
mod conversation;
mod duplicates;
mod duration;
mod error;
mod file;
mod flow;
mod frames;
mod hold;
mod isolation;
mod jwt;
mod locate;
mod logs;
mod merge;
mod pattern;
mod places;
mod pointer;
mod race;
mod ready;
mod scalars;
mod secrets;
mod settings;
mod signing;
mod snippet;
mod sources;
mod suggest;
mod target;
mod template;
mod token;
mod typed;
mod values;
mod wire;
mod within;

pub use agent::{AgentSettings, Costs, Latency};
pub use api::{ApiSettings, Endpoint, EndpointHeader};
pub use asked::Asked;
pub use auth::{AuthSettings, BadToken, Refusals};
pub use baseline::{BaselineSettings, PreExisting};
pub use carrier::{Carrier, TokenTemplate, typed_carriers};
pub use checks::{CheckName, Selection};
pub use conditions::{Condition, Statuses};
pub use configured::ConfiguredChecks;
pub(crate) use configured::rehearsed;
pub use error::{ConfigError, Place};
pub use file::{FileConfig, LARGEST_FILE};
pub use flow::{Answer, Flow, FramePattern, Holds, Message, Pointed, Rule, Step, Wanted};
pub use frames::{BadFrame, FramesSettings};
pub use hold::{Heartbeat, HoldSettings, OwnHeartbeat};
pub use isolation::{IsolationSettings, OwnConversation};
pub use logs::LogsSettings;
pub use merge::{Merged, Purpose, access, merge, needed};
pub use pattern::Pattern;
pub use ready::ReadyTokens;
pub(crate) use ready::expiry;
pub use secrets::{Lookup, SecretSource};
pub use settings::{
    ApiAccess, Choice, Conversation, Echo, Expect, IdTokenMode, Identifier, Limits, LocalSettings,
    MintSettings, RaceSettings, ServiceName, Settings, Timeouts, TokenOrigin, TokenSettings,
};
pub use signing::{Algorithm, LARGEST_SECRET, SigningKey};
pub use template::{BadPlace, Captured, Escaping, Template, TemplateError, Values, text_of};
pub use typed::{Given, Origin, Typed, variable};
pub use within::Trimmed;

pub(crate) use api::SWALLOWED_WORDS;
pub(crate) use carrier::base64url;
pub(crate) use values::in_percent;
pub(crate) use wire::FAILED;
