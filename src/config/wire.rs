//! Texts that travel: may this path, address, header or subprotocol be put on the wire as it is?
//!
//! Takes one text and gives the checked value or a [`Flaw`]. It sends nothing and resolves nothing. The surprising rule:
//! no message here quotes a header's value, an address or a path, since each may carry a credential.

use serde_json::json;

use super::places;
use super::settings::Expect;
use super::template::{Escaping, Template, Values};
use super::values::{self, Flaw, quoted};

/// Values that stand in for a socket's when a text is tried out.
pub(crate) const TRIAL: Values<'static> = Values { user: "user", nonce: "nonce", round: 1 };

/// Headers that the handshake writes itself, in lower case.
const OWNED: [&str; 7] = [
    "host",
    "connection",
    "upgrade",
    "content-length",
    "transfer-encoding",
    "te",
    "x-serverless-authorization",
];

/// Where the sockets are: the address without its path, and the path and query when it had one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) url: url::Url,
    pub(crate) path: Option<String>,
}

/// `ws://` or `wss://`; `http` and `https` are read as these.
pub(crate) fn address(text: &str) -> Result<Address, Flaw> {
    let mut url = web_address(text, "write it as wss://gate---checkout-abc.a.run.app")?;
    let scheme = match url.scheme() {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        other => {
            let message = format!("the address begins with {}, not with wss:// or ws://", quoted(other));
            return Err(Flaw::new(message));
        }
    };
    let raw = text.split_once("://").map_or("", |(_, rest)| rest);
    // The text itself, since the parsed address has the braces of `{{user}}` percent-encoded.
    let path = raw.find(['/', '?']).map(|start| &raw[start..]).filter(|path| *path != "/");
    let path = path.map(|path| if path.starts_with('?') { format!("/{path}") } else { path.to_owned() });
    if let Some(path) = &path {
        self::path(path)?;
    }
    let set = url.set_scheme(scheme);
    url.set_path("");
    url.set_query(None);
    set.map_err(|()| Flaw::new("the address cannot be one of a WebSocket"))?;
    Ok(Address { url, path })
}

/// `http://` or `https://`: the base of an API, without query.
pub(crate) fn endpoint(text: &str) -> Result<url::Url, Flaw> {
    let mut url = web_address(text, "write it as https://run.googleapis.com or http://127.0.0.1:8080")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Flaw::new("the endpoint must begin with https:// or http://"));
    }
    if url.query().is_some() {
        return Err(Flaw::new("the endpoint must not have a query"));
    }
    let trimmed = url.path().trim_end_matches('/').to_owned();
    url.set_path(&trimmed);
    Ok(url)
}

/// Any address of the web; `example` says how to write one.
fn web_address(text: &str, example: &str) -> Result<url::Url, Flaw> {
    // The parser forgives these silently, and what it read would not be what was written.
    let forgiven = text.chars().any(|c| c.is_control() || c == '\\') || text.contains(":///");
    if forgiven || text.trim() != text {
        return Err(Flaw::new("the address holds a blank, a backslash or a third slash where none may be"));
    }
    let url = url::Url::parse(text)
        .map_err(|error| Flaw::new(format!("the address cannot be read: {error}")).help(example))?;
    if !text.contains("://") || url.host_str().is_none_or(str::is_empty) {
        return Err(Flaw::new("the address has no host").help(example));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Flaw::new("the address holds credentials: they would be shown in reports")
            .help("send them as a header: headers: { Authorization: { env: NAME } }"));
    }
    if url.fragment().is_some() {
        return Err(Flaw::new("the address has a fragment (#…), which is never sent to a server"));
    }
    Ok(url)
}

