//! The report for programs.

use super::document::Document;

/// The whole document as JSON, with a newline at the end.
pub fn render(document: &Document<'_>) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}
