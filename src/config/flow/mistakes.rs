//! Every mistake in flows, `agent:` and `isolation:`, and where it is shown.

use super::super::typed::{Given, Origin};
use super::super::{ConfigError, FileConfig, Lookup, Purpose, SecretSource, Typed, merge};
use crate::trust::Secret;

/// The error of a file that names an address and goes on with `text`, which so begins in line 2.
fn error(text: &str) -> ConfigError {
    FileConfig::parse("revgate.yaml", format!("url: ws://h\n{text}").as_bytes())
        .and_then(|file| merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Gate))
        .expect_err(text)
}

/// A flow `f` of these steps, which begin in line 4.
fn steps(text: &str) -> String {
    format!("flows:\n  f:\n    steps:\n{text}\n")
}

/// Place and message of every mistake in a step.
const OF_STEPS: &[(&str, &str)] = &[
    ("      - {}", "5:9: flows.f.steps[0]: this step does nothing"),
    ("      - { send: a, wait: 1s }", "5:26: flows.f.steps[0].wait: excludes `send`"),
    ("      - { sent: a }", "5:11: flows.f.steps[0]: there is no key \"sent\", did you mean send?"),
    ("      - { send: '' }", "5:17: flows.f.steps[0].send: the text to send is empty"),
    ("      - { send: '{{usr}}' }", "5:18: flows.f.steps[0].send: unknown place {{usr}}"),
    ("      - { wait: 0s }", "5:17: flows.f.steps[0].wait: \"0s\" leaves no time"),
    ("      - { wait: -1s }", "5:17: flows.f.steps[0].wait: \"-1s\" is not a duration"),
    ("      - expect: {}", "5:17: flows.f.steps[0].expect: there is no condition"),
    ("      - expect: { equals: 1 }", "5:27: flows.f.steps[0].expect.equals: there is no condition"),
    (
        "      - expect: { type: a, equals: 1 }",
        "5:36: flows.f.steps[0].expect.equals: equals what? There is no pointer",
    ),
    (
        "      - expect: { regex: 'a(' }",
        "5:26: flows.f.steps[0].expect.regex: this is not a regular expression",
    ),
    ("      - expect: { regex: '' }", "5:26: flows.f.steps[0].expect.regex: the regular expression is empty"),
    ("      - expect: { json: 'a' }", "5:25: flows.f.steps[0].expect.json: this is not JSON"),
    ("      - expect: { pointer: a }", "5:28: flows.f.steps[0].expect.pointer: \"a\" is not a JSON pointer"),
    ("      - expect: { pointer: [/a, b] }", "5:33: flows.f.steps[0].expect.pointer[1]: \"b\" is not a JSON"),
    ("      - expect: { pointer: [] }", "5:28: flows.f.steps[0].expect.pointer: no pointer is named"),
    (
        "      - expect: { pointer: /a, equals: 1, regex: b }",
        "5:50: flows.f.steps[0].expect.regex: excludes `equals`",
    ),
    ("      - expect: { type: '' }", "5:25: flows.f.steps[0].expect.type: the value is empty"),
    ("      - expect: { type: [] }", "5:25: flows.f.steps[0].expect.type: no type is named"),
    (
        "      - expect: { type: a, within: 0s }",
        "5:36: flows.f.steps[0].expect.within: \"0s\" leaves no time",
    ),
    ("      - expect: { type: a, repeat: 0 }", "5:36: flows.f.steps[0].expect.repeat: a number where"),
    (
        "      - expect: { type: a, repeat: { at-most: 0 } }",
        "5:47: flows.f.steps[0].expect.repeat.at-most: \"0\" is too small",
    ),
    (
        "      - expect: { type: a, repeat: { at-least: 3, at-most: 2 } }",
        "5:60: flows.f.steps[0].expect.repeat.at-most: is less than at-least (3)",
    ),
    (
        "      - expect: { type: a, capture: { 'x y': /a } }",
        "5:46: flows.f.steps[0].expect.capture.x y: \"x y\" is not a name",
    ),
    (
        "      - expect: { type: a, capture: { x: a } }",
        "5:42: flows.f.steps[0].expect.capture.x: \"a\" is not a JSON pointer",
    ),
    ("      - expect: { type: a, follows: b }", "5:37: flows.f.steps[0].expect.follows: a step that stands"),
    ("      - any-order: []", "5:20: flows.f.steps[0].any-order: no frame is named"),
    (
        "      - any-order: [ { type: a, follows: b } ]",
        "5:42: flows.f.steps[0].any-order[0].follows: no other frame of this step is called \"b\"",
    ),
    ("      - any-order: [ { typ: a } ]", "5:24: flows.f.steps[0].any-order"),
    ("      - send: a", "5:7: flows.f.steps: no step expects anything"),
    (
        "      - send: '{{capture.id}}'\n      - expect: { type: a, capture: { id: /id } }",
        "5:16: flows.f.steps[0].send: {{capture.id}} is used before it is captured",
    ),
    (
        "      - expect: { json: { of: '{{capture.id}}' }, type: a }",
        "5:32: flows.f.steps[0].expect.json: {{capture.id}} is captured nowhere in this flow",
    ),
];