/// Path and query of the upgrade request.
pub(crate) fn path(text: &str) -> Result<Template, Flaw> {
    let template = template(text)?;
    if !text.starts_with('/') {
        return Err(Flaw::new("the path does not begin with /").help("write it as /ws"));
    }
    let filled = template.fill(TRIAL, Escaping::Url);
    if filled.contains('#') {
        return Err(Flaw::new("the path has a fragment (#…), which is never sent to a server"));
    }
    if let Some(bad) = filled.chars().find(|c| !c.is_ascii_graphic() || "\"<>\\^`{|}".contains(*c)) {
        return Err(Flaw::new(format!(
            "the path holds {}, which must be percent-encoded",
            quoted(&bad.to_string())
        )));
    }
    if !is_percent_encoded(&filled) {
        let flaw = Flaw::new("the path holds a % that is not followed by two hexadecimal digits");
        return Err(flaw.help("write a % that is meant as it is as %25"));
    }
    Ok(template)
}

/// True when two hexadecimal digits stand behind every `%`.
fn is_percent_encoded(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|behind| behind.len() >= 2 && behind.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}

/// A text with places for values.
pub(crate) fn template(text: &str) -> Result<Template, Flaw> {
    places::check(text)?;
    Template::parse(text).map_err(|error| Flaw::new(error.to_string()))
}

/// What is sent on each socket; never empty.
pub(crate) fn send(text: &str) -> Result<Template, Flaw> {
    if text.is_empty() {
        return Err(Flaw::new("the text to send is empty").help("leave `send` out to send nothing"));
    }
    template(text)
}

/// A text that begins with `{` or `[` is JSON of which the answer holds at least so much; any other text is a regular
/// expression.
pub(crate) fn expect(text: &str) -> Result<Expect, Flaw> {
    pattern("the expected answer", "answer", text)
}

/// A pattern as [`expect`] has it, of what comes unasked to every socket.
pub(crate) fn greeting(text: &str) -> Result<Expect, Flaw> {
    pattern("the greeting", "frame", text)
}

/// A pattern as [`expect`] has it, of frames that report no error.
pub(crate) fn harmless(text: &str) -> Result<Expect, Flaw> {
    pattern("the harmless frame", "frame", text)
}

/// A pattern as [`expect`] has it, of what an application says by itself again and again.
pub(crate) fn heartbeat(text: &str) -> Result<Expect, Flaw> {
    pattern("the expected heartbeat", "frame", text)
}

/// Texts that have no character in common: what matches all of them tells nothing from anything.
const UNRELATED: [&str; 3] = ["~", "{\"7\":[]}", "pq"];

/// The flaw of a pattern that matches whatever comes.
fn whatever(what: &str, each: &str) -> Flaw {
    Flaw::new(format!("{what} is a pattern that every {each} matches"))
        .help(format!("write what no other {each} holds, as {{ type: NAME }} or a word of it"))
}

fn pattern(what: &str, each: &str, text: &str) -> Result<Expect, Flaw> {
    let template = template(text)?;
    if text.trim_start().starts_with(['{', '[']) {
        let filled = template.fill(TRIAL, Escaping::Json);
        return match serde_json::from_str::<serde_json::Value>(&filled) {
            Ok(json) if json == json!({}) || json == json!([]) => Err(whatever(what, each)),
            Ok(_) => Ok(Expect::JsonSubset(template)),
            Err(error) => Err(Flaw::new(format!("{what} begins like JSON and is none: {error}"))
                .help("a regular expression that begins with a bracket is written (?:[a-z]+)")),
        };
    }
    if text.is_empty() {
        return Err(Flaw::new(format!("{what} is empty, which every {each} matches")));
    }
    let filled = template.fill(TRIAL, Escaping::Regex);
    match regex::Regex::new(&filled) {
        Ok(regex) if UNRELATED.iter().all(|text| regex.is_match(text)) => Err(whatever(what, each)),
        Ok(_) => Ok(Expect::Regex(template)),
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Err(Flaw::new(format!("{what} is not a regular expression: {reason}")))
        }
    }
}

/// Codes that say "I failed", whoever closes (RFC 6455, section 7.4.1: 1002, 1003, 1007, 1009, 1011; IANA: 1014).
pub(crate) const FAILED: [u16; 6] = [1002, 1003, 1007, 1009, 1011, 1014];

