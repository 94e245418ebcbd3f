//! The Admin API's rules.

use revgate::emulator::{ApiStatus, Behaviour, Deployment, EmulatorOptions, Faults};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::support::{call, eventually, faults, get, named, options, sample, settled, two, with};

fn share(revision: &str, percent: u32) -> Value {
    json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": revision, "percent": percent})
}

const PATCH: &str = "services/demo?updateMask=traffic";

async fn finished(emulator: &revgate::emulator::Emulator, operation: &Value) -> Value {
    let tail = operation["name"].as_str().unwrap().split_once("us-central1/").unwrap().1.to_owned();
    let (status, done) =
        call(emulator, "POST", &format!("{tail}:wait"), Some(json!({"timeout": "20s"}))).await;
    assert_eq!((status, &done["done"]), (200, &json!(true)), "{done}");
    assert_eq!(get(emulator, &tail).await["done"], true);
    done
}

#[tokio::test]
async fn the_first_revision_gets_everything_by_latest() {
    let emulator = with(options(), vec![sample(Behaviour::Fixed)]).await;
    let service = get(&emulator, "services/demo").await;
    assert_eq!(
        service["traffic"],
        json!([{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}])
    );
    assert_eq!(service["generation"], "1", "int64 are strings");
    assert_eq!(service["observedGeneration"], "1");
    assert_eq!(service["terminalCondition"]["state"], "CONDITION_SUCCEEDED");
    assert!(service.get("reconciling").is_none(), "false is absent");
    let latest = service["latestReadyRevision"].as_str().unwrap();
    assert!(
        latest.starts_with("projects/demo-project/locations/us-central1/services/demo/revisions/demo-00001-")
    );
    assert_eq!(get(&emulator, "services").await["services"][0]["name"], service["name"]);
}

#[tokio::test]
async fn a_later_revision_is_pinned_out_and_its_tag_has_a_url() {
    let emulator = two().await;
    let service = get(&emulator, "services/demo").await;
    assert_eq!(service["traffic"][0], share("demo-a", 100));
    let status = &service["trafficStatuses"][1];
    assert_eq!(status["tag"], "candidate");
    assert!(status.get("percent").is_none(), "zero percent has no key: {status}");
    assert_eq!(status["uri"].as_str(), emulator.tag_url("candidate").as_deref());
    assert!(service["traffic"][1].get("uri").is_none());
    let revision = get(&emulator, "services/demo/revisions/demo-b").await;
    assert_eq!(revision["conditions"][0]["state"], "CONDITION_SUCCEEDED");
    assert_eq!(revision["maxInstanceRequestConcurrency"], 80);
    assert!(revision["containerStatuses"][0]["imageDigest"].as_str().unwrap().contains("@sha256:"));
}