/// The same of places in texts of one line and of several.
const OF_PLACES: &[(&str, &str)] = &[
    (
        "      - send: |\n          {{user}}\n          hello {{us er}} and\n",
        "7:17: flows.f.steps[0].send: the place \"{{us er}}\" is none",
    ),
    (
        "      - send: \"{{user}}\n          {{ }}\"\n",
        "6:11: flows.f.steps[0].send: the place {{}} has no name",
    ),
    (
        "      - send: { type: a, payload: { text: 'x {{ }}', '{{user}}': 1 } }",
        "5:46: flows.f.steps[0].send: the place {{}} has no name",
    ),
    (
        "      - send:\n          type: '{{nonce}}'\n          list:\n            - text: >-\n                a {{user}}\n                b {{usr}}\n",
        "10:19: flows.f.steps[0].send: unknown place {{usr}}",
    ),
    ("      - { send: '{{user} x' }", "5:18: flows.f.steps[0].send: the place \"{{user} x\" is not closed"),
    (
        "      - expect: { regex: 'a{{b' }",
        "5:28: flows.f.steps[0].expect.regex: the place \"{{b\" is not closed",
    ),
    (
        "      - expect: { type: a, regex: '{{run}}' }",
        "5:36: flows.f.steps[0].expect.regex: unknown place {{run}}",
    ),
    ("      - send: '{{env.A-B}}'", "5:16: flows.f.steps[0].send: this is not the name of an environment"),
    (
        "      - expect: { pointer: /a, equals: { b: ['{{usr}}'] } }",
        "5:47: flows.f.steps[0].expect.equals: unknown place {{usr}}",
    ),
];