/// A code with which a healthy server may close a socket.
pub(crate) fn healthy_close(text: &str) -> Result<u16, Flaw> {
    let code = values::close_code(text)?;
    if FAILED.contains(&code) {
        return Err(Flaw::new(format!(
            "{code} says that the server failed: no healthy server closes with it"
        ))
        .help("a close that this revision may not make is to be mended, not declared"));
    }
    Ok(code)
}

/// A header's name that a configuration may set.
pub(crate) fn header_name(text: &str) -> Result<String, Flaw> {
    if !is_token(text) {
        return Err(Flaw::new(format!("{} is not the name of a header", quoted(text))));
    }
    let lower = text.to_ascii_lowercase();
    if lower == "sec-websocket-protocol" {
        return Err(owned(text).help("offer subprotocols with --subprotocol or `subprotocols:`"));
    }
    if lower == "x-serverless-authorization" {
        return Err(owned(text).help("give an IAM ID token with --id-token-file or `id-token-file:`"));
    }
    if lower.starts_with("sec-websocket-") || OWNED.contains(&lower.as_str()) {
        return Err(owned(text));
    }
    Ok(text.to_owned())
}

fn owned(name: &str) -> Flaw {
    Flaw::new(format!("the header {} is written by the handshake itself", quoted(name)))
}

/// A header's value: printable ASCII on one line.
pub(crate) fn header_value(text: &str) -> Result<String, Flaw> {
    if text.contains(['\r', '\n']) {
        return Err(Flaw::new("the header's value holds a line break"));
    }
    if !text.chars().all(|c| c == '\t' || c == ' ' || c.is_ascii_graphic()) {
        return Err(Flaw::new("the header's value holds a character that is not printable ASCII"));
    }
    Ok(text.trim().to_owned())
}

/// The same, written in the configuration and not read from outside.
pub(crate) fn literal_header_value(text: &str) -> Result<String, Flaw> {
    if text.contains("{{") {
        let flaw =
            Flaw::new("places such as {{user}} are not filled in headers, only in path, send and expect");
        return Err(
            flaw.help("to send a user's token in a header, write `carry: [authorization]` under `token:`")
        );
    }
    header_value(text)
}

/// `Name: value`, as typed.
pub(crate) fn header(text: &str) -> Result<(String, String), Flaw> {
    // The text is not quoted: it may be nothing but the credential.
    let flaw = || Flaw::new("this is not a header").help("write it as --header 'Name: value'");
    let (name, value) = text.split_once(':').ok_or_else(flaw)?;
    let name = name.trim();
    if !is_token(name) {
        return Err(flaw());
    }
    Ok((header_name(name)?, literal_header_value(value)?))
}

/// The name of a header in which an answer names its revision.
pub(crate) fn echo_header(text: &str) -> Result<String, Flaw> {
    if is_token(text) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Flaw::new(format!("{} is not the name of a header", quoted(text))))
}

/// A subprotocol's name: a token of HTTP.
pub(crate) fn subprotocol(text: &str) -> Result<String, Flaw> {
    if is_token(text) {
        return Ok(text.to_owned());
    }
    Err(Flaw::new(format!("{} is not a subprotocol: no spaces, commas, slashes or quotes", quoted(text))))
}

