//! Why a socket did not open: the report names the path, the token, the server, the name or IAM, and what to type.

use std::net::TcpListener;

use crate::support::{Ended, QUICK, World, binary};

/// Every word must stand in the report, and its last lines are a command.
fn assert_named(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, code, "{ended:?}");
    for word in words {
        assert!(ended.out.contains(word), "{word:?} is not named\n{}", ended.out);
    }
    assert!(ended.out.contains("next     "), "no next command\n{}", ended.out);
}

#[test]
fn a_wrong_path_is_named() {
    let world = World::candidate("fixed", 1.0);
    let ended = world.check(&["--tag", "gate", "--path", "/nowhere?user={{user}}"]);
    let command =
        "revgate check --project demo-project --region us-central1 --service demo --tag gate --path /PATH";
    assert_named(&ended, 10, &["HTTP 404", "no WebSocket at path /nowhere", command]);
    assert!(!ended.out.contains("the token"), "{}", ended.out);
}

#[test]
fn a_wrong_token_is_named_however_it_is_refused() {
    for (refusal, words) in [("status-401", "HTTP 401"), ("close-1008", "close 1008")] {
        let world = World::new(&format!(
            "revisions: [{{created_minutes_ago: 60}}, {{jwt_secret: the-key-of-the-server, jwt_refusal: {refusal}}}]"
        ));
        std::fs::write(world.file("key"), "the-key-of-somebody-else").unwrap();
        for token in [&[][..], &["--token-secret-file", "key"]] {
            let ended = world.check(&[&["--tag", "gate"], token].concat());
            assert_named(&ended, 10, &[words, "look at the token", "--tag gate --token-secret-env VARIABLE"]);
            assert!(!ended.out.contains("at path"), "{}", ended.out);
        }
    }
}

#[test]
fn a_refusal_with_403_is_named() {
    let ended = World::candidate("refuse-403", 1.0).check(&["--tag", "gate"]);
    assert_named(&ended, 10, &["HTTP 403", "look at the token", "--token-secret-env VARIABLE"]);
}

/// A check of an address alone, with and without what cannot be known there.
fn check_address(url: &str) -> [Ended; 2] {
    let folder = tempfile::tempdir().unwrap();
    [&[][..], &["--skip", "ready,identity"]].map(|extra| {
        let mut check = binary("check");
        check.current_dir(folder.path()).args(["--progress", "none", "--color", "never", "--url", url]);
        Ended::of(check.args(extra))
    })
}

#[test]
fn a_server_that_is_down_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("ws://127.0.0.1:{port}");
    for ended in check_address(&url) {
        let named = format!("nobody answers at {url}");
        assert_named(
            &ended,
            10,
            &["the server is down", &named, "Connection refused", "revgate check --url"],
        );
    }
}

#[test]
fn a_name_that_does_not_exist_is_named() {
    for ended in check_address("wss://gate.invalid") {
        let words = [
            "name not resolved",
            "the name in wss://gate.invalid is not known to DNS",
            "revgate check --url",
        ];
        assert_named(&ended, 11, &words);
    }
}

const ID_TOKEN: &str =
    "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJhdWQiOiJodHRwczovL2RlbW8ifQ.c2lnbmF0dXJlLW9mLWdvb2dsZQ";

fn private() -> World {
    let world = World::new(&format!(
        "revisions: [{{created_minutes_ago: 60}}, {{echo_revision: true}}]\nfaults: {{private: true, id_token: {ID_TOKEN}}}"
    ));
    world.configure(QUICK);
    std::fs::write(world.file("id-token"), format!("{ID_TOKEN}\n")).unwrap();
    std::fs::write(world.file("other"), "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.e30.bm90LWZyb20tZ29vZ2xl")
        .unwrap();
    world
}

#[test]
fn a_private_service_without_its_id_token_is_named() {
    let world = private();
    for token in [&[][..], &["--id-token-file", "other"]] {
        let ended = world.check(&[&["--tag", "gate"], token].concat());
        let words =
            ["IAM does not let this caller in", "IAM wants an ID token", "--tag gate --id-token-file FILE"];
        assert_named(&ended, 11, &words);
    }
}

#[test]
fn a_private_service_opens_with_an_id_token_that_is_never_shown() {
    let world = private();
    let (ended, report) = world.check_json(&["--tag", "gate", "--verbose", "--id-token-file", "id-token"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(report["sockets"]["attempted"], report["sockets"]["ok"]);
    let mut check = world.revgate("check");
    check.args(["--tag", "gate", "--verbose", "--rounds", "1", "--progress", "plain"]);
    let by_variable = Ended::of(check.env("REVGATE_ID_TOKEN_FILE", "id-token"));
    assert_eq!(by_variable.code, 11, "one round is too little\n{by_variable:?}");
    assert!(by_variable.out.contains("+ 0 failed by the application + 0 that never"), "{}", by_variable.out);
    let record = std::fs::read_to_string(world.file("run.json")).unwrap();
    for text in [&ended.out, &ended.err, &by_variable.out, &by_variable.err, &record] {
        for part in ID_TOKEN.split('.').skip(1) {
            assert!(!text.contains(part), "{part} is shown");
        }
    }
}
