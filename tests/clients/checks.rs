//! Checks of what the API does, over plain HTTP: conditions, masks, selectors, pages, dry runs, failures.

use revgate::emulator::{Behaviour, Deployment, SampleBackend, Workload};
use serde_json::{Value, json};

use super::{proxy::Api, support::emulator};

/// Two healthy revisions: `demo-a` with all traffic, `demo-b` with the tag `candidate`.
pub(crate) async fn two() -> revgate::emulator::Emulator {
    let emulator = emulator().await;
    for (name, tag) in [("demo-a", None), ("demo-b", Some("candidate"))] {
        let sample = Workload::Sample(SampleBackend::new(Behaviour::Fixed));
        let deployment = Deployment {
            revision: Some(name.to_owned()),
            tag: tag.map(str::to_owned),
            ..Deployment::new(sample)
        };
        emulator.deploy(deployment).await.unwrap();
        emulator.settled().await;
    }
    emulator
}

/// A body of v2 that says where the traffic goes: revision, share and tag.
pub(crate) fn traffic(targets: &[(&str, u32, Option<&str>)]) -> Value {
    let target = |(revision, percent, tag): &(&str, u32, Option<&str>)| {
        let mut target = json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": revision});
        if *percent > 0 {
            target["percent"] = json!(percent);
        }
        if let Some(tag) = tag {
            target["tag"] = json!(tag);
        }
        target
    };
    json!({"traffic": targets.iter().map(target).collect::<Vec<_>>()})
}

/// The status of a condition of v1.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    let all = object["status"]["conditions"].as_array()?;
    all.iter().find(|condition| condition["type"] == kind)?["status"].as_str()
}

/// True for what names an operation of the location.
pub(crate) fn long_operation(value: &Value) -> bool {
    value["name"].as_str().is_some_and(|name| name.contains("/locations/us-central1/operations/"))
}

/// The operation of v2 at its end.
pub(crate) async fn finished(api: &Api, operation: &Value) -> Value {
    let path = format!("/v2/{}:wait", operation["name"].as_str().expect("an operation has a name"));
    let (status, done) = api.call("POST", &path, Some(&json!({"timeout": "30s"}))).await;
    assert_eq!((status, &done["done"]), (200, &json!(true)), "the operation ends: {done}");
    done
}

/// Who writes what he has read before another wrote is refused.
pub(crate) async fn a_stale_etag_is_a_conflict(api: &Api) {
    let mut service = api.good("GET", "services/demo", None).await;
    service["traffic"] =
        traffic(&[("demo-a", 90, None), ("demo-b", 10, Some("candidate"))])["traffic"].clone();
    api.good("PATCH", "services/demo?updateMask=traffic", Some(&service)).await;
    let (status, error) = api.v2("PATCH", "services/demo?updateMask=traffic", Some(&service)).await;
    assert_eq!((status, &error["error"]["status"]), (409, &json!("ABORTED")), "a stale etag: {error}");
}

/// The same with the `resourceVersion` of v1.
pub(crate) async fn a_stale_resource_version_is_a_conflict(api: &Api) {
    let service = api.good_v1("GET", "services/demo", None).await;
    api.good_v1("PUT", "services/demo", Some(&service)).await;
    let (status, error) = api.v1("PUT", "services/demo", Some(&service)).await;
    assert_eq!((status, &error["error"]["status"]), (409, &json!("ABORTED")), "a stale version: {error}");
}

/// And with the etag of a policy.
pub(crate) async fn a_stale_policy_is_a_conflict(api: &Api) {
    let policy = api.good("GET", "services/demo:getIamPolicy", None).await;
    let body = json!({"policy": policy});
    api.good("POST", "services/demo:setIamPolicy", Some(&body)).await;
    let (status, error) = api.v2("POST", "services/demo:setIamPolicy", Some(&body)).await;
    assert_eq!((status, &error["error"]["status"]), (409, &json!("ABORTED")), "a stale policy: {error}");
}

/// A selector leaves out the revisions of other services.
pub(crate) async fn a_label_selects(api: &Api) {
    let list =
        api.good_v1("GET", "revisions?labelSelector=serving.knative.dev/service%20=%20other", None).await;
    assert_eq!(list.get("items"), None, "revisions of another service are left out");
    let list =
        api.good_v1("GET", "revisions?labelSelector=serving.knative.dev/service%20=%20demo", None).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2, "those of the service are there");
}