/// The same around the steps; `FLOW` stands for a flow in a line.
const AROUND: &[(&str, &str)] = &[
    ("flows: { f: {} }", "2:13: flows.f: this flow has no steps"),
    ("flows: { f: { steps: [] } }", "2:22: flows.f.steps: this flow has no steps"),
    ("flows: { 'a b': { steps: [] } }", "2:17: flows.a b: \"a b\" is not a name"),
    ("flows: { f: { step: [] } }", "2:15: flows.f: there is no key \"step\", did you mean steps?"),
    (
        "flows: { f: { forbid: { regex: '[' }, steps: [ { expect: { type: a } } ] } }",
        "2:32: flows.f.forbid.regex: this is not a regular expression",
    ),
    (
        "flows: { f: { answers: { send: a }, steps: [ { expect: { type: a } } ] } }",
        "2:24: flows.f.answers: which frames are answered is not said",
    ),
    (
        "flows: { f: { answers: [ { on: { type: a } } ], steps: [ { expect: { type: a } } ] } }",
        "2:26: flows.f.answers[0]: what is said in answer is not there",
    ),
    (
        "flows: { f: { answers: { on: {}, send: a }, steps: [ { expect: { type: a } } ] } }",
        "2:30: flows.f.answers.on: there is no condition",
    ),
    ("flows: { f: { welcome: [ { type: a }, { typo: a } ], steps: [] } }", "2:41: flows.f.welcome"),
    ("agent: {}", "2:8: agent: no flow is named"),
    (
        "agent: { flow: reference-agnt }",
        "2:16: agent.flow: there is no flow \"reference-agnt\", did you mean reference-agent?",
    ),
    ("FLOW\nagent: { runs: 0 }", "3:16: agent.runs: \"0\" is too small"),
    ("FLOW\nagent: { at-once: 101 }", "3:19: agent.at-once: 101 conversations at once are more"),
    ("FLOW\nagent: { within: soon }", "3:18: agent.within: \"soon\" is not a duration"),
    ("FLOW\nagent: { latency: { p95: 0s } }", "3:26: agent.latency.p95: \"0s\" leaves no time"),
    ("FLOW\nagent: { latency: { p90: 1s } }", "3:21: agent.latency: there is no key \"p90\""),
    ("FLOW\nagent: { latency: { p99: 61s } }", "3:26: agent.latency.p99: 61s are allowed here, and a run"),
    (
        "FLOW\nagent: { within: 10s, latency: { p50: 10s, p95: 11s } }",
        "3:49: agent.latency.p95: 11s are allowed here, and a run is over after 10s",
    ),
    (
        "flows: { f: { steps: [ { expect: { type: a, within: 61s } } ] } }\nagent: {}",
        "2:53: flows.f.steps[0].expect.within: 61s are allowed here, and a run is over after 60s",
    ),
    (
        "flows: { f: { steps: [ { any-order: [ { type: a }, { type: b, within: 6s } ] } ] } }\nagent: { within: 5s }",
        "2:71: flows.f.steps[0].any-order[1].within: 6s are allowed here",
    ),
    (
        "flows: { f: { steps: [ { any-order: { type: b, within: 6s } } ] } }\nisolation: { within: 5s }",
        "2:56: flows.f.steps[0].any-order.within: 6s are allowed here",
    ),
    (
        "flows: { f: { steps: [ { wait: 30s }, { expect: { type: a } }, { wait: 30s } ] } }\nagent: {}",
        "2:72: flows.f.steps[2].wait: the waits take 60s up to here, and a run is over after 60s",
    ),
    ("isolation: {}", "2:12: isolation: there is one user, and isolation takes two"),
    ("users: [a]\nisolation: {}", "2:8: users: there is one user, and isolation takes two"),
    ("FLOW\nagent: { runs: 46 }", "3:8: agent: 51 runs are asked for, and 50 are allowed"),
    ("limits: { agent-runs: 7 }\nFLOW\nagent: {}", "4:8: agent: 8 runs are asked for, and 7 are allowed"),
    ("limits: { agent-runs: 0 }", "2:23: limits.agent-runs: \"0\" is too small"),
    ("limits: { messages-per-minute: x }", "2:32: limits.messages-per-minute: \"x\" is not a whole"),
    (
        "flows: { f: { steps: [ { send: '{{env.API_KEY}}' }, { expect: { type: a } } ] } }\nagent: {}",
        "2:33: flows.f.steps[0].send: the environment variable API_KEY was not read",
    ),
    (
        "flows: { f: { steps: [ { expect: { type: a, capture: { run: /r } } }, { send: '{{capture.runn}}' } ] } }",
        "2:80: flows.f.steps[1].send: {{capture.runn}} is captured nowhere in this flow, did you mean {{capture.run}}?",
    ),
    (
        "api: { endpoints: [ { path: /a/{{user}} } ] }",
        "2:32: a place {{…}} stands outside quotes, where YAML reads braces as keys",
    ),
    ("token: { secret-env: K, claims: { sub: {{user}} } }", "2:41: a place {{…}} stands outside quotes"),
    ("isolation: { flow: x }", "2:20: isolation.flow: there is no flow \"x\""),
    ("isolation: { at-once: 1 }", "2:23: isolation.at-once: \"1\" is too small"),
    ("isolation: { captures: [id] }", "2:25: isolation.captures[0]: the flow captures nothing called"),
    ("isolation: { shared: {} }", "2:22: isolation.shared: there is no condition"),
    (
        "isolation: { shared: { regex: '{{capture.x}}' } }",
        "2:32: isolation.shared.regex: {{capture.x}} is captured nowhere",
    ),
    (
        "limits: { agent-runs: 7 }\nFLOW\nisolation: { flow: f, at-once: 8 }",
        "4:32: isolation.at-once: 8 runs are asked for, and 7 are allowed",
    ),
];

