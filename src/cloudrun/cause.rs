//! What lies at the bottom of an error: the links that say something.
//!
//! Takes an error of a library and gives one safe line. The surprising rule: the deepest two links are shown and not the
//! first, since the first ones only say that something did not work.

use std::error::Error;

use crate::trust::{Excerpt, Redactor};

/// The deepest two links of the chain, without secrets.
pub(super) fn deepest(error: &dyn Error, redactor: &Redactor) -> Excerpt {
    let chain: Vec<String> =
        std::iter::successors(Some(error), |link| (*link).source()).map(ToString::to_string).collect();
    let last = &chain[chain.len().saturating_sub(2)..];
    let text = match last {
        // Many errors repeat their source in their own text.
        [outer, inner] if !outer.contains(inner.as_str()) => format!("{outer}: {inner}"),
        [first, ..] => first.clone(),
        [] => String::new(),
    };
    Excerpt::new(&redactor.redact(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Secret;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Link>>,
    }

    fn link(text: &'static str, source: Option<Link>) -> Link {
        Link { text, source: source.map(Box::new) }
    }

    #[test]
    fn shows_the_deepest_two() {
        let error =
            link("request failed", Some(link("connect", Some(link("refused by sesame-street", None)))));
        let redactor = Redactor::default();
        redactor.learn(&Secret::new("sesame-street"));
        assert_eq!(deepest(&error, &redactor).as_str(), "connect: refused by [redacted]");
        let twice = link("dns: no such host", Some(link("no such host", None)));
        assert_eq!(deepest(&twice, &redactor).as_str(), "dns: no such host");
    }
}