/// `validateOnly` says what would be, and changes nothing.
pub(crate) async fn validate_only_changes_nothing(api: &Api) {
    let body = traffic(&[("demo-b", 100, None)]);
    api.good("PATCH", "services/demo?updateMask=traffic&validateOnly=true", Some(&body)).await;
    api.emulator.settled().await;
    let service = api.good("GET", "services/demo", None).await;
    assert_eq!(service["traffic"][0]["revision"], "demo-a", "nothing was written");
}

/// `dryRun=all` is the same on v1.
pub(crate) async fn a_dry_run_changes_nothing(api: &Api) {
    let mut service = api.good_v1("GET", "services/demo", None).await;
    service["spec"]["traffic"] = json!([{"revisionName": "demo-b", "percent": 100}]);
    let told = api.good_v1("PUT", "services/demo?dryRun=all", Some(&service)).await;
    assert_eq!(told["spec"]["traffic"], service["spec"]["traffic"], "it says what would be");
    let after = api.good_v1("GET", "services/demo", None).await;
    assert_eq!(after["spec"]["traffic"][0]["revisionName"], "demo-a", "nothing was written");
}

/// What the mask does not name stays as it is, whatever the body says.
pub(crate) async fn a_mask_keeps_the_rest(api: &Api) {
    let mut body = api.good("GET", "services/demo", None).await;
    let image = body["template"]["containers"][0]["image"].clone();
    body["template"]["containers"][0]["image"] = json!("never:deployed");
    body["template"].as_object_mut().unwrap().remove("revision");
    let operation = api.good("PATCH", "services/demo?updateMask=traffic", Some(&body)).await;
    let done = finished(api, &operation).await;
    assert_eq!(done["response"]["template"]["containers"][0]["image"], image, "the template is kept");
}

/// A missing service is made only where the caller allows it.
pub(crate) async fn a_missing_service_is_made_where_allowed(api: &Api) {
    let body = json!({"template": {"containers": [{"image": "app:1"}]}});
    assert_eq!(api.v2("PATCH", "services/fresh", Some(&body)).await.0, 404, "it is missing");
    let (status, made) = api.v2("PATCH", "services/fresh?allowMissing=true", Some(&body)).await;
    assert_eq!(status, 200, "it may be missing: {made}");
}

/// A page holds no more than was asked for, and the token leads to the rest.
pub(crate) async fn pages_follow_each_other(api: &Api) {
    let first = api.good("GET", "services/demo/revisions?pageSize=1", None).await;
    assert_eq!(first["revisions"].as_array().unwrap().len(), 1, "one on a page");
    let token = first["nextPageToken"].as_str().expect("the page names the next");
    let tail = format!("services/demo/revisions?pageSize=1&pageToken={token}");
    let second = api.good("GET", &tail, None).await;
    assert_ne!(second["revisions"][0]["name"], first["revisions"][0]["name"], "the next page is another");
    assert_eq!(second.get("nextPageToken"), None, "the last page names no next");
}

/// The same with `limit` and `continue` on v1.
pub(crate) async fn a_list_continues(api: &Api) {
    let first = api.good_v1("GET", "revisions?limit=1", None).await;
    assert_eq!(first["items"].as_array().unwrap().len(), 1, "one on a page");
    let token = first["metadata"]["continue"].as_str().expect("the list says where it continues");
    let second = api.good_v1("GET", &format!("revisions?limit=1&continue={token}"), None).await;
    let name = |list: &Value| list["items"][0]["metadata"]["name"].clone();
    assert_ne!(name(&second), name(&first), "the next page is another");
}

/// Enums of a request may be numbers, as Google's Python client sends them.
pub(crate) async fn enums_of_a_request_may_be_numbers(api: &Api) {
    let body = json!({"traffic": [{"type": 2, "revision": "demo-b", "percent": 100}]});
    let (status, answer) = api.v2("PATCH", "services/demo?updateMask=traffic", Some(&body)).await;
    assert_eq!(status, 200, "a number for a type: {answer}");
    let done = finished(api, &answer).await;
    assert_eq!(done["response"]["traffic"][0]["revision"], "demo-b", "it means a revision");
}

