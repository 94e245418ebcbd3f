//! google-cloud-run and google-cloud-logging for Python.

use revgate::emulator::{Behaviour, Deployment, SampleBackend, Workload};
use serde_json::json;

use super::{
    backends,
    support::{Stories, emulator, saw, script, split, stories},
};

#[tokio::test]
async fn services_are_deployed_shifted_refused_and_deleted() {
    let emulator = emulator().await;
    let address = emulator.api_endpoint();
    let told = stories(&backends::google_python(), &script("python/run_services.py"), &[&address]).await;
    deployments(&told);
    shifts(&told);
    failures(&told);
    readings(&told);
}

/// What is made, and what is made beside it.
fn deployments(told: &Stories) {
    let ok = |kind: &str| json!([kind, "CONDITION_SUCCEEDED"]);
    saw(
        told,
        "create",
        json!({
            "name": "projects/demo-project/locations/us-central1/services/shop", "begun": "shop", "reconciling": false,
            "generations": [1, 1], "terminal": ok("Ready"),
            "conditions": [ok("ConfigurationsReady"), ok("RoutesReady")],
            "ready": "shop-one", "created": "shop-one", "ingress": "INGRESS_TRAFFIC_ALL", "stage": 4,
            "labels": {"team": "web"}, "traffic": split(&[("LATEST", 100, "")]),
            "statuses": split(&[("LATEST", 100, "")]), "uri": [true, true], "quoted": true,
            "concurrency": 80, "timeout": 300, "port": [8080],
        }),
    );
    let again = &told["create"]["again"];
    assert_eq!(again[0], "Conflict");
    assert!(again[1].as_str().unwrap().ends_with("Resource 'shop' already exists."), "{again}");
    let candidate = split(&[("shop-one", 100, ""), ("shop-two", 0, "candidate")]);
    saw(told, "candidate", json!({"ready": "shop-two", "statuses": candidate, "tag": [true]}));
    saw(told, "allow_missing", json!({"name": "fresh", "ready": true}));
}

/// Traffic, labels, and who has written since.
fn shifts(told: &Stories) {
    let shares = split(&[("shop-one", 90, ""), ("shop-two", 10, "candidate")]);
    saw(told, "shares", json!({"statuses": shares, "image": "app:2", "moved": true, "revisions": 2}));
    let refused = &told["stale"]["refused"];
    assert_eq!(refused[0], "Conflict");
    assert!(refused[1].as_str().unwrap().contains("Conflict for resource 'shop': version '"), "{refused}");
    let shares = split(&[("shop-one", 80, ""), ("shop-two", 20, "candidate")]);
    saw(told, "stale", json!({"unconditional": shares}));
    saw(told, "dry", json!({"told": {"team": "nobody"}, "kept": {"team": "web"}, "etag": true}));
    let labels = json!({"team": "web", "stage": "test"});
    saw(told, "labels", json!({"labels": labels, "description": "", "traffic": shares}));
    let latest = split(&[("LATEST", 100, ""), ("shop-one", 0, "old")]);
    saw(told, "latest", json!({"traffic": latest, "statuses": latest}));
}

/// Lists, revisions, policies, and what is deleted.
fn readings(told: &Stories) {
    let all = ["shop-broken", "shop-one", "shop-three", "shop-two"];
    saw(told, "pages", json!({"services": [["fresh"], ["shop"]], "sizes": [2, 2], "revisions": all}));
    saw(
        told,
        "revision",
        json!({
            "service": "shop", "ready": "CONDITION_SUCCEEDED", "generation": [1, 1], "digest": true,
            "serving": "BadRequest", "checked": "shop-broken", "gone": "shop-broken", "after": "NotFound",
        }),
    );
    saw(told, "operations", json!({"done": true, "listed": true, "forgotten": "NotFound"}));
    saw(told, "settings", json!({"different": []}));
    saw(
        told,
        "access",
        json!({
            "empty": 0, "set": [["roles/run.invoker", ["allUsers"]]], "stale": "Conflict",
            "tested": ["run.services.get", "run.services.update"],
        }),
    );
    saw(
        told,
        "delete",
        json!({"stale": "Conflict", "dry": true, "still": "shop", "gone": "shop", "after": "NotFound"}),
    );
}

