//! What the merge makes of flags, variables and file.

use super::*;
use crate::config::{Carrier, CheckName, Echo, Expect, Given, Origin, Pattern};

pub(super) const SERVICE: &str = "project: demo-project\nregion: europe-west1\nservice: checkout\n";

/// Asserts that the error of `text` says where in the file it is and what, with the line below it and with help.
pub(super) fn assert_shown(error: &ConfigError, text: &str, due: &str) {
    let shown = error.to_string();
    assert!(shown.starts_with(&format!("revgate.yaml:{due}")), "{text}\n  is: {shown}\n due: {due}");
    assert!(error.snippet().unwrap().ends_with('^') && !error.help().is_empty());
}

const COMPLETE: &str = r#"
project: demo-project
region: europe-west1
service: checkout
label: { commit: abc123 }
tag: gate
deadline: 5m
api-endpoint: http://127.0.0.1:8080
api-token-file: api-token
url: https://checkout.example.com/live
path: /ws?key=correct-horse&user={{user}}
send: { type: ping, nonce: "{{nonce}}" }
expect: '{"type":"pong"}'
greeting: { type: welcome, user: '{{user}}' }
harmless: { level: error }
closes: [1000, 4000]
headers: { X-Client: revgate, Authorization: { env: WS_AUTH }, X-Api-Key: battery-staple }
subprotocols: [jwt-auth, v2]
require-subprotocol: true
users: [user-001, 2]
token:
  secret-file: jwt-key
  algorithm: HS256
  claims: { role: tester, n: 1, user: "{{user}}" }
  lifetime: 15m
  carry: [subprotocol]
identity: { pointer: /revision }
id-token: never
timeouts: { opening: 5s, first-contact: 1m, answer: 3s, hold: 0s, serves-hold: 2s }
race:
  patterns: [same-user, control]
  rounds: 50
  sockets: 7
  time-budget: 1m30s
  seed: 7141
  tolerated: 2%
  noise: 0.05 %
  zero-tolerance: [1011, 1006]
limits: { sockets-at-once: 50, openings-per-second: 20, sockets-per-run: 1000, sockets-per-user: 3 }
checks: { skip: [identity], only: [serves, race, identity] }
"#;

fn file(text: &str) -> FileConfig {
    FileConfig::parse("revgate.yaml", text.as_bytes()).unwrap()
}

pub(super) fn flag(option: &'static str, text: &str) -> Given {
    Given::new(option, Origin::Flag, vec![text.to_owned()])
}

pub(super) fn variable(option: &'static str, text: &str) -> Given {
    Given::new(option, Origin::Environment, vec![text.to_owned()])
}

pub(super) fn service() -> Typed {
    Typed {
        project: Some(flag("project", "demo-project")),
        region: Some(flag("region", "europe-west1")),
        service: Some(flag("service", "checkout")),
        ..Typed::default()
    }
}

fn merged(typed: &Typed, text: &str, lookup: &Lookup) -> Result<Merged, ConfigError> {
    merge(typed, Some(&file(text)), lookup, Purpose::Gate)
}

fn settings(typed: &Typed, text: &str) -> Settings {
    merged(typed, text, &Lookup::default()).unwrap().settings
}

pub(super) fn typed_error(typed: &Typed) -> ConfigError {
    merge(typed, None, &Lookup::default(), Purpose::Gate).unwrap_err()
}

fn complete_lookup() -> Lookup {
    let mut lookup = Lookup::default();
    for (source, text) in [
        (SecretSource::Environment("WS_AUTH".to_owned()), "Bearer outside-value"),
        (SecretSource::File("jwt-key".to_owned()), "jwt-signing-key"),
        (SecretSource::File("api-token".to_owned()), "api-token-value"),
    ] {
        lookup.insert(source, Ok(Secret::new(text)));
    }
    lookup
}

