//! A real server verifies what is minted, whatever signs it and however it travels; and refuses what it must.

use std::collections::BTreeSet;

use crate::support::{CONVERSATION, Ended, FIRST_MESSAGE, Place, keys};

/// Rehearses with the backend that wants this algorithm and this carrier.
fn rehearsed(place: &Place, algorithm: &str, carrier: &str, more: &[(&str, &str)]) -> Ended {
    let exec = place.backend(algorithm, carrier, more);
    place.run(&["rehearse", "--exec", &exec, "--allow-commands", "--record", "run.json"])
}

fn with(token: &str) -> Place {
    Place::new(&format!("{CONVERSATION}token: {{ {token} }}\n"))
}

/// A healthy server lets in what is minted so, for each user.
fn assert_let_in(algorithm: &str, carrier: &str, carry: &str) {
    let place = with(&format!(
        "secret-file: private, algorithm: {algorithm}, key-id: k1, carry: [{carry}], claims: {{ email: '{{{{user}}}}@x' }}"
    ));
    let keys = keys(algorithm);
    place.write("private", &keys.private);
    place.write("public", &keys.public);
    let ended = rehearsed(&place, algorithm, carrier, &[("TOKENS_KEY_ID", "k1")]);
    assert_eq!(ended.code, 0, "{algorithm} {carrier}\n{}\n{}", ended.out, ended.err);
    let heard = place.read("heard");
    let tokens: BTreeSet<&str> = heard.lines().collect();
    assert!(tokens.len() >= 10, "{algorithm} {carrier}: a token for each user: {}", tokens.len());
}

#[test]
fn rs256_in_a_header() {
    assert_let_in("RS256", "authorization", "authorization");
}

#[test]
fn es256_as_a_subprotocol() {
    assert_let_in("ES256", "subprotocol", "'subprotocol:bearer+{{token.base64url}}'");
}

#[test]
fn hs256_in_the_query() {
    assert_let_in("HS256", "query", "'query:access_token'");
}

#[test]
fn rs256_in_a_cookie() {
    assert_let_in("RS256", "cookie", "'cookie:session'");
}

#[test]
fn es256_in_the_first_message_before_any_other() {
    assert_let_in("ES256", "first-message", FIRST_MESSAGE);
}

#[test]
fn a_key_that_the_server_does_not_know_is_blocked_by_serves() {
    for (carrier, carry) in [("authorization", "authorization"), ("first-message", FIRST_MESSAGE)] {
        let place = with(&format!("secret-file: private, algorithm: ES256, carry: [{carry}]"));
        place.write("private", keys("ES256").private);
        place.write("public", keys("ES256").public);
        let ended = rehearsed(&place, "ES256", carrier, &[]);
        assert_eq!(ended.code, 10, "{carrier}\n{}\n{}", ended.out, ended.err);
        let failed = ended.out.lines().find(|line| line.trim_start().starts_with("FAIL")).unwrap_or_default();
        assert!(failed.trim_start().starts_with("FAIL  serves"), "{carrier}\n{}", ended.out);
    }
}

#[test]
fn ready_tokens_bring_their_users_and_a_command_gives_them_again() {
    let place = Place::new(&CONVERSATION.replace("users: [u01", "# users: [u01").replace(
        "\nrace:",
        "\ntoken: { tokens-command: [sh, -c, 'echo asked >> asked; cat tokens'] }\nrace:",
    ));
    let tokens: Vec<(String, String)> = (1..=10)
        .map(|number| (format!("r{number:02}"), format!("opaque-token-of-number-{number:02}")))
        .collect();
    let lines: Vec<String> = tokens.iter().map(|(user, token)| format!("{user} {token}")).collect();
    place.write("tokens", lines.join("\n"));
    let users: serde_json::Map<_, _> = tokens.into_iter().map(|(user, token)| (token, user.into())).collect();
    place.write("public", serde_json::Value::Object(users).to_string());
    let ended = rehearsed(&place, "ready", "authorization", &[]);
    assert_eq!(ended.code, 0, "{}\n{}", ended.out, ended.err);
    assert_eq!(place.read("asked"), "asked\n", "what never expires is asked for once");
    let heard = place.read("heard");
    assert!((1..=10).all(|number| heard.contains(&format!("number-{number:02}"))), "{heard}");
    let record = place.read("run.json");
    assert!(record.contains("allow-commands"), "a command to repeat this run needs it");
    assert!(!(ended.out + &ended.err + &record).contains("opaque-token"), "a token is shown");
}

/// Prints a token for each of ten users that lives for 16 s, and counts how often it is asked.
const SHORT_LIVED: &str = "import jwt, time; open('asked', 'a').write('x'); now = int(time.time()); key = open('public').read(); \
    [print(f'u{n:02}', jwt.encode({'sub': f'u{n:02}', 'iat': now - 5, 'exp': now + 16}, key, 'HS256')) for n in range(1, 11)]";

#[test]
fn tokens_that_expire_within_the_run_are_asked_for_again() {
    let words = serde_json::json!([crate::backends::tokens_python(), "-c", SHORT_LIVED]);
    let place = with(&format!("tokens-command: {words}, carry: ['query:access_token']"));
    place.write("public", keys("HS256").public);
    let slow = place.read("revgate.yaml").replace("hold: 50ms", "hold: 500ms");
    place.write("revgate.yaml", slow);
    let ended = rehearsed(&place, "HS256", "query", &[]);
    assert_eq!(ended.code, 0, "{}\n{}", ended.out, ended.err);
    assert!(place.read("asked").len() >= 3, "asked {} times", place.read("asked").len());
}

#[test]
fn tokens_that_expire_and_cannot_be_had_again_are_named_in_the_first_lines() {
    let sign = SHORT_LIVED.replace("now + 16", "now + 9");
    let place = with("tokens-file: tokens, carry: ['query:access_token']");
    place.write("public", keys("HS256").public);
    let slow = place.read("revgate.yaml").replace("hold: 50ms", "hold: 500ms");
    place.write("revgate.yaml", slow);
    let mut python = std::process::Command::new(crate::backends::tokens_python());
    let signed = python.args(["-c", &sign]).current_dir(place.file("")).output().unwrap();
    place.write("tokens", signed.stdout);
    let ended = rehearsed(&place, "HS256", "query", &[]);
    // On a loaded machine they end while the server is still learned.
    assert!(matches!(ended.code, 10 | 11), "{}\n{}", ended.out, ended.err);
    assert!(ended.err.contains("expires in "), "{}", ended.err);
    assert!(ended.out.contains("s into the run: what was refused after that"), "{}", ended.out);
}
