//! The one type for secrets: printed as `[redacted]`, wiped when dropped, never serialised.

use std::fmt;

use zeroize::Zeroizing;

/// A secret text: a signing key, a token, a header value that carries one.
///
/// `Debug` and `Display` print `[redacted]`; there is no `Serialize`. The only way to the text is [`Secret::expose`],
/// which is easy to search for.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over; what held it before is the caller's to wipe.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one place that puts it on the wire or signs with it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True when there is nothing in it, as with an empty environment variable.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_prints_its_text() {
        let secret = Secret::new("correct horse");
        assert_eq!(format!("{secret} {secret:?}"), "[redacted] [redacted]");
    }
}
