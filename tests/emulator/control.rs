//! Faults of the API itself: late answers, reads of what was, and conditions that nobody checks.

use std::time::{Duration, Instant};

use revgate::emulator::Faults;
use serde_json::{Value, json};

use super::support::{call, eventually, faults, get, settled, two};

/// All traffic for `demo-b`, under this etag.
fn to_b(etag: &Value) -> Value {
    let target =
        json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "demo-b", "percent": 100});
    json!({"etag": etag, "traffic": [target]})
}

#[tokio::test]
async fn an_answer_comes_late_and_what_it_answers_is_done() {
    let emulator = two().await;
    let etag = get(&emulator, "services/demo").await["etag"].clone();
    faults(&emulator, |faults| faults.api_latency = Duration::MAX);
    let address =
        format!("{}{}", emulator.api_endpoint(), super::support::path("services/demo?updateMask=traffic"));
    let late = tokio::spawn(reqwest::Client::new().patch(address).json(&to_b(&etag)).send());
    eventually("the write", || async { emulator.requests().iter().any(|request| request.method == "PATCH") })
        .await;
    settled(&emulator).await;
    assert!(!late.is_finished(), "it is not answered");
    late.abort();
    emulator.set_faults(Faults::default());
    assert_eq!(get(&emulator, "services/demo").await["traffic"][0]["revision"], "demo-b", "it is done");
    #[expect(clippy::disallowed_methods, reason = "a lower bound, which load cannot break")]
    let begun = Instant::now();
    faults(&emulator, |faults| faults.api_latency = Duration::from_millis(150));
    get(&emulator, "services/demo").await;
    assert!(begun.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn reads_show_what_was_for_a_while_and_operations_do_not() {
    let emulator = two().await;
    let before = get(&emulator, "services/demo").await;
    faults(&emulator, |faults| faults.stale_reads_for = Duration::MAX);
    let (status, operation) =
        call(&emulator, "PATCH", "services/demo?updateMask=traffic", Some(to_b(&before["etag"]))).await;
    assert_eq!(status, 200, "{operation}");
    settled(&emulator).await;
    assert_eq!(get(&emulator, "services/demo").await, before, "the service as it was");
    assert_eq!(get(&emulator, "services").await["services"][0], before, "in the list too");
    let template = json!({"template": {"revision": "demo-c", "containers": [{"image": "r/p/a"}]}});
    let (status, operation) =
        call(&emulator, "PATCH", "services/demo?updateMask=template", Some(template)).await;
    assert_eq!(status, 200, "{operation}");
    settled(&emulator).await;
    assert_eq!(call(&emulator, "GET", "services/demo/revisions/demo-c", None).await.0, 404);
    let id = operation["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let done = get(&emulator, &format!("operations/{id}")).await;
    assert!(done["response"]["latestReadyRevision"].as_str().unwrap().ends_with("/demo-c"), "{done}");
    let (status, error) =
        call(&emulator, "PATCH", "services/demo?updateMask=traffic", Some(to_b(&before["etag"]))).await;
    assert_eq!(status, 409, "what was read is stale all the same: {error}");
    emulator.set_faults(Faults::default());
    assert_eq!(get(&emulator, "services/demo/revisions/demo-c").await["service"], "demo");
}

#[tokio::test]
async fn an_etag_may_be_ignored_on_both_apis() {
    let emulator = two().await;
    let etag = get(&emulator, "services/demo").await["etag"].clone();
    faults(&emulator, |faults| {
        faults.etag_ignored = true;
        faults.foreign_writer = 1;
    });
    let patch = "services/demo?updateMask=traffic";
    let (status, operation) = call(&emulator, "PATCH", patch, Some(to_b(&etag))).await;
    assert_eq!(status, 200, "{operation}");
    assert_eq!(operation["metadata"]["generation"], "4", "the other writer's is the third");
    settled(&emulator).await;
    assert_eq!(
        call(&emulator, "DELETE", "services/demo?etag=%22old%22&validateOnly=true", None).await.0,
        200
    );
    faults(&emulator, |faults| faults.etag_ignored = false);
    assert_eq!(call(&emulator, "PATCH", patch, Some(to_b(&etag))).await.0, 409);
}

#[tokio::test]
async fn the_control_endpoint_sets_them_by_name() {
    let emulator = two().await;
    let address = format!("{}/__emulator/faults", emulator.api_endpoint());
    let body = json!({"api_latency": "1ms", "stale_reads_for": "2s", "etag_ignored": true});
    assert_eq!(reqwest::Client::new().post(&address).json(&body).send().await.unwrap().status(), 200);
    let set = emulator.faults();
    assert_eq!((set.api_latency, set.stale_reads_for), (Duration::from_millis(1), Duration::from_secs(2)));
    assert!(set.etag_ignored);
}
