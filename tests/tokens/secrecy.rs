//! No token and no key is shown, whatever a real server does to show it: it repeats every token in every form, in its
//! frames, in its close reasons and in its own output.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::support::{CONVERSATION, Ended, FIRST_MESSAGE, Place, ended, keys};

/// So many characters of a secret in a row count as shown.
const WINDOW: usize = 12;

/// A text in all forms in which it might be repeated.
pub(crate) fn forms(text: &str) -> Vec<String> {
    let each = |form: fn(u8) -> String| text.bytes().map(form).collect::<String>();
    let mut forms = vec![
        text.to_owned(),
        each(|byte| format!("{byte:02x}")),
        each(|byte| format!("{byte:02X}")),
        each(|byte| format!("%{byte:02x}")),
        each(|byte| format!("%{byte:02X}")),
        each(|byte| match byte {
            b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        }),
        serde_json::Value::from(text).to_string().trim_matches('"').to_owned(),
    ];
    for before in ["", "x", "xx"] {
        let longer = format!("{before}{text}");
        forms.extend([STANDARD.encode(&longer), URL_SAFE_NO_PAD.encode(&longer)]);
    }
    forms
}

/// Of a JWT payload and signature, since its header is everybody's; of a PEM its lines; of anything else the whole.
fn parts(secret: &str) -> Vec<&str> {
    if secret.starts_with("-----BEGIN") {
        return secret.lines().filter(|line| !line.starts_with('-')).collect();
    }
    match secret.split('.').collect::<Vec<_>>()[..] {
        [_, payload, signature] => vec![payload, signature],
        _ => vec![secret],
    }
}

pub(crate) fn assert_hidden(secrets: &[String], texts: &[(String, String)]) {
    let pieces: HashSet<Vec<u8>> = secrets.iter().flat_map(|secret| parts(secret)).flat_map(pieces).collect();
    let lengths: HashSet<usize> = pieces.iter().map(Vec::len).collect();
    for ((name, text), length) in
        texts.iter().flat_map(|text| lengths.iter().map(move |length| (text, *length)))
    {
        if let Some(at) = text.as_bytes().windows(length).position(|window| pieces.contains(window)) {
            let around = &text.as_bytes()[at.saturating_sub(80)..(at + 60).min(text.len())];
            panic!("{name} shows a piece of a secret: …{}…", String::from_utf8_lossy(around));
        }
    }
}

/// All that must not be shown of a text. A form that writes two or three characters for one is shown by as many more: four
/// letters of a signature stand in a nonce by chance.
fn pieces(text: &str) -> Vec<Vec<u8>> {
    let of_form = |form: String| {
        let length = WINDOW * (form.len() / text.len().max(1)).max(1);
        form.into_bytes().windows(length).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    forms(text).into_iter().flat_map(of_form).collect()
}

#[test]
#[should_panic(expected = "shows a piece of a secret")]
fn twelve_characters_in_any_form_are_a_piece() {
    let secret = "correct horse battery staple".to_owned();
    let percent = forms(&secret[3..3 + WINDOW]).swap_remove(4);
    let shown = |text: &str| vec![("an output".to_owned(), format!("… {text} …"))];
    assert_hidden(std::slice::from_ref(&secret), &shown(&percent[..percent.len() - 3]));
    assert_hidden(std::slice::from_ref(&secret), &shown(&percent));
}

/// Everything that a run and the judgement of its record have shown or written.
fn shown(place: &Place, run: Ended) -> Vec<(String, String)> {
    let mut texts = vec![("standard output".to_owned(), run.out), ("standard error".to_owned(), run.err)];
    for name in ["run.json", "output", "summary"] {
        texts.push((name.to_owned(), place.read(name)));
    }
    for format in ["text", "json"] {
        let judged = place.run(&["judge", "run.json", "--verbose", "--format", format]);
        texts.push((format!("judge --format {format}"), judged.out + &judged.err));
    }
    texts
}

/// Rehearses with a server that repeats all it is sent, as talkative as can be asked for.
fn assert_secret(algorithm: &str, carrier: &str, token: &str, key_is_known: bool, secrets: &[String]) {
    let place = Place::new(&format!("{CONVERSATION}token: {{ {token} }}\n"));
    place.write("secret", &secrets[0]);
    if key_is_known || algorithm == "ready" {
        place.write("public", &secrets[1]);
    } else {
        place.write("public", keys(algorithm).public.replace("kQ7", "kQ8"));
    }
    let exec = place.backend(algorithm, carrier, &[("TOKENS_GOSSIP", "1")]);
    let formats: &[&str] = if carrier == "query" { &["text", "json"] } else { &["text"] };
    for format in formats {
        let mut revgate = place.revgate(&["rehearse", "--exec", &exec, "--verbose", "--progress", "plain"]);
        revgate.args(["--record", "run.json", "--format", format, "--rounds", "2"]);
        revgate.env("RUST_BACKTRACE", "full").env("RUST_LOG", "trace");
        revgate.env("GITHUB_OUTPUT", place.file("output")).env("GITHUB_STEP_SUMMARY", place.file("summary"));
        let run = ended(&mut revgate);
        assert!(matches!(run.code, 10 | 11), "{algorithm} {carrier}\n{run:?}");
        let shown = shown(&place, run);
        let marks: usize = shown.iter().map(|(_, text)| text.matches("[redacted]").count()).sum();
        assert!(marks > 20, "{algorithm} {carrier}: what the server repeats was not looked at: {marks}");
        let log = shown[0].1.contains("  | gossip");
        assert!(log || *format == "json", "{algorithm} {carrier}: the server's output was not looked at");
        let heard: HashSet<String> = place.read("heard").lines().map(str::to_owned).collect();
        assert!(!heard.is_empty(), "{algorithm} {carrier}: no token came");
        // What it was offered as may come back encoded once more.
        let offered =
            heard.iter().map(|token| URL_SAFE_NO_PAD.encode(token)).filter(|_| carrier == "subprotocol");
        let secrets: Vec<String> = offered.chain(heard.iter().cloned()).chain([secrets[0].clone()]).collect();
        assert_hidden(&secrets, &shown);
    }
}

#[test]
fn a_secret_and_what_it_signs_in_the_query() {
    let key = keys("HS256");
    let secrets = [key.private, key.public];
    assert_secret("HS256", "query", "secret-file: secret, carry: ['query:access_token']", true, &secrets);
}

#[test]
fn a_secret_and_what_it_signs_as_a_subprotocol_that_is_refused() {
    let key = keys("HS256");
    assert_secret("HS256", "subprotocol", "secret-file: secret, carry: [subprotocol]", false, &[key.private]);
}

#[test]
fn a_private_key_and_what_it_signs_in_a_header() {
    let key = keys("RS256");
    let secrets = [key.private, key.public];
    assert_secret("RS256", "authorization", "secret-file: secret, algorithm: RS256", true, &secrets);
}

#[test]
fn a_private_key_and_what_it_signs_in_a_first_message_that_is_refused() {
    let key = keys("ES256");
    let token = format!("secret-file: secret, algorithm: ES256, carry: [{FIRST_MESSAGE}]");
    assert_secret("ES256", "first-message", &token, false, &[key.private]);
}

#[test]
fn a_ready_token_in_a_cookie() {
    let token = "ya29~opaque+token/of=nobody-in-particular";
    let users = serde_json::json!({ (token): "u01" }).to_string();
    let secrets = [token.to_owned(), users];
    assert_secret("ready", "cookie", "tokens-file: secret, carry: ['cookie:session']", true, &secrets);
}
