//! No secret is shown, whatever a server does to show it: not in a report, not in a record, not in progress or errors.

use std::collections::HashSet;
use std::process::Command;

use crate::parrot::{Parrot, credentials, forms, parts};
use crate::support::{Ended, QUICK, World, binary};

const SIGNING_KEY: &str = "kQ7+w/Zr4=vN tX2&pL9mB6yH3jD8";
const ID_TOKEN: &str =
    "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJhdWQiOiJodHRwczovL2RlbW8ifQ.c2lnbmF0dXJlLW9mLWdvb2dsZQ";
const API_TOKEN: &str = "ya29.c0ASRK0GaWq8Zt3VxJp5Nd7Rb1Lf6Hu2";
const COOKIE: &str = "s%3AgE4uT9iK1oP7aS5dF.hJ2kL8zX6cV3bN";
const API_KEY: &str = "9f8e7d6c-key-5b4a-3c2d-1e0f";

/// So many characters of a secret in a row count as shown.
const WINDOW: usize = 12;

/// Every run of characters that would show a piece of one of these secrets, in any form.
fn pieces(secrets: &[String]) -> HashSet<Vec<u8>> {
    let of_form = |form: String, of: usize| {
        // A form that writes two or three characters for one is shown by as many more.
        let length = WINDOW * (form.len() / of.max(1)).max(1);
        form.into_bytes().windows(length).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let parts = secrets.iter().flat_map(|secret| parts(secret));
    parts.flat_map(|part| forms(part).into_iter().flat_map(move |form| of_form(form, part.len()))).collect()
}

fn assert_hidden(secrets: &[String], texts: &[(String, String)]) {
    let pieces = pieces(secrets);
    let lengths: HashSet<usize> = pieces.iter().map(Vec::len).collect();
    for ((name, text), length) in
        texts.iter().flat_map(|text| lengths.iter().map(move |length| (text, *length)))
    {
        if let Some(at) = text.as_bytes().windows(length).position(|window| pieces.contains(window)) {
            let around = &text.as_bytes()[at.saturating_sub(60)..(at + 60).min(text.len())];
            panic!("{name} shows a piece of a secret: …{}…", String::from_utf8_lossy(around));
        }
    }
}

const CONFIG: &str = r#"
path: /ws?user={{user}}
send: '{"type":"ping","nonce":"{{nonce}}"}'
token: { secret-env: KEY_OF_TEST, carry: [authorization, subprotocol], claims: { email: "{{user}}@example.com" } }
headers: { Cookie: { env: COOKIE_OF_TEST }, X-Api-Key: { env: API_KEY_OF_TEST } }
identity: { header: x-revision }
users: [u01, u02, u03, u04, u05, u06, u07, u08, u09, u10, u11, u12]
timeouts: { opening: 2s, first-contact: 2s, answer: 500ms }
"#;

fn world(fault: &str) -> World {
    let world = World::new(&format!(
        "revisions: [{{created_minutes_ago: 60}}, {{behaviour: echo-secrets, jwt_secret: '{SIGNING_KEY}', {fault}}}]\n\
         faults: {{api_token: {API_TOKEN}, private: true, id_token: {ID_TOKEN}}}"
    ));
    world.configure(CONFIG);
    for (name, secret) in [("key", SIGNING_KEY), ("id-token", ID_TOKEN), ("api-token", API_TOKEN)] {
        std::fs::write(world.file(name), format!("{secret}\n")).unwrap();
    }
    world
}

/// As talkative as it can be asked to be.
fn talkative(world: &World, command: &str, arguments: &[&str]) -> Command {
    let mut revgate = world.revgate(command);
    revgate.args(["--verbose", "--progress", "plain", "--record", "run.json"]).args(arguments);
    revgate.args(["--api-token-file", "api-token", "--id-token-file", "id-token"]);
    revgate.env("KEY_OF_TEST", SIGNING_KEY).env("COOKIE_OF_TEST", format!("session={COOKIE}"));
    revgate.env("API_KEY_OF_TEST", API_KEY).env("RUST_BACKTRACE", "full").env("RUST_LOG", "trace");
    revgate.env("GITHUB_OUTPUT", world.file("github-output"));
    revgate.env("GITHUB_STEP_SUMMARY", world.file("github-summary"));
    revgate
}

/// Everything that a run has shown or written, with the same from its record.
fn shown(world: &World, ended: Ended) -> Vec<(String, String)> {
    let mut texts = vec![("standard output".to_owned(), ended.out), ("standard error".to_owned(), ended.err)];
    for name in ["run.json", "github-output", "github-summary"] {
        if let Ok(text) = std::fs::read_to_string(world.file(name)) {
            texts.push((name.to_owned(), text));
        }
    }
    if world.file("run.json").exists() {
        for format in ["text", "json"] {
            let mut judge = binary("judge");
            let judged = Ended::of(judge.arg(world.file("run.json")).args(["--verbose", "--format", format]));
            texts.push((format!("judge --format {format}"), judged.out + &judged.err));
        }
    }
    texts
}

fn configured() -> Vec<String> {
    [SIGNING_KEY, ID_TOKEN, API_TOKEN, COOKIE, API_KEY].map(str::to_owned).to_vec()
}

#[test]
fn a_server_that_says_back_every_credential_in_every_form_shows_none() {
    let world = world("");
    let parrot = Parrot::sockets();
    let url = format!("ws://127.0.0.1:{}", parrot.port);
    let key = ["--token-secret-file", "key"];
    let pointer = ["--identity-pointer", "/revision"];
    for extra in [&["--format", "text"][..], &["--format", "json"], &key, &pointer] {
        let ended = Ended::of(talkative(&world, "check", &["--url", &url]).args(extra));
        assert!(matches!(ended.code, 10 | 11), "{extra:?}\n{ended:?}");
        let heard: HashSet<String> = parrot.heard().iter().flat_map(|head| credentials(head)).collect();
        assert!(heard.len() > 12 && heard.contains(COOKIE) && heard.contains(ID_TOKEN), "{heard:?}");
        let minted = heard.iter().filter(|token| token.starts_with("eyJ0") || token.starts_with("eyJh"));
        assert!(minted.count() > 10, "a token for each user, and the ID token\n{heard:?}");
        let shown = shown(&world, ended);
        assert!(shown.len() >= 6, "record, summary and outputs were looked at");
        let marks: usize = shown.iter().map(|(_, text)| text.matches("[redacted]").count()).sum();
        assert!(marks > 20, "what the server said back was not looked at: {marks}");
        let secrets: Vec<String> = heard.into_iter().chain(configured()).collect();
        assert_hidden(&secrets, &shown);
    }
}

#[test]
fn the_sample_backend_and_a_promotion_of_it_show_none() {
    for (refused, key) in [(false, SIGNING_KEY), (true, "another-key-that-the-server-does-not-know")] {
        let world = world("echo_revision: true, subprotocol_echo: token");
        let everywhere = "[authorization, subprotocol, 'query:token', 'cookie:token', first-message]";
        world.configure(&CONFIG.replace("[authorization, subprotocol]", everywhere));
        let mut check = talkative(&world, "promote", &["--tag", "gate", "--rounds", "2", "--yes"]);
        let ended = Ended::of(check.env("KEY_OF_TEST", key));
        assert_eq!(ended.code, if refused { 10 } else { 11 }, "{ended:?}");
        let shown = shown(&world, ended);
        let record = &shown.iter().find(|(name, _)| name == "run.json").unwrap().1;
        assert!(record.contains("[redacted]"), "the server's echo was not seen at all");
        let secrets: Vec<String> = configured().into_iter().chain([key.to_owned()]).collect();
        assert_hidden(&secrets, &shown);
        // The minted tokens are known to nobody here; but every one of them would show these.
        for (name, text) in &shown {
            assert!(!text.contains("eyJzdWIi") && !text.contains("eyJlbWFpbCI"), "{name} shows a payload");
        }
    }
}

#[test]
fn a_control_plane_that_says_back_its_token_shows_none() {
    for status in [200, 400, 401, 403, 404] {
        let world = world("");
        let parrot = Parrot::api(status);
        let endpoint = format!("http://127.0.0.1:{}", parrot.port);
        let mut check = binary("check");
        check.current_dir(world.folder.path()).args([
            "--project",
            "p",
            "--region",
            "r-1",
            "--service",
            "demo",
        ]);
        check.args([
            "--api-endpoint",
            &endpoint,
            "--api-token-file",
            "api-token",
            "--tag",
            "gate",
            "--verbose",
        ]);
        check.env("KEY_OF_TEST", SIGNING_KEY).env("COOKIE_OF_TEST", COOKIE).env("API_KEY_OF_TEST", API_KEY);
        let ended = Ended::of(&mut check);
        assert_eq!(ended.code, 3, "{status}\n{ended:?}");
        assert!(parrot.heard().iter().any(|head| head.contains(API_TOKEN)), "the token was not sent");
        assert_hidden(&configured(), &shown(&world, ended));
    }
}

#[test]
fn a_condition_that_holds_secrets_shows_none() {
    let world = world(&format!("fail: 'it was called with {API_TOKEN} and {API_KEY}'"));
    let ended = Ended::of(&mut talkative(&world, "check", &["--tag", "gate"]));
    assert_eq!(ended.code, 10, "{ended:?}");
    assert!(ended.out.contains("it was called with"), "{ended:?}");
    assert_hidden(&configured(), &shown(&world, ended));
}

/// A server that writes every header it is sent to its own output, and refuses.
const GOSSIP: &str = "import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        for name in ('Authorization', 'Sec-WebSocket-Protocol', 'Cookie', 'X-Api-Key'):
            print(name, self.headers[name], flush=True)
        self.send_response(403)
        self.end_headers()
    def log_message(self, *unused):
        pass
http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
";

#[test]
fn the_output_of_a_rehearsed_server_shows_none() {
    let world = world("");
    std::fs::write(world.file("gossip.py"), GOSSIP).unwrap();
    let mut rehearse = binary("rehearse");
    rehearse.current_dir(world.folder.path()).args(["--exec", "python3 gossip.py $PORT", "--verbose"]);
    rehearse.args(["--progress", "plain", "--record", "run.json"]).env("KEY_OF_TEST", SIGNING_KEY);
    rehearse.env("COOKIE_OF_TEST", format!("session={COOKIE}")).env("API_KEY_OF_TEST", API_KEY);
    let ended = Ended::of(&mut rehearse);
    assert_eq!(ended.code, 10, "{ended:?}");
    for words in ["  | Authorization Bearer [redacted]", "  | X-Api-Key [redacted]"] {
        assert!(ended.out.contains(words), "{words:?} is not shown\n{}", ended.out);
    }
    let shown = shown(&world, ended);
    assert_hidden(&configured(), &shown);
    for (name, text) in &shown {
        assert!(!text.contains("eyJzdWIi") && !text.contains("eyJlbWFpbCI"), "{name} shows a payload");
    }
}

#[test]
fn a_credential_in_the_path_is_in_no_record() {
    let world = World::candidate("not-found", 1.0);
    world.configure(
        &QUICK.replace("path: /ws?user={{user}}", "path: /ws?access_token=s3cret-of-the-path&user={{user}}"),
    );
    let ended = world.check(&["--tag", "gate", "--verbose"]);
    let record = std::fs::read_to_string(world.file("run.json")).unwrap();
    for text in [&ended.out, &ended.err, &record] {
        assert!(!text.contains("s3cret-of-the-path"), "{text}");
    }
}
