//! Log entries over the API, and the client that reads them.

use std::time::Duration;

use revgate::{
    cloudrun::{
        ApiError, Client,
        logs::{LogEntry, LogOrder, of_log, of_revision, quoted},
    },
    config::{ApiAccess, ServiceName},
    emulator::{Behaviour, Deployment, Emulator, Workload},
    trust::Redactor,
};
use serde_json::{Value, json};

use super::support::{eventually, faults, named, open_with, options, sample, two, with};

fn demo() -> ServiceName {
    let own = str::to_owned;
    ServiceName { project: own("demo-project"), region: own("us-central1"), service: own("demo") }
}

async fn entries(emulator: &Emulator, filter: &str) -> Result<Vec<LogEntry>, ApiError> {
    let endpoint = emulator.api_endpoint().parse().unwrap();
    let client = Client::new(&ApiAccess::Other { endpoint, token: None }, &Redactor::default()).unwrap();
    client.list_entries(&demo(), filter, LogOrder::OldestFirst).await
}

/// The raw answer; gives status and body.
async fn list(emulator: &Emulator, body: &Value) -> (u16, Value) {
    let url = format!("{}/v2/entries:list", emulator.api_endpoint());
    let response = reqwest::Client::new().post(url).json(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn body(filter: &str) -> Value {
    json!({"resourceNames": ["projects/demo-project"], "filter": filter})
}

#[tokio::test]
async fn a_socket_has_an_entry_once_it_has_ended() {
    let emulator = two().await;
    let url = emulator.tag_url("candidate").unwrap();
    let trace = "0123456789abcdef0123456789abcdef";
    let fields =
        [("user-agent", "revgate/0 (run-7)"), ("traceparent", &format!("00-{trace}-0123456789abcdef-01"))];
    let (socket, _) = open_with(&url, "/ws?token=secret", &fields).await.unwrap();
    let filter = format!(
        "{} AND {} AND httpRequest.userAgent:{}",
        of_revision(&demo(), "demo-b"),
        of_log(&demo(), "requests"),
        quoted("run-7")
    );
    assert!(entries(&emulator, &filter).await.unwrap().is_empty(), "it is open yet");
    drop(socket);
    eventually("the entry", || async { entries(&emulator, &filter).await.unwrap().len() == 1 }).await;
    let entry = entries(&emulator, &filter).await.unwrap().remove(0);
    assert_eq!(entry.http_request.as_ref().unwrap().status, 101);
    assert_eq!(entry.trace, format!("projects/demo-project/traces/{trace}"));
    assert_eq!(entry.resource.labels["revision_name"], "demo-b");
    let started =
        entries(&emulator, "textPayload:\"Starting new instance. Reason: DEPLOYMENT_ROLLOUT\"").await;
    let started = started.unwrap();
    assert_eq!(started.len(), 2, "one a revision");
    assert_eq!(started[1].instance(), entry.instance());
    assert!(!format!("{entry:?}").contains("secret"), "addresses may hold tokens");
}

#[tokio::test]
async fn what_instances_write_and_what_is_refused_is_there_too() {
    let broken = named("demo-a", sample(Behaviour::Close1011));
    let emulator = with(options(), vec![broken]).await;
    let url = emulator.service_url().unwrap();
    drop(open_with(&url, "/ws", &[]).await);
    eventually("a line at ERROR", || async {
        let found = entries(&emulator, "logName=~\"(stdout|stderr)$\" AND severity>=ERROR").await.unwrap();
        found.iter().any(|entry| entry.text().raw().contains("1011"))
    })
    .await;
    faults(&emulator, |faults| faults.front_status = Some(503));
    reqwest::get(&url).await.unwrap();
    eventually("a page at ERROR", || async {
        !entries(&emulator, "httpRequest.status>=500 AND severity=ERROR").await.unwrap().is_empty()
    })
    .await;
}

#[tokio::test]
async fn each_instance_has_its_own_start_and_its_own_id() {
    let sample = revgate::emulator::SampleBackend::new(Behaviour::Fixed);
    let scaled = Deployment { concurrency: Some(1), ..Deployment::new(Workload::Sample(sample)) };
    let emulator = with(options(), vec![named("demo-a", scaled)]).await;
    let url = emulator.service_url().unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(open_with(&url, "/ws", &[]).await.unwrap());
    }
    let starts =
        entries(&emulator, "textPayload=~\"Reason: (AUTOSCALING|DEPLOYMENT_ROLLOUT)\"").await.unwrap();
    let ids: std::collections::BTreeSet<_> = starts.iter().filter_map(LogEntry::instance).collect();
    assert_eq!((starts.len(), ids.len()), (3, 3));
}

#[tokio::test]
async fn pages_follow_each_other_in_either_order() {
    for order in ["timestamp asc", "timestamp desc"] {
        let emulator = two().await;
        let url = emulator.service_url().unwrap();
        for _ in 0..7 {
            reqwest::get(format!("{url}/health")).await.unwrap();
        }
        let filter = "logName:requests";
        eventually("seven entries", || async { entries(&emulator, filter).await.unwrap().len() == 7 }).await;
        let mut token = String::new();
        let mut times: Vec<String> = Vec::new();
        for due in [3, 3, 1] {
            let mut asked = body(filter);
            asked["orderBy"] = json!(order);
            asked["pageSize"] = json!(3);
            if !token.is_empty() {
                asked["pageToken"] = json!(token);
            }
            let (status, answer) = list(&emulator, &asked).await;
            let page = answer["entries"].as_array().unwrap();
            assert_eq!((status, page.len()), (200, due));
            times.extend(page.iter().map(|entry| entry["timestamp"].as_str().unwrap().to_owned()));
            token = answer["nextPageToken"].as_str().unwrap_or_default().to_owned();
            // What comes meanwhile moves nothing.
            reqwest::get(format!("{url}/health")).await.unwrap();
        }
        assert!(token.is_empty());
        if order.ends_with("desc") {
            times.reverse();
        }
        assert!(times.is_sorted(), "{times:?}");
    }
}

#[tokio::test]
async fn what_is_not_understood_is_an_error_and_nothing_is_an_empty_object() {
    let emulator = two().await;
    assert_eq!(list(&emulator, &body("insertId=nothing")).await, (200, json!({})));
    for wrong in [
        body("SEARCH(\"x\")"),
        body("colour=red"),
        json!({"filter": ""}),
        json!({"resourceNames": ["projects/demo-project"], "orderBy": "severity"}),
        json!({"resourceNames": ["projects/demo-project"], "filtre": ""}),
        json!({"resourceNames": ["projects/demo-project"], "pageToken": "x"}),
    ] {
        let (status, answer) = list(&emulator, &wrong).await;
        assert_eq!((status, &answer["error"]["status"]), (400, &json!("INVALID_ARGUMENT")), "{wrong}");
    }
    let error = entries(&emulator, "colour=red").await.unwrap_err();
    assert!(matches!(error, ApiError::InvalidArgument { .. }), "{error}");
    assert!(error.to_string().contains("colour"), "{error}");
}

#[tokio::test]
async fn entries_lag_and_may_be_refused() {
    let emulator = two().await;
    assert!(!entries(&emulator, "").await.unwrap().is_empty());
    faults(&emulator, |faults| faults.log_lag = Duration::MAX);
    assert!(entries(&emulator, "").await.unwrap().is_empty());
    faults(&emulator, |faults| {
        faults.log_lag = Duration::ZERO;
        faults.denied_permissions = vec!["logging.logEntries.list".to_owned()];
    });
    let error = entries(&emulator, "").await.unwrap_err();
    assert!(matches!(error, ApiError::PermissionDenied { .. }), "{error}");
    assert!(error.help().contains("roles/logging.viewer"), "{}", error.help());
}
