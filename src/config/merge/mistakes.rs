//! Every mistake, and where it is shown.

use super::tests::{SERVICE, assert_shown, flag, service, typed_error, variable};
use super::*;

/// The error of a file that names a service and goes on with `text`, which so begins in line 4.
fn error(text: &str) -> ConfigError {
    FileConfig::parse("revgate.yaml", format!("{SERVICE}{text}").as_bytes())
        .and_then(|file| merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Gate))
        .unwrap_err()
}

/// Place and message of every mistake in a file. Line 4 is the first of the text.
const MISTAKES: &[(&str, &str)] = &[
    ("deadline: 10", "4:11: deadline: \"10\" is not a duration: write it as 250ms, 2.5s, 10s, 3m or 1h30m"),
    ("deadline: 0s", "4:11: deadline: \"0s\" leaves no time"),
    ("revision: A", "4:11: revision: \"A\" is not a Cloud Run name"),
    ("image-digest: abc", "4:15: image-digest: \"abc\" is not an image digest"),
    ("label: {}", "4:8: label: no label is named"),
    ("label: { a: b c }", "4:13: label.a: \"b c\" cannot be part of a label"),
    ("label: { a: b }\nrevision: a-1", "4:8: label: excludes `revision`"),
    ("api-endpoint: ftp://h", "4:15: api-endpoint: the endpoint must begin with https:// or http://"),
    ("api-token-file: t", "4:17: api-token-file: a token for Google's own API"),
    ("url: wss://u:p@h", "4:6: url: the address holds credentials"),
    ("path: ws", "4:7: path: the path does not begin with /"),
    ("path: /{{usr}}", "4:7: path: unknown place {{usr}}"),
    ("send: ''", "4:7: send: the text to send is empty"),
    ("expect: '{\"a\":'", "4:9: expect: the expected answer begins like JSON and is none"),
    ("expect: 'po(ng'", "4:9: expect: the expected answer is not a regular expression: unclosed group"),
    ("greeting: ''", "4:11: greeting: the greeting is empty, which every frame matches"),
    ("harmless: ''", "4:11: harmless: the harmless frame is empty, which every frame matches"),
    ("closes: [1000, 1011]", "4:16: closes[1]: 1011 says that the server failed"),
    ("closes: [99]", "4:10: closes[0]: \"99\" is not a close code"),
    ("headers:\n  Host: x", "5:9: headers.Host: the header \"Host\" is written by the handshake"),
    ("headers: { 'a b': x }", "4:19: headers.a b: \"a b\" is not the name of a header"),
    ("headers:\n  X-A: \"a\\r\\nb\"", "5:8: headers.X-A: the header's value holds a line break"),
    ("headers: { X-A: { env: N, file: f } }", "4:17: headers.X-A: a header's value is a text, {env: NAME}"),
    ("headers: { X-A: { env: not a name } }", "4:17: headers.X-A: this is not the name of an environment"),
    ("subprotocols: ['a b']", "4:16: subprotocols[0]: \"a b\" is not a subprotocol"),
    ("subprotocols: [a, b, a]", "4:22: subprotocols[2]: the subprotocol \"a\" is named twice"),
    ("require-subprotocol: 3", "4:22: require-subprotocol: a number where true or false is due"),
    ("users: []", "4:8: users: no user is named"),
    ("users: [a, a]", "4:12: users[1]: the user \"a\" is named twice"),
    ("users: ['']", "4:9: users[0]: the value is empty"),
    ("users: [1.0]", "4:9: users[0]: this is a bare number with a point"),
    ("token: { secret-env: A, secret-file: b }", "4:38: token.secret-file: excludes `token.secret-env`"),
    ("token: { carry: [subprotocol] }", "4:8: token: a token is described and no secret"),
    ("token: { algorithm: RS512 }", "4:21: token.algorithm: \"RS512\" is not an algorithm"),
    ("token: { algorithm: RS256 }", "4:8: token: a token is described and no secret"),
    ("token: { key-id: '' }", "4:18: token.key-id: the value is empty"),
    (
        "token: { carry: [cooky] }",
        "4:18: token.carry[0]: there is no way to carry a token \"cooky\", did you",
    ),
    ("token: { carry: [cookie] }", "4:18: token.carry[0]: cookie needs the cookie's name"),
    (
        "token: { carry: ['query:a b'] }",
        "4:18: token.carry[0]: \"a b\" is not the name of a query's parameter",
    ),
    (
        "token: { carry: ['subprotocol:jwt'] }",
        "4:18: token.carry[0]: the template has no place for the token",
    ),
    ("token: { carry: ['first-message:{{tokn}}'] }", "4:18: token.carry[0]: unknown place {{tokn}}"),
    ("token: { carry: ['first-message:{{token}}{{u}}'] }", "4:18: token.carry[0]: unknown place {{u}}"),
    (
        "path: /?t=1\ntoken: { secret-env: A, carry: ['query:t'] }",
        "5:32: token.carry: the path has a parameter \"t\" already",
    ),
    (
        "headers: { Cookie: a=b }\ntoken: { secret-env: A, carry: ['cookie:a'] }",
        "5:32: token.carry: a header has a cookie \"a\" already",
    ),
    ("token: { secret-manager: my-key }", "4:26: token.secret-manager: this is not the name of a secret's"),
    ("token: { secret-command: [] }", "4:26: token.secret-command: the command has no program"),
    ("token: { secret-command: 'a b' }", "4:26: token.secret-command: a text where a list is due"),
    ("token: { tokens-command: [true, a] }", "4:27: token.tokens-command[0]: this is true or false"),
    (
        "token: { tokens-command: [get] }",
        "4:26: token.tokens-command: a command of the file is run only where",
    ),
    ("token: { tokens-env: A, secret-env: B }", "4:22: token.tokens-env: excludes `token.secret-env`"),
    ("token: { carry: [] }", "4:17: token.carry: the token travels nowhere"),
    ("token: { claims: { a: ['{{usr}}'] } }", "4:23: token.claims.a: unknown place {{usr}}"),
    (
        "token: { secret-env: JWT_SECRET }",
        "4:22: token.secret-env: the environment variable JWT_SECRET was not",
    ),
    ("token: { secret-file: key }", "4:23: token.secret-file: the file \"key\" was not read"),
    ("identity: { header: a, pointer: /b }", "4:33: identity.pointer: excludes `identity.header`"),
    ("identity: { pointer: b }", "4:22: identity.pointer: \"b\" is not a JSON pointer"),
    ("id-token: always", "4:11: id-token: \"always\" is neither auto nor never"),
    ("id-token: never\nid-token-file: t", "5:16: id-token-file: excludes `id-token`"),
    ("timeouts: { opening: 0s }", "4:22: timeouts.opening: \"0s\" leaves no time"),
    ("timeouts: { hold: soon }", "4:19: timeouts.hold: \"soon\" is not a duration"),
    ("race: { patterns: [] }", "4:19: race.patterns: no pattern is named"),
    ("race:\n  patterns:\n    - users\n    - raze", "7:7: race.patterns[1]: there is no pattern \"raze\""),
    ("race: { rounds: 0 }", "4:17: race.rounds: \"0\" is too small: it must be at least 1"),
    ("race: { sockets: 0 }", "4:18: race.sockets: \"0\" is too small: it must be at least 1"),
    ("race: { sockets: 1 }", "4:18: race.sockets: one socket cannot race: a round needs at least 2"),
    ("race: { sockets: 101 }", "4:18: race.sockets: a round of 101 sockets is more than the limit of 100"),
    ("race: { sockets: many }", "4:18: race.sockets: \"many\" is not a whole number"),
    ("race: { time-budget: 0s }", "4:22: race.time-budget: \"0s\" leaves no time"),
    ("race: { tolerated: 100% }", "4:20: race.tolerated: \"100%\" is not between 0 % and 100 %"),
    ("race: { tolerated: 0.01 }", "4:20: race.tolerated: this is a bare number with a point"),
    ("race: { noise: 2% }", "4:16: race.noise: noise (2 %) must be below the tolerated rate (1 %)"),
    ("race: { zero-tolerance: [99] }", "4:26: race.zero-tolerance[0]: \"99\" is not a close code"),
    ("race: { lanes: 0 }", "4:16: race.lanes: \"0\" is too small: it must be at least 1"),
    ("race: { pass-confidence: 100% }", "4:26: race.pass-confidence: \"100%\" is not between 0 % and 100 %"),
    ("race: { fail-confidence: 1 }", "4:26: race.fail-confidence: \"1\" is not a percentage"),
    ("race: { cold-tolerated: 0% }", "4:25: race.cold-tolerated: \"0%\" is not between 0 % and 100 %"),
    ("race: { cold-budget: 0s }", "4:22: race.cold-budget: \"0s\" leaves no time"),
    ("race: { seed: -1 }", "4:15: race.seed: \"-1\" is not a whole number"),
    (
        "race: { baseline: true }",
        "4:19: race.baseline: a comparison with the serving revision opens sockets at",
    ),
    ("race: { pre-existing: forgive }", "4:23: race.pre-existing: \"forgive\" is neither block nor allow"),
    ("limits: { sockets-at-once: 0 }", "4:28: limits.sockets-at-once: \"0\" is too small"),
    ("limits: { sockets-at-once: 3 }", "4:28: limits.sockets-at-once: a round of 5 sockets is more than"),
    ("limits: { sockets-per-user: 1 }", "4:29: limits.sockets-per-user: the pattern same-user opens two"),
    ("checks: { skip: [raze] }", "4:18: checks.skip[0]: there is no check \"raze\", did you mean race?"),
    ("api: {}", "4:6: api: no endpoint is named"),
    ("api:", "4:5: api: no endpoint is named"),
    ("api: { endpoints: [] }", "4:19: api.endpoints: no endpoint is named"),
    ("api: { endpoints: [{}] }", "4:20: api.endpoints[0]: the endpoint has no path"),
    ("api: { endpoints: /health }", "4:19: api.endpoints: a text where a list is due"),
    ("api: { endpoint: [] }", "4:8: api: there is no key \"endpoint\", did you mean endpoints?"),
    (
        "api:\n  endpoints:\n    - path: https://example.com/health",
        "6:13: api.endpoints[0].path: an endpoint is a path on the service's own host, and this names another host",
    ),
    (
        "api: { endpoints: [{ path: //example.com/x }] }",
        "4:28: api.endpoints[0].path: an endpoint is a path on",
    ),
    ("api: { endpoints: [{ path: '/a#b' }] }", "4:28: api.endpoints[0].path: the path has a fragment (#…)"),
    (
        "api: { endpoints: [{ path: /a/../b }] }",
        "4:28: api.endpoints[0].path: the path would be sent as another",
    ),
    ("api: { endpoints: [{ path: health }] }", "4:28: api.endpoints[0].path: the path does not begin with /"),
    ("api: { endpoints: [{ path: '/{{usr}}' }] }", "4:28: api.endpoints[0].path: unknown place {{usr}}"),
    (
        "api: { endpoints: [{ path: /a }, { path: /b, method: FETCH }] }",
        "4:54: api.endpoints[1].method: there is no method \"FETCH\"",
    ),
    ("api: { endpoints: [{ path: /a, body: x }] }", "4:38: api.endpoints[0].body: a GET has no body"),
    ("api: { endpoints: [{ path: /a, status: [] }] }", "4:40: api.endpoints[0].status: no status is named"),
    (
        "api: { endpoints: [{ path: /a, status: [200, 2x] }] }",
        "4:46: api.endpoints[0].status[1]: \"2x\" is not a",
    ),
    (
        "api: { endpoints: [{ path: /a, status: [101] }] }",
        "4:41: api.endpoints[0].status[0]: \"101\" is not a",
    ),
    (
        "api: { endpoints: [{ path: /a, json: { ok: 1 } }] }",
        "4:44: api.endpoints[0].json.ok: \"ok\" is not a JSON",
    ),
    (
        "api: { endpoints: [{ path: /a, json: { /v: { regex: '(' } } }] }",
        "4:44: api.endpoints[0].json./v: the pattern is not a regular expression: unclosed group",
    ),
    (
        "api: { endpoints: [{ path: /a, method: HEAD, json: { /v: 1 } }] }",
        "4:52: api.endpoints[0].json: an answer to HEAD has no body",
    ),
    (
        "api: { endpoints: [{ path: /a, within: 2 }] }",
        "4:40: api.endpoints[0].within: \"2\" is not a duration",
    ),
    (
        "api: { endpoints: [{ path: /a, times: 9999 }] }",
        "4:39: api.endpoints[0].times: 9999 requests one after",
    ),
    (
        "api: { endpoints: [{ path: /a, at-once: 101 }] }",
        "4:41: api.endpoints[0].at-once: 101 requests at once are",
    ),
    ("api: { endpoints: [{ path: /a, times: 0, at-once: 0 }] }", "4:20: api.endpoints[0]: it is never asked"),
    ("api: { endpoints: [{ path: /a, token: true }] }", "4:39: api.endpoints[0].token: there is no token"),
    (
        "api: { endpoints: [{ path: /a, headers: { User-Agent: me } }] }",
        "4:55: api.endpoints[0].headers.User-Agent: the user agent is written by revgate",
    ),
    (
        "api: { endpoints: [{ path: /a, headers: { Host: x } }] }",
        "4:49: api.endpoints[0].headers.Host: the header",
    ),
    (
        "api: { endpoints: [{ path: /a, headers: { X-A: { env: KEY } } }] }",
        "4:48: api.endpoints[0].headers.X-A: the environment variable KEY was not read",
    ),
    ("logs: { severity: LOUD }", "4:19: logs.severity: there is no severity \"LOUD\""),
    ("logs: { severity: error }", "4:19: logs.severity: there is no severity \"error\", did you mean ERROR?"),
    (
        "logs: { allow: ['('] }",
        "4:17: logs.allow[0]: the pattern is not a regular expression: unclosed group",
    ),
    ("logs: { allow: [a, '.*'] }", "4:20: logs.allow[1]: the pattern matches the empty text"),
    ("logs: { patience: 0s }", "4:19: logs.patience: \"0s\" leaves no time"),
    ("tag: gate-", "4:6: tag: \"gate-\" is not a Cloud Run name"),
    ("region: x", "4:1: the key \"region\" is written twice"),
    ("sockets: 5", "4:1: there is no key \"sockets\""),
    ("timeout: {}", "4:1: there is no key \"timeout\", did you mean timeouts?"),
];