/// What is refused at once, and what fails behind its operation.
fn failures(told: &Stories) {
    saw(told, "refused", json!({"sums": "BadRequest", "update_missing": "NotFound"}));
    let ends = |story: &str, key: &str, class: &str, words: &str| {
        let error = &told[story][key];
        assert_eq!(error[0], class, "{story}: {error}");
        assert!(error[1].as_str().unwrap().contains(words), "{story}: {error}");
    };
    ends("refused", "named", "Conflict", "'shop-two' with different configuration already exists.");
    ends("refused", "missing", "NotFound", "Resource 'nowhere' of kind 'SERVICE' in region 'us-central1'");
    ends("unknown_revision", "error", "InternalServerError", "Revision 'shop-none' does not exist");
    saw(told, "unknown_revision", json!({"kept": true, "terminal": ["CONDITION_FAILED", true]}));
    ends("broken", "error", "FailedPrecondition", "Revision 'shop-broken' is not ready and cannot serve");
    saw(
        told,
        "broken",
        json!({
            "created": "shop-broken", "ready": "shop-two", "states": ["CONDITION_FAILED", "CONDITION_FAILED"],
            "reason": "HEALTH_CHECK_CONTAINER_ERROR",
        }),
    );
    saw(told, "mended", json!({"ready": "shop-three", "state": "CONDITION_SUCCEEDED"}));
}

#[tokio::test]
async fn entries_are_written_listed_and_filtered() {
    let emulator = emulator().await;
    let sample = Workload::Sample(SampleBackend::new(Behaviour::Fixed));
    let revision = emulator.deploy(Deployment::new(sample)).await.unwrap();
    emulator.settled().await;
    for _ in 0..2 {
        assert_eq!(reqwest::get(emulator.service_url().unwrap()).await.unwrap().status(), 200);
    }
    let address = emulator.api_endpoint();
    let told = stories(&backends::google_python(), &script("python/logs.py"), &[&address, &revision]).await;
    let batch: Vec<String> = (0..5).map(|number| format!("batch {number}")).collect();
    let texts: Vec<&str> = ["one", "two"].into_iter().chain(batch.iter().map(String::as_str)).collect();
    saw(
        &told,
        "write",
        json!({
            "kinds": ["TextEntry", "StructEntry", "TextEntry", "TextEntry", "TextEntry", "TextEntry", "TextEntry"],
            "severities": ["INFO", "ERROR", "NOTICE", "NOTICE", "NOTICE", "NOTICE", "NOTICE"],
            "texts": texts, "labels": [{"stage": "test"}], "ids": 7, "resource": [revision],
        }),
    );
    saw(&told, "severity", json!({"errors": ["two"]}));
    let rest = ["batch 0", "batch 1", "batch 2", "batch 4"];
    saw(
        &told,
        "text",
        json!({
            "part": ["batch 3"], "exact": ["one"], "not": rest, "or": ["one", "batch 0"], "list": ["one", "batch 4"], "anywhere": ["batch 2"], "hyphen": ["one"], "field": [2],
        }),
    );
    saw(&told, "order", json!({"newest": batch.iter().rev().collect::<Vec<_>>()}));
    // The client's own entry about itself is not among `every`, and may be among `some`.
    saw(&told, "pages", json!({"every": 7, "unique": 7, "some": 3}));
    saw(&told, "times", json!({"since": 7, "later": 0, "zone": 0.0, "received": true}));
    let log = "projects/demo-project/logs/run.googleapis.com%2Frequests";
    saw(&told, "requests", json!({"logs": [log], "statuses": [200], "filtered": true}));
    saw(&told, "wrong", json!({"error": "BadRequest"}));
    saw(&told, "none", json!({"entries": []}));
}
