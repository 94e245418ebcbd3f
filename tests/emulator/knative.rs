//! The Admin API v1, which is what gcloud uses, and that it shows the same services as v2.

use std::time::Duration;

use revgate::emulator::{Behaviour, Emulator, EmulatorOptions};
use serde_json::{Value, json};

use super::{
    state::{VERSION_1, end, kept_in, start},
    support::{call, eventually, get, named, options, path, sample, settled, two, with},
};

const SERVICE: &str = "/apis/serving.knative.dev/v1/namespaces/demo-project/services/demo";
const REVISIONS: &str = "/apis/serving.knative.dev/v1/namespaces/123456789012/revisions";

/// Calls any path of the API; gives status and body.
async fn raw(emulator: &Emulator, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let url = format!("{}{path}", emulator.api_endpoint());
    let mut request = reqwest::Client::new().request(method.parse().unwrap(), url);
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn read(emulator: &Emulator, path: &str) -> Value {
    let (status, body) = raw(emulator, "GET", path, None).await;
    assert_eq!(status, 200, "{body}");
    body
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    let all = object["status"]["conditions"].as_array().unwrap();
    all.iter().find(|condition| condition["type"] == kind).unwrap()["status"].as_str().unwrap()
}

#[tokio::test]
async fn both_apis_show_one_service() {
    let emulator = two().await;
    let (v1, v2) = (read(&emulator, SERVICE).await, get(&emulator, "services/demo").await);
    assert_eq!((&v1["kind"], &v1["metadata"]["namespace"]), (&json!("Service"), &json!("123456789012")));
    assert_eq!(v1["metadata"]["uid"], v2["uid"]);
    assert_eq!(v1["metadata"]["generation"], 2, "32-bit integers are numbers");
    assert_eq!(v2["generation"], "2");
    assert_eq!(
        v1["spec"]["traffic"],
        json!([
            {"revisionName": "demo-a", "percent": 100}, {"revisionName": "demo-b", "tag": "candidate"},
        ])
    );
    assert_eq!(v1["status"]["traffic"][1]["url"], v2["trafficStatuses"][1]["uri"]);
    assert_eq!((&v1["status"]["url"], &v1["status"]["address"]["url"]), (&v2["uri"], &v2["uri"]));
    let urls = v1["metadata"]["annotations"]["run.googleapis.com/urls"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(urls).unwrap(), v2["urls"]);
    assert_eq!(
        v1["spec"]["template"]["spec"]["containerConcurrency"],
        v2["template"]["maxInstanceRequestConcurrency"]
    );
    assert!(v2["template"].get("annotations").is_none(), "v2 hides the platform's own");
    let revision = read(&emulator, &format!("{REVISIONS}/demo-b")).await;
    let same = get(&emulator, "services/demo/revisions/demo-b").await;
    assert_eq!(revision["metadata"]["uid"], same["uid"]);
    assert_eq!(revision["status"]["imageDigest"], same["containerStatuses"][0]["imageDigest"]);
    assert_eq!(revision["metadata"]["labels"]["serving.knative.dev/route"], "demo");
    let digits = same["logUri"].as_str().unwrap();
    assert!(digits.contains("revision_name/demo-b"));
}

#[tokio::test]
async fn a_write_is_reconciled_behind_its_operation() {
    let emulator = two().await;
    let mut service = read(&emulator, SERVICE).await;
    let old = service["metadata"]["annotations"]["run.googleapis.com/operation-id"].clone();
    service["spec"]["traffic"] = json!([{"revisionName": "demo-b", "percent": 100}]);
    let (status, written) = raw(&emulator, "PUT", SERVICE, Some(&service)).await;
    assert_eq!((status, &written["metadata"]["generation"]), (200, &json!(3)));
    assert_eq!(written["status"]["observedGeneration"], 2);
    assert_eq!((condition(&written, "Ready"), condition(&written, "RoutesReady")), ("Unknown", "Unknown"));
    assert_eq!(condition(&written, "ConfigurationsReady"), "True");
    assert_eq!(
        written["status"]["traffic"][0]["revisionName"], "demo-a",
        "the old split, until it is reconciled"
    );
    let id = written["metadata"]["annotations"]["run.googleapis.com/operation-id"].as_str().unwrap();
    assert_ne!(id, old);
    let wait = format!("/v1/projects/demo-project/locations/us-central1/operations/{id}:wait");
    let (status, done) = raw(&emulator, "POST", &wait, Some(&json!({"timeout": "30s"}))).await;
    assert_eq!((status, &done["done"]), (200, &json!(true)));
    assert_eq!(done["response"]["@type"], "type.googleapis.com/google.cloud.run.v1.Service");
    assert_eq!(done["response"]["status"]["traffic"], json!([{"revisionName": "demo-b", "percent": 100}]));
    assert_eq!(condition(&done["response"], "Ready"), "True");
    let v2 = get(&emulator, &format!("operations/{id}")).await;
    assert_eq!(v2["response"]["@type"], "type.googleapis.com/google.cloud.run.v2.Service");
    assert_eq!(call(&emulator, "POST", "operations/none:wait", Some(json!({}))).await.0, 404);
}

#[tokio::test]
async fn a_wait_that_runs_out_of_time_is_answered_without_an_end() {
    let slow = EmulatorOptions { pace: Duration::from_hours(1), ..options() };
    let emulator = Emulator::start(slow).await.unwrap();
    emulator.deploy(named("demo-a", sample(Behaviour::Fixed))).await.unwrap();
    let service = read(&emulator, SERVICE).await;
    let id = service["metadata"]["annotations"]["run.googleapis.com/operation-id"].as_str().unwrap();
    let wait = format!("/v1/projects/demo-project/locations/us-central1/operations/{id}:wait");
    let (status, answer) = raw(&emulator, "POST", &wait, Some(&json!({"timeout": "0.05s"}))).await;
    assert_eq!((status, answer.get("done")), (200, None), "{answer}");
    assert_eq!(answer["metadata"]["@type"], "type.googleapis.com/google.cloud.run.v1.Service");
}

#[tokio::test]
async fn a_stale_resource_version_is_a_conflict_in_decimal_digits() {
    let emulator = two().await;
    let service = read(&emulator, SERVICE).await;
    assert_eq!(raw(&emulator, "PUT", SERVICE, Some(&service)).await.0, 200);
    let (status, error) = raw(&emulator, "PUT", SERVICE, Some(&service)).await;
    assert_eq!((status, &error["error"]["status"]), (409, &json!("ABORTED")));
    let message = error["error"]["message"].as_str().unwrap();
    let digits: Vec<&str> =
        message.split('\'').filter(|part| part.bytes().all(|b| b.is_ascii_digit())).collect();
    let due = format!(
        "Conflict for resource 'demo': version '{}' was specified but current version is '{}'.",
        digits[0], digits[1]
    );
    assert_eq!(message, due);
    assert!(digits[0].starts_with("1795") && digits[0] < digits[1], "{message}");
    let mut unconditional = service.clone();
    unconditional["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    assert_eq!(raw(&emulator, "PUT", SERVICE, Some(&unconditional)).await.0, 200);
    assert_eq!(get(&emulator, "services/demo/revisions").await["revisions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_template_makes_a_revision_only_when_it_says_something_new() {
    let emulator = two().await;
    let names = || async {
        settled(&emulator).await;
        let list = read(&emulator, REVISIONS).await;
        let names = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let mut service = read(&emulator, SERVICE).await;
    service["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    assert_eq!(service["spec"]["template"]["metadata"]["name"], "demo-b");
    service["spec"]["template"]["spec"]["timeoutSeconds"] = json!(17);
    let (status, error) = raw(&emulator, "PUT", SERVICE, Some(&service)).await;
    let text = "Revision named 'demo-b' with different configuration already exists.";
    assert_eq!((status, &error["error"]["message"]), (409, &json!(text)));
    service["spec"]["template"]["metadata"]["name"] = json!("other-c");
    assert_eq!(raw(&emulator, "PUT", SERVICE, Some(&service)).await.0, 400, "not a name of this service's");
    service["spec"]["template"]["metadata"]["name"] = json!("demo-c");
    assert_eq!(raw(&emulator, "PUT", SERVICE, Some(&service)).await.0, 200);
    assert_eq!(names().await, ["demo-c", "demo-b", "demo-a"]);
    service["spec"]["template"]["metadata"].as_object_mut().unwrap().remove("name");
    for _ in 0..2 {
        assert_eq!(raw(&emulator, "PUT", SERVICE, Some(&service)).await.0, 200);
    }
    let now = names().await;
    assert!(now.len() == 4 && now[0].starts_with("demo-0000"), "one more, however often: {now:?}");
    service["spec"]["template"]["metadata"]["labels"]["client.knative.dev/nonce"] = json!("abc");
    raw(&emulator, "PUT", SERVICE, Some(&service)).await;
    assert_eq!(names().await.len(), 5, "a nonce makes it another configuration");
}

#[tokio::test]
async fn what_v2_does_not_show_is_lost_when_it_writes_everything() {
    let emulator = two().await;
    let echo = get(&emulator, "services/demo").await;
    let (status, error) = call(&emulator, "PATCH", "services/demo", Some(echo.clone())).await;
    let text = "Revision named 'demo-b' with different configuration already exists.";
    assert_eq!((status, &error["error"]["message"]), (409, &json!(text)));
    assert_eq!(call(&emulator, "PATCH", "services/demo?updateMask=traffic", Some(echo)).await.0, 200);
}

#[tokio::test]
async fn lists_are_selected_by_label_and_come_in_pages() {
    let deployments =
        ["demo-1", "demo-2", "demo-3"].map(|name| named(name, sample(Behaviour::Fixed))).to_vec();
    let emulator = with(options(), deployments).await;
    let body = json!({"metadata": {"name": "other"}, "spec": {"template": {"spec": {"containers": [{"image": "i"}]}}}});
    let services = SERVICE.trim_end_matches("/demo");
    assert_eq!(raw(&emulator, "POST", services, Some(&body)).await.0, 200);
    let select = |selector: &str| format!("{REVISIONS}?alt=json&labelSelector={selector}");
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    let list = read(&emulator, &select("serving.knative.dev%2Fservice+%3D+demo")).await;
    assert_eq!(names(&list), ["demo-3", "demo-2", "demo-1"]);
    assert_eq!(names(&read(&emulator, &select("serving.knative.dev/service=none")).await), [""; 0]);
    assert_eq!(raw(&emulator, "GET", &select("a>b"), None).await.0, 400);
    let first =
        read(&emulator, &format!("{REVISIONS}?labelSelector=serving.knative.dev/service=demo&limit=2")).await;
    let token = first["metadata"]["continue"].as_str().unwrap();
    let next = format!("{REVISIONS}?labelSelector=serving.knative.dev/service=demo&limit=2&continue={token}");
    let second = read(&emulator, &next).await;
    assert_eq!(
        (names(&first), names(&second)),
        (vec!["demo-3".into(), "demo-2".into()], vec!["demo-1".into()])
    );
    assert!(second["metadata"].get("continue").is_none());
    for everywhere in ["/v1/projects/demo-project/locations/-/services", services] {
        assert_eq!(names(&read(&emulator, everywhere).await), ["demo", "other"]);
    }
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let emulator = two().await;
    let mut service = read(&emulator, SERVICE).await;
    service["metadata"]["labels"]["team"] = json!("a");
    service["spec"]["template"]["metadata"]["name"] = json!("demo-dry");
    let (status, preview) = raw(&emulator, "PUT", &format!("{SERVICE}?dryRun=all"), Some(&service)).await;
    assert_eq!((status, &preview["metadata"]["labels"]["team"]), (200, &json!("a")));
    service["spec"]["traffic"] = json!([{"revisionName": "demo-a", "percent": 99}]);
    assert_eq!(raw(&emulator, "PUT", &format!("{SERVICE}?dryRun=all"), Some(&service)).await.0, 400);
    let after = read(&emulator, SERVICE).await;
    assert_eq!(
        (&after["metadata"]["generation"], after["metadata"]["labels"].get("team")),
        (&json!(2), None)
    );
    let body = json!({"metadata": {"name": "dry"}, "spec": {"template": {"spec": {"containers": [{"image": "i"}]}}}});
    let services = SERVICE.trim_end_matches("/demo");
    assert_eq!(raw(&emulator, "POST", &format!("{services}?dryRun=all"), Some(&body)).await.0, 200);
    assert_eq!(raw(&emulator, "GET", &format!("{services}/dry"), None).await.0, 404);
}

#[tokio::test]
async fn what_is_deleted_goes_later_and_what_serves_stays() {
    let emulator = two().await;
    let (status, error) = raw(&emulator, "DELETE", &format!("{REVISIONS}/demo-a"), None).await;
    assert_eq!((status, &error["error"]["status"]), (400, &json!("FAILED_PRECONDITION")), "{error}");
    assert_eq!(call(&emulator, "DELETE", "services/demo/revisions/demo-none", None).await.0, 404);
    assert_eq!(call(&emulator, "DELETE", "services/demo?etag=stale", None).await.0, 409);
    let (status, operation) = call(&emulator, "DELETE", "services/demo", None).await;
    assert_eq!((status, operation.get("done")), (200, None));
    assert!(operation["metadata"].get("deleteTime").is_some(), "{operation}");
    let tail = operation["name"].as_str().unwrap().split_once("us-central1/").unwrap().1.to_owned();
    let (_, done) = call(&emulator, "POST", &format!("{tail}:wait"), Some(json!({}))).await;
    assert_eq!(
        (&done["done"], &done["response"]["name"]),
        (&json!(true), &json!(path("services/demo")[4..]))
    );
    assert_eq!(call(&emulator, "GET", "services/demo", None).await.0, 404);
    let (status, answer) = raw(&emulator, "DELETE", SERVICE, None).await;
    assert_eq!(status, 404, "{answer}");
}

#[tokio::test]
async fn nothing_is_written_to_what_is_being_deleted() {
    let slow = EmulatorOptions { pace: Duration::from_hours(1), ..options() };
    let emulator = Emulator::start(slow).await.unwrap();
    emulator.deploy(named("demo-a", sample(Behaviour::Fixed))).await.unwrap();
    let (status, answer) = raw(&emulator, "DELETE", SERVICE, None).await;
    assert_eq!((status, &answer["status"]), (200, &json!("Success")));
    let service = read(&emulator, SERVICE).await;
    assert!(service["metadata"].get("deletionTimestamp").is_some());
    let (status, error) = call(&emulator, "PATCH", "services/demo?updateMask=labels", Some(json!({}))).await;
    assert_eq!((status, &error["error"]["status"]), (409, &json!("ABORTED")), "{error}");
    let (status, error) = raw(&emulator, "PUT", SERVICE, Some(&service)).await;
    assert_eq!(status, 409, "{error}");
}

#[tokio::test]
async fn a_call_for_another_place_is_told_where_this_is() {
    let emulator = two().await;
    let (status, error) = raw(&emulator, "GET", &format!("{SERVICE}-none"), None).await;
    let due = "Resource 'demo-none' of kind 'SERVICE' in region 'us-central1' in project 'demo-project' does not exist.";
    assert_eq!((status, &error["error"]["message"]), (404, &json!(due)));
    let elsewhere = "/v1/projects/other/locations/europe-west1/services";
    let (status, error) =
        raw(&emulator, "POST", elsewhere, Some(&json!({"metadata": {"name": "web"}}))).await;
    assert_eq!((status, &error["error"]["status"]), (400, &json!("FAILED_PRECONDITION")));
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("revgate emulator --project other --region europe-west1"), "{message}");
    let (status, error) = raw(&emulator, "GET", &elsewhere.replace("/v1/", "/v2/"), None).await;
    let due = "Permission 'run.services.list' denied on resource 'projects/other/locations/europe-west1' (or resource may not exist).";
    assert_eq!(
        (status, &error["error"]["message"]),
        (403, &json!(due)),
        "another project is not an empty one"
    );
    let region = "/v2/projects/demo-project/locations/europe-west1/services";
    assert_eq!(raw(&emulator, "GET", region, None).await, (200, json!({})));
}

#[tokio::test]
async fn a_service_of_a_deleted_ones_name_starts_anew() {
    let emulator = two().await;
    let before = get(&emulator, "services/demo").await;
    assert_eq!(raw(&emulator, "DELETE", SERVICE, None).await.0, 200);
    eventually("it is gone", || async { call(&emulator, "GET", "services/demo", None).await.0 == 404 }).await;
    let template = json!({"revision": "demo-b", "containers": [{"image": "i"}]});
    let (status, _) =
        call(&emulator, "POST", "services?serviceId=demo", Some(json!({"template": template}))).await;
    assert_eq!(status, 200);
    settled(&emulator).await;
    let after = get(&emulator, "services/demo").await;
    assert_eq!((&after["generation"], &after["observedGeneration"]), (&json!("1"), &json!("1")));
    assert_ne!(after["uid"], before["uid"]);
    assert_eq!(after["uri"], before["uri"], "the same name has the same port");
    assert!(after["latestReadyRevision"].as_str().unwrap().ends_with("/demo-b"));
}

#[tokio::test]
async fn a_template_of_an_older_emulator_moves_traffic_and_makes_no_revision() {
    let folder = tempfile::tempdir().unwrap();
    let (file, options) = kept_in(&folder);
    let mut state: Value = serde_json::from_str(VERSION_1).unwrap();
    // What an older emulator kept: a probe without its defaults, and what is refused today.
    for place in ["template", "revisions/1/template"] {
        let container = state.pointer_mut(&format!("/services/0/{place}/spec/containers/0")).unwrap();
        container["livenessProbe"] = json!({"httpGet": {"path": "/health"}});
        container["env"] = json!([{"name": "PORT", "value": "8080"}]);
    }
    std::fs::write(&file, state.to_string()).unwrap();
    let emulator = start(&options).await;
    let mut service = read(&emulator, SERVICE).await;
    let container = &service["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["livenessProbe"]["periodSeconds"], 10);
    service["spec"]["traffic"] = json!([{"revisionName": "demo-b", "percent": 100}]);
    let (status, written) = raw(&emulator, "PUT", SERVICE, Some(&service)).await;
    assert_eq!(status, 200, "{written}");
    settled(&emulator).await;
    let service = read(&emulator, SERVICE).await;
    assert_eq!(service["status"]["traffic"], json!([{"revisionName": "demo-b", "percent": 100}]));
    assert_eq!(service["status"]["latestCreatedRevisionName"], "demo-b");
    let mut other = service.clone();
    other["spec"]["template"]["metadata"]["name"] = json!("demo-c");
    other["spec"]["template"]["spec"]["timeoutSeconds"] = json!(60);
    let (status, refusal) = raw(&emulator, "PUT", SERVICE, Some(&other)).await;
    assert_eq!(status, 400, "what is new is judged: {refusal}");
    end(emulator).await;
}
