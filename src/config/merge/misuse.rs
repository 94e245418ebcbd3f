//! Every mistake of `auth:`, `frames:` and `hold:`, and where it is shown.

use super::tests::{SERVICE, assert_shown};
use super::*;

/// The error of a file that names a service, users and a token, and goes on with `text`, which so begins in line 6.
fn error(text: &str) -> ConfigError {
    let mut lookup = Lookup::default();
    lookup.insert(SecretSource::Environment("KEY".to_owned()), Ok(Secret::new("a key")));
    let whole = format!("{SERVICE}users: [u1, u2, u3]\ntoken: {{ secret-env: KEY }}\n{text}");
    FileConfig::parse("revgate.yaml", whole.as_bytes())
        .and_then(|file| merge(&Typed::default(), Some(&file), &lookup, Purpose::Gate))
        .unwrap_err()
}

/// Place and message of every mistake. Line 6 is the first of the text.
const MISTAKES: &[(&str, &str)] = &[
    ("auth: yes please", "6:7: auth: a text where keys and values is due"),
    ("auth: { kind: [] }", "6:9: auth: there is no key \"kind\", did you mean kinds?"),
    ("auth: { refusals: [] }", "6:19: auth.refusals: no refusal is named"),
    (
        "auth: { refusals: [401, 200] }",
        "6:25: auth.refusals[1]: \"200\" is neither a status nor a close code",
    ),
    ("auth: { refusals: [1000-1015] }", "6:20: auth.refusals[0]: 1006 says that the server failed"),
    ("auth: { refusals: [500] }", "6:20: auth.refusals[0]: 500 says that the server failed"),
    ("auth: { patience: 0s }", "6:19: auth.patience: \"0s\" leaves no time"),
    ("auth: { tries: 0 }", "6:16: auth.tries: \"0\" is too small"),
    ("auth: { kinds: [] }", "6:16: auth.kinds: no kind of token is named"),
    (
        "auth: { kinds: [expird] }",
        "6:17: auth.kinds[0]: there is no kind of token \"expird\", did you mean expired?",
    ),
    ("auth: { kinds: [wrong-audience] }", "6:16: auth.kinds: the claims of good tokens name no audience"),
    ("auth: { audience: them }", "6:19: auth.audience: the claims of good tokens name no audience"),
    (
        "frames: { largest: 64KB }",
        "6:20: frames.largest: \"64KB\" is not a size below 16MiB: write it as 64KiB, 1MiB, or as a number of",
    ),
    ("frames: { largest: 64MiB }", "6:20: frames.largest: \"64MiB\" is not a size"),
    ("frames: { kinds: [] }", "6:18: frames.kinds: no kind of frame is named"),
    (
        "frames: { kinds: [binari] }",
        "6:19: frames.kinds[0]: there is no kind of frame \"binari\", did you mean binary?",
    ),
    ("frames: { kinds: [far-over] }", "6:18: frames.kinds: what is too large is not stated"),
    ("frames: { tries: 0 }", "6:18: frames.tries: \"0\" is too small"),
    ("frames: { bystanders: 0 }", "6:23: frames.bystanders: \"0\" is too small"),
    (
        "frames: { bystanders: 3 }",
        "6:23: frames.bystanders: 3 bystanders are more than users and limits allow (2)",
    ),
    ("hold: { for: 60 }", "6:14: hold.for: \"60\" is not a duration"),
    ("hold: { sockets: 0 }", "6:18: hold.sockets: \"0\" is too small"),
    ("hold: { sockets: 4 }", "6:18: hold.sockets: 4 sockets are more than users and limits allow (3)"),
    ("hold: { ping-every: 60s }", "6:21: hold.ping-every: no ping would be sent"),
    ("hold: { heartbeat: {} }", "6:20: hold.heartbeat: what a heartbeat looks like is not said"),
    ("hold: { heartbeat: { expect: '' } }", "6:30: hold.heartbeat.expect: the expected heartbeat is empty"),
    ("hold: { heartbeat: { expect: a, every: 0s } }", "6:40: hold.heartbeat.every: \"0s\" leaves no time"),
    ("hold: { for: 40s, heartbeat: { expect: a } }", "6:30: hold.heartbeat: a hold of 40 s cannot show"),
    ("hold: { heartbeat: { answer: a } }", "6:20: hold.heartbeat: what a heartbeat looks like is not said"),
    ("hold: { heartbeat: { send: '{{usr}}' } }", "6:28: hold.heartbeat.send: unknown place {{usr}}"),
    (
        "hold: { heartbeat: { send: a, send-every: 60s } }",
        "6:43: hold.heartbeat.send-every: no heartbeat of ours would be sent",
    ),
    (
        "hold: { heartbeat: { expect: a, send-every: 9s } }",
        "6:45: hold.heartbeat.send-every: there is no heartbeat of ours",
    ),
    (
        "hold: { heartbeat: { send: a, every: 1s } }\nlimits: { messages-per-minute: 30 }",
        "6:28: hold.heartbeat.send: a heartbeat every 1 s is more than the 30 messages of a user",
    ),
    (
        "hold: { heartbeat: { expect: a, answer: '{{usr}}' } }",
        "6:41: hold.heartbeat.answer: unknown place {{usr}}",
    ),
];

#[test]
fn each_mistake_is_shown_where_it_was_made() {
    for (text, due) in MISTAKES {
        assert_shown(&error(text), text, due);
    }
}

