//! What a GitHub step hands to the steps behind it.

use super::document::Document;

/// Lines for `GITHUB_OUTPUT`. Names are fixed; values hold no line break.
pub fn outputs(document: &Document<'_>, record: Option<&str>) -> String {
    let values = [
        ("verdict", document.verdict.word().to_owned()),
        ("exit-code", document.exit_code.to_string()),
        ("revision", document.revision.unwrap_or_default().to_owned()),
        ("previous-revision", document.previous_revision.unwrap_or_default().to_owned()),
        ("report", record.unwrap_or_default().to_owned()),
    ];
    values
        .iter()
        .fold(String::new(), |lines, (name, value)| lines + name + "=" + &crate::trust::escape(value) + "\n")
}
