//! Where keys and tokens come from, and what is said where they cannot be had or used.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::support::{Ended, Place, ended, keys};

/// A text that no message may show.
const SECRET: &str = "s3cret-that-nobody-may-see";

fn place(token: &str) -> Place {
    Place::new(&format!(
        "url: ws://127.0.0.1:9\nchecks: {{ skip: [ready, identity] }}\ntoken: {{ {token} }}\n"
    ))
}

fn dry_run(place: &Place, more: &[&str]) -> Ended {
    let ended = place.run(&[&["check", "--dry-run"], more].concat());
    assert!(!(ended.out.clone() + &ended.err).contains("s3cret"), "{ended:?}");
    ended
}

/// Reads what the configuration names and opens nothing, since nothing is left to check.
fn empty_run(place: &Place, more: &[&str]) -> Ended {
    let ended = place.run(&[&["check", "--only", "ready"], more].concat());
    assert!(!(ended.out.clone() + &ended.err).contains("s3cret"), "{ended:?}");
    ended
}

fn assert_refused(ended: &Ended, due: &str) {
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains(due), "{due}\n{}", ended.err);
    assert!(ended.err.contains("\n  help: "), "{}", ended.err);
}

#[test]
fn a_key_that_cannot_sign_is_refused_where_it_is_named() {
    let body = STANDARD.encode(SECRET);
    let pem = |kind: &str| format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n");
    let (rsa, elliptic) = (keys("RS256"), keys("ES256"));
    for (algorithm, file, due) in [
        ("RS256", SECRET.as_bytes().to_vec(), "this is no private key in PEM"),
        ("RS256", pem("PRIVATE KEY").into(), "this is no private key that RS256 can sign with"),
        ("ES256", pem("EC PRIVATE KEY").into(), "PKCS#8"),
        ("ES256", rsa.private.clone().into(), "this is an RSA key"),
        ("RS256", elliptic.private.into(), "this is a key on an elliptic curve"),
        ("RS256", rsa.public.into(), "only the private key signs"),
        ("HS256", rsa.private.into(), "HS256 signs with a plain secret"),
        ("HS256", Vec::new(), "the file \"key\" is empty"),
        ("HS256", b"\x00\xff\xfe\x80".to_vec(), "the file \"key\" is not UTF-8"),
    ] {
        let place = place(&format!("secret-file: key, algorithm: {algorithm}"));
        place.write("key", file);
        let ended = dry_run(&place, &[]);
        assert_refused(&ended, "revgate.yaml:3:23: token.secret-file: ");
        assert_refused(&ended, due);
        assert!(!ended.err.contains(&body), "{}", ended.err);
    }
}

#[test]
fn a_key_that_was_typed_is_refused_at_its_flag() {
    let place = Place::new("token: { algorithm: ES256 }\n");
    let ended = dry_run(
        &place,
        &["--url", "ws://127.0.0.1:9", "--skip", "ready,identity", "--token-secret-file", "revgate.yaml"],
    );
    assert_refused(&ended, "`--token-secret-file` (flag): this is no private key in PEM");
}

#[test]
fn a_command_is_run_only_where_the_command_line_allows_it() {
    let place = place("secret-command: [sh, -c, 'touch ran; echo a-signing-key']");
    let variable = ended(place.revgate(&["check", "--dry-run"]).env("REVGATE_ALLOW_COMMANDS", "true"));
    assert_refused(
        &variable,
        "revgate.yaml:3:26: token.secret-command: a command of the file is run only where",
    );
    assert!(!place.file("ran").exists(), "it was run");
    let allowed = empty_run(&place, &["--allow-commands"]);
    assert_eq!(allowed.code, 11, "{allowed:?}");
    assert!(place.file("ran").exists(), "it was not run");
}

#[test]
fn a_dry_run_runs_no_command_and_asks_no_secret_manager() {
    for (token, due) in [
        ("secret-command: [sh, -c, 'touch ran; echo key']", "would run: sh -c [masked]"),
        (
            "tokens-command: [touch, ran] }\nframes: {",
            "would run: touch ran; the users are those of its tokens",
        ),
        (
            "algorithm: RS256, secret-command: [touch, ran, --password, s3cret]",
            "would run: touch ran --password [masked]",
        ),
        (&format!("secret-manager: {NAME}"), &format!("would read the secret {NAME}")),
    ] {
        // Nobody listens there: whoever asked would fail.
        let place = place(token);
        let run = |more: &[&str]| {
            let ended = dry_run(
                &place,
                &[&["--allow-commands", "--api-endpoint", "http://127.0.0.1:9"], more].concat(),
            );
            assert_eq!(ended.code, 11, "{token}\n{ended:?}");
            ended
        };
        assert!(run(&[]).out.contains(due), "{due}\n{}", run(&[]).out);
        assert!(run(&["--format", "json", "--record", "run.json"]).out.contains("would r"), "{due}");
        assert!(!place.read("run.json").contains("s3cret") && place.read("run.json").contains("would r"));
        assert!(!place.file("ran").exists(), "{token} was run");
    }
}

#[test]
fn a_command_that_fails_says_why_and_shows_no_secret() {
    for (words, due) in [
        ("[sh, -c, 'printf \"\\033[31mno access\" >&2; echo s3cret; exit 7']", "ended with exit status: 7: "),
        (
            "[revgate-has-no-such-program, s3cret]",
            "the command \"revgate-has-no-such-program\" could not be started",
        ),
        ("['true']", "printed nothing"),
        ("[printf, '\\377']", "is not UTF-8"),
        ("[printf, 's3cret s3cret s3cret']", "its line 1 is no user and token"),
    ] {
        let place = place(&format!("tokens-command: {words}"));
        let ended = empty_run(&place, &["--allow-commands"]);
        assert_refused(&ended, "revgate.yaml:3:26: token.tokens-command: ");
        assert_refused(&ended, due);
        assert!(!ended.err.contains('\u{1b}'), "{}", ended.err);
    }
}

