//! What is written wrongly in ways that a reader overlooks: claims, templates, pointers, headers, sizes, YAML itself.

use super::tests::{SERVICE, assert_shown};
use super::*;

/// 14 November 2023.
const NOW: i64 = 1_700_000_000;

/// The error of a file that names a service and a token, and goes on with `text`, which so begins in line 4.
fn error(text: &str) -> ConfigError {
    let mut lookup = Lookup::at(NOW);
    let header = "eyJhbGciOiJIUzI1NiJ9";
    for (name, secret) in [
        ("KEY", "a key"),
        ("TWO_PARTS", &format!("{header}.e30")),
        ("CUT", &format!("of-a opaque\nof-b {header}.eyJhdWQ.c2ln")),
        ("LINES", "one\ntwo"),
    ] {
        lookup.insert(SecretSource::Environment(name.to_owned()), Ok(Secret::new(secret)));
    }
    FileConfig::parse("revgate.yaml", format!("{SERVICE}{text}").as_bytes())
        .and_then(|file| merge(&Typed::default(), Some(&file), &lookup, Purpose::Gate))
        .expect_err(text)
}

/// Claims of a token, and what is said of them.
const CLAIMS: &[(&str, &str)] = &[
    ("exp: yesterday", "exp: exp is a date, a number of seconds since 1970, and a text is none"),
    ("exp: '1800000000'", "exp: exp is a date"),
    ("exp: true", "exp: exp is a date"),
    ("exp: ~", "exp: exp is a date, a number of seconds since 1970, and nothing is none"),
    ("exp: 1600000000", "exp: every token would have expired"),
    ("exp: 1800000000000", "exp: exp is no date between 1970 and 9999"),
    ("nbf: soon", "nbf: nbf is a date"),
    ("nbf: 1800000000", "nbf: nbf has not come"),
    ("iat: -1", "iat: iat is no date"),
    ("aud: 5", "aud: aud is a text that is not empty, or a list"),
    ("aud: []", "aud: aud is a text"),
    ("aud: [a, 5]", "aud: aud is a text"),
    ("sub: 5", "sub: sub is a text, and a number is none"),
    ("sub: ''", "sub: sub is empty"),
    ("iss: [a]", "iss: iss is a text, and a list is none"),
    ("jti: {}", "jti: jti is a text, and a mapping is none"),
    ("'{{user}}': x", "{{user}}: places are filled in the values of claims"),
    ("email: '{{us er}}'", "email: unknown place {{us er}}"),
    ("email: { of: ['{{user'] }", "email: a place is opened by {{ and not closed by }}"),
];

#[test]
fn claims_that_every_server_would_refuse_are_refused() {
    for (claim, due) in CLAIMS {
        let error = error(&format!("token: {{ secret-env: KEY, claims: {{ {claim} }} }}"));
        let shown = error.to_string();
        assert!(shown.starts_with("revgate.yaml:4:"), "{claim}: {shown}");
        assert!(shown.contains(&format!(": token.claims.{due}")), "{claim}\n  is: {shown}\n due: {due}");
        assert!(error.snippet().unwrap().ends_with('^') && !error.help().is_empty(), "{claim}");
    }
}

