//! What a write of v2 replaces, and the other spellings that clients use.

use serde_json::{Value, json};

use super::support::{call, get, settled, two};

async fn patch(emulator: &revgate::emulator::Emulator, query: &str, body: Value) -> Value {
    let (status, answer) = call(emulator, "PATCH", &format!("services/demo?{query}"), Some(body)).await;
    assert_eq!(status, 200, "{answer}");
    settled(emulator).await;
    get(emulator, "services/demo").await
}

#[tokio::test]
async fn a_mask_names_what_is_replaced_in_either_spelling() {
    let emulator = two().await;
    let service = patch(&emulator, "updateMask=labels", json!({"labels": {"team": "a"}, "ingress": 2})).await;
    assert_eq!(
        (&service["labels"], &service["ingress"]),
        (&json!({"team": "a"}), &json!("INGRESS_TRAFFIC_ALL"))
    );
    let body = json!({"ingress": 2, "launchStage": 3, "labels": {}});
    let service =
        patch(&emulator, "%24alt=json%3Benum-encoding%3Dint&update_mask=ingress,launch_stage", body).await;
    assert_eq!(
        (&service["ingress"], &service["launchStage"]),
        (&json!("INGRESS_TRAFFIC_INTERNAL_ONLY"), &json!("BETA"))
    );
    assert_eq!(service["labels"], json!({"team": "a"}), "no member of the mask");
    let service = patch(&emulator, "updateMask=labels", json!({})).await;
    assert!(service.get("labels").is_none(), "a member that the body leaves out is emptied");
    let body = json!({"template": {"timeout": "60s", "revision": "demo-c"}});
    let service = patch(&emulator, "updateMask=template.timeout,template.revision", body).await;
    assert_eq!(service["template"]["timeout"], "60s");
    assert_eq!(service["template"]["maxInstanceRequestConcurrency"], 80, "the rest of the template stays");
    assert!(service["latestReadyRevision"].as_str().unwrap().ends_with("demo-c"));
    let (status, error) =
        call(&emulator, "PATCH", "services/demo?updateMask=uid", Some(json!({"uid": "x"}))).await;
    assert_eq!(status, 400, "{error}");
}

#[tokio::test]
async fn a_service_may_be_missing_when_the_caller_allows_it() {
    let emulator = two().await;
    let body = json!({"template": {"containers": [{"image": "i"}]}});
    assert_eq!(call(&emulator, "PATCH", "services/new", Some(body.clone())).await.0, 404);
    let dry = "services/new?allowMissing=true&validateOnly=true";
    assert_eq!(call(&emulator, "PATCH", dry, Some(body.clone())).await.0, 200);
    assert_eq!(call(&emulator, "GET", "services/new", None).await.0, 404);
    assert_eq!(call(&emulator, "PATCH", "services/new?allow_missing=True", Some(body.clone())).await.0, 200);
    settled(&emulator).await;
    assert_eq!(get(&emulator, "services/new").await["terminalCondition"]["state"], "CONDITION_SUCCEEDED");
    for name in ["Upper", "1st", "a-", &"a".repeat(50)] {
        let (status, error) =
            call(&emulator, "POST", &format!("services?serviceId={name}"), Some(body.clone())).await;
        assert_eq!((status, &error["error"]["status"]), (400, &json!("INVALID_ARGUMENT")), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_policy_is_set_once_for_each_time_it_was_read() {
    let emulator = two().await;
    let read = get(&emulator, "services/demo:getIamPolicy").await;
    let set = json!({"policy": {"etag": read["etag"], "bindings": []}});
    let (status, policy) = call(&emulator, "POST", "services/demo:setIamPolicy", Some(set.clone())).await;
    assert_eq!((status, policy.get("bindings")), (200, None));
    let (status, error) = call(&emulator, "POST", "services/demo:setIamPolicy", Some(set)).await;
    assert_eq!((status, &error["error"]["status"]), (409, &json!("ABORTED")), "{error}");
    let (status, _) =
        call(&emulator, "POST", "services/none:setIamPolicy", Some(json!({"policy": {}}))).await;
    assert_eq!(status, 404);
}
