//! Wrong commands, unreadable records and scenarios, and promotions that are refused before anything is asked.

use serde_json::{Value, json};

use crate::configuration::assert_refused;
use crate::documents;
use crate::program::Workplace;

/// Names a service that no call reaches.
const SERVICE: [&str; 6] = ["--project", "demo-project", "--region", "europe-west1", "--service", "checkout"];

#[test]
fn the_command_line_is_refused() {
    assert_refused(
        "usage_commands",
        &Workplace::new(),
        &[
            (&[], &[]),
            (&["chekc"], &[]),
            (&["check", "--sokets", "3"], &[]),
            (&["check", "--project"], &[]),
            (&["check", "--seed", "1", "--seed", "2"], &[]),
            (&["check", "--verbose=3"], &[]),
            (&["check", "extra"], &[]),
            (&["judge"], &[]),
            (&["explain"], &[]),
            (&["explain", "weather"], &[]),
            (&["explain", "\u{1b}[31m::error::x"], &[]),
            (&["emulator", "--dry-run"], &[]),
            (&["rehearse", "--cold"], &[]),
        ],
    );
}

#[test]
fn the_output_is_refused() {
    let place = Workplace::new();
    place.write("a-file", "");
    assert_refused(
        "usage_outputs",
        &place,
        &[
            (&["check", "--format", "xml"], &[]),
            (&["check"], &[("REVGATE_FORMAT", "xml")]),
            (&["check", "--color", "green"], &[]),
            (&["check"], &[("REVGATE_COLOR", "green")]),
            (&["check", "--progress", "some"], &[]),
            (&["check"], &[("REVGATE_PROGRESS", "some")]),
            (&["check"], &[("REVGATE_VERBOSE", "maybe")]),
            (&["check", "--url", "ws://127.0.0.1:9", "--record", "missing/run.json"], &[]),
            (&["check", "--url", "ws://127.0.0.1:9"], &[("REVGATE_RECORD", "a-file/run.json")]),
        ],
    );
}

/// The record with one thing changed.
fn edited(change: impl FnOnce(&mut Value)) -> String {
    let mut record = serde_json::to_value(documents::nothing_opened()).unwrap();
    change(&mut record);
    record.to_string()
}

#[test]
fn records_that_cannot_be_judged() {
    let place = Workplace::new();
    place.write("text.json", "approved");
    place.write("other.json", "{\"a\": 1}");
    place.write("later.json", edited(|record| record["version"] = json!(99)));
    place.write("part.json", edited(|record| drop(record["target"].as_object_mut().unwrap().remove("rule"))));
    let race = |key: &'static str, value: f64| {
        edited(move |record| record["probing"]["plan"]["race"][key] = json!(value))
    };
    place.write("tolerates-all.json", race("tolerated", 1.0));
    place.write("noise.json", race("noise", 0.0));
    std::fs::create_dir(place.path("folder")).unwrap();
    assert_refused(
        "usage_records",
        &place,
        &[
            (&["judge", "missing.json"], &[]),
            (&["judge", "folder"], &[]),
            (&["judge", "text.json"], &[]),
            (&["judge", "other.json"], &[]),
            (&["judge", "later.json"], &[]),
            (&["judge", "part.json"], &[]),
            (&["judge", "tolerates-all.json"], &[]),
            (&["judge", "noise.json"], &[]),
        ],
    );
}

#[test]
fn promotions_that_are_refused_before_anything_is_asked() {
    let place = Workplace::new();
    place.write("old.json", edited(|_| {}));
    place.write("rehearsed.json", edited(|record| record["target"]["rehearsed"] = json!(true)));
    place.write("other.json", edited(|record| record["target"]["service"]["service"] = json!("cart")));
    let promote = |more: &[&'static str]| [&["promote"], &SERVICE[..], more].concat();
    assert_refused(
        "usage_promotions",
        &place,
        &[
            (&["promote", "--yes"], &[]),
            (&["promote", "--url", "ws://127.0.0.1:9", "--yes"], &[]),
            (&promote(&[]), &[]),
            (&promote(&[]), &[("REVGATE_YES", "maybe")]),
            (&promote(&["--yes", "--recorded", "missing.json"]), &[]),
            (&promote(&["--yes", "--recorded", "old.json"]), &[]),
            (&promote(&["--yes", "--recorded", "rehearsed.json"]), &[]),
            (&promote(&["--yes", "--recorded", "other.json"]), &[]),
        ],
    );
}

#[test]
fn emulators_that_cannot_be_started() {
    let place = Workplace::new();
    place.write("none.yaml", "revisions: []\n");
    place.write("unknown.yaml", "revisions:\n  - behaviour: fixd\n");
    place.write("broken.yaml", "revisions: [\n");
    place.write("key.yaml", "revisions:\n  - exce: ./server\n");
    place.write("foreign.json", "{}\n");
    place.write("quote.yaml", "revisions:\n  - exec: \"./server 'a\"\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    assert_refused(
        "usage_emulator",
        &place,
        &[
            (&["emulator", "--port", "many"], &[]),
            (&["emulator"], &[("REVGATE_PORT", "many")]),
            (&["emulator", "--port", &port], &[]),
            (&["emulator", "env", "--port", "many"], &[]),
            (&["emulator", "--region", "Europe West"], &[]),
            (&["emulator"], &[("REVGATE_PROJECT", "my project")]),
            (&["emulator", "--service", "web/.."], &[]),
            (&["emulator", "--scenario", "missing.yaml"], &[]),
            (&["emulator", "--scenario", "none.yaml"], &[]),
            (&["emulator", "--scenario", "unknown.yaml"], &[]),
            (&["emulator", "--scenario", "broken.yaml"], &[]),
            (&["emulator", "--scenario", "key.yaml"], &[]),
            (&["emulator", "--scenario", "quote.yaml"], &[]),
            (&["emulator", "--behaviour", "fixd"], &[]),
            (&["emulator", "--bind", "everywhere"], &[]),
            (&["emulator", "--speed", "0"], &[]),
            (&["emulator"], &[("REVGATE_SPEED", "fast")]),
            (&["emulator", "--images", "missing.yaml"], &[]),
            (&["emulator", "--images", "none.yaml"], &[]),
            (&["emulator", "--tls", "missing/ca.pem"], &[]),
            (&["emulator"], &[("REVGATE_THROTTLE", "sometimes")]),
            (&["emulator", "--exec", "./server 'a"], &[]),
            (&["emulator", "--state", "missing/cloud.json"], &[]),
            (&["emulator", "--state", "none.yaml"], &[]),
            (&["emulator"], &[("REVGATE_STATE", "foreign.json")]),
            (&["rehearse", "--exec", "./server 'a", "--progress", "none"], &[]),
        ],
    );
}
