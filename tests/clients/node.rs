//! @google-cloud/run for Node.

use serde_json::{Value, json};

use super::{
    backends,
    support::{emulator, saw, split, stories},
};

#[tokio::test]
async fn services_are_deployed_shifted_refused_and_deleted() {
    let emulator = emulator().await;
    let (node, folder) = backends::google_node();
    let port = emulator.api_endpoint().rsplit(':').next().unwrap().to_owned();
    let told = stories(&node, &folder.join("run.js"), &["127.0.0.1", &port]).await;
    saw(
        &told,
        "create",
        json!({
            "name": "shop", "generations": ["1", "1"], "state": "CONDITION_SUCCEEDED", "ready": "shop-one",
            "statuses": split(&[("LATEST", 100, "")]), "uri": true, "timeout": "300",
        }),
    );
    let refused = |error: &Value, code: u32, words: &str| {
        assert_eq!(error[0], code, "{error}");
        assert!(error[1].as_str().unwrap().contains(words), "{error}");
    };
    refused(&told["create"]["again"], 409, "Resource 'shop' already exists.");
    let candidate = split(&[("shop-one", 100, ""), ("shop-two", 0, "candidate")]);
    saw(&told, "candidate", json!({"statuses": candidate, "uri": [true]}));
    let shares = split(&[("shop-one", 90, ""), ("shop-two", 10, "candidate")]);
    saw(&told, "shares", json!({"statuses": shares, "image": "app:2"}));
    refused(&told["stale"]["refused"], 409, "Conflict for resource 'shop': version '");
    saw(&told, "dry", json!({"done": true, "kept": {"team": "web"}}));
    // 13 and 9 are the codes of the operation: INTERNAL and FAILED_PRECONDITION.
    refused(&told["unknown_revision"]["error"], 13, "Revision 'shop-none' does not exist or is deleted.");
    let kept = split(&[("shop-one", 80, ""), ("shop-two", 20, "candidate")]);
    saw(&told, "unknown_revision", json!({"kept": kept}));
    let message = "Revision 'shop-broken' is not ready and cannot serve traffic";
    saw(&told, "broken", json!({"code": 9, "message": message, "states": ["shop-broken", "shop-two"]}));
    saw(&told, "allow_missing", json!({"name": "fresh", "ready": true}));
    let revisions = ["shop-broken", "shop-one", "shop-two"];
    saw(&told, "pages", json!({"services": ["fresh", "shop"], "token": true, "revisions": revisions}));
    saw(
        &told,
        "revision",
        json!({
            "service": "shop", "digest": true, "newest": "shop-three", "deleted": "shop-broken", "after": 404,
        }),
    );
    let binding = json!(["roles/run.invoker", ["allUsers"]]);
    saw(
        &told,
        "access",
        json!({"before": 0, "set": [binding], "stale": 409, "tested": ["run.services.get"]}),
    );
    refused(&told["delete"]["missing"], 404, "Resource 'nowhere' of kind 'SERVICE'");
    saw(&told, "delete", json!({"gone": "shop", "after": 404}));
}
