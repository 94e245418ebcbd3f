//! Checks of what the API's answers look like, as Google documents it and its clients read it.

use serde_json::{Value, json};

use super::{
    checks::{condition, finished, long_operation, traffic},
    proxy::Api,
};

/// 64-bit integers are text in JSON, on v2.
pub(crate) async fn large_integers_are_text(api: &Api) {
    let service = api.good("GET", "services/demo", None).await;
    for member in ["generation", "observedGeneration"] {
        assert!(service[member].is_string(), "{member} is text: {}", service[member]);
    }
}

/// Every enum is one of its documented names, or its number.
pub(crate) async fn enums_have_their_documented_names(api: &Api) {
    let service = api.good("GET", "services/demo", None).await;
    let known = |value: &Value, names: &[&str]| value.as_str().is_some_and(|name| names.contains(&name));
    let kinds = ["TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"];
    for target in
        [&service["traffic"], &service["trafficStatuses"]].into_iter().filter_map(Value::as_array).flatten()
    {
        assert!(known(&target["type"], &kinds), "the type of a target: {target}");
    }
    let states = ["CONDITION_PENDING", "CONDITION_RECONCILING", "CONDITION_FAILED", "CONDITION_SUCCEEDED"];
    let conditions = service["conditions"].as_array().unwrap().iter().chain([&service["terminalCondition"]]);
    for condition in conditions {
        assert!(known(&condition["state"], &states), "the state of a condition: {condition}");
    }
}

/// A target without a share says nothing about it, on both APIs.
pub(crate) async fn a_share_of_zero_is_absent(api: &Api) {
    let v2 = api.good("GET", "services/demo", None).await;
    let v1 = api.good_v1("GET", "services/demo", None).await;
    for targets in [&v2["traffic"], &v2["trafficStatuses"], &v1["spec"]["traffic"], &v1["status"]["traffic"]]
    {
        let tagged = targets.as_array().unwrap().iter().find(|target| target["tag"] == "candidate").unwrap();
        assert_eq!(tagged.get("percent"), None, "a share of zero has no member: {tagged}");
    }
}

/// A tag in the effective traffic has the URL that pipelines probe.
pub(crate) async fn a_tag_has_its_url(api: &Api) {
    let v2 = api.good("GET", "services/demo", None).await;
    let v1 = api.good_v1("GET", "services/demo", None).await;
    for (targets, member) in [(&v2["trafficStatuses"], "uri"), (&v1["status"]["traffic"], "url")] {
        let tagged = targets.as_array().unwrap().iter().find(|target| target["tag"] == "candidate").unwrap();
        let url = tagged[member].as_str().unwrap_or_default();
        assert!(url.starts_with("http"), "the tag has a URL in {member}: {tagged}");
        assert_eq!(reqwest::get(url).await.unwrap().status(), 200, "{url} answers");
    }
}

/// v2 names the newest revisions in full, and its targets in short.
pub(crate) async fn revisions_are_named_in_full_and_in_short(api: &Api) {
    let service = api.good("GET", "services/demo", None).await;
    let full = "projects/demo-project/locations/us-central1/services/demo/revisions/demo-b";
    assert_eq!(service["latestReadyRevision"], full, "the full name");
    assert_eq!(service["latestCreatedRevision"], full, "the full name");
    assert_eq!(service["traffic"][1]["revision"], "demo-b", "the short name");
}

/// v1 names the conditions by which gcloud shows its stages.
pub(crate) async fn conditions_have_their_names(api: &Api) {
    let service = api.good_v1("GET", "services/demo", None).await;
    for kind in ["Ready", "ConfigurationsReady", "RoutesReady"] {
        assert_eq!(condition(&service, kind), Some("True"), "the condition {kind}: {}", service["status"]);
    }
}