/// Place and message of every mistake. Line 4 is the first of the text.
const MISTAKES: &[(&str, &str)] = &[
    ("token: { secret-env: KEY, lifetime: 1s }", "4:37: token.lifetime: \"1s\" is too short"),
    ("token: { tokens-env: TWO_PARTS }", "4:22: token.tokens-env: the token begins like a JWT, and has 2 of"),
    (
        "token: { tokens-env: CUT }",
        "4:22: token.tokens-env: the token of user \"of-b\" is a JWT, and its claims",
    ),
    ("path: '/{{us er}}'", "4:7: path: unknown place {{us er}}"),
    ("path: '/a%zz'", "4:7: path: the path holds a % that is not followed by two"),
    ("send: '{{us er}}'", "4:7: send: unknown place {{us er}}"),
    ("send: '{{ }}'", "4:7: send: the place {{}} has no name"),
    ("send: 'a {{user'", "4:7: send: a place is opened by {{ and not closed by }}"),
    ("send: { a: { b: '{{user' } }", "4:7: send: a place is opened by {{ and what follows is no name"),
    ("expect: '{\"a\": \"{{user}\"}'", "4:9: expect: a place is opened by {{ and not closed by }}"),
    ("harmless: '{{ }}'", "4:11: harmless: the place {{}} has no name"),
    (
        "hold: { for: 60s, heartbeat: { expect: a, answer: '{{user' } }",
        "4:51: hold.heartbeat.answer: a place is opened by {{ and not closed",
    ),
    (
        "api: { endpoints: [{ path: /a, method: POST, body: '{{ user | upper }}' }] }",
        "4:52: api.endpoints[0].body: unknown place {{user | upper}}",
    ),
    ("api: { endpoints: [{ path: '/a?b={{' }] }", "4:28: api.endpoints[0].path: a place is opened by {{"),
    (
        "token: { secret-env: KEY, carry: ['first-message:{{token}} {{us er}}'] }",
        "4:35: token.carry[0]: unknown place {{us er}}",
    ),
    ("headers: { X-A: '{{ user }}' }", "4:17: headers.X-A: places such as {{user}} are not filled"),
    ("headers: { X-A: a, x-a: b }", "4:25: headers.x-a: the header \"x-a\" is named twice"),
    ("headers: { X-A: { env: LINES } }", "4:17: headers.X-A: the header's value holds a line break"),
    ("headers: { \"a\\r\\nb\": x }", "4:22: headers.a\\r\\nb: \"a\\r\\nb\" is not the name of a header"),
    (
        "api: { endpoints: [{ path: /a, headers: { X-A: a, x-a: b } }] }",
        "4:56: api.endpoints[0].headers.x-a: the header \"x-a\" is named twice",
    ),
    ("identity: { pointer: /a~b }", "4:22: identity.pointer: \"/a~b\" is not a JSON pointer"),
    ("timeouts: { answer: 2h }", "4:21: timeouts.answer: \"2h\" is longer than any request lasts"),
    ("timeouts: { answer: -5s }", "4:21: timeouts.answer: \"-5s\" is not a duration"),
    ("timeouts: { answer: 2.5 }", "4:21: timeouts.answer: this is a bare number with a point"),
    (
        "agent: { flow: reference-agent, latency: { p50: 10s, p95: 2.5s } }",
        "4:59: agent.latency.p95: 2.5s is less than the p50 (10s)",
    ),
    (
        "agent: { flow: reference-agent, latency: { p50: 10s, p99: 5s } }",
        "4:59: agent.latency.p99: 5s is less than the p50 (10s)",
    ),
    ("send: { a: .nan }", "4:12: infinity and what is not a number are no values here"),
    ("send: { a: 99999999999999999999 }", "4:12: send.a: the number is too large"),
    ("send: *nothing", "4:7: the alias names nothing"),
    ("send: &a [*a]", "4:7: it is nested too deeply"),
    ("send: !text x", "4:7: send: a tag (!…) where"),
    ("race: &r { rounds: 5 }\nlimits: { <<: *r }", "5:11: limits: merge keys (<<) are not read"),
    ("send: 'a\n", "4:9: the text ends inside quotes"),
    ("path: /a: b", "4:9: there is a second `: ` where one key and its value are due"),
    ("race:\n\trounds: 5", "5:1: there is a tab where only spaces may stand"),
    ("send: @a", "4:7: a text without quotes cannot begin with this character"),
    ("users: [a, b", "4:13: the YAML cannot be read"),
    ("---\nsend: x", "4:1: the file holds more than one YAML document"),
];

#[test]
fn each_mistake_is_shown_where_it_was_made() {
    for (text, due) in MISTAKES {
        let error = error(text);
        assert_shown(&error, text, due);
        assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
    }
}

#[test]
fn a_file_that_would_take_for_ever_is_refused_at_once() {
    let aliases = |depth: usize| {
        let levels =
            (1..depth).map(|level| format!("  - &a{level} [{}]\n", format!("*a{}, ", level - 1).repeat(9)));
        format!("send:\n  - &a0 [x]\n{}", levels.collect::<String>())
    };
    for (text, due) in [
        (format!("send: {}{}", "[".repeat(100_000), "]".repeat(100_000)), "it is nested too deeply"),
        (format!("send: {}{}", "[".repeat(200), "]".repeat(200)), "it is nested too deeply"),
        (format!("send:\n  {}a", "- ".repeat(50_000)), "it is nested too deeply"),
        (aliases(30), "the file holds too many values"),
        (format!("users: [{}]", "a, ".repeat(120_000)), "the file holds too many values"),
        (format!("expect: '{}{}'", "(a{1000}){1000}", "b"), "Compiled regex exceeds size limit"),
    ] {
        let error = error(&text);
        assert!(error.message().contains(due), "{due}: {error}");
        assert!(error.snippet().unwrap().lines().all(|line| line.chars().count() < 130), "{due}");
    }
    let users: Vec<String> = (0..50_000).map(|number| format!("u{number}")).collect();
    let text = format!("{SERVICE}users: [{}]", users.join(", "));
    let file = FileConfig::parse("revgate.yaml", text.as_bytes()).unwrap();
    assert!(merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Gate).is_ok());
}

#[test]
fn what_people_write_is_read() {
    for text in [
        "token: { secret-env: KEY, claims: { exp: 4000000000, aud: [a, b], sub: '{{user}}', n: 5 } }",
        "timeouts: { opening: 2.5s, answer: 0.25m, hold: 0s }",
        "users: [a, b, c]\nframes: { largest: 1000000 }",
        "users: [a, b, c]\nframes: { largest: 64KiB }",
        "agent: { flow: reference-agent, latency: { p50: 5s, p95: 5s, p99: 7.5s } }",
        "send: { a: { b: '{{{user}}}' } }",
        "headers: { X-Json: '{\"a\":{\"b\":1}}' }",
        "headers: { X-A: { env: BRACES } }",
        "expect: '\\{\\{user\\}\\}'",
        "path: /a%20b?c=%2F",
    ] {
        let mut lookup = Lookup::at(NOW);
        for (name, secret) in [("KEY", "a key"), ("BRACES", "a{{b")] {
            lookup.insert(SecretSource::Environment(name.to_owned()), Ok(Secret::new(secret)));
        }
        let file = FileConfig::parse("revgate.yaml", format!("{SERVICE}{text}").as_bytes()).unwrap();
        let merged = merge(&Typed::default(), Some(&file), &lookup, Purpose::Gate);
        assert!(merged.is_ok(), "{text}: {}", merged.unwrap_err());
    }
}