#[test]
fn each_mistake_is_shown_where_it_was_made() {
    for (text, due) in MISTAKES {
        assert_shown(&error(text), text, due);
    }
}

/// The error about `token: TEXT` in line 4, where the variable A holds `secret`.
fn token_error(text: &str, secret: &str) -> String {
    let file = FileConfig::parse("revgate.yaml", format!("{SERVICE}{text}").as_bytes()).unwrap();
    let mut lookup = Lookup::at(1_000_000);
    lookup.insert(SecretSource::Environment("A".to_owned()), Ok(Secret::new(secret)));
    let error = merge(&Typed::default(), Some(&file), &lookup, Purpose::Gate).unwrap_err();
    assert!(!format!("{error:?} {error} {}", error.help()).contains("s3cret"), "{error}");
    error.to_string()
}

#[test]
fn a_secret_that_cannot_be_used_is_shown_where_it_was_named() {
    let expired = "e30.eyJleHAiOjk5OTk5MH0.s3cret";
    for (text, secret, due) in [
        (
            "token: { secret-env: A, algorithm: RS256 }",
            "s3cret",
            "4:22: token.secret-env: this is no private key in PEM",
        ),
        (
            "token: { secret-env: A, algorithm: ES256 }",
            "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----",
            "4:22: token.secret-env: this is no private key that ES256 can sign with",
        ),
        (
            "token: { secret-env: A }",
            "-----BEGIN PRIVATE KEY-----\ns3cret",
            "4:22: token.secret-env: this is a key in PEM",
        ),
        ("token: { secret-env: A }", "", "4:22: token.secret-env: the environment variable A is empty"),
        (
            "token: { tokens-env: A }",
            "s3cret s3cret s3cret",
            "4:22: token.tokens-env: its line 1 is no user and token",
        ),
        (
            "token: { tokens-env: A }",
            "{\"u\": \"s3cret\"",
            "4:22: token.tokens-env: it begins like JSON and is none",
        ),
        ("token: { tokens-env: A }", expired, "4:22: token.tokens-env: the token has expired 10 s ago"),
        (
            "token: { secret-env: A, lifetime: 44s }",
            "correct horse",
            "4:35: token.lifetime: tokens live for 44s and may be sent when a third of that is over",
        ),
        (
            "token: { secret-env: A }\ntimeouts: { first-contact: 25m }",
            "correct horse",
            "5:28: timeouts.first-contact: tokens live for 1800s",
        ),
        (
            "token: { tokens-env: A, lifetime: 5m }",
            "s3cret",
            "4:35: token.lifetime: this is for tokens that are minted",
        ),
        (
            "token: { tokens-env: A }\nusers: [a, b]",
            "a s3cret",
            "5:12: users[1]: there is no token for the user \"b\"",
        ),
    ] {
        let shown = token_error(text, secret);
        assert!(shown.starts_with(&format!("revgate.yaml:{due}")), "{text}\n  is: {shown}\n due: {due}");
    }
}

