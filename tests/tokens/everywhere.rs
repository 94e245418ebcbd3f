//! Every kind of secret, at a server that repeats all of them, in everything that a run, its record, a dry run and a failing
//! run show or write.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::echo::Echo;
use crate::places::{NAME, secret_manager, version};
use crate::secrecy::assert_hidden;
use crate::support::{Ended, Place, ended, keys};

const KEY: &str = "kQ7+w/Zr4=vN tX2&pL9mB6yH3jD8";
const READY: &str = "ya29~opaque+token/of=nobody-in-particular";
const HEADER: &str = "9f8e7d6c-value+5b4a/3c2d=1e0f";
const OTHER: &str = "Zt3VxJp5Nd7Rb1Lf6Hu2-other~one";
const PASSWORD: &str = "correct horse+battery/staple";

/// What a run is asked besides what its secret needs; every check of it has words of the server to show.
const CHECKS: &str = r#"
send: { type: ping, nonce: "{{nonce}}" }
expect: { type: pong, nonce: "{{nonce}}" }
users: [u01, u02, u03]
timeouts: { opening: 5s, first-contact: 5s, answer: 2s, hold: 50ms, serves-hold: 0.2s }
race: { tolerated: 50%, patterns: [control, users] }
flows: { mine: { steps: [ { send: { type: start } }, { expect: { type: done, within: 2s } } ] } }
agent: { flow: mine, runs: 1, at-once: 2, within: 5s }
isolation: {}
"#;

