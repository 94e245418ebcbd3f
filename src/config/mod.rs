//! What is wanted: from flags, environment and `revgate.yaml` to one validated [`Settings`].
//!
//! Takes texts (the file's contents, what was typed) and gives values that need no further checking. It reads no file
//! and no environment itself: `cli` does. The surprising rule: a flag beats the environment, the environment beats the
//! file, the file beats the default, and each value knows where it came from, so that an error can point there.

mod settings;
mod template;

pub use settings::{
    ApiAccess, Carrier, CheckName, Choice, Conversation, Echo, Expect, IdTokenMode, Identifier, Limits,
    Pattern, RaceSettings, Selection, ServiceName, Settings, Timeouts, TokenSettings,
};
pub use template::{Escaping, Template, TemplateError, Values};