/// A write of v1 names its operation, which can be waited for.
pub(crate) async fn a_write_names_an_operation_to_wait_for(api: &Api) {
    let mut service = api.good_v1("GET", "services/demo", None).await;
    service["spec"]["traffic"] = json!([{"revisionName": "demo-b", "percent": 100}]);
    let written = api.good_v1("PUT", "services/demo", Some(&service)).await;
    let id = written["metadata"]["annotations"]["run.googleapis.com/operation-id"].as_str();
    let id = id.expect("a write names its operation");
    let path = format!("/v1/projects/demo-project/locations/us-central1/operations/{id}:wait");
    let (status, done) = api.call("POST", &path, Some(&json!({"timeout": "30s"}))).await;
    assert_eq!((status, &done["done"]), (200, &json!(true)), "the operation can be waited for: {done}");
    assert_eq!(
        done["response"]["@type"], "type.googleapis.com/google.cloud.run.v1.Service",
        "the response names its type"
    );
}

/// What is being reconciled says so by its generations, and catches up with itself.
pub(crate) async fn a_write_is_observed_later(api: &Api) {
    let mut service = api.good_v1("GET", "services/demo", None).await;
    service["spec"]["traffic"] = json!([{"revisionName": "demo-b", "percent": 100}]);
    let written = api.good_v1("PUT", "services/demo", Some(&service)).await;
    let generation = written["metadata"]["generation"].as_i64().unwrap();
    assert_eq!(written["status"]["observedGeneration"], generation - 1, "not yet observed");
    assert_eq!(condition(&written, "Ready"), Some("Unknown"), "not yet ready");
    assert_eq!(written["status"]["traffic"][0]["revisionName"], "demo-a", "the old split still serves");
    api.emulator.settled().await;
    let after = api.good_v1("GET", "services/demo", None).await;
    assert_eq!(after["status"]["observedGeneration"], generation, "observed in the end");
    assert_eq!(after["status"]["traffic"][0]["revisionName"], "demo-b", "the new split serves");
}

/// An operation of v2 says of what type its contents are, and ends with them.
pub(crate) async fn an_operation_has_typed_contents(api: &Api) {
    let body = traffic(&[("demo-b", 100, None)]);
    let operation = api.good("PATCH", "services/demo?updateMask=traffic", Some(&body)).await;
    assert!(long_operation(&operation), "a write gives an operation: {operation}");
    let done = finished(api, &operation).await;
    for member in ["metadata", "response"] {
        let kind = &done[member]["@type"];
        assert_eq!(kind, "type.googleapis.com/google.cloud.run.v2.Service", "the type of the {member}");
    }
}

/// An error names its code, its status and a message, under `error`.
pub(crate) async fn an_error_has_code_status_and_message(api: &Api) {
    let (status, body) = api.v2("GET", "services/nowhere", None).await;
    let words = "Resource 'nowhere' of kind 'SERVICE' in region 'us-central1' in project 'demo-project' does not exist.";
    let error = json!({"error": {"code": 404, "message": words, "status": "NOT_FOUND"}});
    assert_eq!((status, body), (404, error), "an error as Google writes it");
}

/// A list names every item once.
pub(crate) async fn a_list_is_whole(api: &Api) {
    let list = api.good("GET", "services/demo/revisions", None).await;
    let mut names: Vec<&str> =
        list["revisions"].as_array().unwrap().iter().map(|found| found["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    let short: Vec<&str> = names.iter().map(|name| name.rsplit('/').next().unwrap()).collect();
    assert_eq!(short, ["demo-a", "demo-b"], "every revision is in the list");
    let list = api.good_v1("GET", "revisions", None).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2, "every revision is in the list of v1");
    assert_eq!(list["kind"], "RevisionList", "a list names its kind");
}

/// v1 speaks of a project by its number, and of times in UTC.
pub(crate) async fn a_namespace_is_the_projects_number(api: &Api) {
    let service = api.good_v1("GET", "services/demo", None).await;
    assert_eq!(service["metadata"]["namespace"], "123456789012", "the namespace is the number");
    let created = service["metadata"]["creationTimestamp"].as_str().unwrap();
    assert!(created.ends_with('Z') && created.contains('T'), "a time in UTC: {created}");
}