#[test]
fn what_needs_a_token_or_other_users_says_so() {
    for (text, due) in [
        ("users: [u1, u2]\nauth: {}\n", "5:7: auth: there is no token of which bad ones could be made"),
        ("path: /ws/{{user}}\nframes: {}\n", "5:9: frames: the bystanders are sockets of other users"),
    ] {
        let error = FileConfig::parse("revgate.yaml", format!("{SERVICE}{text}").as_bytes())
            .and_then(|file| merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Gate))
            .unwrap_err();
        let shown = error.to_string();
        assert!(shown.starts_with(&format!("revgate.yaml:{due}")), "{shown}\n{due}");
        assert!(!error.help().is_empty());
    }
}

#[test]
fn an_empty_block_asks_for_what_is_usual() {
    let text = format!("{SERVICE}hold:\nframes:\n");
    let file = FileConfig::parse("revgate.yaml", text.as_bytes()).unwrap();
    let merged = merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Gate).unwrap();
    let configured = merged.settings.configured;
    assert_eq!(configured.hold.as_ref().map(|hold| (hold.time.as_secs(), hold.sockets)), Some((60, 5)));
    assert_eq!(
        configured.frames.as_ref().map(|frames| (frames.kinds.len(), frames.bystanders)),
        Some((7, 2))
    );
    assert!(configured.auth.is_none());
    let cut = Some(Duration::from_secs(45));
    assert!(configured.words(|_| true, 5, cut)[0].contains("held for at most 45 s"));
}

#[test]
fn both_heartbeats_can_be_described_and_each_has_its_own_time() {
    let hold = |heartbeat: &str| {
        let text = format!("{SERVICE}hold: {{ heartbeat: {heartbeat} }}\nframes: {{}}\n");
        let file = FileConfig::parse("revgate.yaml", text.as_bytes()).unwrap();
        let configured = merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Gate)
            .unwrap()
            .settings
            .configured;
        let hold = configured.hold.unwrap();
        let own = hold.own_heartbeat.as_ref().map(|own| own.every.as_secs());
        let bystanders = configured.frames.unwrap().own_heartbeat;
        assert_eq!(bystanders, hold.own_heartbeat, "bystanders send it too");
        (hold.heartbeat.map(|heartbeat| heartbeat.every.as_secs()), own)
    };
    assert_eq!(hold("{ send: a }"), (None, Some(20)));
    assert_eq!(hold("{ send: a, every: 7s }"), (None, Some(7)));
    assert_eq!(hold("{ expect: b, send: a, every: 7s }"), (Some(7), Some(7)));
    assert_eq!(hold("{ expect: b, send: a, every: 7s, send-every: 9s }"), (Some(7), Some(9)));
    assert_eq!(hold("{ expect: b }"), (Some(30), None));
}

#[test]
fn a_token_in_the_first_message_is_waited_for_longer() {
    let patience = |more: &str| {
        let mut lookup = Lookup::default();
        lookup.insert(SecretSource::Environment("KEY".to_owned()), Ok(Secret::new("a key")));
        let text = format!("{SERVICE}users: [u1]\ntoken: {{ secret-env: KEY{more}\n");
        let file = FileConfig::parse("revgate.yaml", text.as_bytes()).unwrap();
        let merged = merge(&Typed::default(), Some(&file), &lookup, Purpose::Gate).unwrap();
        merged.settings.configured.auth.unwrap().patience.map(|patience| patience.as_secs())
    };
    assert_eq!(patience(" }\nauth: {}"), None);
    assert_eq!(patience(", carry: [first-message] }\nauth: {}"), Some(60));
    assert_eq!(patience(", carry: [first-message] }\nauth: { patience: 90s }"), Some(90));
}

#[test]
fn what_must_be_signed_is_not_made_of_ready_tokens() {
    let mut lookup = Lookup::default();
    lookup.insert(SecretSource::Environment("A".to_owned()), Ok(Secret::new("a-ready-token")));
    let of = |lookup: &Lookup, kinds: &str| {
        let text = format!("{SERVICE}users: [u1, u2, u3]\ntoken: {{ tokens-env: A }}\nauth: {{{kinds}}}\n");
        let file = FileConfig::parse("revgate.yaml", text.as_bytes()).unwrap();
        merge(&Typed::default(), Some(&file), lookup, Purpose::Gate)
    };
    let merged = |kinds: &str| of(&lookup, kinds);
    let shown = merged(" kinds: [missing, expired] ").unwrap_err().to_string();
    let due = "revgate.yaml:6:16: auth.kinds: a token that is expired must be signed";
    assert!(shown.starts_with(due), "{shown}");
    let words = |merged: Merged| merged.settings.configured.words(|_| true, 3, None).concat();
    let opaque = words(merged("").unwrap());
    assert!(opaque.starts_with("auth: 3 sockets with bad tokens, "), "{opaque}");
    lookup.insert(
        SecretSource::Environment("A".to_owned()),
        Ok(Secret::new("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1MSJ9.c2ln")),
    );
    let jwt = words(of(&lookup, "").unwrap());
    assert!(
        jwt.starts_with("auth: 6 sockets with bad tokens, ")
            && jwt.ends_with("; expired, not-yet-valid cannot be made of the tokens that are given"),
        "{jwt}"
    );
}