#[tokio::test]
async fn revisions_come_in_pages_and_in_no_order() {
    let deployments =
        ["r1", "r2", "r3", "r4", "r5"].map(|name| named(name, sample(Behaviour::Fixed))).to_vec();
    let emulator = with(EmulatorOptions { page_size: 2, ..options() }, deployments).await;
    let (mut names, mut times, mut pages, mut token) = (vec![], vec![], 0, String::new());
    loop {
        let page = get(&emulator, &format!("services/demo/revisions?pageSize=50&pageToken={token}")).await;
        for revision in page["revisions"].as_array().unwrap() {
            names.push(revision["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned());
            times.push(revision["createTime"].as_str().unwrap().to_owned());
        }
        pages += 1;
        let Some(next) = page["nextPageToken"].as_str() else { break };
        token = next.to_owned();
    }
    assert_eq!(pages, 3);
    assert!(!times.is_sorted() && !times.iter().rev().is_sorted());
    names.sort();
    assert_eq!(names, ["r1", "r2", "r3", "r4", "r5"]);
    assert_eq!(call(&emulator, "GET", "services/demo/revisions?pageToken=x", None).await.0, 400);
}

#[tokio::test]
async fn a_traffic_write_is_an_operation_and_makes_no_revision() {
    let emulator = two().await;
    let before = get(&emulator, "services/demo").await;
    let body = json!({"etag": before["etag"], "traffic": [share("demo-a", 90), share("demo-b", 10)]});
    let (status, operation) = call(&emulator, "PATCH", PATCH, Some(body)).await;
    assert_eq!(status, 200);
    assert!(operation.get("done").is_none());
    assert_eq!(operation["metadata"]["reconciling"], true);
    assert_eq!(operation["metadata"]["@type"], "type.googleapis.com/google.cloud.run.v2.Service");
    assert_ne!(operation["metadata"]["generation"], operation["metadata"]["observedGeneration"]);
    let done = finished(&emulator, &operation).await;
    assert_eq!(done["response"]["trafficStatuses"], json!([share("demo-a", 90), share("demo-b", 10)]));
    let after = get(&emulator, "services/demo").await;
    assert_eq!(after["observedGeneration"], after["generation"]);
    assert_ne!(after["etag"], before["etag"]);
    assert_eq!(get(&emulator, "services/demo/revisions").await["revisions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_stale_etag_is_a_conflict_in_the_real_words() {
    let emulator = two().await;
    let stale = get(&emulator, "services/demo").await["etag"].clone();
    let body = json!({"traffic": [share("demo-b", 100)]});
    assert_eq!(call(&emulator, "PATCH", PATCH, Some(body.clone())).await.0, 200, "no etag, no condition");
    let body = json!({"etag": stale, "traffic": body["traffic"]});
    let (status, error) = call(&emulator, "PATCH", PATCH, Some(body)).await;
    assert_eq!((status, &error["error"]["status"]), (409, &json!("ABORTED")));
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("Conflict for resource 'demo': version '1795"), "{message}");
    assert!(message.contains("was specified but current version is '1795"), "{message}");
}

#[tokio::test]
async fn what_the_api_refuses_at_once() {
    let emulator = two().await;
    for traffic in [
        json!([share("demo-a", 99)]),
        json!([share("demo-a", 100), {"revision": "demo-b", "tag": "x"}, {"revision": "demo-a", "tag": "x"}]),
        json!([{"type": 7, "percent": 100}]),
    ] {
        let (status, error) = call(&emulator, "PATCH", PATCH, Some(json!({"traffic": traffic}))).await;
        assert_eq!((status, &error["error"]["status"]), (400, &json!("INVALID_ARGUMENT")), "{error}");
    }
    let (status, error) =
        call(&emulator, "PATCH", "services/demo?updateMask=nonsense", Some(json!({}))).await;
    assert_eq!(status, 400, "{error}");
    let echo = get(&emulator, "services/demo").await;
    let (status, error) = call(&emulator, "PATCH", "services/demo", Some(echo)).await;
    assert_eq!((status, &error["error"]["status"]), (409, &json!("ALREADY_EXISTS")), "{error}");
    let (status, error) = call(&emulator, "GET", "services/nope", None).await;
    let expected =
        "Resource 'nope' of kind 'SERVICE' in region 'us-central1' in project 'demo-project' does not exist.";
    assert_eq!((status, &error["error"]["message"]), (404, &json!(expected)));
}

#[tokio::test]
async fn enums_may_be_numbers_and_validate_only_changes_nothing() {
    let emulator = two().await;
    let traffic = json!([{"type": 2, "revision": "demo-b", "percent": 100}]);
    let dry = format!("{PATCH}&validateOnly=true");
    let (status, operation) = call(&emulator, "PATCH", &dry, Some(json!({"traffic": traffic}))).await;
    assert_eq!((status, &operation["done"]), (200, &json!(true)));
    assert_eq!(get(&emulator, "services/demo").await["traffic"][0], share("demo-a", 100));
    let (_, operation) = call(&emulator, "PATCH", PATCH, Some(json!({"traffic": traffic}))).await;
    let done = finished(&emulator, &operation).await;
    assert_eq!(done["response"]["traffic"], json!([share("demo-b", 100)]));
}

#[tokio::test]
async fn an_unknown_revision_fails_later() {
    let emulator = two().await;
    let body = json!({"traffic": [share("demo-gone", 100)]});
    let (status, operation) = call(&emulator, "PATCH", PATCH, Some(body)).await;
    assert_eq!(status, 200);
    let done = finished(&emulator, &operation).await;
    assert_eq!(done["error"]["code"], 13);
    let text = "Revision 'demo-gone' does not exist or is deleted. Update all traffic to route to currently available revisions.";
    assert_eq!(done["error"]["message"], text);
    let service = get(&emulator, "services/demo").await;
    assert_eq!(service["trafficStatuses"][0], share("demo-a", 100), "the old split stays");
    assert_eq!(service["terminalCondition"]["state"], "CONDITION_FAILED");
}

#[tokio::test]
async fn create_and_template_writes_make_revisions() {
    let emulator = two().await;
    let template = json!({"containers": [{"image": "example.com/app:1"}]});
    let (status, operation) =
        call(&emulator, "POST", "services?serviceId=other", Some(json!({"template": template}))).await;
    assert_eq!(status, 200, "{operation}");
    finished(&emulator, &operation).await;
    assert_eq!(get(&emulator, "services/other/revisions").await["revisions"].as_array().unwrap().len(), 1);
    let (status, _) =
        call(&emulator, "POST", "services?serviceId=other", Some(json!({"template": template}))).await;
    assert_eq!(status, 409);
    let mask = "services/demo?updateMask=template";
    let (_, operation) = call(&emulator, "PATCH", mask, Some(json!({"template": template}))).await;
    let done = finished(&emulator, &operation).await;
    assert_ne!(done["response"]["latestCreatedRevision"], json!("demo-b"));
    assert_eq!(get(&emulator, "services/demo/revisions").await["revisions"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn refusals_quota_and_tokens() {
    let emulator = two().await;
    let fault = |status| ApiStatus { method: "services.get".into(), status, times: Some(1) };
    faults(&emulator, |faults| faults.api_status = vec![fault(403), fault(429), fault(503)]);
    let (status, error) = call(&emulator, "GET", "services/demo", None).await;
    let text = "Permission 'run.services.get' denied on resource 'projects/demo-project/locations/us-central1/services/demo' (or resource may not exist).";
    assert_eq!((status, &error["error"]["message"]), (403, &json!(text)));
    let (status, error) = call(&emulator, "GET", "services/demo", None).await;
    assert_eq!((status, &error["error"]["details"][0]["reason"]), (429, &json!("RATE_LIMIT_EXCEEDED")));
    assert_eq!(call(&emulator, "GET", "services/demo", None).await.0, 503);
    assert_eq!(call(&emulator, "GET", "services/demo", None).await.0, 200, "used up");
    emulator.set_faults(Faults { api_token: Some("right".into()), ..Faults::default() });
    let (status, error) = call(&emulator, "GET", "services/demo", None).await;
    assert_eq!((status, &error["error"]["status"]), (401, &json!("UNAUTHENTICATED")));
    let url = format!("{}{}", emulator.api_endpoint(), super::support::path("services/demo"));
    let told = reqwest::Client::new().get(url).bearer_auth("right").send().await.unwrap();
    assert_eq!(told.status(), 200);
}

#[tokio::test]
async fn iam_calls() {
    let emulator = two().await;
    let members = |policy: Value| policy["bindings"][0]["members"][0].clone();
    assert_eq!(members(get(&emulator, "services/demo:getIamPolicy").await), "allUsers");
    faults(&emulator, |faults| {
        faults.private = true;
        faults.denied_permissions = vec!["run.services.update".into()];
    });
    assert_ne!(members(get(&emulator, "services/demo:getIamPolicy").await), "allUsers");
    let asked = json!({"permissions": ["run.services.get", "run.services.update"]});
    let (_, granted) = call(&emulator, "POST", "services/demo:testIamPermissions", Some(asked)).await;
    assert_eq!(granted, json!({"permissions": ["run.services.get"]}));
    assert_eq!(call(&emulator, "PATCH", PATCH, Some(json!({}))).await.0, 403);
}

#[tokio::test]
async fn another_writer_comes_before_or_after() {
    let emulator = two().await;
    faults(&emulator, |faults| faults.foreign_writer = 1);
    let service = get(&emulator, "services/demo").await;
    let body = json!({"etag": service["etag"], "traffic": [share("demo-b", 100)]});
    assert_eq!(call(&emulator, "PATCH", PATCH, Some(body)).await.0, 409);
    settled(&emulator).await;
    let moved = get(&emulator, "services/demo").await;
    assert_eq!(moved["traffic"][0], share("demo-a", 90), "the other writer's write stands");
    assert_eq!(moved["lastModifier"], "someone-else@example.com");

    faults(&emulator, |faults| faults.foreign_writer_after = 1);
    let body = json!({"etag": moved["etag"], "traffic": [share("demo-b", 100)]});
    let (status, _) = call(&emulator, "PATCH", PATCH, Some(body)).await;
    assert_eq!(status, 200);
    settled(&emulator).await;
    let after = get(&emulator, "services/demo").await;
    let generation = |service: &Value| service["generation"].as_str().unwrap().parse::<u64>().unwrap();
    assert_eq!(generation(&after), generation(&moved) + 2);
    assert_eq!(after["traffic"][0], share("demo-b", 90));
}

#[tokio::test]
async fn a_lost_reply_took_effect() {
    let emulator = two().await;
    faults(&emulator, |faults| faults.lost_reply = 1);
    let url = format!("{}{}", emulator.api_endpoint(), super::support::path(PATCH));
    let body = json!({"traffic": [share("demo-b", 100)]});
    let sent = reqwest::Client::new().patch(url).json(&body).send().await;
    assert!(sent.is_err(), "the reply is lost: {sent:?}");
    settled(&emulator).await;
    assert_eq!(get(&emulator, "services/demo").await["traffic"], json!([share("demo-b", 100)]));
}

#[tokio::test]
async fn a_revision_may_stay_pending_or_fail() {
    let emulator = with(options(), vec![named("demo-a", sample(Behaviour::Fixed))]).await;
    let pending =
        Deployment { pending_for: std::time::Duration::MAX, ..named("demo-b", sample(Behaviour::Fixed)) };
    emulator.deploy(pending).await.unwrap();
    let revision = get(&emulator, "services/demo/revisions/demo-b").await;
    assert_eq!(revision["conditions"][0]["state"], "CONDITION_RECONCILING");
    faults(&emulator, |faults| faults.fail_revision = Some("the container said no".into()));
    emulator.deploy(named("demo-c", sample(Behaviour::Fixed))).await.unwrap();
    settled(&emulator).await;
    let ready = &get(&emulator, "services/demo/revisions/demo-c").await["conditions"][0];
    assert_eq!(ready["state"], "CONDITION_FAILED");
    assert_eq!(ready["revisionReason"], "HEALTH_CHECK_CONTAINER_ERROR");
    assert_eq!(ready["message"], "the container said no");
    let service = get(&emulator, "services/demo").await;
    assert!(service["latestReadyRevision"].as_str().unwrap().ends_with("demo-a"));
    assert!(service["latestCreatedRevision"].as_str().unwrap().ends_with("demo-c"));
}

#[tokio::test]
async fn absolute_form_targets_are_routed_by_path_and_connect_is_refused() {
    let emulator = two().await;
    let authority = emulator.api_endpoint().replace("http://", "");
    for (line, expected) in [
        (
            format!("GET http://us-central1-127.0.0.1:80{} HTTP/1.1", super::support::path("services/demo")),
            "200",
        ),
        ("CONNECT run.googleapis.com:443 HTTP/1.1".to_owned(), "400"),
    ] {
        let mut stream = tokio::net::TcpStream::connect(&authority).await.unwrap();
        let sent = format!("{line}\r\nHost: us-central1-127.0.0.1\r\nConnection: close\r\n\r\n");
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), format!("HTTP/1.1 {expected}"));
    }
}

#[tokio::test]
async fn the_control_endpoint_deploys_and_tells() {
    let emulator = two().await;
    let client = reqwest::Client::new();
    let url = |tail: &str| format!("{}/__emulator/{tail}", emulator.api_endpoint());
    let entry = json!({"name": "demo-c", "behaviour": "close-1011", "tag": "late", "created_minutes_ago": 5});
    let told: Value = client.post(url("deploy")).json(&entry).send().await.unwrap().json().await.unwrap();
    assert_eq!(told, json!({"revision": "demo-c"}));
    settled(&emulator).await;
    let refused = client.post(url("deploy")).json(&json!({"behavior": "x"})).send().await.unwrap();
    assert_eq!(refused.status(), 400);
    client.post(url("faults")).json(&json!({"private": true})).send().await.unwrap();
    assert!(emulator.faults().private);
    let state: Value = client.get(url("state")).send().await.unwrap().json().await.unwrap();
    assert_eq!(state["services"]["demo"]["revisions"].as_array().unwrap().len(), 3);
    assert!(emulator.requests().is_empty(), "its own endpoints are not among the requests");
}

#[tokio::test]
async fn tags_are_removed_under_us() {
    let emulator = two().await;
    faults(&emulator, |faults| faults.tag_removed_under_us = std::time::Duration::from_millis(1));
    let traffic = json!([share("demo-a", 100), {"revision": "demo-b", "tag": "gate"}]);
    call(&emulator, "PATCH", PATCH, Some(json!({"traffic": traffic}))).await;
    eventually("the tag goes", || async {
        let service = get(&emulator, "services/demo").await;
        service["trafficStatuses"] == json!([share("demo-a", 100)])
    })
    .await;
}