#[test]
fn an_expired_token_is_refused_and_one_that_soon_is_has_a_word() {
    let token =
        |expiry: i64| format!("e30.{}.s3cret", URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{expiry}}}")));
    let expired = place("tokens-file: tokens");
    expired.write("tokens", token(1_700_000_000));
    assert_refused(&dry_run(&expired, &[]), "revgate.yaml:3:23: token.tokens-file: the token has expired ");
    expired.write("tokens", token(4_000_000_000));
    assert_eq!(dry_run(&expired, &[]).code, 11);
}

/// Answers every request with this, as the API of Secret Manager does; the requests' first lines come back.
pub(crate) fn secret_manager(status: u16, body: String) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut connection, mut head) = (stream.unwrap(), Vec::new());
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && connection.read_exact(&mut byte).is_ok() {
                head.extend(byte);
            }
            let _ = sender.send(String::from_utf8_lossy(&head).into_owned());
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    (endpoint, requests)
}

/// What `AccessSecretVersion` answers: with the checksum of `of`.
pub(crate) fn version(payload: &[u8], checksum: u32) -> String {
    serde_json::json!({
        "name": "projects/123456789/secrets/jwt-key/versions/3",
        "payload": {"data": STANDARD.encode(payload), "dataCrc32c": checksum.to_string()},
    })
    .to_string()
}

fn error(code: u16, status: &str, message: &str) -> String {
    serde_json::json!({"error": {"code": code, "status": status, "message": message}}).to_string()
}

pub(crate) const NAME: &str = "projects/demo/secrets/jwt-key/versions/latest";

#[test]
fn a_key_is_read_from_secret_manager() {
    // RFC 3720 has no such example; "123456789" and 0xe3069283 are the usual check values of CRC-32C.
    let (endpoint, requests) = secret_manager(200, version(b"123456789", 0xe306_9283));
    let place = place(&format!("secret-manager: {NAME}"));
    let ended = empty_run(&place, &["--api-endpoint", &endpoint]);
    assert_eq!(ended.code, 11, "{ended:?}");
    let request = requests.recv().unwrap();
    assert!(request.starts_with(&format!("GET /v1/{NAME}:access HTTP/1.1\r\n")), "{request}");
    assert!(!request.to_ascii_lowercase().contains("authorization"), "another endpoint is asked anonymously");
}

#[test]
fn a_secret_that_cannot_be_had_is_named_with_the_command_that_helps() {
    let denied = "Permission 'secretmanager.versions.access' denied for resource 'x' (or it may not exist).";
    let cases = [
        (
            403,
            error(403, "PERMISSION_DENIED", denied),
            "secretmanager.versions.access is denied",
            "gcloud secrets add-iam-policy-binding jwt-key --project demo --member=MEMBER --role roles/secretmanager.secretAccessor",
        ),
        (
            404,
            error(404, "NOT_FOUND", "Secret [x] not found"),
            "Secret [x] not found",
            "gcloud secrets versions list jwt-key --project demo",
        ),
        (
            400,
            error(400, "FAILED_PRECONDITION", "version is DISABLED"),
            "version is DISABLED",
            "gcloud secrets versions list jwt-key",
        ),
        (200, version(SECRET.as_bytes(), 1), "another checksum than its own", "curl"),
        (200, version(b"\xff\xfe", 0x2ab8_7fca), "answered", "curl"),
        (200, format!("<html>{SECRET}</html>"), "instead of JSON", "curl"),
        (200, format!("{{\"payload\": \"{SECRET}\"}}"), "JSON of another shape", "curl"),
    ];
    for (status, body, due, help) in cases {
        let (endpoint, _requests) = secret_manager(status, body);
        let place = place(&format!("secret-manager: {NAME}"));
        let ended = empty_run(&place, &["--api-endpoint", &endpoint]);
        assert_eq!(ended.code, 3, "{due}\n{ended:?}");
        assert!(
            ended.err.contains("could not read the secret projects/demo/secrets/jwt-key"),
            "{}",
            ended.err
        );
        assert!(ended.err.contains(due) && ended.err.contains(help), "{due}, {help}\n{}", ended.err);
    }
}

#[test]
fn test_headers_stand_in_the_first_lines_by_name_alone() {
    let place = Place::new(
        "url: ws://127.0.0.1:9\nchecks: { skip: [ready, identity] }\n\
         headers: { X-Test-Type: s3cret, x-e2e-test: s3cret, X-Testament: s3cret }\n",
    );
    let ended = place.run(&["check", "--dry-run", "--record", "run.json"]);
    let record = place.read("run.json");
    let line = "test headers sent: X-Test-Type, x-e2e-test: they may change the path under test";
    let first: Vec<&str> = ended.out.lines().take(5).collect();
    assert!(first.iter().any(|words| words.contains(line)), "{}", ended.out);
    assert!(record.contains("X-Test-Type") && !record.contains("s3cret"), "{record}");
    assert!(!(ended.out + &ended.err).contains("s3cret"), "a value is shown");
    let judged = place.run(&["judge", "run.json"]);
    assert!(judged.out.contains(line), "{}", judged.out);
}

#[test]
fn one_token_for_all_users_stands_in_the_first_lines() {
    let place = place("tokens-file: tokens");
    place.write("tokens", SECRET);
    let ended = dry_run(&place, &["--user", "a,b"]);
    assert!(ended.out.contains("one token for all users"), "{}", ended.out);
    assert!(!dry_run(&place, &["--user", "a"]).out.contains("one token for all users"));
}
