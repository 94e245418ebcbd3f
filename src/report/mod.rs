//! What a person or a program reads when a run is over.
//!
//! Takes evidence and its judgement and gives one [`Document`], and from that bytes: text for people, JSON for
//! programs, Markdown for a step summary. Pure: nothing is written here. The surprising rule: what was skipped or
//! weakened stands in the first lines of each of them.

mod document;
mod github;
mod json;
mod markdown;
mod text;
mod timeline;
mod weakened;

pub use document::{Document, REPORT_VERSION};
pub use github::outputs;
pub use json::render as render_json;
pub use markdown::render as render_markdown;
pub use text::{Style, render as render_text};