#[test]
fn ready_tokens_bring_their_users() {
    let file =
        FileConfig::parse("revgate.yaml", format!("{SERVICE}token: {{ tokens-env: A }}").as_bytes()).unwrap();
    for (secret, users) in [("b token-b\na token-a", vec!["b", "a"]), ("token", vec!["revgate"])] {
        let mut lookup = Lookup::default();
        lookup.insert(SecretSource::Environment("A".to_owned()), Ok(Secret::new(secret)));
        let merged = merge(&Typed::default(), Some(&file), &lookup, Purpose::Gate).unwrap();
        assert_eq!(merged.settings.users, users);
    }
}

#[test]
fn typed_mistakes_name_the_flag_or_the_variable() {
    let cases = vec![
        (
            Typed { sockets: Some(flag("sockets", "1")), ..service() },
            "`--sockets` (flag): one socket cannot race",
        ),
        (
            Typed { sockets: Some(variable("sockets", "x")), ..service() },
            "`REVGATE_SOCKETS` (environment): \"x\" is not",
        ),
        (Typed { tag: Some(flag("tag", "")), ..service() }, "`--tag` (flag): \"\" is not a Cloud Run name"),
        (Typed { region: Some(flag("region", "EU")), ..service() }, "`--region` (flag): \"EU\" is not"),
        (
            Typed { project: Some(variable("project", "a b")), ..service() },
            "`REVGATE_PROJECT` (environment): ",
        ),
        (Typed { url: Some(flag("url", "h")), ..service() }, "`--url` (flag): the address cannot be read"),
        (
            Typed { token_carry: Some(flag("token-carry", "authorization")), ..service() },
            "`--token-carry` (flag): a token is",
        ),
        (
            Typed { time_budget: Some(flag("time-budget", "1")), ..service() },
            "`--time-budget` (flag): \"1\" is not a dur",
        ),
        (Typed { label: Some(flag("label", "x")), ..service() }, "`--label` (flag): \"x\" is not a label"),
    ];
    for (typed, due) in cases {
        let shown = typed_error(&typed).to_string();
        assert!(shown.starts_with(due), "{shown}\n{due}");
    }
}

#[test]
fn no_error_repeats_a_credential() {
    for text in [
        "headers: { Authorization: \"Bearer s3cret\\n\" }",
        "headers: \"Authorization: Bearer s3cret\"",
        "headers: { X-Tenant: [s3cret] }",
        "headers:\n  X-Tenant: \"s3cret\\u00fc\"",
        "url: wss://me:s3cret@host/",
        "path: '/ws?token=s3cret #'",
        "send: Bearer s3cret {{usr}}",
        "token: { secret-env: s3cret-value }",
        "token: s3cret",
        "token: { secret: s3cret }",
    ] {
        let error = error(text);
        let shown = format!("{error}\n{}\n{}\n{error:?}", error.snippet().unwrap(), error.help());
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    let typed = Typed { header: Some(flag("header", "Bearer s3cret")), ..service() };
    assert!(!format!("{:?} {typed:?}", typed_error(&typed)).contains("s3cret"));
}
