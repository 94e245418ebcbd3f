//! How a version of a service is written: the microseconds of the last write, in two disguises.
//!
//! v1 has it in `metadata.resourceVersion` as the base64 of eight bytes, v2 in a quoted etag. Both give it back in
//! decimal digits, which is how the text of a conflict names it; what is none of ours is given back as it is.

use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::STANDARD_NO_PAD};

/// The etag of v2: quoted, and empty of meaning for clients.
pub(crate) fn etag(version: i64, name: &str) -> String {
    format!("\"{}\"", STANDARD.encode(format!("{version}/{name}")))
}

/// The version in an etag.
pub(crate) fn version_of(etag: &str) -> String {
    let inner = etag.trim_matches('"');
    let decoded = STANDARD.decode(inner).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded
        .as_deref()
        .and_then(|text| text.split_once('/'))
        .map_or_else(|| inner.to_owned(), |(version, _)| version.to_owned())
}

/// The `resourceVersion` of v1.
pub(crate) fn resource_version(version: i64) -> String {
    STANDARD_NO_PAD.encode(version.to_be_bytes())
}

/// The version in a `resourceVersion`.
pub(crate) fn version_in(resource_version: &str) -> String {
    let decoded = STANDARD_NO_PAD.decode(resource_version.trim_end_matches('=')).ok();
    let bytes = decoded.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    bytes.map_or_else(|| resource_version.to_owned(), |bytes| i64::from_be_bytes(bytes).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_gives_its_version_back() {
        assert_eq!(etag(1_795_465_697_187_471, "demo"), "\"MTc5NTQ2NTY5NzE4NzQ3MS9kZW1v\"");
        assert_eq!(version_of("\"MTc5NTQ2NTY5NzE4NzQ3MS9kZW1v\""), "1795465697187471");
        assert_eq!(version_of("nonsense"), "nonsense");
    }

    #[test]
    fn a_resource_version_gives_its_version_back() {
        assert_eq!(resource_version(1_795_465_692_827_683), "AAZg927T0CM");
        assert_eq!(version_in("AAZg927T0CM"), "1795465692827683");
        assert_eq!(version_in("nonsense!"), "nonsense!");
    }
}