/// True for a token of HTTP (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn maps_addresses_and_keeps_their_path() {
        let found = address("https://gate---x.a.run.app/ws?user={{user}}").unwrap();
        assert_eq!(found.url.as_str(), "wss://gate---x.a.run.app/");
        assert_eq!(found.path.as_deref(), Some("/ws?user={{user}}"));
        let found = address("ws://127.0.0.1:8080").unwrap();
        assert_eq!((found.url.as_str(), found.path), ("ws://127.0.0.1:8080/", None));
        assert_eq!(address("wss://h/").unwrap().path, None);
        assert_eq!(address("wss://h?a=b").unwrap().path.as_deref(), Some("/?a=b"));
    }

    #[test]
    fn refuses_addresses_that_cannot_be_asked() {
        for (text, part) in [
            ("ftp://h", "begins with"),
            ("wss://u:p@h/", "credentials"),
            ("wss://h/#x", "fragment"),
            ("checkout", "cannot be read"),
            ("mailto:a@b", "no host"),
            ("wss:h/ws", "no host"),
            ("wss:///h/ws", "third slash"),
            ("wss://h\\ws", "backslash"),
            ("wss://h/{{usr}}", "unknown place"),
        ] {
            let message = address(text).unwrap_err().message;
            assert!(message.contains(part), "{text}: {message}");
        }
        assert_eq!(endpoint("http://127.0.0.1:1/base/").unwrap().as_str(), "http://127.0.0.1:1/base");
        assert!(endpoint("ws://h").is_err() && endpoint("https://h?x=1").is_err());
    }

    #[test]
    fn refuses_paths_that_would_break_the_request() {
        for bad in [
            "",
            "ws",
            "/a b",
            "/a\r\nX: y",
            "/a#b",
            "/ü",
            "/{{usr}}",
            "/{x}",
            "/{{us er}}",
            "/%",
            "/%2",
            "/%zz",
        ] {
            assert!(path(bad).is_err(), "{bad}");
        }
        assert!(path("/ws/{{ user }}?n={{nonce}}&r=%2Fa").is_ok());
    }

    #[test]
    fn tells_json_from_regular_expressions() {
        assert!(matches!(expect(r#"{"n":{{round}},"u":"{{user}}"}"#), Ok(Expect::JsonSubset(_))));
        assert!(matches!(expect("pong [0-9]+ {{nonce}}"), Ok(Expect::Regex(_))));
        assert!(expect("[a-z]+").unwrap_err().help.unwrap().contains("(?:[a-z]+)"));
        assert!(expect("po(ng").unwrap_err().message.contains("unclosed group"));
        assert!(expect("").is_err() && send("").is_err());
    }

    #[test]
    fn a_pattern_tells_something_from_something() {
        for all in [".", ".*", ".+", "(?s)^.*$", "a?", "|x", "\\S", "{}", " [] "] {
            for read in [expect, greeting, harmless, heartbeat] {
                assert!(read(all).unwrap_err().message.contains("every"), "{all}");
            }
        }
        for some in ["^2$", "^.$", "^\\{", "error", r#"{"a":{}}"#, "[1]"] {
            assert!(harmless(some).is_ok(), "{some}");
        }
    }

    #[test]
    fn keeps_the_handshake_its_own() {
        for name in
            ["Host", "Upgrade", "connection", "Sec-WebSocket-Key", "SEC-WEBSOCKET-PROTOCOL", "a b", ""]
        {
            assert!(header_name(name).is_err(), "{name}");
        }
        assert!(header_value("a\r\nb").unwrap_err().message.contains("line break"));
        assert!(literal_header_value("a {{ us er").is_err() && header_value("ü").is_err());
        assert_eq!(header("X-A:  b ").unwrap(), ("X-A".to_owned(), "b".to_owned()));
        let flaw = header("Bearer abcdefgh").unwrap_err();
        assert!(!flaw.message.contains("abcdefgh"));
        assert!(subprotocol("jwt auth").is_err() && subprotocol("jwt-auth").is_ok());
    }

    proptest! {
        #[test]
        fn no_accepted_text_can_split_a_request(text in any::<String>()) {
            if let Ok((name, value)) = header(&text) {
                let line = name + &value;
                prop_assert!(!line.contains(['\r', '\n', '\0']));
            }
            if let Ok(path) = path(&text) {
                prop_assert!(!path.fill(TRIAL, Escaping::Url).contains([' ', '\r', '\n']));
            }
            let _ = (address(&text), expect(&text), subprotocol(&text));
        }
    }
}
