//! Every mistake in `revgate.yaml`, in the options, in the variables and in what they name, as the binary shows it.

use std::fmt::Write as _;

use crate::assert_golden;
use crate::program::Workplace;

/// Names a service in three lines, so that what follows begins in line 4.
const SERVICE: &str = "project: demo-project\nregion: europe-west1\nservice: checkout\n";

/// A secret that no message may show.
const SECRET: &str = "s3cret-that-nobody-may-see";

/// Checks with each of these files and puts what was said into one golden file.
fn assert_mistakes(name: &str, files: &[&str]) {
    let place = Workplace::new();
    let mut all = String::new();
    for text in files {
        place.write("revgate.yaml", format!("{SERVICE}{text}\n"));
        let ran = place.run(&["check", "--dry-run"], &[]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{text}\n{}", ran.err);
        assert!(!ran.err.contains(SECRET), "{}", ran.err);
        assert!(ran.err.contains("\n  help: "), "{}", ran.err);
        let _ = writeln!(all, "──── {}\n{}", text.replace('\n', "\n     "), ran.err);
    }
    assert_golden(name, &all);
}

/// Arguments and variables of one run.
pub(crate) type Typed<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);

/// Runs each of these and puts what was said into one golden file; every one is wrong usage.
pub(crate) fn assert_refused(name: &str, place: &Workplace, runs: &[Typed<'_>]) {
    let mut all = String::new();
    for (arguments, variables) in runs {
        let said = place.session(arguments, variables);
        assert!(said.ends_with("[exit 2]\n"), "{said}");
        let typed = said.lines().next().unwrap_or_default();
        assert!(typed.contains(SECRET) || !said.contains(SECRET), "{said}");
        let shown = said.replacen(typed, "", 1);
        assert!(!shown.contains(SECRET), "{said}");
        all += &said;
        all.push('\n');
    }
    assert_golden(name, &all);
}

#[test]
fn mistakes_of_what_is_gated() {
    assert_mistakes(
        "mistakes_target",
        &[
            "deadline: 10",
            "deadline: 0s",
            "deadline: 25h",
            "revision: A",
            "tag: gate-",
            "image-digest: abc",
            "label: {}",
            "label: { a: b c }",
            "label: { a: b }\nrevision: a-1",
            "url: wss://user:s3cret-that-nobody-may-see@host",
            "url: ftp://host",
            "url: host",
            "url: wss://host/#fragment",
            "url: 'wss://host\\x'",
            "url: wss://",
            "api-endpoint: ftp://host",
            "api-endpoint: https://host/?q=1",
            "api-token-file: token",
            "id-token: always",
            "id-token: never\nid-token-file: token",
        ],
    );
}

#[test]
fn mistakes_of_what_a_socket_says() {
    assert_mistakes(
        "mistakes_socket",
        &[
            "path: ws",
            "path: /{{usr}}",
            "path: '/{{us er}}'",
            "path: /100%",
            "send: 'hello {{user'",
            "send: '{{ }}'",
            "path: '/a b'",
            "path: /a#b",
            "send: ''",
            "expect: '{\"a\":'",
            "expect: 'po(ng'",
            "expect: ''",
            "greeting: ''",
            "harmless: ''",
            "closes: [1000, 1011]",
            "closes: [99]",
            "headers:\n  Host: x",
            "headers:\n  Sec-WebSocket-Protocol: x",
            "headers:\n  X-Serverless-Authorization: x",
            "headers: { 'a b': x }",
            "headers:\n  X-A: \"a\\r\\nb\"",
            "headers:\n  X-A: \"s3cret-that-nobody-may-see \u{fc}\"",
            "headers:\n  X-A: 'of {{user}}'",
            "headers: { X-A: { env: N, file: f } }",
            "headers: { X-A: a, x-a: b }",
            "headers: { X-A: { env: not a name } }",
            "headers: { X-A: { env: NOT_SET } }",
            "headers: { X-A: { file: missing } }",
            "headers: 'Authorization: Bearer s3cret-that-nobody-may-see'",
            "subprotocols: ['a b']",
            "subprotocols: [a, b, a]",
            "require-subprotocol: 3",
            "users: []",
            "users: [a, a]",
            "users: ['']",
            "users: [1.0]",
            "users: user-001",
            "identity: { header: a, pointer: /b }",
            "identity: { header: 'a b' }",
            "identity: { pointer: b }",
        ],
    );
}

#[test]
fn mistakes_of_tokens() {
    assert_mistakes(
        "mistakes_token",
        &[
            "token: s3cret-that-nobody-may-see",
            "token: { secret: s3cret-that-nobody-may-see }",
            "token: { secret-env: s3cret-that-nobody-may-see }",
            "token: { secret-env: NOT_SET }",
            "token: { secret-file: missing }",
            "token: { secret-env: A, secret-file: b }",
            "token: { carry: [subprotocol] }",
            "token: { carry: [cookie] }",
            "token: { carry: [cooky] }",
            "token: { carry: ['subprotocol:jwt'] }",
            "token: { carry: ['query:a b'] }",
            "token: { carry: ['first-message:{{token}} {{usr}}'] }",
            "token: { carry: [] }",
            "path: /ws?t=1\ntoken: { secret-env: A, carry: ['query:t'] }",
            "token: { algorithm: RS512 }",
            "token: { algorithm: RS256 }",
            "token: { secret-manager: s3cret-that-nobody-may-see }",
            "token: { secret-command: [] }",
            "token: { secret-command: [cat, s3cret-that-nobody-may-see] }",
            "token: { tokens-env: NOT_SET }",
            "token: { tokens-env: A, tokens-file: b }",
            "token: { lifetime: 0s }",
            "token: { claims: { a: ['{{usr}}'] } }",
            "token: { claims: { exp: yesterday } }",
            "token: { claims: { exp: 1600000000 } }",
            "token: { claims: { aud: 5 } }",
            "token: { claims: { sub: 5 } }",
            "token: { lifetime: 1s }",
            "token: { secret-env: KEY, lifetime: 20s }",
        ],
    );
}

#[test]
fn mistakes_of_what_is_checked() {
    assert_mistakes(
        "mistakes_checks",
        &[
            "timeouts: { opening: 0s }",
            "timeouts: { hold: soon }",
            "timeouts: { answer: 2h }",
            "timeouts: { answer: 2.5 }",
            "users: [a, b, c]\nframes: { largest: 64KB }",
            "agent: { flow: reference-agent, latency: { p50: 10s, p95: 5s } }",
            "race: { patterns: [] }",
            "race:\n  patterns:\n    - users\n    - raze",
            "race: { rounds: 0 }",
            "race: { sockets: 0 }",
            "race: { sockets: 1 }",
            "race: { sockets: 101 }",
            "race: { sockets: many }",
            "race: { sockets: 4294967296 }",
            "race: { time-budget: 0s }",
            "race: { tolerated: 100% }",
            "race: { tolerated: 0.01 }",
            "race: { tolerated: 1 }",
            "race: { noise: 7%, tolerated: 7% }",
            "race: { zero-tolerance: [99] }",
            "race: { seed: -1 }",
            "race: { baseline: true }",
            "race: { pre-existing: forgive }",
            "race: { cold: often }",
            "race: { patterns: [cold] }",
            "limits: { sockets-at-once: 0 }",
            "limits: { sockets-at-once: 3 }",
            "limits: { sockets-per-user: 1 }",
            "checks: { skip: [raze] }",
        ],
    );
}

#[test]
fn mistakes_of_the_file_itself() {
    assert_mistakes(
        "mistakes_file",
        &[
            "region: x",
            "sokets: 5",
            "timeout: {}",
            "race:\n  sokets: 5",
            "race: many",
            "a: [",
            "\tb: c",
            "---\ntag: b",
            "- a",
            "users:\n  - \u{1b}[31mred",
            "users: [a, b",
            "send: 'a",
            "path: /a: b",
            "send: @a",
            "send: *nothing",
            "send: !text a",
            "send: { a: .nan }",
            "send: { a: 99999999999999999999 }",
            "race: &r { rounds: 5 }\nlimits: { <<: *r }",
        ],
    );
}

#[test]
fn files_that_cannot_be_read_as_a_configuration() {
    let place = Workplace::new();
    std::fs::create_dir(place.path("folder")).unwrap();
    place.write("large.yaml", vec![b' '; (1 << 20) + 1]);
    place.write("latin.yaml", b"tag: a\nservice: caf\xe9\n");
    place.write("list.yaml", b"- a\n");
    place.write("deep.yaml", "[".repeat(500));
    let wide = |name: &str, count: usize| format!("[{}]", format!("{name},").repeat(count));
    let bomb = format!("a: &a {}\nb: &b {}\nc: {}\n", wide("x", 99), wide("*a", 99), wide("*b", 999));
    place.write("bomb.yaml", bomb);
    assert_refused(
        "configuration_files",
        &place,
        &[
            (&["check", "-f", "missing.yaml"], &[]),
            (&["check"], &[("REVGATE_CONFIG", "missing.yaml")]),
            (&["check", "-f", "folder"], &[]),
            (&["check", "-f", "large.yaml"], &[]),
            (&["check", "-f", "latin.yaml"], &[]),
            (&["check", "-f", "list.yaml"], &[]),
            (&["check", "-f", "deep.yaml"], &[]),
            (&["check", "-f", "bomb.yaml"], &[]),
        ],
    );
}

#[test]
fn what_is_missing_is_asked_for() {
    assert_refused(
        "configuration_missing",
        &Workplace::new(),
        &[
            (&["check"], &[]),
            (&["check", "--project", "demo-project"], &[]),
            (&["check", "--service", "checkout"], &[("GOOGLE_CLOUD_PROJECT", "demo-project")]),
            (&["check", "--service", "checkout", "--url", "wss://host"], &[]),
            (&["check", "--url", "wss://host", "--revision", "checkout-00042-xiv"], &[]),
            (&["check", "--url", "wss://host", "--token-carry", "authorization"], &[]),
            (&["check", "--url", "wss://host", "--baseline"], &[]),
            (&["check", "--url", "wss://host"], &[("REVGATE_BASELINE", "true")]),
            (&["check", "--url", "wss://host", "--baseline", "--i-may-load-production"], &[]),
        ],
    );
}

/// A value for each option that it cannot have.
const WRONG: &[(&str, &str)] = &[
    ("project", "A B"),
    ("region", "EU"),
    ("service", "Checkout"),
    ("revision", "A"),
    ("label", "x"),
    ("image-digest", "sha256:abc"),
    ("tag", ""),
    ("deadline", "soon"),
    ("url", "host"),
    ("path", "ws"),
    ("api-endpoint", "run.googleapis.com"),
    ("api-token-file", "missing"),
    ("id-token-file", "missing"),
    ("header", SECRET),
    ("subprotocol", "a b"),
    ("user", ""),
    ("token-secret-env", "NOT_SET"),
    ("token-secret-file", "missing"),
    ("token-carry", "cookie"),
    ("send", ""),
    ("expect", "["),
    ("identity-header", "a b"),
    ("identity-pointer", "b"),
    ("skip", "raze"),
    ("only", "raze"),
    ("pattern", "raze"),
    ("exec", "server 'a"),
    ("rounds", "0"),
    ("sockets", "1"),
    ("time-budget", "0s"),
    ("seed", "x"),
    ("round", "0"),
];

#[test]
fn mistakes_that_were_typed_name_their_option() {
    let wrong = WRONG;
    // Wrong only as variables: the flags take no text.
    let switches = ["thorough", "cold", "no-calibration", "baseline", "i-may-load-production"];
    let place = Workplace::new();
    place.write("revgate.yaml", SERVICE);
    let (mut flags, mut variables) = (String::new(), String::new());
    for (option, value) in wrong {
        let said = place.session(&["check", &format!("--{option}"), value], &[]);
        assert!(said.contains(&format!("`--{option}` (flag): ")) && said.ends_with("[exit 2]\n"), "{said}");
        flags += &(said + "\n");
        let variable = revgate::config::variable(option);
        if !value.is_empty() {
            let said = place.session(&["check"], &[(&variable, value)]);
            assert!(said.contains(&format!("`{variable}` (environment): ")), "{said}");
            variables += &(said + "\n");
        }
    }
    for switch in switches {
        let variable = revgate::config::variable(switch);
        let said = place.session(&["check"], &[(&variable, "perhaps")]);
        assert!(said.contains(&format!("`{variable}` (environment): ")), "{said}");
        variables += &(said + "\n");
    }
    for said in [&flags, &variables] {
        assert_eq!(said.matches(SECRET).count(), 1, "the header is shown");
    }
    assert_golden("configuration_flags", &flags);
    assert_golden("configuration_variables", &variables);
    let known = revgate::cli::command();
    let check = known.get_subcommands().find(|command| command.get_name() == "check").unwrap();
    let judged = ["config", "allow-commands", "dry-run", "format", "record", "progress", "color", "verbose"];
    for option in check.get_arguments().filter_map(|argument| argument.get_long()) {
        let known = judged.contains(&option)
            || switches.contains(&option)
            || wrong.iter().any(|(name, _)| *name == option);
        assert!(known, "--{option} has no wrong value here");
    }
}

#[test]
fn mistakes_of_flows() {
    assert_mistakes(
        "mistakes_flows",
        &[
            "flows: { f: {} }",
            "flows:\n  f:\n    steps:\n      - send: a\n      - expect: { typ: pong }",
            "flows:\n  f:\n    steps:\n      - send: a\n      - expect: { regex: 'po(ng' }",
            "flows:\n  f:\n    steps:\n      - send: '{{usr}}'\n      - expect: { type: pong }",
            "flows:\n  f:\n    steps:\n      - send: '{{capture.id}}'\n      - expect: { type: pong, capture: { id: /id } }",
            "flows:\n  f:\n    steps:\n      - expect: { type: pong, repeat: 0 }",
            "flows:\n  f:\n    steps:\n      - any-order: [ { type: a }, { type: b, follows: c } ]",
            "agent: {}",
            "flows:\n  mine: { steps: [ { expect: { type: a } } ] }\n  other: { steps: [ { expect: { type: a } } ] }\nagent: {}",
            "flows:\n  f:\n    steps:\n      - wait: 40s\n      - expect: { type: a }\n      - wait: 20s\nagent: {}",
            "flows:\n  f:\n    steps:\n      - expect: { type: a, within: 2m }\nagent: {}",
            "agent: { flow: reference-agent, latency: { p99: 90s } }",
            "agent: { flow: reference_agent }",
            "agent: { flow: socket-io, runs: 50 }",
            "agent: { flow: socket-io, latency: { p95: fast } }",
            "limits: { messages-per-minute: 0 }",
            "send: a\nhold: { sockets: 3 }\nusers: [a, b, c]\nlimits: { sockets-per-run: 3 }",
            "send: a\nhold: { heartbeat: { send: a, every: 1s } }\nlimits: { messages-per-minute: 30 }",
            "isolation: { at-once: 1 }",
            "isolation: { shared: { pointer: users } }",
            "isolation: { captures: [id] }",
            "isolation: {}",
        ],
    );
}

#[test]
fn secrets_that_cannot_be_had() {
    let place = Workplace::new();
    place.write("revgate.yaml", SERVICE);
    place.write("empty", "");
    place.write("latin", b"caf\xe9");
    place.write("two-lines", format!("{SECRET}\n{SECRET}\n"));
    place.write("token", SECRET);
    std::fs::create_dir(place.path("folder")).unwrap();
    assert_refused(
        "configuration_secrets",
        &place,
        &[
            (&["check", "--token-secret-env", "KEY"], &[]),
            (&["check", "--token-secret-env", "KEY"], &[("KEY", "")]),
            (&["check", "--token-secret-env", SECRET], &[]),
            (&["check", "--token-secret-env", "A", "--token-secret-file", "b"], &[]),
            (&["check", "--token-secret-file", "missing"], &[]),
            (&["check", "--token-secret-file", "folder"], &[]),
            (&["check", "--token-secret-file", "empty"], &[]),
            (&["check", "--token-secret-file", "latin"], &[]),
            (&["check", "--id-token-file", "two-lines"], &[]),
            (&["check", "--id-token-file", "empty"], &[]),
            (&["check", "--api-token-file", "token"], &[]),
            (
                &["check", "--token-secret-env", "KEY", "--header", "Authorization: Bearer x"],
                &[("KEY", SECRET)],
            ),
            (&["check"], &[("REVGATE_HEADER", SECRET)]),
            (&["check", "--header", "X-Tenant: a", "--header", "x-tenant: b"], &[]),
        ],
    );
}