/// Shares that are not a hundred are refused at once.
pub(crate) async fn shares_sum_to_a_hundred(api: &Api) {
    let body = traffic(&[("demo-a", 60, None), ("demo-b", 30, None)]);
    let (status, error) = api.v2("PATCH", "services/demo?updateMask=traffic", Some(&body)).await;
    assert_eq!(
        (status, &error["error"]["status"]),
        (400, &json!("INVALID_ARGUMENT")),
        "a sum of 90: {error}"
    );
}

/// Traffic for a revision that there is not fails behind its operation, and the old split stays.
pub(crate) async fn a_missing_revision_fails_later(api: &Api) {
    let body = traffic(&[("demo-none", 100, None)]);
    let operation = api.good("PATCH", "services/demo?updateMask=traffic", Some(&body)).await;
    let done = finished(api, &operation).await;
    assert_eq!(done["error"]["code"], 13, "the operation fails: {done}");
    let service = api.good("GET", "services/demo", None).await;
    assert_eq!(service["terminalCondition"]["state"], "CONDITION_FAILED", "the service says so");
    assert_eq!(service["trafficStatuses"][0]["revision"], "demo-a", "the old split serves");
}

/// A revision that does not start is the newest created, not the newest ready, and its service is not ready.
pub(crate) async fn a_revision_that_does_not_start_fails_its_service(api: &Api) {
    let body = json!({"template": {"containers": [{"image": "app:broken"}]}});
    let operation = api.good("PATCH", "services/demo?updateMask=template", Some(&body)).await;
    let done = finished(api, &operation).await;
    assert_eq!(done["error"]["code"], 9, "the operation fails: {done}");
    let service = api.good("GET", "services/demo", None).await;
    let state = |condition: &Value| condition["state"].clone();
    assert_eq!(state(&service["terminalCondition"]), "CONDITION_FAILED", "the service is not ready");
    let ready = service["latestReadyRevision"].as_str().unwrap();
    assert!(ready.ends_with("/demo-b"), "the newest ready one is the old one: {ready}");
    let broken = service["latestCreatedRevision"].as_str().unwrap().rsplit('/').next().unwrap();
    let revision = api.good("GET", &format!("services/demo/revisions/{broken}"), None).await;
    let conditions = revision["conditions"].as_array().unwrap();
    let condition = conditions.iter().find(|condition| condition["type"] == "Ready").unwrap();
    assert_eq!(state(condition), "CONDITION_FAILED", "the revision is not ready");
}

/// A filter leaves entries out, and the order is the one that was asked for.
pub(crate) async fn entries_are_filtered_and_ordered(api: &Api) {
    let texts = ["first", "second", "third"];
    let entry = |(at, text): (usize, &&str)| {
        json!({
            "logName": "projects/demo-project/logs/check", "resource": {"type": "global"},
            "textPayload": text, "timestamp": format!("2026-11-23T10:00:0{at}Z"),
        })
    };
    let entries: Vec<Value> = texts.iter().enumerate().map(entry).collect();
    let (status, body) = api.call("POST", "/v2/entries:write", Some(&json!({"entries": entries}))).await;
    assert_eq!(status, 200, "{body}");
    let list = async |filter: &str, order: &str| {
        let body = json!({"resourceNames": ["projects/demo-project"], "filter": filter, "orderBy": order});
        let (status, list) = api.call("POST", "/v2/entries:list", Some(&body)).await;
        assert_eq!(status, 200, "{list}");
        let entries = list["entries"].as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .map(|entry| entry["textPayload"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    let all = "logName=\"projects/demo-project/logs/check\"";
    assert_eq!(list(all, "timestamp asc").await, texts, "the oldest first");
    assert_eq!(list(all, "timestamp desc").await, ["third", "second", "first"], "the newest first");
    let one = format!("{all} AND textPayload=\"second\"");
    assert_eq!(list(&one, "timestamp asc").await, ["second"], "the filter holds");
}

/// What serves stays, and a service that is deleted is gone behind its operation.
pub(crate) async fn what_serves_is_not_deleted(api: &Api) {
    let (status, error) = api.v2("DELETE", "services/demo/revisions/demo-a", None).await;
    assert_eq!(
        (status, &error["error"]["status"]),
        (400, &json!("FAILED_PRECONDITION")),
        "it serves: {error}"
    );
    let operation = api.good("DELETE", "services/demo", None).await;
    let done = finished(api, &operation).await;
    assert_eq!(done["response"]["name"], "projects/demo-project/locations/us-central1/services/demo");
    assert_eq!(api.v2("GET", "services/demo", None).await.0, 404, "the service is gone");
}