/// One kind of secret: how it is configured, where it is kept, and what must be shown nowhere.
struct Row {
    name: &'static str,
    config: String,
    variables: Vec<(&'static str, String)>,
    files: Vec<(&'static str, String)>,
    typed: Vec<String>,
    secrets: Vec<String>,
    /// What the server must have been sent, so that the row shows something; of minted tokens any.
    sent: &'static str,
}

fn row(name: &'static str, config: &str, secrets: &[&str], sent: &'static str) -> Row {
    let secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
    let config = config.to_owned();
    Row { name, config, variables: Vec::new(), files: Vec::new(), typed: Vec::new(), secrets, sent }
}

impl Row {
    fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn file(mut self, name: &'static str, text: &str) -> Self {
        self.files.push((name, text.to_owned()));
        self
    }

    fn typed(mut self, arguments: &[&str]) -> Self {
        self.typed.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }
}

/// Endpoints whose answers are never right, so that they are shown.
fn api(more: &str) -> String {
    format!(
        "api: {{ endpoints: [ {{ path: /a, method: POST, body: {{ say: '{{{{nonce}}}}' }}, status: [418], times: 4, at-once: 2{more} }}, \
         {{ path: /b, json: {{ /status: healthy }}, times: 4, at-once: 2{more} }} ] }}\n"
    )
}

fn rows() -> Vec<Row> {
    let (with_token, elliptic, minted) = (api(", token: true"), keys("ES256").private, "eyJ");
    let token = |token: &str| format!("token: {{ {token} }}\n{with_token}");
    let users = serde_json::json!({"u01": READY, "u02": OTHER, "u03": HEADER}).to_string();
    let basic = STANDARD.encode(format!("gate:{PASSWORD}"));
    let literal = format!(
        ", headers: {{ X-Api-Version-Key: '{HEADER}', Authorization: 'Basic {basic}', X-E: {{ env: E }}, X-F: {{ file: f }} }}"
    );
    let (endpoint, _) = secret_manager(200, version(b"123456789-signs-for-secret-manager", 0xe518_52c7));
    let manager = token(&format!("secret-manager: {NAME}, carry: [subprotocol]"));
    let command = format!("secret-command: [printf, '%s', '{KEY}'], carry: ['query:access_token']");
    vec![
        row("a key in a variable", &(token("secret-env: E") + "auth: {}\n"), &[KEY], minted)
            .variable("E", KEY),
        row("a key in a file", &token("secret-file: f, carry: ['cookie:session']"), &[KEY], minted)
            .file("f", KEY),
        row("a private key", &token("secret-env: E, algorithm: ES256"), &[&elliptic], minted)
            .variable("E", &elliptic),
        row("a key of a command", &token(&command), &[KEY], minted).typed(&["--allow-commands"]),
        row("a key of Secret Manager", &manager, &["123456789-signs-for-secret-manager"], minted)
            .typed(&["--api-endpoint", &endpoint]),
        row("a ready token in a variable", &token("tokens-env: E"), &[READY], READY).variable("E", READY),
        row(
            "ready tokens in a file",
            &token("tokens-file: f, carry: [first-message]"),
            &[READY, OTHER, HEADER],
            OTHER,
        )
        .file("f", &users),
        row(
            "ready tokens of a command",
            &token("tokens-command: [cat, f], carry: [authorization]"),
            &[READY],
            READY,
        )
        .file("f", &users)
        .typed(&["--allow-commands"]),
        row("headers of endpoints", &api(&literal), &[HEADER, &basic, PASSWORD, READY, OTHER], HEADER)
            .variable("E", READY)
            .file("f", OTHER),
        row(
            "headers of sockets",
            &format!(
                "headers: {{ Cookie: 'sid={HEADER}', X-Client-Secret: '{OTHER}', X-Tenant: {{ env: E }} }}\n"
            ),
            &[HEADER, OTHER, READY],
            OTHER,
        )
        .variable("E", READY),
        row("a header that was typed", "", &[HEADER], HEADER)
            .typed(&["--header", &format!("Authorization: Bearer {HEADER}")]),
        row(
            "a parameter of the path",
            "path: /ws?access_token=Zt3VxJp5Nd7Rb1Lf6Hu2-path\n",
            &["Zt3VxJp5Nd7Rb1Lf6Hu2-path"],
            "Hu2-path",
        ),
    ]
}

/// The place of a row, and the binary in it, as talkative as can be asked for.
fn talkative(row: &Row, place: &Place, command: &str, more: &[&str]) -> Ended {
    let mut revgate = place.revgate(&[command]);
    revgate.args(more).args(&row.typed).args([
        "--verbose",
        "--progress",
        "plain",
        "--no-calibration",
        "--rounds",
        "1",
    ]);
    for (name, value) in &row.variables {
        revgate.env(name, value);
    }
    revgate.env("RUST_BACKTRACE", "full").env("RUST_LOG", "trace").env("GITHUB_ACTIONS", "true");
    revgate.env("GITHUB_OUTPUT", place.file("output")).env("GITHUB_STEP_SUMMARY", place.file("summary"));
    ended(&mut revgate)
}

/// Everything that runs of a row show or write, at a server that serves or at one that fails.
fn shown(row: &Row, serves: bool) -> (Echo, Vec<(String, String)>) {
    let echo = Echo::start(serves);
    let place = Place::new(&format!(
        "url: ws://127.0.0.1:{}\nchecks: {{ skip: [ready, identity] }}\n{CHECKS}{}",
        echo.port, row.config
    ));
    for (name, text) in &row.files {
        place.write(name, text);
    }
    let mut texts = Vec::new();
    let mut keep = |what: &str, codes: &[i32], Ended { code, out, err }: Ended| {
        assert!(codes.contains(&code), "{}, {what}: {code}\n{out}{err}", row.name);
        texts.extend([(format!("{what}: output"), out), (format!("{what}: errors"), err)]);
    };
    for format in ["text", "json"] {
        let arguments = ["--format", format, "--record", "run.json"];
        keep(format, &[10, 11], talkative(row, &place, "check", &arguments));
        keep("judge", &[10, 11], place.run(&["judge", "run.json", "--verbose", "--format", format]));
        keep(
            "dry run",
            &[11],
            talkative(row, &place, "check", &["--dry-run", "--format", format, "--record", "dry.json"]),
        );
    }
    // A mistake behind everything that is secret, in lines of their own.
    let configuration = place.read("revgate.yaml");
    place.write("revgate.yaml", configuration + "\nlogs: { patience: 0s }\n");
    keep("mistake", &[2], talkative(row, &place, "check", &[]));
    for name in ["run.json", "dry.json", "output", "summary"] {
        assert!(!place.read(name).is_empty(), "{}: there is no {name}", row.name);
        texts.push((name.to_owned(), place.read(name)));
    }
    (echo, texts)
}

/// Runs the rows of this turn, one after the other.
fn assert_none_is_shown(turn: usize) {
    for row in rows().into_iter().skip(turn).step_by(3) {
        for serves in [true, false] {
            let (echo, texts) = shown(&row, serves);
            assert!(echo.heard(row.sent), "{}: the server was not sent it", row.name);
            let marks: usize = texts.iter().map(|(_, text)| text.matches("[redacted]").count()).sum();
            assert!(
                marks > 8,
                "{} (serves: {serves}): what the server repeats was not looked at: {marks}",
                row.name
            );
            let secrets: Vec<String> = row.secrets.iter().cloned().chain(echo.tokens()).collect();
            let texts: Vec<(String, String)> =
                texts.into_iter().map(|(name, text)| (format!("{}: {name}", row.name), text)).collect();
            assert_hidden(&secrets, &texts);
        }
    }
}

#[test]
fn no_secret_of_any_kind_is_shown_anywhere_first_third() {
    assert_none_is_shown(0);
}

#[test]
fn no_secret_of_any_kind_is_shown_anywhere_second_third() {
    assert_none_is_shown(1);
}

#[test]
fn no_secret_of_any_kind_is_shown_anywhere_last_third() {
    assert_none_is_shown(2);
}