fn assert_shown(text: &str, due: &str) {
    let error = error(text);
    let shown = error.to_string();
    assert!(shown.starts_with(&format!("revgate.yaml:{due}")), "{text}\n  is: {shown}\n due: {due}");
    assert!(error.snippet().is_some() && !error.help().is_empty(), "{text}");
}

#[test]
fn each_mistake_is_shown_where_it_was_made() {
    for (text, due) in OF_STEPS {
        assert_shown(&steps(text), due);
    }
    for (text, due) in OF_PLACES {
        assert_shown(&steps(text), due);
    }
    for (text, due) in AROUND {
        assert_shown(&text.replace("FLOW", "flows: { f: { steps: [ { expect: { type: a } } ] } }"), due);
    }
}

#[test]
fn a_secret_must_be_there_only_where_its_flow_is_used() {
    let text = "url: ws://h\nflows:\n  a: { steps: [ { send: '{{env.API_KEY}}' }, { expect: { type: a } } ] }\n  \
                b: { steps: [ { send: '{{file.key}}' }, { expect: { type: a } } ] }\nagent: { flow: a }\n";
    let file = FileConfig::parse("deploy/revgate.yaml", text.as_bytes()).unwrap();
    let typed = Typed::default();
    let wanted = super::super::needed(&typed, Some(&file), Purpose::Gate).unwrap();
    let [variable, key] = wanted.as_slice() else { panic!("{wanted:?}") };
    assert_eq!(*key, SecretSource::File("deploy/key".to_owned()));
    let mut lookup = Lookup::default();
    lookup.insert(variable.clone(), Ok(Secret::new("correct horse")));
    lookup.insert(key.clone(), Err("could not be read".to_owned()));
    let merged = merge(&typed, Some(&file), &lookup, Purpose::Gate).unwrap();
    assert_eq!(merged.secrets, [Secret::new("correct horse")]);
    assert!(!format!("{:?}", merged.settings).contains("horse"));
    lookup.insert(variable.clone(), Ok(Secret::new("x".repeat(20_000))));
    let error = merge(&typed, Some(&file), &lookup, Purpose::Gate).unwrap_err().to_string();
    assert!(error.starts_with("deploy/revgate.yaml:3:26: flows.a.steps[0].send: "), "{error}");
}

#[test]
fn what_can_come_to_an_end_is_not_refused() {
    let file =
        |text: &str| FileConfig::parse("revgate.yaml", format!("url: ws://h\n{text}").as_bytes()).unwrap();
    let merged =
        |text: &str, typed: &Typed| merge(typed, Some(&file(text)), &Lookup::default(), Purpose::Gate);
    for text in [
        "flows: { f: { steps: [ { wait: 59s }, { expect: { type: a, within: 60s } } ] } }\nagent: {}",
        "flows: { f: { steps: [ { expect: { type: a } } ], cleanup: [ { wait: 90s } ] } }\nagent: {}",
        "agent: { flow: reference-agent, within: 5s, latency: { p50: 5s } }",
        "users: [a, b]\nisolation: {}",
    ] {
        assert!(merged(text, &Typed::default()).is_ok(), "{text}");
    }
    let skip = Given::new("skip", Origin::Flag, vec!["isolation".to_owned()]);
    assert!(merged("isolation: {}", &Typed { skip: Some(skip), ..Typed::default() }).is_ok());
    let user = Given::new("user", Origin::Flag, vec!["a".to_owned()]);
    let refused = merged("users: [a, b]\nisolation: {}", &Typed { user: Some(user), ..Typed::default() });
    assert!(refused.unwrap_err().to_string().starts_with("`--user` (flag): there is one user"));
}
