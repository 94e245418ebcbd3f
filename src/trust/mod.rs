//! What keeps hostile bytes and secrets out of everything that is shown or kept.
//!
//! Takes text that came from outside (a server, an API, a configuration) and gives text that is safe to print
//! and to record. It never logs, and it never decides anything. The surprising rule: escaping and redaction
//! happen once, where text is *captured*, so that no renderer can forget them.

mod excerpt;
mod redact;
mod secret;

pub(crate) use excerpt::is_unsafe;
pub use excerpt::{Excerpt, escape, one_line};
pub use redact::Redactor;
pub(crate) use redact::{base64_inside, hexadecimal};
pub use secret::Secret;
