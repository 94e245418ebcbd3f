use proptest::prelude::*;

use super::*;
use crate::config::{FileConfig, Lookup, Purpose, Typed, merge};

const VALUES: Values<'static> = Values { user: "u-1", nonce: "n-1", round: 1 };

/// The flow of a configuration.
fn flow(text: &str) -> Flow {
    let text = format!("url: ws://h\nagent: {{}}\nflows:\n  f:\n{text}");
    let file = FileConfig::parse("revgate.yaml", text.as_bytes()).unwrap();
    let merged = merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Gate).unwrap();
    merged.settings.configured.agent.unwrap().flow
}

/// The reference flow.
fn reference() -> Flow {
    let text = "url: ws://h\nagent: { flow: reference-agent }\n";
    let file = FileConfig::parse("revgate.yaml", text.as_bytes()).unwrap();
    let merged = merge(&Typed::default(), Some(&file), &Lookup::default(), Purpose::Gate).unwrap();
    merged.settings.configured.agent.unwrap().flow
}

fn take(progress: &mut Progress<'_>, text: &str) -> Meaning {
    progress.take(&Incoming::new(text.as_bytes()), false)
}

/// Lets everything happen that needs no frame.
fn settle(progress: &mut Progress<'_>) -> Due {
    loop {
        match progress.due() {
            Due::Begin | Due::Send(_) | Due::Wait(_) => progress.pass(),
            due => return due,
        }
    }
}