#[test]
fn reads_a_complete_file() {
    let Merged { settings, secrets } = merged(&Typed::default(), COMPLETE, &complete_lookup()).unwrap();
    assert_eq!(
        settings.service.unwrap().resource(),
        "projects/demo-project/locations/europe-west1/services/checkout"
    );
    assert_eq!(settings.choice, Choice::Labels(vec![("commit".to_owned(), "abc123".to_owned())]));
    assert_eq!(settings.url.unwrap().as_str(), "wss://checkout.example.com/");
    assert_eq!(settings.conversation.send.unwrap().source(), r#"{"type":"ping","nonce":"{{nonce}}"}"#);
    assert!(matches!(settings.conversation.expect, Some(Expect::JsonSubset(_))));
    assert!(matches!(settings.conversation.greeting, Some(Expect::JsonSubset(_))));
    assert!(matches!(settings.conversation.harmless, Some(Expect::JsonSubset(_))));
    assert_eq!(settings.conversation.closes, [1000, 4000]);
    assert_eq!(settings.users, ["user-001", "2"]);
    assert_eq!(settings.echo, Some(Echo::Pointer("/revision".to_owned())));
    let token = settings.token.unwrap();
    assert!(matches!(token.carriers.as_slice(), [Carrier::Subprotocol(_)]));
    let minted = token.minted().unwrap();
    assert_eq!(minted.lifetime, Duration::from_mins(15));
    assert_eq!(
        serde_json::Value::Object(minted.claims.clone()),
        serde_json::json!({"role":"tester","n":1,"user":"{{user}}"})
    );
    assert_eq!(settings.race.patterns, [Pattern::Control, Pattern::SameUser]);
    assert_eq!((settings.race.rounds, settings.race.sockets, settings.race.seed), (Some(50), 7, Some(7141)));
    assert_eq!(settings.race.time_budget, Duration::from_secs(90));
    assert!((settings.race.tolerated - 0.02).abs() < 1e-12 && (settings.race.noise - 5e-4).abs() < 1e-12);
    assert_eq!(settings.limits.sockets_at_once, 50);
    assert_eq!(
        (settings.timeouts.hold, settings.timeouts.first_contact),
        (Duration::ZERO, Duration::from_mins(1))
    );
    assert_eq!(settings.checks.skipped(), [CheckName::Ready, CheckName::Identity]);
    let exposed: Vec<&str> = secrets.iter().map(Secret::expose).collect();
    for secret in [
        "Bearer outside-value",
        "outside-value",
        "battery-staple",
        "correct-horse",
        "jwt-signing-key",
        "api-token-value",
    ] {
        assert!(exposed.contains(&secret), "{secret} in {exposed:?}");
    }
    assert!(!exposed.contains(&"revgate"));
}

#[test]
fn asks_for_exactly_the_secrets_that_it_uses() {
    let needed = needed(&Typed::default(), Some(&file(COMPLETE)), Purpose::Gate).unwrap();
    let mut sorted = needed.clone();
    sorted.sort();
    let names = [
        SecretSource::Environment("WS_AUTH".to_owned()),
        SecretSource::File("api-token".to_owned()),
        SecretSource::File("jwt-key".to_owned()),
    ];
    assert_eq!(sorted, names);
    let typed = Typed { token_secret_env: Some(flag("token-secret-env", "JWT")), ..Typed::default() };
    let needed = super::needed(&typed, Some(&file(COMPLETE)), Purpose::Rehearsal).unwrap();
    assert_eq!(needed[0], SecretSource::Environment("JWT".to_owned()));
    assert_eq!(needed.len(), 2);
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let settings = settings(&service(), "");
    assert_eq!(settings.deadline, Duration::from_mins(10));
    assert_eq!(settings.conversation.path.source(), "/");
    assert_eq!(settings.users, ["revgate"]);
    assert_eq!((settings.choice, settings.race.sockets), (Choice::Newest, 5));
    assert!(settings.token.is_none() && !settings.dry_run && matches!(settings.api, ApiAccess::Google));
}

#[test]
fn a_flag_beats_a_variable_beats_the_file_beats_the_default() {
    let text = format!("{SERVICE}race: {{ sockets: 4 }}\nusers: [file]\n");
    assert_eq!(settings(&service(), SERVICE).race.sockets, 5);
    assert_eq!(settings(&service(), &text).race.sockets, 4);
    for (given, sockets) in [(Some(variable("sockets", "3")), 3), (Some(flag("sockets", "2")), 2)] {
        let typed = Typed { sockets: given, ..service() };
        assert_eq!(settings(&typed, &text).race.sockets, sockets);
    }
    let typed = Typed { user: Some(flag("user", "flag")), ..service() };
    assert_eq!(settings(&typed, &text).users, ["flag"]);
}

#[test]
fn the_file_is_judged_even_where_a_flag_beats_it() {
    let typed = Typed { sockets: Some(flag("sockets", "3")), ..service() };
    let error = merged(&typed, "race: { sockets: 0 }\n", &Lookup::default()).unwrap_err();
    assert!(error.to_string().starts_with("revgate.yaml:1:18: race.sockets: \"0\" is too small"));
}

#[test]
fn the_project_of_other_programs_only_fills_a_gap() {
    let ambient =
        Some(Given::new("project", Origin::Ambient("GOOGLE_CLOUD_PROJECT"), vec!["other".to_owned()]));
    let project = |typed: &Typed, text: &str| settings(typed, text).service.unwrap().project;
    let typed = Typed { ambient_project: ambient, ..Typed::default() };
    assert_eq!(project(&typed, SERVICE), "demo-project");
    assert_eq!(project(&typed, "region: europe-west1\nservice: checkout\n"), "other");
    let typed = Typed {
        ambient_project: Some(Given::new(
            "project",
            Origin::Ambient("GOOGLE_CLOUD_PROJECT"),
            vec!["A B".to_owned()],
        )),
        ..typed
    };
    let error = merged(&typed, "region: europe-west1\nservice: checkout\n", &Lookup::default()).unwrap_err();
    assert!(error.to_string().starts_with("`GOOGLE_CLOUD_PROJECT` (environment): "));
}

#[test]
fn a_flag_replaces_what_the_file_says_in_another_way() {
    let typed = Typed { revision: Some(flag("revision", "checkout-00042-xiv")), ..service() };
    let choice = settings(&typed, "label: { commit: abc }").choice;
    assert_eq!(choice, Choice::Revision("checkout-00042-xiv".to_owned()));
    let typed = Typed { label: Some(variable("label", "a=b")), ..typed };
    assert!(matches!(settings(&typed, "").choice, Choice::Revision(_)));
    let typed = Typed { label: Some(flag("label", "a=b")), ..typed };
    assert_eq!(
        typed_error(&typed).to_string(),
        "`--label` (flag): excludes `--revision` (flag): give one of the two"
    );
    let mut lookup = Lookup::default();
    lookup.insert(SecretSource::Environment("JWT".to_owned()), Ok(Secret::new("s3cret")));
    let typed = Typed { token_secret_env: Some(variable("token-secret-env", "JWT")), ..service() };
    assert!(merged(&typed, "token: { secret-file: key }", &lookup).unwrap().settings.token.is_some());
}

#[test]
fn headers_are_joined_by_name() {
    let typed = Typed {
        header: Some(Given::new("header", Origin::Flag, vec!["x-a: new".to_owned(), "X-C: c".to_owned()])),
        ..service()
    };
    let headers = settings(&typed, "headers: { X-A: old, X-B: b }").conversation.headers;
    let shown: Vec<_> = headers.iter().map(|(name, value)| format!("{name}={}", value.expose())).collect();
    assert_eq!(shown, ["X-B=b", "x-a=new", "X-C=c"]);
}

#[test]
fn an_address_brings_its_own_path_unless_one_is_given() {
    let typed = Typed { url: Some(flag("url", "ws://127.0.0.1:9/live?u={{user}}")), ..Typed::default() };
    let found = settings(&typed, "");
    assert_eq!(found.conversation.path.source(), "/live?u={{user}}");
    assert_eq!((found.service, found.url.unwrap().as_str()), (None, "ws://127.0.0.1:9/"));
    assert_eq!(settings(&typed, "path: /ws").conversation.path.source(), "/ws");
    let typed = Typed { revision: Some(flag("revision", "a-1")), ..typed };
    assert!(typed_error(&typed).to_string().starts_with("`--revision` (flag): without a service"));
}

#[test]
fn a_missing_service_is_asked_for_in_all_three_forms() {
    let typed = Typed { project: Some(flag("project", "demo-project")), ..Typed::default() };
    let error = typed_error(&typed);
    assert_eq!(error.to_string(), "the service to gate is not fully named: region and service missing");
    assert_eq!(
        error.help(),
        "give --region (or REVGATE_REGION, or `region:` in revgate.yaml), \
         --service (or REVGATE_SERVICE, or `service:` in revgate.yaml)"
    );
    let typed = Typed {
        url: Some(flag("url", "wss://h")),
        service: Some(flag("service", "checkout")),
        ..Typed::default()
    };
    assert!(typed_error(&typed).to_string().contains("project and region missing"));
}

#[test]
fn a_rehearsal_leaves_aside_what_is_gated() {
    let file = file(COMPLETE);
    let found =
        merge(&Typed::default(), Some(&file), &complete_lookup(), Purpose::Rehearsal).unwrap().settings;
    assert!(found.service.is_none() && found.url.is_none() && found.tag.is_none());
    assert!(matches!(found.api, ApiAccess::Google) && found.choice == Choice::Newest);
    assert!(merge(&Typed::default(), None, &Lookup::default(), Purpose::Rehearsal).is_ok());
}

#[test]
fn a_dry_run_is_typed_and_nothing_else() {
    assert!(settings(&Typed { dry_run: true, ..service() }, "").dry_run);
    let error = FileConfig::parse("revgate.yaml", b"dry-run: true\n").unwrap_err();
    assert_eq!(error.to_string(), "revgate.yaml:1:1: there is no key \"dry-run\"");
}

#[test]
fn a_minted_token_and_a_header_do_not_meet_in_authorization() {
    let mut lookup = complete_lookup();
    lookup.insert(SecretSource::Environment("JWT".to_owned()), Ok(Secret::new("")));
    let typed = Typed { token_secret_env: Some(flag("token-secret-env", "JWT")), ..service() };
    let shown = merged(&typed, "", &lookup).unwrap_err().to_string();
    assert_eq!(shown, "`--token-secret-env` (flag): the environment variable JWT is empty");
    let shown =
        merged(&typed, "headers: { authorization: { env: WS_AUTH } }", &lookup).unwrap_err().to_string();
    assert!(shown.starts_with("revgate.yaml:1:27: headers.authorization: the header Authorization already"));
}

#[test]
fn an_odd_file_is_read_or_refused_as_a_whole() {
    assert!(merged(&service(), "\u{feff}tag: gate\n", &Lookup::default()).is_ok());
    assert!(merged(&service(), "", &Lookup::default()).is_ok());
    assert!(merged(&service(), "race:\n  # sockets: 5\n", &Lookup::default()).is_ok());
    let parsed = |bytes: &[u8]| FileConfig::parse("r.yaml", bytes).unwrap_err().to_string();
    assert_eq!(
        parsed(&vec![b' '; 1 + (1 << 20)]),
        "r.yaml: the file is larger than 1 MiB (1048576 bytes), the most that a configuration may have"
    );
    assert_eq!(parsed(b"tag: a\nservice: \xff\n"), "r.yaml:2:10: the file is not UTF-8 text");
    assert!(parsed(b"tag: a\n---\ntag: b\n").contains("more than one YAML document"));
    assert!(parsed(b"- a\n").contains("a list where keys and values is due"));
    let bomb =
        format!("a: &a [{}]\nb: &b [{}]\nc: [{}]\n", "x,".repeat(99), "*a,".repeat(99), "*b,".repeat(999));
    assert!(parsed(bomb.as_bytes()).ends_with("the file holds too many values"));
    assert!(parsed("[".repeat(500).as_bytes()).contains("nested too deeply"));
}
