//! Which instance has a client met before?
//!
//! Takes a request's cookies and gives names, and gives the field that sets the cookie. It asks nothing whether such an
//! instance still runs: affinity is best effort, as Cloud Run says of its own.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::head::Head;

/// Cloud Run's cookie.
const COOKIE: &str = "GAESA";
/// How long it is kept: 30 days, in seconds.
const KEPT: u32 = 30 * 24 * 60 * 60;

/// The field that makes a client remember an instance.
pub(crate) fn field(revision: &str, instance: &str) -> String {
    let value = URL_SAFE_NO_PAD.encode(format!("{revision}/{instance}"));
    format!("set-cookie: {COOKIE}={value}; path=/; max-age={KEPT}; HttpOnly")
}

/// The revision that a client remembers.
pub(crate) fn revision(head: &Head) -> Option<String> {
    remembered(head).map(|(revision, _)| revision)
}

/// The instance of this revision that a client remembers.
pub(crate) fn instance(head: &Head, revision: &str) -> Option<String> {
    remembered(head).filter(|(known, _)| known == revision).map(|(_, instance)| instance)
}

fn remembered(head: &Head) -> Option<(String, String)> {
    let bytes = URL_SAFE_NO_PAD.decode(head.cookie(COOKIE)?).ok()?;
    let (revision, instance) = std::str::from_utf8(&bytes).ok()?.split_once('/')?;
    Some((revision.to_owned(), instance.to_owned()))
}