/// What became of a reference run whose welcome was good and whose events came in this order.
fn reference_run(events: &[&str]) -> Result<Due, Meaning> {
    let flow = reference();
    let mut progress = Progress::new(&flow, VALUES);
    let welcome =
        r#"{"type":"system_message","data":{"event":"connection_established","startup_complete":true}}"#;
    assert!(matches!(take(&mut progress, r#"{"type":"ping"}"#), Meaning::PassedOver));
    assert!(matches!(take(&mut progress, welcome), Meaning::Due(_)));
    settle(&mut progress);
    for event in events {
        let text = format!(r#"{{"type":"{event}","data":{{"run_id":"r-1","result":"done"}}}}"#);
        match take(&mut progress, &text) {
            Meaning::Due(_) | Meaning::PassedOver => {}
            other => return Err(other),
        }
        settle(&mut progress);
    }
    Ok(settle(&mut progress))
}

fn out_of_order(came: &str, due: &str) -> Result<Due, Meaning> {
    Err(Meaning::OutOfOrder { came: came.to_owned(), due: due.to_owned() })
}

#[test]
fn every_healthy_order_of_the_reference_completes() {
    for tools in ["", "X C", "X C X C", "X X C C", "X C T X C T", "T T X C"] {
        let name = |letter: &str| match letter {
            "X" => "tool_executing",
            "C" => "tool_completed",
            _ => "agent_thinking",
        };
        let tools = tools.split_whitespace().map(name);
        let events: Vec<&str> = ["agent_started", "heartbeat", "agent_thinking"]
            .into_iter()
            .chain(tools)
            .chain(["progress_update", "agent_completed"])
            .collect();
        assert_eq!(reference_run(&events), Ok(Due::Nothing), "{events:?}");
    }
}

#[test]
fn every_wrong_order_of_the_reference_is_told() {
    let [started, thinking, executing, completed, end] =
        ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"];
    for (events, came, due) in [
        (&[thinking, started][..], thinking, started),
        (&[end], end, started),
        (&[started, end], end, thinking),
        (&[started, executing], executing, thinking),
        (&[started, thinking, completed], completed, executing),
        // A tool that never came back.
        (&[started, thinking, executing, end], end, completed),
    ] {
        assert_eq!(reference_run(events), out_of_order(came, due), "{events:?}");
    }
    let unfinished = reference_run(&[started, thinking, executing, completed]);
    assert!(matches!(&unfinished, Ok(Due::Frame { name, .. }) if name == end), "{unfinished:?}");
}

#[test]
fn what_is_forbidden_is_forbidden_whenever_it_comes() {
    let flow = reference();
    for text in [
        r#"{"type":"agent_failed"}"#,
        r#"{"type":"x","data":{"fallback_active": true}}"#,
        r#"{"type":"system_message","data":{"degraded_mode":true}}"#,
        r#"{"type":"system_message","data":{"event":"connection_established","startup_complete":false}}"#,
        r#"{"type":"agent_started","agent_name":"MockAgent"}"#,
        r#"{"type":"service_info"}"#,
    ] {
        let mut progress = Progress::new(&flow, VALUES);
        assert!(matches!(take(&mut progress, text), Meaning::Forbidden(..)), "{text}");
    }
    for text in [
        r#"{"type":"x","fallback_active":false,"degraded_mode":false,"service_info":null}"#,
        r#"{"type":"x","text":"she wrote \"fallback_active\": true"}"#,
    ] {
        let mut progress = Progress::new(&flow, VALUES);
        assert_eq!(take(&mut progress, text), Meaning::PassedOver, "{text}");
    }
}

#[test]
fn an_answer_cannot_come_before_its_question() {
    let flow = flow(
        "    steps:\n      - send: one\n      - expect: { regex: one }\n      - send: two\n      - expect: { regex: two }\n",
    );
    let mut progress = Progress::new(&flow, VALUES);
    settle(&mut progress);
    assert_eq!(take(&mut progress, "two"), Meaning::PassedOver, "not asked for yet, and so no answer");
    assert!(matches!(take(&mut progress, "one"), Meaning::Due(_)));
    settle(&mut progress);
    assert!(matches!(take(&mut progress, "two"), Meaning::Due(_)));
    assert_eq!(settle(&mut progress), Due::Nothing);
}

#[test]
fn what_comes_during_a_wait_has_come() {
    let flow = flow("    steps: [{ send: a }, { wait: 1s }, { expect: { regex: b } }]\n");
    let mut progress = Progress::new(&flow, VALUES);
    while !matches!(progress.due(), Due::Wait(_)) {
        progress.pass();
    }
    assert!(matches!(take(&mut progress, "b"), Meaning::Due(_)));
    assert!(matches!(progress.due(), Due::Wait(_)), "the wait goes on");
    progress.pass();
    assert_eq!(progress.due(), Due::Nothing);
}

#[test]
fn captures_fill_later_texts_and_patterns() {
    let flow = flow(
        "    steps:\n      - expect: { type: start, capture: { id: [/data/id, /id] } }\n      \
         - send: { get: '{{capture.id}}' }\n      - expect: { json: { of: '{{capture.id}}' } }\n",
    );
    let mut progress = Progress::new(&flow, VALUES);
    settle(&mut progress);
    assert!(matches!(take(&mut progress, r#"{"type":"start","id":42}"#), Meaning::Due(_)));
    assert_eq!(progress.due(), Due::Send(r#"{"get":42}"#.to_owned()));
    progress.pass();
    assert_eq!(take(&mut progress, r#"{"of":41}"#), Meaning::PassedOver);
    assert!(matches!(take(&mut progress, r#"{"of":42}"#), Meaning::Due(_)));
    let mut progress = Progress::new(&flow, VALUES);
    settle(&mut progress);
    take(&mut progress, r#"{"type":"start"}"#);
    assert_eq!(progress.due(), Due::Unfilled("id".to_owned()));
}

#[test]
fn what_asks_for_an_answer_is_answered_at_any_time_and_is_no_step() {
    let flow = flow(
        "    strict: true\n    answers:\n      - { on: { type: ping, capture: { n: /n } }, send: { type: pong, n: '{{capture.n}}' } }\n      \
         - { on: { regex: '^2$' }, send: '3' }\n    welcome: { regex: . }\n    steps: [{ send: a }, { expect: { type: ping } }]\n",
    );
    let mut progress = Progress::new(&flow, VALUES);
    let pong = |n: &str| Meaning::Answered(format!(r#"{{"type":"pong","n":{n}}}"#));
    assert_eq!(take(&mut progress, r#"{"type":"ping","n":1}"#), pong("1"), "and it is no welcome");
    assert_eq!(take(&mut progress, "2"), Meaning::Answered("3".to_owned()));
    assert!(matches!(take(&mut progress, "hello"), Meaning::Due(_)));
    settle(&mut progress);
    assert_eq!(take(&mut progress, r#"{"type":"ping","n":"x"}"#), pong("\"x\""));
    assert_eq!(take(&mut progress, r#"{"type":"ping"}"#), Meaning::PassedOver, "its answer cannot be filled");
    let missed = progress.missed(&Incoming::new(br#"{"type":"ping"}"#), &Redactor::default());
    assert_eq!(missed.unwrap().1, "it is answered by a rule of `answers`, and so no step's");
    let mut cleanup = Progress::of_cleanup(&flow, VALUES, Captured::new());
    assert_eq!(take(&mut cleanup, "2"), Meaning::Answered("3".to_owned()));
}

#[test]
fn the_reference_ends_with_a_result() {
    let flow = reference();
    for (data, ends) in [
        (r#""data":{"result":"42 words"}"#, true),
        (r#""payload":{"result":{"words":42}}"#, true),
        (r#""result":[{"a":1}]"#, true),
        (r#""data":{}"#, false),
        (r#""data":{"result":""}"#, false),
        (r#""data":{"result":{}}"#, false),
        (r#""data":{"result":null}"#, false),
    ] {
        let mut progress = Progress::new(&flow, VALUES);
        while progress.position + 1 < progress.stops.len() {
            progress.pass();
        }
        let meaning = take(&mut progress, &format!(r#"{{"type":"agent_completed",{data}}}"#));
        assert_eq!(matches!(meaning, Meaning::Due(_)), ends, "{data}: {meaning:?}");
    }
}

#[test]
fn a_strict_flow_expects_every_frame() {
    let flow = flow(
        "    strict: true\n    ignore: { type: heartbeat }\n    steps: [{ send: a }, { expect: { regex: '^b$', repeat: true } }, { expect: { regex: c } }]\n",
    );
    let mut progress = Progress::new(&flow, VALUES);
    settle(&mut progress);
    assert!(matches!(take(&mut progress, "b"), Meaning::Due(_)));
    assert!(matches!(take(&mut progress, "b"), Meaning::Due(_)), "as often as it likes");
    assert_eq!(take(&mut progress, r#"{"type":"heartbeat"}"#), Meaning::PassedOver);
    assert_eq!(take(&mut progress, "x"), Meaning::Unexpected);
    assert!(matches!(take(&mut progress, "c"), Meaning::Due(_)));
    assert_eq!(progress.due(), Due::Nothing);
}

#[test]
fn bounds_of_repeats_are_kept() {
    let flow = flow(
        "    steps: [{ expect: { regex: b, repeat: { at-least: 2, at-most: 3 } } }, { expect: { regex: c } }]\n",
    );
    let mut progress = Progress::new(&flow, VALUES);
    settle(&mut progress);
    take(&mut progress, "b");
    assert!(matches!(take(&mut progress, "c"), Meaning::OutOfOrder { .. }));
    take(&mut progress, "b");
    take(&mut progress, "b");
    assert_eq!(take(&mut progress, "b"), Meaning::PassedOver, "one too many is nothing that was due");
    assert!(matches!(take(&mut progress, "c"), Meaning::Due(_)));
}

proptest! {
    #[test]
    fn no_order_of_events_completes_without_its_five(order in proptest::collection::vec(0..5_usize, 0..8)) {
        let names = ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"];
        let events: Vec<&str> = order.iter().map(|&index| names[index]).collect();
        if reference_run(&events) == Ok(Due::Nothing) {
            let first = |name| events.iter().position(|event| *event == name);
            let count = |name| events.iter().filter(|event| **event == name).count();
            prop_assert!(first("agent_started") < first("agent_thinking"));
            prop_assert!(first("agent_thinking") < first("agent_completed"));
            let end = first("agent_completed").unwrap();
            let tools = |name| events[..end].iter().filter(|event| **event == name).count();
            prop_assert_eq!(tools("tool_executing"), tools("tool_completed"));
            prop_assert!(count("agent_completed") > 0);
        }
    }
}
